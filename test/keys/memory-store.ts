import type { Entry, Store } from '../../src/store/store.ts'
import { StoreUnavailable } from '../../src/store/store.ts'

/** As much of a store as rings use, shared by "processes" of one test; each call takes a turn of the event loop, so that races are real. */
export function memoryStore(): Store & { broken: boolean; readonly entries: Map<string, string>; swaps: number } {
  const entries = new Map<string, string>()
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const unused = (): never => {
    throw new Error('rings do not use this')
  }
  const store = {
    broken: false,
    swaps: 0,
    entries,
    async get(kind: { name: string }, id: string): Promise<Entry | undefined> {
      await turn()
      if (store.broken) throw new StoreUnavailable('closed')
      const value = entries.get(`${kind.name}/${id}`)
      return value === undefined ? undefined : { id, value, expiresAt: Infinity }
    },
    async swap(kind: { name: string }, id: string, from: string | undefined, to: string): Promise<boolean> {
      await turn()
      if (store.broken) throw new StoreUnavailable('closed')
      if (entries.get(`${kind.name}/${id}`) !== from) return false
      entries.set(`${kind.name}/${id}`, to)
      store.swaps++
      return true
    },
    async list(kind: { name: string }): Promise<readonly Entry[]> {
      await turn()
      return [...entries]
        .filter(([key]) => key.startsWith(`${kind.name}/`))
        .map(([key, value]) => ({ id: key.slice(kind.name.length + 1), value, expiresAt: Infinity }))
    },
    find: unused,
    put: unused,
    add: unused,
    take: unused,
    consume: unused,
    delete: unused,
    members: unused,
    revoke: unused,
    check: unused,
    close: unused,
  }
  return store
}
