import { setImmediate as nextTurn } from 'node:timers/promises'
import { accountId } from '../core/subject.ts'
import { groupOf, type StoredProof } from '../lifecycle/proofs.ts'
import { takes } from './carry.ts'
import type { Guard } from './guard.ts'
import { FEW, type Order, type Planned, type SettlePorts, type Settler } from './settle.ts'
import { isProven, judge, type Standing, standingOf } from './standing.ts'
import type { LeasePorts, LiveTarget } from './world.ts'

/** How a pass goes about it. */
export interface PassOptions {
  /** `look` changes nothing, anywhere. `all`: an operator has said that the rules may take from however many. */
  readonly how: 'look' | 'guarded' | 'all'
  readonly reference: string
  /** Told now and then how far it is. */
  readonly progress?: (done: number, of: number) => void
}

/** What a pass found, and did. */
export interface Passed {
  readonly target: string
  /** Accounts that the gateway keeps at the target. */
  readonly accounts: number
  /** What was to be done, by sub; nothing for all others. */
  readonly plans: readonly Planned[]
  /** Accounts from which changed rules would take more than they may at once; nothing is taken from them. */
  readonly held: ReadonlySet<string>
  /** Who is not settled, and why; for a look, whom somebody is at now. */
  readonly left: ReadonlyMap<string, Left>
}

type Left = 'busy' | Error

/** Proofs read in one turn of the event loop, so that requests come in between. */
const IN_ONE_TURN = 50
/** Upstreams asked at once; each has a gate of its own. */
const RECHECKS = 32
/** Accounts after which it is told how far a pass is. */
const TOLD = 100
/** Times twenty steps for one person: what is still to be done after that the queue does. */
const ROUNDS = 50

export interface PassPorts extends SettlePorts {
  readonly settler: Settler
  readonly guard: (target: string) => Guard
}

/**
 * Looks at everybody at one target, and settles those for whom something has to be done. Where nothing has, nothing is written.
 * @throws {TargetUnavailable} {StoreUnavailable}
 */
export async function pass(ports: PassPorts, target: LiveTarget, options: PassOptions): Promise<Passed> {
  const standings = await everybody(ports, target, options.how)
  const { plans, unknown, busy, kept } = await ports.settler.look(target, standings)
  const accounts = kept.length
  const taken = plans.flatMap(({ standing, steps }) => (isProven(standing) && steps.some(takes) ? [standing] : []))
  const counts = countBy(kept.flatMap(({ connector }) => connector ?? []))
  const held = options.how === 'all' ? new Set<string>() : ports.guard(target.id).pass(taken, counts)
  const left = new Map<string, Left>(busy.map((sub) => [sub, 'busy']))
  const passed = { target: target.id, accounts, plans, held, left }
  if (options.how === 'look') return passed
  const mayTake = (standing: Standing) => options.how === 'all' || !ports.guard(target.id).holding(standing)
  const open = [...plans.map(({ standing }) => standing.sub), ...unknown]
  for (let at = 0; at < open.length; at += FEW) {
    if (ports.stop?.aborted) {
      for (const sub of open.slice(at)) left.set(sub, new Error('it was stopped before their turn'))
      return passed
    }
    if (at % TOLD === 0) options.progress?.(at, open.length)
    const order = { target, subs: open.slice(at, at + FEW), reference: options.reference, mayTake }
    for (const [sub, why] of await toTheEnd(ports.settler, order)) left.set(sub, why)
  }
  if (open.length > 0) options.progress?.(open.length, open.length)
  return passed
}

/** Settles some accounts, however much there is to do. @returns who is not settled, and why */
async function toTheEnd(settler: Settler, order: Order): Promise<ReadonlyMap<string, Left>> {
  const left = new Map<string, Left>()
  let subs = order.subs
  for (let n = 0; n < ROUNDS && subs.length > 0; n++) {
    const results = [...(await settler.settle({ ...order, subs }))]
    for (const [sub, state] of results) if (state === 'busy' || state instanceof Error) left.set(sub, state)
    subs = results.flatMap(([sub, state]) => (state === 'more' ? [sub] : []))
  }
  for (const sub of subs) left.set(sub, 'busy')
  return left
}

function countBy(names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}

/** What stands behind everybody who has, or may have, something at a target. */
async function everybody(ports: PassPorts, target: LiveTarget, how: PassOptions['how']): Promise<readonly Standing[]> {
  const accounts = await ports.ledger.all(target.id)
  const leased = new Set(accounts.filter(({ leases }) => Object.keys(leases).length > 0).map(({ sub }) => sub))
  const proofs = await liveProofs(ports)
  if (how !== 'look') await recheckAll(ports, proofs, leased)
  const silent = await ports.proofs.allSilent()
  for (const own of proofs.values())
    for (const [id, { provenAt }] of own) if (silent.get(id) === provenAt) own.delete(id)
  const standings = new Map<string, Standing>()
  for (const sub of new Set([...proofs.keys(), ...ports.world().services])) {
    standings.set(sub, judge(ports, sub, [...(proofs.get(sub)?.values() ?? [])]))
    if (standings.size % IN_ONE_TURN === 0) await nextTurn()
  }
  // Of everybody else: nobody is signed in any more, or by a connector that is not there.
  for (const { sub } of accounts) if (!standings.has(sub)) standings.set(sub, await standingOf(ports, sub))
  if (how !== 'look')
    for (const { sub, until } of standings.values()) if (leased.has(sub)) await ports.ends.expect(sub, until)
  return [...standings.values()]
}

/** The proofs of everybody, by sub and id. */
export async function liveProofs(
  ports: Pick<LeasePorts, 'proofs' | 'now' | 'world'>,
): Promise<Map<string, Map<string, StoredProof>>> {
  const found = new Map<string, Map<string, StoredProof>>()
  for (const connector of ports.world().connectors) {
    const ids = await ports.proofs.ids(groupOf.connector(connector))
    for (let at = 0; at < ids.length; at += IN_ONE_TURN) {
      const some = ids.slice(at, at + IN_ONE_TURN)
      const proofs = await Promise.all(some.map((id) => ports.proofs.get(id)))
      for (const [index, proof] of proofs.entries()) {
        if (!proof || proof.goodUntil <= ports.now()) continue
        const sub = accountId(proof.subject)
        found.set(sub, (found.get(sub) ?? new Map()).set(some[index] as string, proof))
      }
      await nextTurn()
    }
  }
  return found
}

/**
 * Asks upstreams again about whoever has leases, so that these end when the upstream says so, although nobody uses a token meanwhile. An
 * upstream that does not answer changes nothing before the grace is over.
 */
async function recheckAll(
  { rechecks, log, proofs: shelf, stop }: PassPorts,
  proofs: Map<string, Map<string, StoredProof>>,
  leased: ReadonlySet<string>,
): Promise<void> {
  if (!rechecks) return
  // Those, too, whose leases were taken since their upstream did not answer: it may again.
  const silent = await shelf.allSilent()
  const due = [...proofs].flatMap(([sub, own]) =>
    [...own].flatMap(([id, proof]) => (leased.has(sub) || silent.has(id) ? [[sub, id, proof] as const] : [])),
  )
  const one = async () => {
    for (let next = due.pop(); next && !stop?.aborted; next = due.pop()) {
      const [sub, id, proof] = next
      try {
        const fresh = await rechecks.fresh(id, proof)
        if (fresh) proofs.get(sub)?.set(id, fresh)
        else proofs.get(sub)?.delete(id)
      } catch (error) {
        log('debug', 'a recheck before a pass learnt nothing', { error: String(error) })
      }
    }
  }
  await Promise.all(Array.from({ length: RECHECKS }, one))
}
