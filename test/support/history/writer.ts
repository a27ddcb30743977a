import { createInterface } from 'node:readline'
import { openEmbedded } from '../../../src/store/embedded.ts'
import type { RedisOptions } from '../../../src/store/redis/store.ts'
import type { Store } from '../../../src/store/store.ts'
import { clockAt, type Job, lookAround, type Recorder, work } from './work.ts'

/* A process that makes random calls at a store as it is told on standard input, and says on standard output what it calls before it does so. */

/** The store to open: the embedded one's file and mode, or a Redis store and the key that conceals what is in it, in hexadecimal. */
export type Opening =
  | { readonly path: string; readonly mode: 'serve' | 'command' }
  | { readonly redis: Omit<RedisOptions, 'derive' | 'now' | 'log'>; readonly secret: string }

async function opened(opening: Opening, now: () => number): Promise<Store> {
  if ('path' in opening) return await openEmbedded({ ...opening, now })
  const { openRedis } = await import('../../../src/store/redis/store.ts')
  return await openRedis({ ...opening.redis, derive: () => Buffer.from(opening.secret, 'hex'), now })
}

export interface Order {
  /** Unix seconds: the clock stands there until the next order. */
  readonly now: number
  readonly what: 'work' | 'look'
  readonly jobs: readonly Job[]
  /** The process ends, without a word, in its call of this number. By its own hand: a parent may look too late, or kill what it said. */
  readonly dieAt?: number
}

/** `begun`: a call of an island, by a number of this process; `answered`: by the same number. `done`: the whole order. */
export type Line =
  | { readonly begun: number; readonly island: string; readonly operation: Parameters<Recorder>[0] }
  | { readonly answered: number; readonly operation: Parameters<ReturnType<Recorder>>[0] }
  | { readonly done: true }

if (import.meta.main) await obey()

async function obey(): Promise<void> {
  const opening = JSON.parse(process.argv[2] ?? '') as Opening // of crew.ts
  let now = 0
  const store = await opened(opening, () => now)
  // A pipe is written to at once: what was said is heard also where the process is killed with its next step.
  const say = (line: Line) => void process.stdout.write(`${JSON.stringify(line, infinite)}\n`)
  let count = 0
  let last = Infinity
  const recorder = (island: string): Recorder => {
    return (operation) => {
      const which = count++
      say({ begun: which, island, operation })
      if (which === last) setImmediate(() => process.kill(process.pid, 'SIGKILL'))
      return (answered) => say({ answered: which, operation: answered })
    }
  }
  say({ done: true })
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line) as Order
    now = order.now
    last = count + (order.dieAt ?? Infinity) - 1
    const task = order.what === 'work' ? work : lookAround
    await Promise.all(
      order.jobs.map((job) =>
        task(
          store,
          job,
          clockAt(() => now),
          recorder(job.island),
        ),
      ),
    )
    say({ done: true })
  }
  await store.close()
}

function infinite(_key: string, value: unknown): unknown {
  return value === Infinity ? 'Infinity' : value
}

/** Reads a line of `obey`; undefined where a kill has cut it, before its call was made. */
export function lineOf(text: string): Line | undefined {
  try {
    return JSON.parse(text, (_key, value) => (value === 'Infinity' ? Infinity : value)) as Line
  } catch {
    return undefined
  }
}
