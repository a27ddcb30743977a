import type { Clock } from '../core/ports.ts'
import { collection, kinds } from '../store/collection.ts'
import type { Store } from '../store/store.ts'

/** Somebody to look at. */
interface Mark {
  readonly sub: string
  /** Unix seconds. */
  readonly notBefore: number
  /** The targets that are left; all of them where absent. */
  readonly targets?: readonly string[]
}

/** Marks about one person that are due, taken together. */
export interface DueEntry {
  readonly sub: string
  /** Undefined: all of them. */
  readonly targets: readonly string[] | undefined
  /** By which the marks are struck off. */
  readonly ids: readonly string[]
}

/**
 * Whom to look at: the durable queue. Each mark is an entry of its own, struck off by its own id when the work that began after it is
 * done, so that a mark that comes meanwhile is never lost, and no crash loses one.
 */
export interface Due {
  /** @param delay seconds */
  mark(sub: string, delay: number, targets?: readonly string[]): Promise<void>
  /** Whoever is due now, and how many marks there are in all. */
  read(): Promise<{ readonly entries: readonly DueEntry[]; readonly marks: number }>
  strike(ids: readonly string[]): Promise<void>
}

/** Seconds after which a mark is forgotten: many passes have looked at everybody since. */
const KEEP = 86_400
/** Marks read in one round. */
const BATCH = 20_000

export function openDue(store: Store, now: Clock, random: () => string): Due {
  const marks = collection<Mark>(store, kinds.Due, KEEP)
  return {
    async mark(sub, delay, targets) {
      await marks.put(random(), { sub, notBefore: now() + delay, ...(targets && { targets }) })
    },
    async read() {
      const all = await marks.list(BATCH)
      const entries = new Map<string, DueEntry>()
      for (const { id, value } of all.filter((each) => each.value.notBefore <= now())) {
        const before = entries.get(value.sub)
        const targets =
          before && !(before.targets && value.targets) ? undefined : joined(before?.targets, value.targets)
        entries.set(value.sub, { sub: value.sub, targets, ids: [...(before?.ids ?? []), id] })
      }
      return { entries: [...entries.values()], marks: all.length }
    },
    async strike(ids) {
      await Promise.all(ids.map((id) => marks.delete(id)))
    },
  }
}

function joined(some: readonly string[] | undefined, others: readonly string[] | undefined) {
  return others && [...new Set([...(some ?? []), ...others])]
}
