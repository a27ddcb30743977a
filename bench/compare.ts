/** Two servers under the same load in turn: rounds are interleaved, so that what else the machine does meets both. */
import type { Report } from './driver.ts'
import { type Bench, openBench, type Server } from './servers.ts'

/** What to compare, and how much of it. */
export interface Comparison {
  readonly kind: 'login' | 'refresh' | 'introspect'
  readonly concurrency: number
  /** Sessions for each server, made before the first round; a measure of `login` makes a few to warm up. */
  readonly sessions: number
  readonly rounds: number
  /** Length of a round for one server. */
  readonly seconds: number
}

interface Round extends Report {
  /** Requests or sign-ins in a second. */
  readonly rate: number
  /** Milliseconds of the server's CPU for each. */
  readonly cpu: number
  /** The share of its core that the load took, upstream included. */
  readonly load: number
}

/** How the first server does beside the second. */
export interface Ratio {
  /** Of the medians of the rates: above 1 where the first one does more. */
  readonly rate: number
  /** Of the medians of the CPU time for one: above 1 where the first one needs less. */
  readonly cpu: number
}

/** The middle one of some numbers. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** A count that the environment may change: `LOTSE_BENCH_ROUNDS=3`. */
export function setting(name: string, usual: number): number {
  const value = Number(process.env[`LOTSE_BENCH_${name}`] ?? usual)
  if (!(value > 0)) throw new Error(`LOTSE_BENCH_${name} is not a number above 0`)
  return value
}

/** Microseconds of processor time for one call, of all threads. */
export async function cost(calls: number, call: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage()
  for (let done = 0; done < calls; done += 1) await call()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / calls
}

/** Two kinds of call in turn, warmed up once. @returns the least microseconds of processor time that one call of each took */
export async function leastCosts(calls: number, ours: () => Promise<unknown>, theirs: () => Promise<unknown>) {
  await cost(calls, ours)
  await cost(calls, theirs)
  const least = { ours: Number.POSITIVE_INFINITY, theirs: Number.POSITIVE_INFINITY }
  for (let round = 0; round < setting('ROUNDS', 8); round += 1) {
    least.ours = Math.min(least.ours, await cost(calls, ours))
    least.theirs = Math.min(least.theirs, await cost(calls, theirs))
  }
  return least
}

async function round(bench: Bench, server: Server, { kind, concurrency, seconds }: Comparison): Promise<Round> {
  const [cpu, stub] = [server.child.cpu(), bench.stub.cpu()]
  const report = await bench.drive({ kind, target: server.target, concurrency, seconds, count: 1e9 })
  const load = (report.driverCpu + bench.stub.cpu() - stub) / report.seconds
  const each = ((server.child.cpu() - cpu) / report.done) * 1000
  return { ...report, rate: report.done / report.seconds, cpu: each, load }
}

function show(name: string, at: Round): void {
  const failed = Object.entries(at.failures).map(([text, count]) => `, ${count} × ${text}`)
  const times = `p50 ${at.p50.toFixed(0)} ms, p99 ${at.p99.toFixed(0)} ms`
  const load = `load ${(at.load * 100).toFixed(0)} % of its core`
  console.log(
    `  ${name.padEnd(9)}${at.rate.toFixed(0).padStart(6)}/s  ${at.cpu.toFixed(2)} ms CPU  ${times}, ${load}${failed.join('')}`,
  )
}

/** @throws where a request failed, since a failure is cheaper than an answer */
function refuseFailures(server: Server, report: Report): void {
  const failures = Object.entries(report.failures)
  if (failures.length > 0 || report.done === 0)
    throw new Error(`${server.target.name}: ${failures.map(([text, count]) => `${count} × ${text}`).join(', ')}`)
}

async function prepare(bench: Bench, server: Server, comparison: Comparison): Promise<void> {
  const { concurrency, sessions: count } = comparison
  const target = server.target
  refuseFailures(server, await bench.drive({ kind: 'seed', target, concurrency: 8, seconds: 60, count }))
  const warm = { kind: comparison.kind, target, concurrency, seconds: 3, count: 1e9 } as const
  refuseFailures(server, await bench.drive(warm))
}

function summary(name: string, rounds: readonly Round[]): { rate: number; cpu: number } {
  const rates = rounds.map(({ rate }) => rate)
  const of = { rate: median(rates), cpu: median(rounds.map(({ cpu }) => cpu)) }
  const range = `${Math.min(...rates).toFixed(0)}–${Math.max(...rates).toFixed(0)}`
  console.log(`${name}: median ${of.rate.toFixed(0)}/s (${range}), ${of.cpu.toFixed(2)} ms CPU each`)
  return of
}

/**
 * Compares a server with a baseline: each round measures both, in turns with the one or the other first.
 * @throws where a request failed
 */
export async function compare(
  comparison: Comparison,
  open: (bench: Bench) => Promise<readonly [server: Server, baseline: Server]>,
): Promise<Ratio> {
  const bench = await openBench()
  const servers = await open(bench)
  const rounds = new Map<Server, Round[]>(servers.map((server) => [server, []]))
  for (const server of servers) await prepare(bench, server, comparison)
  for (let n = 1; n <= comparison.rounds; n++) {
    console.log(`round ${n} of ${comparison.rounds}`)
    for (const server of n % 2 === 1 ? servers : servers.toReversed()) {
      const measured = await round(bench, server, comparison)
      show(server.target.name, measured)
      refuseFailures(server, measured)
      rounds.get(server)?.push(measured)
    }
  }
  await Promise.all([...servers.map(({ child }) => child.stop()), bench.close()])
  const [ours, baseline] = servers.map((server) => summary(server.target.name, rounds.get(server)!))
  if ([...rounds.values()].some((all) => median(all.map(({ load }) => load)) > 0.9))
    console.log('the load took more than 90 % of its core: it was the limit, and the ratio is nearer to 1 than it is')
  return { rate: ours!.rate / baseline!.rate, cpu: baseline!.cpu / ours!.cpu }
}
