import type { Clock, Log } from '../core/ports.ts'
import { type Gate, openGate } from '../lifecycle/gate.ts'
import { TargetUnavailable } from '../targets/live.ts'
import type { LeaseMeter } from './world.ts'

/** The way to each target: while one is down, nobody waits for it. */
export interface Gates {
  of(target: string): Gate
}

/** What is told of a target that is down without asking it. */
export const unanswered = () => new TargetUnavailable('down', 'the target is down; it is not asked again yet')

const outage = {
  is: (error: unknown) => error instanceof TargetUnavailable && error.kind === 'down',
  closed: unanswered,
}

export function openGates({ now, log, meter }: { now: Clock; log: Log; meter: LeaseMeter }): Gates {
  const gates = new Map<string, Gate>()
  return {
    of(target) {
      const known = gates.get(target)
      if (known) return known
      const told = (state: 'down' | 'up') => {
        meter.target(target, state)
        if (state === 'down') log('warn', 'a target does not answer; what is to be written there waits', { target })
        else log('info', 'a target answers again', { target })
      }
      const made = openGate(now, told, outage)
      gates.set(target, made)
      return made
    },
  }
}
