/** The load, as a process of its own on a core of its own: takes one `Job` after another over IPC and answers each with a `Report`. */
import { setTimeout as delay } from 'node:timers/promises'
import { spread } from './spread.ts'
import { introspect, login, refresh, type Target, type Tokens } from './walk.ts'

/** What to do, until `seconds` or `count` is reached, whichever is first. */
export interface Job {
  /** `seed`: sign-ins whose tokens are kept for `refresh` and `introspect`. */
  readonly kind: 'seed' | 'login' | 'refresh' | 'introspect'
  readonly target: Target
  readonly upstreamHost: string
  readonly concurrency: number
  readonly seconds: number
  readonly count: number
  /** Begins in a second, however long each takes; as many as there is room for where absent. */
  readonly rate?: number
  /** Says of each when it began and how long it took. */
  readonly timeline?: true
}

/** What came of a job. */
export interface Report {
  readonly done: number
  readonly seconds: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  /** How often which failure. */
  readonly failures: Readonly<Record<string, number>>
  /** CPU seconds of this process. */
  readonly driverCpu: number
  /** Milliseconds of the wall clock, and milliseconds. */
  readonly timeline?: readonly { readonly at: number; readonly took: number }[]
}

/** Tokens by target, those of one sign-in held by one request at a time. */
const sessions = new Map<string, Tokens[]>()
let users = 0

function held(target: Target): Tokens[] {
  const tokens = sessions.get(target.name) ?? []
  sessions.set(target.name, tokens)
  return tokens
}

async function once({ kind, target, upstreamHost }: Job): Promise<void> {
  if (kind === 'refresh' || kind === 'introspect') {
    const tokens = held(target).shift()
    if (tokens === undefined) throw new Error('no session left')
    if (kind === 'introspect') await introspect(target, tokens.access)
    held(target).push(kind === 'refresh' ? await refresh(target, tokens.refresh) : tokens)
    return
  }
  const tokens = await login(target, `u${process.pid}-${++users}`, upstreamHost)
  if (kind === 'seed') held(target).push(tokens)
}

async function run(job: Job): Promise<Report> {
  const times: number[] = []
  const timeline: { at: number; took: number }[] = []
  const failures: Record<string, number> = {}
  const begun = performance.now()
  const cpu = process.cpuUsage()
  let left = job.count
  const slot = async () => {
    while (left-- > 0 && performance.now() - begun < job.seconds * 1000) {
      if (job.rate !== undefined)
        await delay(Math.max(0, begun + (job.count - left - 1) * (1000 / job.rate) - performance.now()))
      const at = performance.now()
      try {
        await once(job)
        times.push(performance.now() - at)
        if (job.timeline) timeline.push({ at: performance.timeOrigin + at, took: performance.now() - at })
      } catch (error) {
        const text = (error as Error).message
        failures[text] = (failures[text] ?? 0) + 1
      }
    }
  }
  await Promise.all(Array.from({ length: job.concurrency }, slot))
  const seconds = (performance.now() - begun) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return {
    ...spread(times),
    seconds,
    failures,
    driverCpu: (user + system) / 1e6,
    ...(job.timeline ? { timeline } : {}),
  }
}

process.on('message', (job: Job) => void run(job).then((report) => process.send?.(report)))
process.on('disconnect', () => process.exit(0))
