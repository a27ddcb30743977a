import { setTimeout as delay } from 'node:timers/promises'
import type { Grant } from '../core/decision.ts'
import type { Log } from '../core/ports.ts'
import type { BindingStep } from '../targets/bindings.ts'
import { type BoundPassed, type BoundPorts, boundPass, carryOut, grantsOf } from './bound-pass.ts'
import { isDown, tellFailures } from './failures.ts'
import { eachAlone } from './loops.ts'
import type { PassOptions } from './pass.ts'
import { AFTER_FAILURE, isDue } from './schedule.ts'
import { type Standing, standingOf } from './standing.ts'
import type { BoundTarget, LeasePorts } from './world.ts'

/**
 * Keeps bindings at targets equal to what rules give to those who are signed in. Bindings rest on no person: they are made when the first
 * one comes with a grant, and taken away by the look at everything alone, long after nobody needs them.
 */
export interface BoundKeeper {
  /**
   * Somebody is about to have tokens: makes what they speak of and is not there yet. Waits, a second at most, for the targets that she
   * is on the way to; what is not done by then goes on by itself. Never refuses anybody.
   */
  arrived(sub: string, targets: readonly string[], reference: string): Promise<void>
  /** The same for what the rules say now about somebody who was here before; nobody waits for it. */
  renewed(decision: Standing['decisions'][number]): void
  /** Once a second: begins the looks at everything that are due. */
  tick(): void
  /** Resolves when all that was begun is done. */
  idle(): Promise<void>
  /** Every look is due. */
  now(): void
  /** One look now, for an operator. @throws as `boundPass` */
  pass(target: BoundTarget, options: PassOptions): Promise<BoundPassed>
}

export interface BoundKeeperPorts extends BoundPorts, Pick<LeasePorts, 'log' | 'meter'> {}

/** Milliseconds that a sign-in waits. */
const PATIENCE = 1000
/** Bindings that one person's sign-in may ask for at once at one target; more of hers are made by the next look at everything. */
const MOST = 100

/** What is known of one target in this process. */
interface Known {
  /** Needs nothing before the next look at everything. */
  settled: Set<string>
  /** What is being made. */
  readonly making: Map<string, Promise<void>>
  /** Unix seconds of the next look. */
  next: number
  held: number
}

export function openBound(ports: BoundKeeperPorts): BoundKeeper {
  const all = new Map<string, Known>()
  const of = ({ id }: BoundTarget): Known => {
    const known = all.get(id) ?? { settled: new Set(), making: new Map(), next: 0, held: 0 }
    all.set(id, known)
    return known
  }
  const passing = eachAlone<string>((target, error) => tellFailures(ports.log, target, [error]))

  /** Makes the binding of one role, unless somebody is at it. Never throws. */
  const ensure = (target: BoundTarget, { key, grant }: Lacking, reference: string): Promise<void> => {
    const known = of(target)
    const before = known.making.get(key)
    if (before) return before
    const work = make(ports, target, { grant, reference })
      .then(() => void known.settled.add(key))
      .catch((error: Error) => {
        known.next = Math.min(known.next, ports.now() + AFTER_FAILURE.down)
        tellFailures(ports.log, target.id, [error])
      })
      .finally(() => known.making.delete(key))
    known.making.set(key, work)
    return work
  }
  const ensureAll = (standing: Pick<Standing, 'decisions'>, targets: readonly BoundTarget[], reference: string) =>
    targets.flatMap((target) =>
      lacking(target, of(target), grantsOf(standing, target))
        .slice(0, MOST)
        .map((each) => ensure(target, each, reference)),
    )

  return {
    async arrived(sub, ids, reference) {
      const targets = [...ports.world().bound.values()]
      if (targets.length === 0) return
      const standing = await standingOf(ports, sub)
      const [here, elsewhere] = [true, false].map((is) => targets.filter(({ id }) => ids.includes(id) === is))
      ensureAll(standing, elsewhere ?? [], reference)
      const waited = ensureAll(standing, here ?? [], reference)
      if (waited.length === 0) return
      const patience = new AbortController()
      await Promise.race([Promise.all(waited), delay(PATIENCE, undefined, { signal: patience.signal })])
      patience.abort()
    },
    renewed(decision) {
      const decisions = decision.allowed ? [decision] : []
      ensureAll({ decisions }, [...ports.world().bound.values()], 'recheck')
    },
    tick() {
      for (const target of ports.world().bound.values()) passing.begin(target.id, () => look(ports, target, of(target)))
    },
    async idle() {
      await Promise.all([passing.idle(), ...[...all.values()].flatMap(({ making }) => [...making.values()])])
    },
    now() {
      for (const known of all.values()) known.next = 0
    },
    pass: (target, options) => boundPass(ports, target, options),
  }
}

/** A binding that is not known to be there, and the grant of one role that needs it. */
interface Lacking {
  readonly key: string
  readonly grant: Grant
}

function lacking({ bindings }: BoundTarget, { settled }: Known, grants: readonly Grant[]): readonly Lacking[] {
  const single = grants.flatMap((grant) =>
    'roles' in grant ? grant.roles.map((role) => ({ ...grant, roles: [role] })) : [],
  )
  return single.flatMap((grant) => {
    const [binding] = bindings.bindingsOf([grant])
    return binding === undefined || settled.has(binding.key) ? [] : [{ key: binding.key, grant }]
  })
}

/** What a target refuses is told, and not tried again before the next look at everything. @throws where nobody knows what came of it */
async function make(
  ports: BoundKeeperPorts,
  target: BoundTarget,
  { grant, reference }: { readonly grant: Grant; readonly reference: string },
): Promise<void> {
  const { bindings, id } = target
  const observed = await ports.gates.of(id).pass(() => bindings.observe([grant], 'these'))
  const { steps } = bindings.plan([grant], observed, ports.now())
  tellUndone(ports.log, id, { steps, undone: await carryOut(ports, target, { steps, how: 'guarded', reference }) })
}

async function look(ports: BoundKeeperPorts, target: BoundTarget, known: Known): Promise<void> {
  const { id, bindings } = target
  const farthest = Math.max(bindings.every, AFTER_FAILURE.refused)
  if (!isDue(known.next, farthest, ports.now()) || ports.gates.of(id).closed()) return
  known.next = ports.now() + bindings.every // before it begins: who asks for another one meanwhile gets one
  try {
    const passed = await boundPass(ports, target, { how: 'guarded', reference: 'leases' })
    known.settled = new Set(passed.settled)
    const whole = tellUndone(ports.log, id, passed) && !ports.stop?.aborted
    if (whole) ports.meter.passed(id, ports.now())
    await tellHeld(ports, id, { known, count: passed.held.length })
  } catch (error) {
    tellFailures(ports.log, id, [error as Error])
    known.settled.clear() // what was seen the last time is old by now: whoever comes looks for herself
    known.next = ports.now() + (isDown(error) ? AFTER_FAILURE.down : AFTER_FAILURE.refused)
  }
}

/** Each reason once, with one binding that it is about. @returns whether nothing has to be seen to */
function tellUndone(log: Log, target: string, { steps, undone }: Pick<BoundPassed, 'steps' | 'undone'>): boolean {
  const { refused, placeless } = undone
  const about = (all: readonly BindingStep[]) => ({ target, bindings: all.length, such: all[0]?.says })
  for (const [detail, all] of Map.groupBy(refused, ([, { message }]) => message))
    log('error', 'a target refuses bindings; its answer says what to change', {
      ...about(all.map(([step]) => step)),
      detail,
    })
  const foreign = steps.filter(({ kind }) => kind === 'foreign')
  if (foreign.length > 0)
    log(
      'error',
      'bindings of others have the names of what rules give, and give something else; they are left alone',
      about(foreign),
    )
  // Rules often name what is made later: its people come in, and wait for it.
  if (placeless.length > 0) log('warn', 'bindings wait for namespaces that are not there', about(placeless))
  return refused.size === 0 && foreign.length === 0
}

async function tellHeld(
  { audit, log, meter }: BoundKeeperPorts,
  target: string,
  { known, count }: { readonly known: Known; readonly count: number },
): Promise<void> {
  meter.held(target, count)
  const before = known.held
  known.held = count
  if (count === 0) return
  const advice = `'lotse reconcile ${target} --dry-run' shows it, '--yes' carries it out`
  log('error', 'more bindings than may are to go at once; none goes', { target, bindings: count, advice })
  if (count !== before) await audit('leases', { event: 'binding.held', target, count })
}
