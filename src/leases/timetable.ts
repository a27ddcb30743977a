import type { Clock } from '../core/ports.ts'
import { openTimetable } from '../lifecycle/timetable.ts'
import { collection, kinds } from '../store/collection.ts'
import type { Store } from '../store/store.ts'

/** When the rules give somebody less although her proof holds (`until:`). */
export interface EndOfLeases {
  /** @param until Unix seconds; Infinity where nothing is to be expected. Writes nothing where it is expected already. */
  expect(sub: string, until: number): Promise<void>
  /** Once a second: says for whom the time has come. @param mark durable when it resolves */
  each(mark: (sub: string) => Promise<void>): Promise<void>
}

/** Seconds that an end is kept beyond its time, for a process that was away. */
const BEYOND = 86_400

/** In the place of an end that is over, for the second in which it goes. */
const TOLD = 0

const groupFor = (minute: number) => `leases:${minute}`

export function openEndOfLeases(store: Store, now: Clock): EndOfLeases {
  const ends = collection<number>(store, kinds.LeaseEnd)
  const timetable = openTimetable(now)
  return {
    async expect(sub, until) {
      if (!Number.isFinite(until) || until <= now() || (await ends.get(sub)) === until) return
      const ttl = Math.ceil(until) - now() + BEYOND
      await ends.put(sub, until, ttl, { groups: [groupFor(Math.floor(until / 60))] })
    },
    each: (mark) =>
      timetable.each(async (minute) => {
        for (const { id: sub } of await store.members(groupFor(minute))) {
          const until = await ends.get(sub)
          if (until === undefined || until === TOLD || until > now()) continue
          await mark(sub)
          // Not where another one is expected by now: whoever is marked is settled at once, perhaps before this.
          await store.swap(kinds.LeaseEnd, sub, JSON.stringify(until), JSON.stringify(TOLD), 1)
        }
      }),
  }
}
