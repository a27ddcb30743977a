import { type Question, type Step, TargetUnavailable } from '../targets/live.ts'
import { carryOut, inOrder, noteLate, takes } from './carry.ts'
import { type Claim, type Claims, openClaims, STEP } from './claims.ts'
import { isDown } from './failures.ts'
import { type Gates, unanswered } from './gates.ts'
import { accountKey, type Ledger } from './ledger.ts'
import { isProven, questionOf, type Standing, standingOf } from './standing.ts'
import type { EndOfLeases } from './timetable.ts'
import type { LeasePorts, LiveTarget } from './world.ts'

/**
 * What came of settling one account: `held` where changed rules may not take now, `busy` where another process is at it, `more` where so
 * much was done as one account may have done at once.
 */
export type Settled = 'done' | 'held' | 'busy' | 'more' | Error

/** Accounts to settle together. */
export interface Order {
  readonly target: LiveTarget
  readonly subs: readonly string[]
  readonly reference: string
  /** Whether the rules may take from somebody behind whom a proof stands. */
  readonly mayTake: (standing: Standing) => boolean
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
  /** Who has all that she is to have by other hands, and is not in the ledger yet: nobody would lock her. */
  readonly unknown: readonly string[]
  readonly busy: readonly string[]
  /** Those who are in the ledger. */
  readonly kept: readonly Standing[]
}

/** A project, a user, what they get, and one to spare. */
const ROUNDS = 5
/** Accounts under claims together: a target is asked about few one by one, and answers before their claims run out. */
export const FEW = 20
/** Steps for one account at once: nobody else waits for more. */
const STEPS = 20
/** Projects and groups that are made for one person at once; more are a mistake in the rules, or somebody's who writes her own claims. */
const PLACES = 100

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
      for (let at = 0; at < order.subs.length; at += FEW)
        await settleFew(ports, claims, { ...order, subs: order.subs.slice(at, at + FEW), results })
      return results
    },
  }
}

async function settleFew(
  ports: SettlePorts,
  claims: Claims,
  { results, ...order }: Order & Pick<Under, 'results'>,
): Promise<void> {
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
  const accounts = await ledger.some(
    target.id,
    standings.map(({ sub }) => sub),
  )
  const kept = standings.filter(({ sub }) => accounts.has(sub))
  const isTaken = ({ sub }: Standing) => taken.has(accountKey(target.id, sub))
  const busy = standings.filter(isTaken).map(({ sub }) => sub)
  const asked = standings.flatMap((standing) => {
    const question = isTaken(standing) ? undefined : questionOf(standing, accounts.get(standing.sub), target)
    return question ? [{ standing, question }] : []
  })
  if (asked.length === 0) return { plans: [], unknown: [], busy, kept }
  const observed = await gates.of(target.id).pass(() => target.live.observe(asked.map(({ question }) => question)))
  const all = asked.map((each) => ({ ...each, steps: target.live.plan(each.question, observed) }))
  const plans = all.filter(({ steps }) => steps.length > 0)
  const same = all.filter(({ steps, standing }) => steps.length === 0 && !accounts.has(standing.sub))
  return { plans, unknown: same.map(({ standing }) => standing.sub), busy, kept }
}

/** One round for all that are open. @returns who needs another one */
async function round(ports: SettlePorts, order: Order & Under): Promise<readonly string[]> {
  const { target, results } = order
  const asked = (await Promise.all(order.subs.map((sub) => ask(ports, target, sub)))).flatMap((each) => each ?? [])
  for (const sub of order.subs) if (!asked.some(({ standing }) => standing.sub === sub)) results.set(sub, 'done')
  const more = await Promise.all(
    (await observeAll(ports, target, asked)).map(async ({ standing, question, observed }) => {
      try {
        if (observed instanceof Error) throw observed
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

type Asked = Omit<Planned, 'steps'>

/** All at once; where the target refuses that, one by one, so that nobody waits for what is wrong with another one. */
async function observeAll({ gates }: SettlePorts, target: LiveTarget, asked: readonly Asked[]) {
  const observe = (some: readonly Asked[]) =>
    gates.of(target.id).pass(() => target.live.observe(some.map(({ question }) => question)))
  if (asked.length === 0) return []
  try {
    const observed = await observe(asked)
    return asked.map((each) => ({ ...each, observed }))
  } catch (error) {
    if (asked.length === 1 || isDown(error)) throw error
    return Promise.all(asked.map(async (each) => ({ ...each, observed: await observe([each]).catch(asError) })))
  }
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
): Promise<'done' | 'held' | 'again' | 'more'> {
  const { sub } = standing
  const keeps = isProven(standing) && all.some(takes) && !mayTake(standing)
  const tooMany = tooManyPlaces(all)
  const wanted = all.filter((step) => !(keeps && takes(step)) && !(tooMany && step.kind === 'prepare'))
  const steps = inOrder(wanted).slice(0, STEPS)
  if (!all.some(({ kind }) => kind === 'unlock' || kind === 'prepare')) await agree(ports, target, question)
  if (steps.length > 0) {
    const claim = held.get(sub) as Claim // only who was claimed is asked about
    const apply = (step: Step) =>
      ports.gates.of(target.id).pass(async () => {
        await claim.hold()
        await inTime(target.live.apply(step), () => noteLate(ports.ledger, { target: target.id, sub }, step))
      })
    await carryOut(ports, { ledger: ports.ledger, claim, apply }, { target: target.id, sub, steps, reference })
  }
  if (tooMany) throw tooMany
  if (steps.length < wanted.length) return 'more'
  // Without one the plan was whole: each of its steps was acknowledged, and asking again would find just that.
  return steps.some(({ kind }) => kind === 'prepare') ? 'again' : keeps ? 'held' : 'done'
}

function tooManyPlaces(steps: readonly Step[]): TargetUnavailable | undefined {
  const places = steps.filter(({ kind }) => kind === 'prepare').length
  if (places <= PLACES) return undefined
  const says = `the rules name ${places} projects or groups for one person that are not there, and at most ${PLACES} are made`
  return new TargetUnavailable('refused', says)
}

/**
 * A target that has nothing to unlock knows of no lock of ours: a crash may have come between the ledger and it. And who has all that she
 * is to have by other hands is kept from here on: nobody would lock her when she is gone.
 */
async function agree({ ledger }: SettlePorts, target: LiveTarget, { account, wanted }: Question): Promise<void> {
  if (wanted !== 'gone') await ledger.change(target.id, account.sub, (now) => ({ ...now, locked: false }))
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
