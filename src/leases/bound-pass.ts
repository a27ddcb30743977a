import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Grant, grantsAt } from '../core/decision.ts'
import { mergeGrants } from '../core/grants.ts'
import type { BindingStep } from '../targets/bindings.ts'
import { TargetUnavailable } from '../targets/live.ts'
import type { Gates } from './gates.ts'
import { liveProofs, type PassOptions } from './pass.ts'
import { judge, type Standing } from './standing.ts'
import type { BoundTarget, LeasePorts } from './world.ts'

/** What a look at all bindings of one target found, and did. */
export interface BoundPassed {
  readonly target: string
  /** Bindings that the gateway keeps there. */
  readonly kept: number
  /** What was to be done, and what is only told. */
  readonly steps: readonly BindingStep[]
  /** More were to go at once than may: none did. */
  readonly held: readonly BindingStep[]
  readonly undone: Undone
  /** Keys that need nothing before the next look: they are in place, or cannot be. */
  readonly settled: ReadonlySet<string>
}

/** What could not be done. */
export interface Undone {
  /** What the target refuses, and why. */
  readonly refused: ReadonlyMap<BindingStep, TargetUnavailable>
  /** What has no place to be in yet. */
  readonly placeless: readonly BindingStep[]
}

export interface BoundPorts extends Pick<LeasePorts, 'proofs' | 'now' | 'world' | 'audit' | 'stop'> {
  readonly gates: Gates
}

/** Proofs judged in one turn of the event loop, so that requests come in between. */
const IN_ONE_TURN = 50
/** Bindings in one audit line. */
const IN_ONE_LINE = 100

/**
 * Makes the bindings of one target what they are to be. Where they are, nothing is written.
 * @throws {TargetUnavailable} where the target is down, or refuses to be looked at; {StoreUnavailable}; and where no audit line can be written
 */
export async function boundPass(
  ports: BoundPorts,
  target: BoundTarget,
  { how, reference }: Pick<PassOptions, 'how' | 'reference'>,
): Promise<BoundPassed> {
  const { id, bindings } = target
  const wanted = mergeGrants([...target.always, ...(await grantsOfAll(ports, target))])
  const observed = await ports.gates.of(id).pass(() => bindings.observe(wanted, 'all'))
  const { steps, inPlace, kept } = bindings.plan(wanted, observed, ports.now())
  const ending = steps.filter(({ kind }) => kind === 'remove')
  const { atOnce } = bindings
  const most = Math.max(atOnce.bindings, Math.floor((atOnce.percent * kept) / 100))
  const held = how === 'all' || ending.length <= most ? [] : ending
  const open = steps.filter((step) => !held.includes(step))
  const undone = await carryOut(ports, target, { steps: open, how, reference })
  const settled = new Set([...inPlace, ...steps.filter(givesOrStays).map(({ key }) => key)])
  return { target: id, kept, steps, held, undone, settled }
}

const givesOrStays = ({ kind }: BindingStep) => kind === 'make' || kind === 'mend' || kind === 'foreign'

/** What a target that somebody goes to must have for her tokens to mean what they say. */
export const grantsOf = (standing: Pick<Standing, 'decisions'>, { id, refuse }: BoundTarget): readonly Grant[] =>
  mergeGrants(
    standing.decisions.flatMap((decision) => grantsAt(decision, id)).filter((each) => refuse(each) === undefined),
  )

/** What the rules give, at this moment, to everybody who is signed in, and to clients that stand for themselves. */
async function grantsOfAll(ports: BoundPorts, target: BoundTarget): Promise<readonly Grant[]> {
  const proofs = await liveProofs(ports)
  const silent = await ports.proofs.allSilent()
  const grants: Grant[] = []
  let judged = 0
  for (const sub of new Set([...proofs.keys(), ...ports.world().services])) {
    const own = [...(proofs.get(sub) ?? [])].filter(([proof, { provenAt }]) => silent.get(proof) !== provenAt)
    const standing = judge(
      ports,
      sub,
      own.map(([, proof]) => proof),
    )
    grants.push(...grantsOf(standing, target))
    if (++judged % IN_ONE_TURN === 0) await nextTurn()
  }
  return grants
}

interface Carrying extends Pick<PassOptions, 'how' | 'reference'> {
  readonly steps: readonly BindingStep[]
}

/** The audit lines of what changes access; they come first. */
const told = { 'binding.made': ['make', 'mend'], 'binding.removed': ['remove'] } as const

/**
 * The target is asked first whether it would do each step: what it refuses, every quarter of an hour, is no line of the audit log. What cannot be
 * written down is not done, and a step that is refused holds up no other one.
 */
export async function carryOut(
  ports: Pick<BoundPorts, 'gates' | 'audit' | 'stop'>,
  { id, bindings }: BoundTarget,
  { steps, how, reference }: Carrying,
): Promise<Undone> {
  const refused = new Map<BindingStep, TargetUnavailable>()
  const placeless: BindingStep[] = []
  const each = async (some: readonly BindingStep[], really: 'do' | 'try') => {
    const done: BindingStep[] = []
    for (const step of some) {
      try {
        const came = await ports.gates.of(id).pass(() => bindings.apply(step, really))
        if (came === 'done') done.push(step)
        else placeless.push(step)
      } catch (error) {
        if (!(error instanceof TargetUnavailable) || error.kind === 'down') throw error
        refused.set(step, error)
      }
    }
    return done
  }
  for (let at = 0; at < steps.length && !ports.stop?.aborted; at += IN_ONE_LINE) {
    const able = await each(steps.slice(at, at + IN_ONE_LINE), 'try')
    if (how === 'look') continue
    for (const event of ['binding.made', 'binding.removed'] as const) {
      const kinds: readonly string[] = told[event]
      const says = able.flatMap((step) => (kinds.includes(step.kind) ? [step.says] : []))
      if (says.length > 0) await ports.audit(reference, { event, target: id, bindings: says })
    }
    await each(able, 'do')
  }
  return { refused, placeless }
}
