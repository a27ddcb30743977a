import { setImmediate as nextTurn } from 'node:timers/promises'
import { takes } from './carry.ts'
import { ClaimLost } from './claims.ts'
import type { Due, DueEntry } from './due.ts'
import { type Failures, openFailures, tellFailures, tellSlow } from './failures.ts'
import type { Guard } from './guard.ts'
import { eachAlone } from './loops.ts'
import { FEW, type Planned, type Settled, type SettlePorts, type Settler } from './settle.ts'
import { isProven, type Standing, standingOf } from './standing.ts'
import type { LiveTarget } from './world.ts'

/** Works off the durable queue, at each target by itself: a slow one holds up no other. */
export interface Queue {
  /** Begins with what is due, at each target where nothing is under way. */
  tick(): Promise<void>
  /** Resolves when what was begun is done. */
  idle(): Promise<void>
  /** Whether the rules may take from somebody at a target now. */
  mayTake(target: LiveTarget): (standing: Standing) => boolean
}

export interface QueuePorts extends SettlePorts {
  readonly due: Due
  readonly settler: Settler
  readonly guard: (target: string) => Guard
  /** A pass is to tell of what was held. */
  readonly askForPass: () => void
}

/** More than this are asked about all at once first. */
const MANY = 100
/** Accounts settled in one round; who ends meanwhile waits for no more than these. */
const TOGETHER = 60
const IN_ONE_TURN = 50
/** Seconds between two counts while no target answers. */
const COUNTED = 10
/** Seconds for which lists that could not be read are not asked for again. */
const WITHOUT_LISTS = 300

/** What one target's part of the queue remembers. */
interface Lane {
  readonly failures: Failures
  /** Unix seconds until which nobody reads whole lists there. */
  singlyUntil: number
}

export function openQueue(ports: QueuePorts): Queue {
  const { due, guard, now } = ports
  const lanes = new Map<string, Lane>()
  const laneOf = (target: string): Lane => {
    const lane = lanes.get(target) ?? { failures: openFailures(), singlyUntil: 0 }
    lanes.set(target, lane)
    return lane
  }
  const mayTake: Queue['mayTake'] = (target) => (standing) => {
    const may = guard(target.id).one(standing)
    if (!may && !guard(target.id).holding(standing)) ports.askForPass()
    return may
  }
  const working = eachAlone<string>((target, error) => tellFailures(ports.log, target, [error]))

  return {
    mayTake,
    idle: working.idle,
    async tick() {
      const targets = [...ports.world().targets.values()]
      const open = targets.filter(({ id }) => !ports.gates.of(id).closed())
      // Nothing could be done about what is read; how much it is tells an operator all the same.
      if (open.length === 0 && now() % COUNTED !== 0) return
      const { due: owed, marks } = await due.read(targets.map(({ id }) => id))
      ports.meter.due(marks)
      for (const target of open) {
        const entries = owed.get(target.id) ?? []
        const lane = laneOf(target.id)
        if (entries.length > 0) working.begin(target.id, () => drain(ports, { target, lane, mayTake }, entries))
      }
    },
  }
}

interface Draining {
  readonly target: LiveTarget
  readonly lane: Lane
  readonly mayTake: Queue['mayTake']
}

async function drain(ports: QueuePorts, draining: Draining, entries: readonly DueEntry[]): Promise<void> {
  const { target, lane, mayTake } = draining
  const bySub = new Map(entries.map((entry) => [entry.sub, entry]))
  const { done, groups } = await order(ports, draining, [...bySub.keys()])
  for (const { sub, until } of done) {
    await ports.ends.expect(sub, until)
    await ports.due.strike(bySub.get(sub) as DueEntry) // each of them came from there
  }
  for (const subs of groups) {
    if (ports.gates.of(target.id).closed() || ports.stop?.aborted) return
    const results = await ports.settler.settle({ target, subs, reference: 'leases', mayTake: mayTake(target) })
    for (const [sub, state] of results) await writeOff(ports.due, lane, bySub.get(sub) as DueEntry, state)
    const failed = [...results].flatMap(([sub, state]) => (state instanceof Error ? [[sub, state] as const] : []))
    const lost = failed.flatMap(([sub, error]) => (error instanceof ClaimLost ? [sub] : []))
    tellFailures(
      ports.log,
      target.id,
      failed.map(([, error]) => error),
    )
    tellSlow(ports.log, target.id, lane.failures, lost)
  }
}

/** Strikes off what is done, and leaves what is not. */
async function writeOff(due: Due, { failures }: Lane, entry: DueEntry, state: Settled): Promise<void> {
  if (state === 'busy' || state === 'more') return
  if (state instanceof Error) return due.later(entry, failures.failed(entry.sub, state))
  failures.settled(entry.sub)
  await due.strike(entry)
}

interface Order {
  /** For whom nothing is to be done now. */
  readonly done: readonly Standing[]
  /** Who is settled together, in this order. */
  readonly groups: readonly (readonly string[])[]
}

/** Whom to settle first: who lost all, then who loses something; who failed before comes last, and alone: she may be the reason. */
async function order(ports: QueuePorts, { target, lane }: Draining, owed: readonly string[]): Promise<Order> {
  const failed = owed.filter((sub) => lane.failures.count(sub) > 0)
  const standings: Standing[] = []
  for (const sub of owed) {
    if (lane.failures.count(sub) > 0) continue
    standings.push(await standingOf(ports, sub))
    if (standings.length % IN_ONE_TURN === 0) await nextTurn()
  }
  standings.sort(byProof)
  const alone = failed.slice(0, FEW).map((sub) => [sub])
  const some = standings.slice(0, TOGETHER).map(({ sub }) => sub)
  const first = standings[0]
  // Who lost all is known without asking.
  if (standings.length <= MANY || (first && !isProven(first)) || ports.now() < lane.singlyUntil)
    return { done: [], groups: [...inGroups(some), ...alone] }
  try {
    const { plans, unknown, busy } = await ports.settler.look(target, standings)
    const open = new Set([...busy, ...unknown, ...plans.map(({ standing }) => standing.sub)])
    const worst = [...plans].sort(byLoss).map(({ standing }) => standing.sub)
    const done = standings.filter(({ sub }) => !open.has(sub))
    return { done, groups: [...inGroups([...worst, ...unknown].slice(0, TOGETHER)), ...alone] }
  } catch (error) {
    lane.singlyUntil = ports.now() + WITHOUT_LISTS
    tellFailures(ports.log, target.id, [error as Error])
    return { done: [], groups: [...inGroups(some), ...alone] }
  }
}

const inGroups = (subs: readonly string[]): readonly (readonly string[])[] =>
  Array.from({ length: Math.ceil(subs.length / FEW) }, (_, n) => subs.slice(n * FEW, (n + 1) * FEW))

const byProof = (one: Standing, other: Standing) => Number(isProven(one)) - Number(isProven(other))
const byLoss = (one: Planned, other: Planned) =>
  byProof(one.standing, other.standing) || Number(other.steps.some(takes)) - Number(one.steps.some(takes))
