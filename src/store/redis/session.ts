import { StoreUnavailable } from '../store.ts'
import { type Access, type Address, type Connection, openConnection, textOf } from './connection.ts'
import { type Memory, refusal } from './epoch.ts'
import { type Script, type ScriptName, scripts } from './scripts.ts'

/** A script with what follows the arguments that all have. */
export interface Call {
  readonly script: ScriptName
  /** Unix seconds. */
  readonly now: number
  readonly args: readonly string[]
}

/** Connections to one server while it is the primary, and what happens there. */
export interface Session {
  readonly address: Address
  /** Reads, and writes whose loss costs one sign-in in flight. */
  run(call: Call): Promise<unknown>
  /** Writes that have reached the configured number of replicas before they are told of. */
  acknowledged(call: Call): Promise<unknown>
  /** Looks again whether the server is what it was. @throws {StoreUnavailable} where it must not be used */
  look(): Promise<void>
  /** Any other command. */
  readonly command: Connection['call']
  readonly lost: () => Error | undefined
  readonly destroy: () => void
}

export interface SessionOptions {
  readonly access: Access
  readonly prefix: string
  /** How many replicas have to hold a write before it is told of. */
  readonly replicas: number
  readonly memory: Memory
}

/**
 * What all scripts declare: `state`, and a key that never is. Where a Cluster moves their slot to another node, one is refused that
 * declares a key which is not there. A script that had begun would end at the first key that is gone, with half of it done.
 */
const keysOf = (prefix: string) => [`${prefix}state`, `${prefix}nothing`] as const

/** Milliseconds in which replicas have to answer: an operation has 700 in all (deadline.ts). */
const WAIT = 400

/** After these the server at this address is the primary no more, or was never. */
const elsewhere = /^(?:READONLY|MOVED|ASK|CLUSTERDOWN|MASTERDOWN|LOADING|UNBLOCKED|LOOK)\b/

/**
 * Opens the connections: one, or a second one for writes that wait for replicas, since what waits holds up all that comes after it.
 * @throws {StoreUnavailable} where the server does not answer, or is not the primary
 */
export async function openSession(address: Address, options: SessionOptions): Promise<Session> {
  const { access, replicas, memory, prefix } = options
  const opened: Connection[] = []
  const connect = async () => {
    const connection = await openConnection(address, access)
    opened.push(connection)
    return connection
  }
  const destroy = () => opened.forEach((each) => void each.destroy())
  const lost = () => opened.map((each) => each.lost()).find((error) => error !== undefined)
  try {
    const reads = await connect()
    const writes = replicas > 0 ? await connect() : reads
    await Promise.all(Object.values(scripts).map(({ text }) => reads.call('SCRIPT', 'LOAD', text)))
    const run = await memory.look(reads)
    const acknowledge = (reply: unknown) => memory.acknowledge(run, numberIn(reply))
    const argsOf = ({ now, args }: Call) => [...keysOf(prefix), prefix, String(run), String(now), ...args]
    const send = (connection: Connection, call: Call) => evaluate(connection, scripts[call.script], argsOf(call))
    const guarded = failing(address, destroy)
    const write = replicas > 0 ? waiting(writes, send, { replicas, acknowledge }) : directly(writes, send, acknowledge)
    return {
      address,
      run: (call) => guarded(send(reads, call)),
      acknowledged: (call) => guarded(write(call)),
      look: async () => void (await guarded(memory.look(reads))),
      command: (...words) => guarded(reads.call(...words)),
      lost,
      destroy,
    }
  } catch (cause) {
    destroy()
    throw unavailable(address, cause)
  }
}

/**
 * Runs a script by its name. A server that was told to forget its scripts makes this fail once, and the connection learn them
 * again: sent anew here, the script would come after the `WAIT` that was to cover it.
 */
async function evaluate(connection: Connection, { sha, text }: Script, args: readonly string[]): Promise<unknown> {
  try {
    return await connection.call('EVALSHA', sha, '2', ...args)
  } catch (error) {
    if (/^NOSCRIPT\b/.test((error as Error).message)) void connection.call('SCRIPT', 'LOAD', text).catch(() => {})
    throw error
  }
}

/** Failures as the one error that callers know; where the server is the wrong one by now, its connections end. */
function failing(address: Address, destroy: () => void) {
  return async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      if (error instanceof Error && elsewhere.test(error.message)) destroy()
      throw unavailable(address, error)
    }
  }
}

export function unavailable(address: Address, cause: unknown): StoreUnavailable {
  if (cause instanceof StoreUnavailable) return cause
  if (cause instanceof Error) {
    const known = refusal(cause)
    if (known) return known
  }
  const said = cause instanceof Error ? cause.message : String(cause)
  return new StoreUnavailable(`redis ${textOf(address)}: ${said}`, { cause })
}

type Send = (connection: Connection, call: Call) => Promise<unknown>
type Write = (call: Call) => Promise<unknown>
type Acknowledge = (reply: unknown) => void

/** What every script that writes answers with: the number of the write first, 0 where nothing was to be written. */
const numberIn = (reply: unknown) => (reply as readonly [number, ...unknown[]])[0]

/** Writes that have been made once the server says so. */
function directly(writes: Connection, send: Send, acknowledge: Acknowledge): Write {
  return async (call) => {
    const reply = await send(writes, call)
    acknowledge(reply)
    return reply
  }
}

interface Waiting {
  readonly replicas: number
  readonly acknowledge: Acknowledge
}

interface Job {
  readonly call: Call
  readonly done: (reply: unknown) => void
  readonly fail: (error: unknown) => void
}

/** So many writes at most wait for replicas together. */
const TOGETHER = 256

/**
 * Sends writes, and asks for the replicas once for all that came while the writes before were waiting. `WAIT` counts the
 * replicas that have all that this connection wrote: too few, and none of them is told to have happened, though they may have.
 */
function waiting(writes: Connection, send: Send, { replicas, acknowledge }: Waiting): Write {
  const queue: Job[] = []
  let busy = false
  const wait = async () => Number(await writes.call('WAIT', String(replicas), String(WAIT)))
  const settle = (job: Job, result: PromiseSettledResult<unknown> | undefined, held: number) => {
    if (result?.status !== 'fulfilled') return job.fail(result?.reason)
    if (held < replicas)
      return job.fail(new StoreUnavailable(`redis: ${held} of ${replicas} replicas had the write within ${WAIT} ms`))
    acknowledge(result.value)
    job.done(result.value)
  }
  const flush = async () => {
    while (queue.length > 0) {
      const jobs = queue.splice(0, TOGETHER)
      const sent = Promise.allSettled(jobs.map(({ call }) => send(writes, call)))
      try {
        const [held, results] = await Promise.all([wait(), sent])
        for (const [index, job] of jobs.entries()) settle(job, results[index], held)
      } catch (error) {
        for (const job of jobs) job.fail(error)
      }
    }
    busy = false
  }
  return (call) =>
    new Promise((done, fail) => {
      queue.push({ call, done, fail })
      if (busy) return
      busy = true
      queueMicrotask(() => void flush()) // with all that comes in this turn
    })
}
