import { isDeepStrictEqual } from 'node:util'
import type { Decision } from '../core/decision.ts'
import { accountId } from '../core/subject.ts'
import type { StoredProof } from '../lifecycle/proofs.ts'
import { type Arrivals, openArrivals } from './arrivals.ts'
import { openBound } from './bound.ts'
import type { BoundPassed } from './bound-pass.ts'
import { openDue } from './due.ts'
import { openGates } from './gates.ts'
import { openGuards } from './guard.ts'
import { openLedger } from './ledger.ts'
import { tellOrphans } from './orphans.ts'
import { type Passed, type PassOptions, pass } from './pass.ts'
import { openQueue } from './queue.ts'
import { openSchedule } from './schedule.ts'
import { openSettler } from './settle.ts'
import { openEndOfLeases } from './timetable.ts'
import type { BoundTarget, LeasePorts, LiveTarget } from './world.ts'

/** Keeps every target into which the gateway writes equal to what the rules say, for as long as a proof stands behind it. */
export interface Leases extends Arrivals {
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

export function openLeases(ports: LeasePorts): Leases {
  const { store, now, random, log } = ports
  const ledger = openLedger(store)
  const gates = openGates(ports)
  const ends = openEndOfLeases(store, now)
  const due = openDue(store, now, random)
  const settlePorts = { ...ports, ledger, gates, ends }
  const settler = openSettler(settlePorts)
  const passPorts = { ...settlePorts, settler, guard: openGuards(ports) }
  const onePass: Leases['pass'] = (target, options) => pass(passPorts, target, options)
  const schedule = openSchedule({ ...passPorts, due, pass: onePass })
  const queue = openQueue({ ...passPorts, due, askForPass: schedule.now })
  const bound = openBound({ ...ports, gates })
  const mark: Leases['mark'] = (sub, seconds) => due.mark(sub, seconds, [...ports.world().targets.keys()])
  /** Whether it was looked for what was left behind. */
  let looked = false

  return {
    ...openArrivals({ ...settlePorts, settler, due, bound, mayTake: queue.mayTake }),
    mark,
    async renewed(before, after) {
      const { targets, decide, bound: clusters } = ports.world()
      if (clusters.size > 0) bound.renewed(decide(after.subject, now()))
      if (targets.size === 0) return 'as before'
      const [was, is] = [before, after].map((proof) => proof && whatIsSaid(decide(proof.subject, now())))
      if (isDeepStrictEqual(was, is)) return 'as before'
      await mark(accountId(after.subject), 0)
      return 'news'
    },
    async tick() {
      if (ports.world().targets.size === 0) return
      await ends.each((sub) => mark(sub, 0))
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

/** What of a decision leases rest on. */
const whatIsSaid = ({ allowed, identity, grants, until }: Decision) => ({ allowed, identity, grants, until })
