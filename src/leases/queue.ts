import { setImmediate as nextTurn } from 'node:timers/promises'
import { takes } from './carry.ts'
import type { Due, DueEntry } from './due.ts'
import { isDown, tellFailures, waitAfter } from './failures.ts'
import type { Guard } from './guard.ts'
import type { Planned, Settled, SettlePorts, Settler } from './settle.ts'
import { isProven, type Standing, standingOf } from './standing.ts'
import type { LiveTarget } from './world.ts'

/** Works off the durable queue. */
export interface Queue {
  tick(): Promise<void>
  /** Whether the rules may take from somebody at a target now. */
  mayTake(target: LiveTarget): (sub: string) => boolean
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
const TOGETHER = 50
const IN_ONE_TURN = 50
/** Seconds between two counts while no target answers. */
const COUNTED = 10

type Results = ReadonlyMap<string, Settled>

export function openQueue(ports: QueuePorts): Queue {
  const { due, guard, log } = ports
  const mayTake = (target: LiveTarget) => (sub: string) => guard(target.id).one(sub)

  const drain = async (target: LiveTarget, entries: readonly DueEntry[]): Promise<Results> => {
    const owed = entries.filter(({ targets }) => targets?.includes(target.id) ?? true).map(({ sub }) => sub)
    if (owed.length === 0 || ports.gates.of(target.id).closed()) return new Map()
    const results = new Map<string, Settled>()
    try {
      const subs = await first(ports, { target, owed, results })
      const settled = await ports.settler.settle({ target, subs, reference: 'leases', mayTake: mayTake(target) })
      for (const [sub, state] of settled) results.set(sub, state)
    } catch (error) {
      if (!isDown(error)) tellFailures(log, target.id, [error as Error])
    }
    tellFailures(
      log,
      target.id,
      [...results.values()].filter((state) => state !== 'done' && state !== 'held'),
    )
    if ([...results.values()].includes('held') && !guard(target.id).holding()) ports.askForPass()
    return results
  }

  return {
    mayTake,
    async tick() {
      const targets = [...ports.world().targets.values()]
      // Nothing could be done about what is read; how much it is tells an operator all the same.
      const closed = targets.every(({ id }) => ports.gates.of(id).closed())
      if (closed && ports.now() % COUNTED !== 0) return
      const { entries, marks } = await due.read()
      ports.meter.due(marks)
      if (closed || entries.length === 0) return
      const results = new Map(
        await Promise.all(targets.map(async (target) => [target.id, await drain(target, entries)] as const)),
      )
      for (const entry of entries) await writeOff(due, entry, { targets, results })
    },
  }
}

/** Whom to settle first: who lost all, then who loses something. Of many, those for whom nothing has to be done are `done` at once. */
async function first(
  ports: QueuePorts,
  { target, owed, results }: { target: LiveTarget; owed: readonly string[]; results: Map<string, Settled> },
): Promise<readonly string[]> {
  const standings: Standing[] = []
  for (const sub of owed) {
    standings.push(await standingOf(ports, sub))
    if (standings.length % IN_ONE_TURN === 0) await nextTurn()
  }
  if (owed.length <= MANY)
    return standings
      .sort(byProof)
      .slice(0, TOGETHER)
      .map(({ sub }) => sub)
  const { plans, busy } = await ports.settler.look(target, standings)
  const open = new Set([...busy, ...plans.map(({ standing }) => standing.sub)])
  for (const sub of owed) if (!open.has(sub)) results.set(sub, 'done')
  return [...plans]
    .sort(byLoss)
    .slice(0, TOGETHER)
    .map(({ standing }) => standing.sub)
}

const byProof = (one: Standing, other: Standing) => Number(isProven(one)) - Number(isProven(other))
const byLoss = (one: Planned, other: Planned) =>
  byProof(one.standing, other.standing) || Number(other.steps.some(takes)) - Number(one.steps.some(takes))

/** Strikes off what is done, and leaves what is not with the targets that are left. */
async function writeOff(
  due: Due,
  { sub, targets: named, ids }: DueEntry,
  { targets, results }: { targets: readonly LiveTarget[]; results: ReadonlyMap<string, Results> },
): Promise<void> {
  const owed = targets.map(({ id }) => id).filter((id) => named?.includes(id) ?? true)
  const state = (id: string) => results.get(id)?.get(sub)
  const left = owed.filter((id) => state(id) !== 'done' && state(id) !== 'held')
  const wait = Math.max(0, ...left.map((id) => waitFor(state(id))))
  if (left.length > 0 && left.length === owed.length && wait <= 1) return
  if (left.length > 0) await due.mark(sub, wait, left)
  await due.strike(ids)
}

function waitFor(state: Settled | undefined): number {
  return state === undefined || state === 'done' || state === 'held' ? 0 : waitAfter(state)
}
