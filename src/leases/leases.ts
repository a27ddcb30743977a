import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { accountId } from '../core/subject.ts'
import type { StoredProof } from '../lifecycle/proofs.ts'
import { openBound } from './bound.ts'
import type { BoundPassed } from './bound-pass.ts'
import { openDue } from './due.ts'
import { openGates } from './gates.ts'
import { type Guard, openGuard } from './guard.ts'
import { openLedger } from './ledger.ts'
import { tellOrphans } from './orphans.ts'
import { type Passed, type PassOptions, pass } from './pass.ts'
import { openQueue } from './queue.ts'
import { openSchedule } from './schedule.ts'
import { openSettler, type Settled } from './settle.ts'
import { questionOf, standingOf, wantedAt } from './standing.ts'
import { openEndOfLeases } from './timetable.ts'
import type { BoundTarget, LeasePorts, LiveTarget } from './world.ts'

/** What somebody who comes finds at the targets. `later`: it follows. `refused`: it is not there, and she is to be told so. */
export type Arrival = 'ready' | 'later' | 'refused'

/** Keeps every target into which the gateway writes equal to what the rules say, for as long as a proof stands behind it. */
export interface Leases {
  /**
   * Somebody signed in: settles her accounts, and waits for the targets that she is on the way to, 2 s at most. The rest follows by itself.
   * @param targets ids; those into which the gateway does not write do not matter
   */
  arrived(sub: string, targets: readonly string[], reference: string): Promise<Arrival>
  /** The same for a client that stands for itself; cheap where the same was settled a moment ago. */
  served(sub: string, target: string, reference: string): Promise<Arrival>
  /** The one entry of everything that may change what somebody is to have. Durable when it resolves. @param delay seconds */
  mark(sub: string, delay: number): Promise<void>
  /**
   * A recheck renewed a proof: marks its person where the rules say something else now, which is `news`.
   * @param before undefined where it did not count any more
   */
  renewed(before: StoredProof | undefined, after: StoredProof): Promise<'news' | 'as before'>
  /** Once a second: begins with whoever is due. */
  tick(): Promise<void>
  /** Once a second: begins the passes that are due; at first, and after a reload, says where leases were left behind. */
  passes(): Promise<void>
  /** Resolves when all that was begun is done. */
  idle(): Promise<void>
  /** The configuration is another one: passes are due at once. */
  reloaded(): void
  /** One pass now, for an operator. @throws {TargetUnavailable} */
  pass(target: LiveTarget, options: PassOptions): Promise<Passed>
  /** The same where the gateway keeps bindings. @throws {TargetUnavailable} */
  passBound(target: BoundTarget, options: PassOptions): Promise<BoundPassed>
}

/** Milliseconds that a sign-in waits for its targets. */
const PATIENCE = 2000
/** Milliseconds between two tries where another process is at the same account. */
const LOOK = 100
/** Sign-ins that are settled at one target at once. */
const IN_LINE = 100
/** Seconds for which a client that stands for itself is not looked at again. */
const SERVED = 60

export function openLeases(ports: LeasePorts): Leases {
  const { store, now, random, log } = ports
  const ledger = openLedger(store)
  const gates = openGates(ports)
  const ends = openEndOfLeases(store, now)
  const due = openDue(store, now, random)
  const guards = new Map<string, Guard>()
  const guard = (target: string): Guard => {
    const limits = () => ports.world().targets.get(target)?.live ?? { every: 0, atOnce: { accounts: 0, percent: 0 } }
    const known = guards.get(target) ?? openGuard(now, limits, ports.processes)
    guards.set(target, known)
    return known
  }
  const settlePorts = { ...ports, ledger, gates, ends }
  const settler = openSettler(settlePorts)
  const passPorts = { ...settlePorts, settler, guard }
  const onePass: Leases['pass'] = (target, options) => pass(passPorts, target, options)
  const schedule = openSchedule({ ...passPorts, due, pass: onePass })
  const queue = openQueue({ ...passPorts, due, askForPass: schedule.now })
  const bound = openBound({ ...ports, gates })
  const served = new Map<string, { readonly wanted: unknown; readonly at: number }>()

  /** Whether it was looked for what was left behind. */
  let looked = false
  const arriving = new Map<string, number>()

  /** Until it is done, or somebody else has been at it for too long. */
  const settled = async (target: LiveTarget, sub: string, reference: string): Promise<Settled> => {
    const before = arriving.get(target.id) ?? 0
    // Whoever came before them waits no longer, and is still in line at a target that is slow: the queue does it.
    if (before >= IN_LINE) return new Error('too many others wait for this target')
    arriving.set(target.id, before + 1)
    try {
      for (let waited = 0; ; waited += LOOK) {
        const order = { target, subs: [sub], reference, mayTake: queue.mayTake(target) }
        const state = (await settler.settle(order)).get(sub) ?? 'done'
        if ((state !== 'busy' && state !== 'more') || waited >= PATIENCE) return state
        if (state === 'busy') await delay(LOOK)
      }
    } finally {
      arriving.set(target.id, (arriving.get(target.id) ?? 1) - 1)
    }
  }

  const accounts: Leases['arrived'] = async (sub, targets, reference) => {
    const all = [...ports.world().targets.values()]
    if (all.length === 0) return 'ready'
    const standing = await standingOf(ports, sub)
    const concerned: LiveTarget[] = []
    for (const target of all) {
      if (questionOf(standing, await ledger.get(target.id, sub), target)) concerned.push(target)
    }
    const [here, elsewhere] = [true, false].map((is) => concerned.filter(({ id }) => targets.includes(id) === is))
    if (elsewhere?.length)
      await due.mark(
        sub,
        0,
        elsewhere.map(({ id }) => id),
      )
    const late = await lateAt(here ?? [], (target) => settled(target, sub, reference))
    if (late.length === 0) return 'ready'
    for (const { target, why } of late)
      log('info', 'a sign-in waits no longer for a target', { target: target.id, why, id: reference })
    await due.mark(
      sub,
      0,
      late.map(({ target }) => target.id),
    )
    return late.some(({ target }) => target.live.ifUnreachable === 'refuse') ? 'refused' : 'later'
  }

  const arrived: Leases['arrived'] = async (...arrival) => {
    const [account] = await Promise.all([accounts(...arrival), bound.arrived(...arrival)])
    return account
  }

  return {
    arrived,
    async served(sub, target, reference) {
      if (ports.world().bound.has(target)) await bound.arrived(sub, [target], reference)
      const live = ports.world().targets.get(target)
      if (!live) return 'ready'
      const wanted = wantedAt(await standingOf(ports, sub), live)
      const before = served.get(`${target}\n${sub}`)
      if (before && now() - before.at < SERVED && isDeepStrictEqual(before.wanted, wanted)) return 'ready'
      const arrival = await arrived(sub, [target], reference)
      if (arrival === 'ready') served.set(`${target}\n${sub}`, { wanted, at: now() })
      return arrival
    },
    async mark(sub, seconds) {
      await due.mark(sub, seconds, [...ports.world().targets.keys()])
    },
    async renewed(before, after) {
      const { targets, decide, bound: clusters } = ports.world()
      if (clusters.size > 0) bound.renewed(decide(after.subject, now()))
      if (targets.size === 0) return 'as before'
      const [was, is] = [before, after].map((proof) => {
        if (!proof) return undefined
        const { allowed, identity, grants, until } = decide(proof.subject, now())
        return { allowed, identity, grants, until }
      })
      if (isDeepStrictEqual(was, is)) return 'as before'
      await due.mark(accountId(after.subject), 0, [...targets.keys()])
      return 'news'
    },
    async tick() {
      if (ports.world().targets.size === 0) return
      await ends.each((sub) => due.mark(sub, 0, [...ports.world().targets.keys()]))
      await queue.tick()
    },
    async passes() {
      schedule.tick()
      bound.tick()
      if (looked) return
      looked = true // before it is done: a reload meanwhile asks for another look
      try {
        await tellOrphans(log, ledger, new Set(ports.world().targets.keys()))
      } catch (error) {
        looked = false
        throw error
      }
    },
    async idle() {
      await Promise.all([queue.idle(), schedule.idle(), bound.idle()])
    },
    reloaded() {
      looked = false
      schedule.now()
      bound.now()
    },
    pass: onePass,
    passBound: bound.pass,
  }
}

const WHY = { busy: 'another process is at it', more: 'there is much to do' } as const

interface Late {
  readonly target: LiveTarget
  readonly why: string
}

/** Settles at some targets, for as long as a sign-in waits; what is not done by then goes on by itself. @returns where it is not done */
async function lateAt(
  targets: readonly LiveTarget[],
  settle: (target: LiveTarget) => Promise<Settled>,
): Promise<readonly Late[]> {
  if (targets.length === 0) return []
  const late = new Map(targets.map((target) => [target, `no answer within ${PATIENCE} ms`]))
  const all = targets.map(async (target) => {
    const state = await settle(target)
    if (state === 'done' || state === 'held') late.delete(target)
    else late.set(target, state instanceof Error ? state.message : WHY[state])
  })
  const patience = new AbortController()
  await Promise.race([Promise.all(all), delay(PATIENCE, undefined, { signal: patience.signal })])
  patience.abort()
  return [...late].map(([target, why]) => ({ target, why }))
}
