import type { Clock } from '../core/ports.ts'
import { collection, kinds } from '../store/collection.ts'
import type { Store } from '../store/store.ts'

/** Somebody to look at, at one target; absent once it was struck off. */
interface Mark {
  readonly sub: string
  /** An id; `EVERYWHERE` by who does not know which targets there are. */
  readonly target: string
  /** Unix seconds from which somebody looks, and at which somebody has to look once more. */
  readonly first: number
  readonly last: number
  /** Another one with each mark, so that a later one is not struck off with an earlier one. */
  readonly version: string
}

type Kept = Mark | { readonly version?: never }

/** Somebody who is due at a target. */
export interface DueEntry {
  readonly sub: string
  /** As it was read; by it, and no later one, it is struck off. */
  readonly mark: unknown
}

/**
 * Whom to look at: the durable queue. Whoever is marked again before somebody looked stands in it once for each target. What is struck
 * off is the mark that was read before the work began: one that comes meanwhile is never lost, and no crash loses one.
 */
export interface Due {
  /** @param delay seconds @param targets all of them where absent */
  mark(sub: string, delay: number, targets?: readonly string[]): Promise<void>
  /** Who is due now at each of these targets, and how many marks there are in all. */
  read(targets: readonly string[]): Promise<{ readonly due: ReadonlyMap<string, DueEntry[]>; readonly marks: number }>
  /** Unless somebody has to look again later, or was marked meanwhile. */
  strike(entry: DueEntry): Promise<void>
  /** Nobody looks for so many seconds, unless it was marked meanwhile. */
  later(entry: DueEntry, seconds: number): Promise<void>
}

/** Seconds after which a mark is forgotten: many passes have looked at everybody since. */
const KEEP = 86_400
/** Marks read in one round: everybody, at some targets. */
const BATCH = 200_000
const EVERYWHERE = ''

export function openDue(store: Store, now: Clock, random: () => string): Due {
  const marks = collection<Kept>(store, kinds.Due, KEEP)
  const keyOf = ({ target, sub }: Pick<Mark, 'target' | 'sub'>) => `${target}\n${sub}`
  const swap = (before: Mark, after: Kept, ttl: number) =>
    store.swap(kinds.Due, keyOf(before), JSON.stringify(before), JSON.stringify(after), ttl)
  const strike: Due['strike'] = async ({ mark }) => {
    const before = mark as Mark
    if (before.last > now()) await swap(before, { ...before, first: before.last }, KEEP)
    else await swap(before, {}, 1)
  }
  const one = async (sub: string, target: string, at: number): Promise<void> => {
    const version = random()
    await marks.update(keyOf({ target, sub }), (before) => {
      const [first, last] = before?.version ? [Math.min(before.first, at), Math.max(before.last, at)] : [at, at]
      return { sub, target, first, last, version }
    })
  }
  const mark: Due['mark'] = async (sub, delay, targets = [EVERYWHERE]) => {
    await Promise.all(targets.map((target) => one(sub, target, now() + delay)))
  }

  const all = async () => (await marks.list(BATCH)).flatMap(({ value }) => (value.version ? [value] : []))

  return {
    mark,
    async read(targets) {
      let waiting = await all()
      const everywhere = waiting.filter(({ target, first }) => target === EVERYWHERE && first <= now())
      for (const each of everywhere) {
        await mark(each.sub, 0, targets)
        await strike({ sub: each.sub, mark: each })
      }
      if (everywhere.length > 0) waiting = await all()
      const due = new Map<string, DueEntry[]>(targets.map((target) => [target, []]))
      for (const each of waiting) if (each.first <= now()) due.get(each.target)?.push({ sub: each.sub, mark: each })
      return { due, marks: waiting.length }
    },
    strike,
    async later({ mark }, seconds) {
      const before = mark as Mark
      const at = now() + seconds
      await swap(before, { ...before, first: at, last: Math.max(before.last, at) }, KEEP)
    },
  }
}
