import type { Entry, Kind, Links, Store } from './store.ts'

export { kinds } from './kinds.ts'

/** An entry with its value read. */
export interface Item<T> extends Omit<Entry, 'value'> {
  readonly value: T
}

/** The entries of one kind as values of one type, kept as JSON; what each verb promises stands at `Store`. */
export interface Collection<T> {
  get(id: string): Promise<T | undefined>
  /** As `get`, with the entry's times. */
  item(id: string): Promise<Item<T> | undefined>
  find(alias: string): Promise<Item<T> | undefined>
  /** @param ttl seconds, at least 1; the collection's if absent */
  put(id: string, value: T, ttl?: number, links?: Links): Promise<boolean>
  /** @param ttl seconds, at least 1; the collection's if absent */
  add(id: string, value: T, ttl?: number, links?: Links): Promise<boolean>
  /**
   * Replaces what is there by what `change` makes of it, as one step: where another caller was faster, `change` runs again on
   * the new value. Keeps the links.
   * @param change pure; undefined leaves everything as it is
   * @param ttl seconds from now, at least 1; the collection's if absent
   * @returns what `change` returned last
   * @throws {Error} where others were faster many times in a row
   */
  update(id: string, change: (current: T | undefined) => T | undefined, ttl?: number): Promise<T | undefined>
  take(id: string): Promise<T | undefined>
  consume(id: string): Promise<'first' | number | undefined>
  delete(id: string): Promise<void>
  list(limit: number): Promise<readonly Item<T>[]>
}

/** How often `update` tries before it gives up: more callers than this at once for one entry are an attack or a fault. */
const tries = 64

/**
 * A typed handle on one kind of a store. It trusts what the store gives back to be what was written: no shape is checked.
 * @param lifetime seconds, at least 1, for entries whose write does not say; without end if absent
 */
export function collection<T>(store: Store, kind: Kind, lifetime = Number.POSITIVE_INFINITY): Collection<T> {
  const read = (text: string): T => JSON.parse(text) as T // only this collection writes this kind
  const item = (entry: Entry | undefined): Item<T> | undefined => entry && { ...entry, value: read(entry.value) }

  const update: Collection<T>['update'] = async (id, change, ttl = lifetime) => {
    for (let n = 0; n < tries; n++) {
      const entry = await store.get(kind, id)
      const next = change(entry && read(entry.value))
      if (next === undefined) return undefined
      if (await store.swap(kind, id, entry?.value, JSON.stringify(next), ttl)) return next
    }
    throw new Error(`${kind.name}: gave up after ${tries} attempts to change one entry`)
  }

  return {
    async get(id) {
      const entry = await store.get(kind, id)
      return entry && read(entry.value)
    },
    item: async (id) => item(await store.get(kind, id)),
    find: async (alias) => item(await store.find(kind, alias)),
    put: (id, value, ttl = lifetime, links = {}) => store.put(kind, id, JSON.stringify(value), ttl, links),
    add: (id, value, ttl = lifetime, links = {}) => store.add(kind, id, JSON.stringify(value), ttl, links),
    update,
    async take(id) {
      const entry = await store.take(kind, id)
      return entry && read(entry.value)
    },
    consume: (id) => store.consume(kind, id),
    delete: (id) => store.delete(kind, id),
    list: async (limit) => (await store.list(kind, limit)).map((entry) => ({ ...entry, value: read(entry.value) })),
  }
}
