import { type Kind, type Links, type Store, StoreUnavailable } from '../../../src/store/store.ts'
import { type Call, microseconds, type Operation, type Outcome } from './operation.ts'

/** What one process is to do on one island: a few entries of two kinds that nobody else touches. */
export interface Job {
  readonly island: string
  /** The same number, the same calls. */
  readonly seed: number
  /** Callers at once, and how many calls each makes. */
  readonly callers: number
  readonly calls: number
  /** `durable` alone where volatile entries are in the memory of another process. */
  readonly kinds: readonly ('durable' | 'volatile')[]
  /** Reads of many entries at once; false where the store does not promise that they see one moment. */
  readonly wide: boolean
}

/** Hears of each call before it is made, and of its answer after that. */
export type Recorder = (begun: Operation) => (answered: Answered) => void

export type Answered = Required<Pick<Operation, 'now' | 'end' | 'outcome'>>

const ids = ['a', 'b', 'c']
const aliases = ['x', 'y']
const groups = ['g', 'h', 'i']

const kindOf = (name: string): Kind => ({ name, durable: name.endsWith('durable') })
const kindNames = ({ island, kinds }: Pick<Job, 'island' | 'kinds'>) => kinds.map((each) => `${island}-${each}`)

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** How often each verb is called, of a hundred. */
const often: readonly (readonly [Exclude<Call['verb'], 'lose'>, number])[] = [
  ['put', 18],
  ['add', 14],
  ['swap', 14],
  ['consume', 13],
  ['get', 13],
  ['take', 9],
  ['find', 6],
  ['revoke', 4],
  ['delete', 3],
  ['members', 3],
  ['list', 3],
]
const wideVerbs: ReadonlySet<string> = new Set(['members', 'list'])

/** Seconds: some end soon, where a clock is advanced. */
const lives = [5, 1000]

interface Chance {
  readonly pick: <T>(all: readonly T[]) => T
  readonly fresh: () => string
  /** The value that this caller saw last under an id. */
  readonly seen: Map<string, string | undefined>
}

function chance(next: () => number, name: string): Chance {
  let count = 0
  const pick = <T>(all: readonly T[]): T => all[Math.floor(next() * all.length)] as T // not empty
  return { pick, fresh: () => `${name}-${count++}`, seen: new Map() }
}

function linksFrom({ pick }: Chance, island: string): Links {
  const alias = pick([undefined, undefined, ...aliases])
  const some = pick([[], [pick(groups)], [pick(groups)], groups.slice(0, 2)])
  return {
    ...(alias === undefined ? {} : { alias: `${island}-${alias}` }),
    ...(some.length === 0 ? {} : { groups: some.map((group) => `${island}-${group}`) }),
  }
}

function callFrom(job: Job, by: Chance): Call {
  const { pick } = by
  const verbs = often.filter(([verb]) => job.wide || !wideVerbs.has(verb))
  const verb = pick(verbs.flatMap(([name, count]) => Array.from({ length: count }, () => name)))
  const kind = pick(kindNames(job))
  const id = pick(ids)
  const group = `${job.island}-${pick(groups)}`
  const ttl = pick(lives)
  if (verb === 'find') return { verb, kind, alias: `${job.island}-${pick(aliases)}` }
  if (verb === 'members') return { verb, group }
  if (verb === 'list') return { verb, kind }
  if (verb === 'revoke') return { verb, group, ttl }
  if (verb === 'put' || verb === 'add')
    return { verb, kind, id, value: by.fresh(), ttl, links: linksFrom(by, job.island) }
  if (verb !== 'swap') return { verb, kind, id }
  const from = by.seen.get(`${kind} ${id}`)
  return { verb, kind, id, ...(from === undefined ? {} : { from }), to: by.fresh(), ttl }
}

/** Makes a call and says as data what came of it. */
async function made(store: Store, call: Call): Promise<Outcome> {
  const entryOr = (entry: Awaited<ReturnType<Store['get']>>): Outcome => (entry ? { entry } : { nothing: true })
  switch (call.verb) {
    case 'get':
      return entryOr(await store.get(kindOf(call.kind), call.id))
    case 'find':
      return entryOr(await store.find(kindOf(call.kind), call.alias))
    case 'take':
      return entryOr(await store.take(kindOf(call.kind), call.id))
    case 'put':
    case 'add':
      return { done: await store[call.verb](kindOf(call.kind), call.id, call.value, call.ttl, call.links as Links) }
    case 'swap':
      return { done: await store.swap(kindOf(call.kind), call.id, call.from, call.to, call.ttl) }
    case 'consume': {
      const used = await store.consume(kindOf(call.kind), call.id)
      return used === undefined ? { nothing: true } : { used }
    }
    case 'members':
      return { members: (await store.members(call.group)).map(({ kind, id }) => `${kind} ${id}`) }
    case 'list':
      return { entries: await store.list(kindOf(call.kind), 100) }
    case 'revoke':
      await store.revoke(call.group, call.ttl)
      return { nothing: true }
    case 'delete':
      await store.delete(kindOf(call.kind), call.id)
      return { nothing: true }
    case 'lose':
      throw new Error('nobody can ask for a loss')
  }
}

/** The clock as the store may have it, in Unix seconds: not before, not after, and not after where an answer never came. */
export interface Clocked {
  readonly from: () => number
  readonly to: () => number
  readonly ever: () => number
}

/** A clock that was injected. */
export const clockAt = (now: () => number): Clocked => ({ from: now, to: now, ever: now })

/** The clocks of this machine: a second of difference is allowed. */
export const realClock: Clocked = {
  from: () => Math.floor(Date.now() / 1000) - 1,
  to: () => Math.ceil(Date.now() / 1000) + 1,
  ever: () => Infinity,
}

/** One call with its record. A failure of the store is no answer; any other error is a fault of the test. */
async function asked(store: Store, call: Call, clock: Clocked, to: Recorder): Promise<Outcome | undefined> {
  await new Promise(setImmediate) // so that callers take turns also where nothing is waited for
  const from = clock.from()
  const answered = to({ call, now: [from, clock.ever()], start: microseconds() })
  try {
    const outcome = await made(store, call)
    answered({ now: [from, clock.to()], end: microseconds(), outcome })
    return outcome
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error
    await back(store)
    return undefined
  }
}

/** Until the store is of use again; each call without an answer makes a history harder to read. */
async function back(store: Store): Promise<void> {
  const until = Date.now() + PATIENCE
  for (;;) {
    const failure = await store.check().then(
      () => undefined,
      (error: unknown) => error,
    )
    if (failure === undefined) return
    if (Date.now() > until) throw failure
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Milliseconds that a store may be away. */
const PATIENCE = 60_000

/** Makes random calls at one store, several at once. */
export async function work(store: Store, job: Job, clock: Clocked, to: Recorder): Promise<void> {
  const next = numbers(job.seed)
  const callers = Array.from({ length: job.callers }, async (_, caller) => {
    const by = chance(next, `${job.seed}-${caller}`)
    for (let n = 0; n < job.calls; n++) {
      const call = callFrom(job, by)
      const outcome = await asked(store, call, clock, to)
      if (outcome && 'id' in call) remember(by.seen, call, outcome)
    }
  })
  await Promise.all(callers)
}

function remember(seen: Chance['seen'], call: Extract<Call, { id: string }>, outcome: Outcome): void {
  const key = `${call.kind} ${call.id}`
  if ('entry' in outcome) seen.set(key, call.verb === 'take' ? undefined : outcome.entry.value)
  else if ('done' in outcome && outcome.done)
    seen.set(key, call.verb === 'swap' ? call.to : 'value' in call ? call.value : '')
  else if (call.verb === 'get') seen.set(key, undefined)
}

/** Reads all that an island may hold, one after another: what everybody did must be seen in it. */
export async function lookAround(store: Store, job: Job, clock: Clocked, to: Recorder): Promise<void> {
  const kinds = kindNames(job)
  const calls: Call[] = [
    ...kinds.flatMap((kind) => [
      ...ids.map((id): Call => ({ verb: 'get', kind, id })),
      ...aliases.map((alias): Call => ({ verb: 'find', kind, alias: `${job.island}-${alias}` })),
      { verb: 'list', kind } as const,
    ]),
    ...groups.map((group): Call => ({ verb: 'members', group: `${job.island}-${group}` })),
    ...kinds.flatMap((kind) => ids.map((id): Call => ({ verb: 'consume', kind, id }))),
    ...kinds.flatMap((kind) => ids.map((id): Call => ({ verb: 'take', kind, id }))),
  ]
  for (const call of calls) await asked(store, call, clock, to)
}

/** The entries of an island whose kind may die with a process: each may have been lost in a crash. */
export function losses(job: Job, start: number): readonly Operation[] {
  const mortal = kindNames(job).filter((kind) => !kindOf(kind).durable)
  return mortal.flatMap((kind) =>
    ids.map((id): Operation => ({ call: { verb: 'lose', kind, id }, now: [0, Infinity], start })),
  )
}
