import type { AuditEvent } from '../audit.ts'
import type { Line } from '../lifecycle/lines.ts'
import { type Account, type Step, TargetUnavailable } from '../targets/live.ts'
import { type Claim, HOLDS } from './claims.ts'
import type { Ledger } from './ledger.ts'
import type { LeasePorts } from './world.ts'

/** A plan for one account. */
export interface Work {
  readonly target: string
  readonly sub: string
  readonly steps: readonly Step[]
  /** Ties audit lines to the request that asked for it. */
  readonly reference: string
}

/** What carrying out a plan needs beside the plan. */
export interface Hands {
  readonly ledger: Ledger
  readonly claim: Claim
  /** Holds the claim, and applies one step. @throws {TargetUnavailable} {ClaimLost} */
  readonly apply: (step: Step) => Promise<void>
}

/** What changes access for the worse. */
export const takes = ({ kind }: Step): boolean => kind === 'take' || kind === 'lock'

/** The same steps in the order in which they are carried out: what is taken waits for nothing. */
export const inOrder = (steps: readonly Step[]): readonly Step[] => [
  ...steps.filter(takes),
  ...steps.filter((step) => !takes(step)),
]

/**
 * Carries out one plan: what is taken and locked, then the audit lines of what is given, then all else. What is given, or locked, stands
 * in the ledger before it is done, what is taken, or unlocked, is struck off after: a crash at any point leaves a ledger that names all
 * that the gateway wrote, and perhaps more, which the next round gives or takes. What cannot be written down is not given; what is taken
 * is taken all the same, and its line waits for an audit log that takes it. A step that the target refuses holds up no other one.
 * @throws {TargetUnavailable} {ClaimLost} {StoreUnavailable} with what was done before that written down
 */
export async function carryOut(
  ports: Pick<LeasePorts, 'audit' | 'lines' | 'log' | 'now' | 'random'>,
  hands: Hands,
  work: Work,
): Promise<void> {
  const { target, sub, steps, reference } = work
  await hands.ledger.change(target, sub, (account) => steps.reduce(noted, account))
  const lines = openCuts(ports, work)
  await lines.keep()
  const carried: Carried = { tried: [], done: [], refusals: [] }
  try {
    await each(hands.apply, steps.filter(takes), carried)
    for (const event of givingEvents(work)) await ports.audit(reference, event)
    await each(
      hands.apply,
      steps.filter((step) => !takes(step)),
      carried,
    )
    // A last step that took too long may have met what another process did meanwhile.
    await hands.claim.hold()
  } finally {
    try {
      await hands.ledger.change(target, sub, (account) => settled(account, carried))
      await lines.write(carried.done)
    } finally {
      lines.release()
    }
  }
  const [refusal] = carried.refusals
  if (refusal) throw refusal
}

/** How far a plan was carried out. */
interface Carried {
  /** Perhaps done: nobody knows what a target did that did not answer. */
  readonly tried: Step[]
  readonly done: Step[]
  readonly refusals: TargetUnavailable[]
}

async function each(apply: Hands['apply'], steps: readonly Step[], carried: Carried): Promise<void> {
  for (const step of steps) {
    try {
      await apply(step)
      carried.tried.push(step)
      carried.done.push(step)
    } catch (error) {
      if (error instanceof TargetUnavailable) carried.tried.push(step)
      if (!(error instanceof TargetUnavailable) || error.kind !== 'refused') throw error
      carried.refusals.push(error)
    }
  }
}

/** The ledger after a plan. What was given is noted again: where the claim ran out, another process may have struck it off before it was there. */
const settled = (account: Account, { tried, done }: Carried): Account =>
  done.reduce(struck, tried.reduce(noted, account))

/** Notes a step that was done long after its round was given up. */
export async function noteLate(
  ledger: Ledger,
  { target, sub }: Pick<Work, 'target' | 'sub'>,
  step: Step,
): Promise<void> {
  await ledger.change(target, sub, (account) => noted(account, step))
}

/** The ledger before a step is done. */
function noted(account: Account, { kind, lease, says }: Step): Account {
  if (kind === 'lock') return { ...account, locked: true }
  return kind === 'give' && lease !== undefined ? { ...account, leases: { ...account.leases, [lease]: says } } : account
}

/** The ledger after a step was done. */
function struck(account: Account, { kind, lease }: Step): Account {
  if (kind === 'unlock') return { ...account, locked: false }
  if (kind !== 'take' || lease === undefined) return account
  const { [lease]: _taken, ...leases } = account.leases
  return { ...account, leases }
}

const saysOf = (steps: readonly Step[], kind: Step['kind']) =>
  steps.flatMap((step) => (step.kind === kind ? [step.says] : []))

function givingEvents({ target, sub, steps }: Pick<Work, 'target' | 'sub' | 'steps'>): readonly AuditEvent[] {
  const leases = saysOf(steps, 'give')
  return [
    ...(leases.length > 0 ? [{ event: 'lease.given', target, leases, personal: { sub } } as const] : []),
    ...(saysOf(steps, 'unlock').length > 0 ? [{ event: 'account.unlocked', target, personal: { sub } } as const] : []),
  ]
}

function cuttingEvents({ target, sub, steps }: Pick<Work, 'target' | 'sub' | 'steps'>): readonly AuditEvent[] {
  const leases = saysOf(steps, 'take')
  return [
    ...(saysOf(steps, 'lock').length > 0 ? [{ event: 'account.locked', target, personal: { sub } } as const] : []),
    ...(leases.length > 0 ? [{ event: 'lease.taken', target, leases, personal: { sub } } as const] : []),
  ]
}

/** The lines about what is taken: kept before, and written for what was taken after all. */
function openCuts(ports: Pick<LeasePorts, 'lines' | 'log' | 'now' | 'random'>, work: Work) {
  const kept = new Map<AuditEvent['event'], Line>()
  // Another process writes it only when this one must have died: its claim would have been prolonged.
  const notBefore = ports.now() + 2 * HOLDS
  const tell = (error: unknown) =>
    ports.log('error', 'the audit log does not take the lines of what was taken; they wait', { error: String(error) })
  return {
    async keep() {
      for (const event of cuttingEvents(work)) {
        const line = { id: `lease ${ports.random()}`, reference: work.reference, event, at: ports.now(), notBefore }
        kept.set(event.event, line)
        await ports.lines.keep(line)
      }
    },
    async write(done: readonly Step[]) {
      const happened = cuttingEvents({ ...work, steps: done })
      const lines: Line[] = []
      for (const [name, line] of kept) {
        const event = happened.find((each) => each.event === name)
        if (event) lines.push({ ...line, event })
        else await ports.lines.drop(line.id)
        // Only where a step failed in between: what is kept must not say more than what is so.
        if (event && done.length < work.steps.length) await ports.lines.keep({ ...line, event })
      }
      await ports.lines.write(lines).catch(tell)
    },
    /** What could not be written here waits for whoever flushes. */
    release: () => ports.lines.release([...kept.values()]),
  }
}
