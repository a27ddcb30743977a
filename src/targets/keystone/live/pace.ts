/** Milliseconds for which a request keeps its place. */
const SECOND = 1000

/** `few`: somebody waits for it, at a sign-in, or to be rid of somebody. `many`: whole lists, and what a pass does. */
export type Lane = 'few' | 'many'

/** Waits for its turn, and does the work. */
export type Pace = <T>(lane: Lane, work: () => Promise<T>) => Promise<T>

/**
 * A turnstile: at most so many pass in any second, those of `few` before those of `many`, and in the order in which they came. `many` never
 * fill it, so that somebody who comes finds a place at once; and only some of them are on their way at a time (4 at 20 in a second), so that
 * what one of them was about is not long ago when it passes.
 * @param perSecond at least 1
 */
export function openPace(perSecond: number, after: (milliseconds: number, run: () => void) => Timer = wait): Pace {
  const reserved = perSecond > 1 ? Math.ceil(perSecond / 4) : 0
  const waiting: Readonly<Record<Lane, (() => void)[]>> = { few: [], many: [] }
  const inside = { few: 0, many: 0 }
  /** Of those inside, the first to leave first. */
  const leaving: Timer[] = []
  const mayEnter = (lane: Lane) =>
    waiting[lane].length > 0 &&
    inside.few + inside.many < perSecond &&
    (lane === 'few' || inside.many < perSecond - reserved)
  const admit = () => {
    for (;;) {
      const lane = mayEnter('few') ? 'few' : mayEnter('many') ? 'many' : undefined
      if (lane === undefined) break
      inside[lane]++
      const leave = () => {
        leaving.shift()
        inside[lane]--
        admit()
      }
      leaving.push(after(SECOND, leave))
      waiting[lane].shift()?.()
    }
    // A command has nothing else on its way while it waits here, and a process that waits for nothing ends.
    if (waiting.few.length + waiting.many.length > 0) leaving[0]?.ref()
  }
  const turn = (lane: Lane) =>
    new Promise<void>((resolve) => {
      waiting[lane].push(resolve)
      admit()
    })
  const together = openDoor(Math.max(4, Math.floor(perSecond / 5)))
  return async (lane, work) => {
    if (lane === 'few') {
      await turn(lane)
      return await work()
    }
    return await together(async () => {
      await turn(lane)
      return await work()
    })
  }
}

/** A timer that keeps no process, until it is told to. */
interface Timer {
  ref(): unknown
}

function wait(milliseconds: number, run: () => void): Timer {
  return setTimeout(run, milliseconds).unref()
}

/** At most so many at a time. */
function openDoor(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let free = most
  return async (work) => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) free++
      else next()
    }
  }
}
