import type { AuditEvent } from '../audit.ts'
import type { Line } from '../lifecycle/lines.ts'
import type { Account, Step } from '../targets/live.ts'
import type { Claim } from './claims.ts'
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
  /** Applies one step. @throws {TargetUnavailable} */
  readonly apply: (step: Step) => Promise<void>
}

/**
 * Carries out one plan. What is given, or locked, stands in the ledger before it is done, what is taken, or unlocked, is struck off after:
 * a crash at any point leaves a ledger that names all that the gateway wrote, and perhaps more, which the next round gives or takes.
 * What cannot be written down is not given; what is taken is taken first, and its line waits for an audit log that takes it.
 * @throws {TargetUnavailable} {ClaimLost} {StoreUnavailable} with what was done before that written down
 */
export async function carryOut(
  ports: Pick<LeasePorts, 'audit' | 'lines' | 'log' | 'now' | 'random'>,
  { ledger, claim, apply }: Hands,
  work: Work,
): Promise<void> {
  const { target, sub, steps, reference } = work
  await ledger.change(target, sub, (account) => steps.reduce(noted, account))
  for (const event of givingEvents(work)) await ports.audit(reference, event)
  const lines = openCuts(ports, work)
  await lines.keep()
  const done: Step[] = []
  try {
    for (const step of steps) {
      await claim.hold()
      await apply(step)
      done.push(step)
    }
  } finally {
    await ledger.change(target, sub, (account) => done.reduce(struck, account))
    await lines.write(done)
  }
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
  const tell = (error: unknown) =>
    ports.log('error', 'the audit log does not take the lines of what was taken; they wait', { error: String(error) })
  return {
    async keep() {
      for (const event of cuttingEvents(work)) {
        const line = { id: `lease ${ports.random()}`, reference: work.reference, event, at: ports.now() }
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
  }
}
