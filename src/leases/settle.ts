import { type Question, type Step, TargetUnavailable } from '../targets/live.ts'
import { carryOut, noteLate, takes } from './carry.ts'
import { type Claim, type Claims, openClaims, STEP } from './claims.ts'
import { type Gates, unanswered } from './gates.ts'
import { accountKey, type Ledger } from './ledger.ts'
import { isProven, questionOf, type Standing, standingOf } from './standing.ts'
import type { EndOfLeases } from './timetable.ts'
import type { LeasePorts, LiveTarget } from './world.ts'

/** What came of settling one account: `held` where changed rules may not take now, `busy` where another process is at it. */
export type Settled = 'done' | 'held' | 'busy' | Error

/** Accounts to settle together. */
export interface Order {
  readonly target: LiveTarget
  readonly subs: readonly string[]
  readonly reference: string
  /** Whether the rules may take from somebody behind whom a proof stands. */
  readonly mayTake: (sub: string) => boolean
}

/** Somebody, what she has and is to have, and what has to be done about it. */
export interface Planned {
  readonly standing: Standing
  readonly question: Question
  readonly steps: readonly Step[]
}

export interface Settler {
  /**
   * What would have to be done; changes nothing. Who is being worked on by somebody is left out, as `busy`.
   * @throws {TargetUnavailable}
   */
  look(target: LiveTarget, standings: readonly Standing[]): Promise<Looked>
  /** Brings accounts to what they are to be; never throws. Crashes, repetitions and other processes beside it change nothing of the end. */
  settle(order: Order): Promise<ReadonlyMap<string, Settled>>
}

export interface Looked {
  /** Only those for whom something has to be done. */
  readonly plans: readonly Planned[]
  readonly busy: readonly string[]
  /** How many accounts were looked at. */
  readonly accounts: number
}

/** A project, a user, what they get, and one to spare. */
const ROUNDS = 5

export interface SettlePorts extends LeasePorts {
  readonly ledger: Ledger
  readonly gates: Gates
  readonly ends: EndOfLeases
}

export function openSettler(ports: SettlePorts): Settler {
  const claims = openClaims(ports.store, ports.now, ports.random)
  return {
    look: (target, standings) => look(ports, claims, { target, standings }),
    async settle(order) {
      const results = new Map<string, Settled>()
      const held = new Map<string, Claim>()
      try {
        if (ports.gates.of(order.target.id).closed()) throw unanswered()
        await Promise.all(order.subs.map((sub) => claimFor(claims, order.target.id, sub, { held, results })))
        let open: readonly string[] = [...held.keys()]
        for (let n = 0; n < ROUNDS && open.length > 0; n++)
          open = await round(ports, { ...order, subs: open, held, results })
        for (const sub of open) results.set(sub, new Error('there was something to do after every round'))
      } catch (error) {
        for (const sub of order.subs) if (!results.has(sub)) results.set(sub, asError(error))
      }
      // A claim that cannot be given back runs out.
      await Promise.all([...held.values()].map((claim) => claim.release().catch(() => {})))
      return results
    },
  }
}

const asError = (error: unknown) => (error instanceof Error ? error : new Error(String(error)))

interface Under {
  readonly held: Map<string, Claim>
  readonly results: Map<string, Settled>
}

async function claimFor(claims: Claims, target: string, sub: string, { held, results }: Under): Promise<void> {
  const claim = await claims.claim(accountKey(target, sub))
  if (claim) held.set(sub, claim)
  else results.set(sub, 'busy')
}

async function look(
  { ledger, gates }: SettlePorts,
  claims: Claims,
  { target, standings }: { readonly target: LiveTarget; readonly standings: readonly Standing[] },
): Promise<Looked> {
  // In this order: who claims an account after this reads what stands behind it after this, too.
  const taken = await claims.taken()
  const accounts = new Map((await ledger.all(target.id)).map((account) => [account.sub, account]))
  const busy = standings.filter(({ sub }) => taken.has(accountKey(target.id, sub))).map(({ sub }) => sub)
  const asked = standings.flatMap((standing) => {
    if (taken.has(accountKey(target.id, standing.sub))) return []
    const question = questionOf(standing, accounts.get(standing.sub), target)
    return question ? [{ standing, question }] : []
  })
  if (asked.length === 0) return { plans: [], busy, accounts: accounts.size }
  const observed = await gates.of(target.id).pass(() => target.live.observe(asked.map(({ question }) => question)))
  const plans = asked.map((each) => ({ ...each, steps: target.live.plan(each.question, observed) }))
  return { plans: plans.filter(({ steps }) => steps.length > 0), busy, accounts: accounts.size }
}

/** One round for all that are open. @returns who needs another one */
async function round(ports: SettlePorts, order: Order & Under): Promise<readonly string[]> {
  const { target, results } = order
  const gate = ports.gates.of(target.id)
  const asked = (await Promise.all(order.subs.map((sub) => ask(ports, target, sub)))).flatMap((each) => each ?? [])
  for (const sub of order.subs) if (!asked.some(({ standing }) => standing.sub === sub)) results.set(sub, 'done')
  if (asked.length === 0) return []
  const observed = await gate.pass(() => target.live.observe(asked.map(({ question }) => question)))
  const more = await Promise.all(
    asked.map(async ({ standing, question }) => {
      try {
        const state = await oneRound(ports, order, { standing, question, steps: target.live.plan(question, observed) })
        if (state === 'again') return [standing.sub]
        results.set(standing.sub, state)
      } catch (error) {
        results.set(standing.sub, asError(error))
      }
      return []
    }),
  )
  return more.flat()
}

async function ask(ports: SettlePorts, target: LiveTarget, sub: string) {
  const [standing, account] = await Promise.all([standingOf(ports, sub), ports.ledger.get(target.id, sub)])
  const question = questionOf(standing, account, target)
  if (question && question.wanted !== 'gone') await ports.ends.expect(sub, standing.until)
  return question && { standing, question }
}

async function oneRound(
  ports: SettlePorts,
  { target, reference, mayTake, held }: Order & Under,
  { standing, question, steps: all }: Planned,
): Promise<'done' | 'held' | 'again'> {
  const { sub } = standing
  const keeps = isProven(standing) && all.some(takes) && !mayTake(sub)
  const steps = keeps ? all.filter((step) => !takes(step)) : all
  if (!all.some(({ kind }) => kind === 'unlock' || kind === 'prepare')) await agree(ports, target, question)
  if (steps.length === 0) return keeps ? 'held' : 'done'
  const claim = held.get(sub) as Claim // only who was claimed is asked about
  const apply = (step: Step) =>
    ports.gates.of(target.id).pass(async () => {
      await claim.hold()
      await inTime(target.live.apply(step), () => noteLate(ports.ledger, { target: target.id, sub }, step))
    })
  await carryOut(ports, { ledger: ports.ledger, claim, apply }, { target: target.id, sub, steps, reference })
  // Without one the plan was whole: each of its steps was acknowledged, and asking again would find just that.
  return steps.some(({ kind }) => kind === 'prepare') ? 'again' : keeps ? 'held' : 'done'
}

/** A target that has nothing to unlock knows of no lock of ours: a crash may have come between the ledger and it. */
async function agree({ ledger }: SettlePorts, target: LiveTarget, { account, wanted }: Question): Promise<void> {
  if (account.locked && wanted !== 'gone')
    await ledger.change(target.id, account.sub, (now) => ({ ...now, locked: false }))
}

/** Waits for a step for as long as a claim holds. @param late told where it was done after that */
async function inTime(step: Promise<void>, late: () => Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), STEP * 1000)
  })
  try {
    if ((await Promise.race([step, over])) !== 'late') return
    step.then(late).catch(() => {}) // whatever comes of it, the next pass looks at what is there
    throw new TargetUnavailable('down', `a change was not answered within ${STEP} s`)
  } finally {
    clearTimeout(timer)
  }
}
