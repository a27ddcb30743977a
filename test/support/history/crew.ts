import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { unexplained } from './explain.ts'
import { microseconds, type Operation } from './operation.ts'
import { type Job, losses } from './work.ts'
import { lineOf, type Opening, type Order } from './writer.ts'

const writer = fileURLToPath(new URL('writer.ts', import.meta.url))

type Histories = Map<string, Operation[]>

/** One process that calls a store. */
interface Member {
  /** Resolves when the order is done, or the process dead. */
  obey(order: Order): Promise<void>
  /** Resolves when it is dead, with the last moment, by the clock of histories, at which it is known to have lived. */
  dead(): Promise<number>
  end(): Promise<void>
}

/** Starts a process; what it does goes into the histories of its islands. */
async function hire(opening: Opening, histories: Histories): Promise<Member> {
  const child = spawn(process.execPath, [writer, JSON.stringify(opening)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const under = new Map<number, { readonly history: Operation[]; readonly index: number }>()
  let ready = () => {}
  let last = 0
  // Milliseconds in which a server may still carry out what a dead process sent.
  const afterwards = 'path' in opening ? 0 : 1000
  const whenReady = () =>
    new Promise<void>((resolve) => {
      ready = resolve
    })
  createInterface({ input: child.stdout as NonNullable<ChildProcess['stdout']> }).on('line', (text) => {
    const line = lineOf(text)
    if (line === undefined) return
    if ('done' in line) return ready()
    if ('begun' in line) {
      const history = histories.get(line.island) ?? []
      histories.set(line.island, history)
      under.set(line.begun, { history, index: history.push(line.operation) - 1 })
      last = line.operation.start
      return
    }
    const { history, index } = under.get(line.answered) ?? { history: [], index: 0 }
    history[index] = { ...(history[index] as Operation), ...line.operation }
    under.delete(line.answered)
  })
  child.stdin?.on('error', () => {}) // it died with an order on its way
  const first = whenReady()
  const over = once(child, 'close').then(() => {
    const at = microseconds() + afterwards * 1000
    for (const { history, index } of under.values()) history[index] = { ...(history[index] as Operation), over: at }
    ready()
  })
  await first
  return {
    async obey(order) {
      const done = whenReady()
      child.stdin?.write(`${JSON.stringify(order)}\n`)
      await done
    },
    async dead() {
      await over
      await delay(afterwards) // each call that may still happen multiplies the ways in which those beside it may have
      return last
    },
    async end() {
      child.stdin?.end()
      await over
    },
  }
}

/** How much is tried: two processes work on the same islands, and in the middle something happens. */
export interface Chaos {
  readonly openings: readonly [Opening, Opening]
  /** What the two may do: the embedded store has volatile kinds in the memory of its serving process. */
  readonly able: readonly [Able, Able]
  /** Rounds of islands that are worked on at once. */
  readonly rounds: number
  readonly seed: number
  /** Something done to the store, in the middle of a phase of each round. */
  readonly fault?: (round: number) => Promise<void>
}

export type Able = Pick<Job, 'kinds' | 'wide'>

export interface Tried {
  readonly operations: number
  readonly unanswered: number
  readonly crashes: number
  /** What nothing explains. */
  readonly findings: readonly string[]
}

const islandsAtOnce = 8
const callers = 2
/** Of one caller in a phase. */
const calls = 5
/** A process that is to die does so by then: the others of its callers have calls under way. */
const LATEST = (islandsAtOnce * callers * calls) / 2
/** What happens in a phase; after the last one everything is looked at. */
const phases = ['nothing', 'kill', 'fault', 'kill', 'nothing'] as const
const secondsPerPhase = 6
const start = 1_800_000_000

/** Random calls from two processes over kills and faults, and whether everything that they were told can be explained. */
export async function chaos(plan: Chaos): Promise<Tried> {
  const { openings, able, rounds, seed, fault } = plan
  const tried = { operations: 0, unanswered: 0, crashes: 0, findings: [] as string[] }
  const histories: Histories = new Map()
  // One after the other: a command that finds an empty file makes its tables, for which it needs the right to serve.
  const crew = [await hire(openings[0], histories), await hire(openings[1], histories)]
  let now = start
  for (let round = 0; round < rounds; round++) {
    for (const [phase, what] of phases.entries()) {
      if (what === 'fault' && !fault) continue
      const job = { seed: seed + round * 100 + phase * 10, round }
      const victim = what === 'kill' ? (round + (phase === 1 ? 0 : 1)) % 2 : undefined
      const orders = able.map((one, who) => orderFor(job, one, { who, now, dies: who === victim }))
      const obeyed = Promise.all(crew.map((one, who) => one.obey(orders[who] as Order)))
      if (what === 'fault') await fault?.(round)
      if (victim !== undefined) {
        tried.crashes += 1
        const at = await (crew[victim] as Member).dead()
        await obeyed
        for (const each of orders[victim]?.jobs ?? []) histories.get(each.island)?.push(...losses(each, at))
        crew[victim] = await hire(openings[victim] as Opening, histories)
      }
      await obeyed
      now += secondsPerPhase
    }
    const look = orderFor({ seed: 0, round }, able[0], { who: 0, now, dies: false })
    await crew[0]?.obey({ now, what: 'look', jobs: look.jobs.map((each) => ({ ...each, wide: true })) })
    judge(histories, tried)
  }
  await Promise.all(crew.map((one) => one.end()))
  return tried
}

function orderFor(
  { seed, round }: { readonly seed: number; readonly round: number },
  able: Able,
  { who, now, dies }: { readonly who: number; readonly now: number; readonly dies: boolean },
): Order {
  const jobs = Array.from({ length: islandsAtOnce }, (_, island): Job => {
    const named = { island: `${round}.${island}`, seed: seed * 1000 + island * 10 + who }
    return { ...named, callers, calls, ...able }
  })
  return { now, what: 'work', jobs, ...(dies && { dieAt: 1 + ((seed * 7919) % LATEST) }) }
}

function judge(histories: Histories, tried: { operations: number; unanswered: number; findings: string[] }): void {
  for (const history of histories.values()) {
    const calls = history.filter(({ call }) => call.verb !== 'lose')
    tried.operations += calls.length
    tried.unanswered += calls.filter(({ end }) => end === undefined).length
    const finding = unexplained(history)
    if (finding !== undefined) tried.findings.push(finding)
  }
  histories.clear()
}
