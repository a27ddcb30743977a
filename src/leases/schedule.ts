import type { Due } from './due.ts'
import { isDown, tellFailures } from './failures.ts'
import type { Gates } from './gates.ts'
import { eachAlone } from './loops.ts'
import type { Passed, PassOptions } from './pass.ts'
import type { LeasePorts, LiveTarget } from './world.ts'

/** Runs a pass at each target as often as it wants: the net below everything that marks. */
export interface Schedule {
  /** Begins the passes that are due, at each target by itself: a slow one holds up no other. */
  tick(): void
  /** Resolves when what was begun is done. */
  idle(): Promise<void>
  /** Every pass is due. */
  now(): void
}

export interface SchedulePorts extends Pick<LeasePorts, 'audit' | 'log' | 'meter' | 'now' | 'stop' | 'world'> {
  readonly due: Due
  readonly gates: Gates
  readonly pass: (target: LiveTarget, options: PassOptions) => Promise<Passed>
}

/** Seconds until a pass that failed is tried again. */
export const AFTER_FAILURE = { down: 15, refused: 300 } as const

/** Whether a moment has come. One that is farther away than any is ever set was set by a clock that has been put back since. */
export const isDue = (moment: number, farthest: number, now: number): boolean =>
  now >= moment || moment - now > farthest

export function openSchedule(ports: SchedulePorts): Schedule {
  const { audit, due, gates, log, meter, now } = ports
  const next = new Map<string, number>()
  const heldBefore = new Map<string, number>()
  let asked = 0

  const tellHeld = async (target: string, count: number): Promise<void> => {
    meter.held(target, count)
    const before = heldBefore.get(target) ?? 0
    heldBefore.set(target, count)
    if (count === 0) return
    log(
      'error',
      'changed rules or claims would take from too many accounts at once; nothing is taken from people of that connector',
      {
        target,
        accounts: count,
        advice: `'lotse reconcile ${target} --dry-run' shows it, '--yes' carries it out`,
      },
    )
    if (count !== before) await audit('leases', { event: 'reconcile.held', target, accounts: count })
  }

  const one = async (target: LiveTarget): Promise<void> => {
    const { id, live } = target
    const farthest = Math.max(live.every, AFTER_FAILURE.refused)
    if (!isDue(next.get(id) ?? 0, farthest, now()) || gates.of(id).closed()) return
    const began = asked
    try {
      const { held, left } = await ports.pass(target, { how: 'guarded', reference: 'leases' })
      if (ports.stop?.aborted) return // the next process looks at everybody
      for (const sub of left.keys()) await due.mark(sub, 1, [id])
      tellFailures(
        log,
        id,
        [...left.values()].filter((why) => why !== 'busy'),
      )
      next.set(id, asked === began ? now() + live.every : 0)
      if (left.size === 0) meter.passed(id, now())
      await tellHeld(id, held.size)
    } catch (error) {
      tellFailures(log, id, [error as Error])
      next.set(id, now() + (isDown(error) ? AFTER_FAILURE.down : AFTER_FAILURE.refused))
    }
  }

  const passing = eachAlone<string>((target, error) => tellFailures(log, target, [error]))

  return {
    tick() {
      for (const target of ports.world().targets.values()) passing.begin(target.id, () => one(target))
    },
    idle: passing.idle,
    now() {
      asked++
      next.clear()
    },
  }
}
