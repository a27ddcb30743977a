import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { BoundKeeper } from './bound.ts'
import type { Due } from './due.ts'
import type { Queue } from './queue.ts'
import type { Settled, SettlePorts, Settler } from './settle.ts'
import { questionOf, standingOf, wantedAt } from './standing.ts'
import type { LiveTarget } from './world.ts'

/** What somebody who comes finds at the targets. `later`: it follows. `refused`: it is not there, and she is to be told so. */
export type Arrival = 'ready' | 'later' | 'refused'

/** Whoever comes finds what the rules give her, as far as the targets let her in time. */
export interface Arrivals {
  /**
   * Somebody signed in: settles her accounts, and waits for the targets that she is on the way to, 2 s at most. The rest follows by itself.
   * @param targets ids; those into which the gateway does not write do not matter
   */
  arrived(sub: string, targets: readonly string[], reference: string): Promise<Arrival>
  /** The same for a client that stands for itself; cheap where the same was settled a moment ago. */
  served(sub: string, target: string, reference: string): Promise<Arrival>
}

export interface ArrivalPorts extends SettlePorts {
  readonly due: Due
  readonly settler: Settler
  readonly bound: Pick<BoundKeeper, 'arrived'>
  readonly mayTake: Queue['mayTake']
}

/** Milliseconds that a sign-in waits for its targets. */
const PATIENCE = 2000
/** Milliseconds between two tries where another process is at the same account. */
const LOOK = 100
/** Sign-ins that are settled at one target at once. */
const IN_LINE = 100
/** Seconds for which a client that stands for itself is not looked at again. */
const SERVED = 60

/** Somebody who comes, and where she is on the way to. */
interface Comer {
  readonly sub: string
  readonly targets: readonly string[]
  readonly reference: string
}

/** How many sign-ins are settled at each target now. */
type Lines = Map<string, number>

export function openArrivals(ports: ArrivalPorts): Arrivals {
  const { bound, now } = ports
  const lines: Lines = new Map()
  const lately = new Map<string, { readonly wanted: unknown; readonly at: number }>()

  const arrived: Arrivals['arrived'] = async (sub, targets, reference) => {
    const accounts = settleAccounts(ports, lines, { sub, targets, reference })
    const [account] = await Promise.all([accounts, bound.arrived(sub, targets, reference)])
    return account
  }

  return {
    arrived,
    async served(sub, target, reference) {
      const { targets, bound: clusters } = ports.world()
      if (clusters.has(target)) await bound.arrived(sub, [target], reference)
      const live = targets.get(target)
      if (!live) return 'ready'
      const wanted = wantedAt(await standingOf(ports, sub), live)
      const before = lately.get(`${target}\n${sub}`)
      if (before && now() - before.at < SERVED && isDeepStrictEqual(before.wanted, wanted)) return 'ready'
      const arrival = await arrived(sub, [target], reference)
      if (arrival === 'ready') lately.set(`${target}\n${sub}`, { wanted, at: now() })
      return arrival
    },
  }
}

async function settleAccounts(ports: ArrivalPorts, lines: Lines, comer: Comer): Promise<Arrival> {
  const { due, ledger, log } = ports
  const { sub, targets, reference } = comer
  const all = [...ports.world().targets.values()]
  if (all.length === 0) return 'ready'
  const standing = await standingOf(ports, sub)
  const concerned: LiveTarget[] = []
  for (const target of all) {
    if (questionOf(standing, await ledger.get(target.id, sub), target)) concerned.push(target)
  }
  const here = concerned.filter(({ id }) => targets.includes(id))
  const elsewhere = concerned.filter(({ id }) => !targets.includes(id)).map(({ id }) => id)
  if (elsewhere.length > 0) await due.mark(sub, 0, elsewhere)
  const late = await lateAt(here, (target) => settled(ports, lines, comer, target))
  if (late.length === 0) return 'ready'
  for (const { target, why } of late)
    log('info', 'a sign-in waits no longer for a target', { target: target.id, why, id: reference })
  const left = late.map(({ target }) => target)
  await due.mark(
    sub,
    0,
    left.map(({ id }) => id),
  )
  return left.some(({ live }) => live.ifUnreachable === 'refuse') ? 'refused' : 'later'
}

interface Late {
  readonly target: LiveTarget
  readonly why: string
}

const WHY = { busy: 'another process is at it', more: 'there is much to do' } as const

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

/** Settles somebody at one target, until it is done or somebody else has been at it for too long. */
async function settled(
  { settler, mayTake }: ArrivalPorts,
  lines: Lines,
  { sub, reference }: Comer,
  target: LiveTarget,
): Promise<Settled> {
  const before = lines.get(target.id) ?? 0
  // Whoever came before them waits no longer, and is still in line at a target that is slow: the queue does it.
  if (before >= IN_LINE) return new Error('too many others wait for this target')
  lines.set(target.id, before + 1)
  try {
    for (let waited = 0; ; waited += LOOK) {
      const order = { target, subs: [sub], reference, mayTake: mayTake(target) }
      const state = (await settler.settle(order)).get(sub) ?? 'done'
      if ((state !== 'busy' && state !== 'more') || waited >= PATIENCE) return state
      if (state === 'busy') await delay(LOOK)
    }
  } finally {
    lines.set(target.id, (lines.get(target.id) ?? 1) - 1)
  }
}
