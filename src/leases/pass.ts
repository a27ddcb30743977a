import { setImmediate as nextTurn } from 'node:timers/promises'
import { accountId } from '../core/subject.ts'
import { groupOf, type StoredProof } from '../lifecycle/proofs.ts'
import { takes } from './carry.ts'
import type { Guard } from './guard.ts'
import type { Planned, Settled, SettlePorts, Settler } from './settle.ts'
import { isProven, judge, type Standing, standingOf } from './standing.ts'
import type { LiveTarget } from './world.ts'

/** How a pass goes about it. */
export interface PassOptions {
  /** `look` changes nothing, anywhere. `all`: an operator has said that the rules may take from however many. */
  readonly how: 'look' | 'guarded' | 'all'
  readonly reference: string
  /** Told now and then how far it is. */
  readonly progress?: (done: number, of: number) => void
  /** Once aborted nobody else is begun with. */
  readonly stop?: AbortSignal
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
  /** Who is not settled, and why; empty for a look. */
  readonly left: ReadonlyMap<string, Exclude<Settled, 'done' | 'held'>>
}

/** Proofs read in one turn of the event loop, so that requests come in between. */
const IN_ONE_TURN = 50
/** Upstreams asked at once; each has a gate of its own. */
const RECHECKS = 32
/** Accounts settled together: as many as their claims can be held for, at the pace that targets take. */
const TOGETHER = 100

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
  const { plans, busy, accounts } = await ports.settler.look(target, standings)
  const taken = plans.filter(({ standing, steps }) => isProven(standing) && steps.some(takes))
  const subs = taken.map(({ standing }) => standing.sub)
  const free = options.how === 'all' || ports.guard(target.id).pass(subs, accounts)
  const held = new Set(free ? [] : subs)
  const left = new Map<string, Exclude<Settled, 'done' | 'held'>>(busy.map((sub) => [sub, 'busy']))
  if (options.how === 'look') return { target: target.id, accounts, plans, held, left: new Map() }
  for (let at = 0; at < plans.length && !options.stop?.aborted; at += TOGETHER) {
    options.progress?.(at, plans.length)
    const some = plans.slice(at, at + TOGETHER).map(({ standing }) => standing.sub)
    const order = { target, subs: some, reference: options.reference, mayTake: () => free }
    for (const [sub, settled] of await ports.settler.settle(order)) {
      if (settled !== 'done' && settled !== 'held') left.set(sub, settled)
    }
  }
  if (plans.length > 0) options.progress?.(plans.length, plans.length)
  return { target: target.id, accounts, plans, held, left }
}

/** What stands behind everybody who has, or may have, something at a target. */
async function everybody(ports: PassPorts, target: LiveTarget, how: PassOptions['how']): Promise<readonly Standing[]> {
  const accounts = await ports.ledger.all(target.id)
  const leased = new Set(accounts.filter(({ leases }) => Object.keys(leases).length > 0).map(({ sub }) => sub))
  const proofs = await liveProofs(ports)
  if (how !== 'look') await recheckAll(ports, proofs, leased)
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
async function liveProofs(ports: PassPorts): Promise<Map<string, Map<string, StoredProof>>> {
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
 * upstream that does not answer changes nothing.
 */
async function recheckAll(
  { rechecks, log }: PassPorts,
  proofs: Map<string, Map<string, StoredProof>>,
  leased: ReadonlySet<string>,
): Promise<void> {
  if (!rechecks) return
  const due = [...proofs].flatMap(([sub, own]) =>
    leased.has(sub) ? [...own].map((each) => [sub, ...each] as const) : [],
  )
  const one = async () => {
    for (let next = due.pop(); next; next = due.pop()) {
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
