import { LoginError } from '../core/errors.ts'
import type { Clock } from '../core/ports.ts'

/** The way to one upstream, or target: so many questions at once, and none while it is down but one that tries. */
export interface Gate {
  /** @throws what `Outage.closed` makes, at once, while the other side is known to be down; else what `ask` throws */
  pass<T>(ask: () => Promise<T>): Promise<T>
  /** Whether `pass` would refuse at this moment. */
  closed(): boolean
}

/** How an outage is told. */
export interface Outage {
  /** Whether what was thrown says that nobody answers. */
  is(error: unknown): boolean
  /** What those are told who need not try. */
  closed(): Error
}

const ofUpstream: Outage = {
  is: (error) => error instanceof LoginError && error.code === 'upstream_unavailable',
  closed: () => new LoginError('upstream_unavailable', 'the upstream is down; it is not asked again yet'),
}

/** Questions at once: what an upstream takes beside its own sign-ins. After an outage thousands wait for these places. */
const AT_ONCE = 16
/** Seconds between two tries while the upstream is down: 1, 2, 4 … */
const LONGEST_WAIT = 16

/**
 * A breaker and a limit. The first failure closes the gate; then one question at a time tries, in growing intervals, and its
 * answer opens it again.
 * @param told hears once of each change
 */
export function openGate(now: Clock, told: (state: 'down' | 'up') => void, outage: Outage = ofUpstream): Gate {
  const waiting: (() => void)[] = []
  let inside = 0
  let failures = 0
  let notBefore = 0

  const enter = async (): Promise<void> => {
    if (inside < AT_ONCE) inside++
    else await new Promise<void>((resolve) => waiting.push(resolve)) // the place is handed over, not freed
  }
  const leave = () => {
    const next = waiting.shift()
    if (next) next()
    else inside--
  }
  // Longer than it ever waits: the clock has been put back since.
  const waits = () => now() < notBefore && notBefore - now() <= LONGEST_WAIT
  const turn = (): 'open' | 'trial' | 'closed' => {
    if (failures === 0) return 'open'
    if (waits()) return 'closed'
    notBefore = now() + LONGEST_WAIT // nobody else tries beside this one
    return 'trial'
  }
  const failed = (mine: 'open' | 'trial') => {
    if (failures === 0) told('down')
    if (mine === 'trial' || failures === 0) failures = Math.min(failures + 1, 10) // of many that failed together one counts
    notBefore = now() + Math.min(2 ** (failures - 1), LONGEST_WAIT)
  }
  const answered = () => {
    if (failures > 0) told('up')
    failures = 0
  }

  return {
    closed: () => failures > 0 && waits(),
    async pass(ask) {
      const mine = turn()
      if (mine === 'closed') throw outage.closed()
      await enter()
      try {
        // Those who waited for a place find out here what those before them met.
        if (mine === 'open' && failures > 0) throw outage.closed()
        const answer = await ask().catch((error: unknown) => {
          if (outage.is(error)) failed(mine)
          else answered()
          throw error
        })
        answered()
        return answer
      } finally {
        leave()
      }
    },
  }
}
