/**
 * CPU time of one and of two gateways on one Redis, beside the bare library on the same; Redis' own share told apart. Needs `redis-server`.
 *
 * Two processes here share a core, and each finds the core's caches full of the other's. What that alone costs is seen on two bare
 * ones, which know nothing of each other: a second gateway is held against them.
 */
import { join } from 'node:path'
import { createClient } from 'redis'
import { median, setting } from './compare.ts'
import type { Report } from './driver.ts'
import { startGateway } from './gateway.ts'
import { type Child, freePort, loadCore, start } from './process.ts'
import { type Bench, type Driver, openBench, openDriver, type Server, startBare } from './servers.ts'

/** What is allowed: of the bare library's CPU time, and of one gateway's where two serve, or what two bare ones are of one. */
const MOST = { bare: 1.25, second: 1.05 }
/** Sign-ins or refreshes in flight at each server: enough for it to have work whenever its turn comes. */
const AT_ONCE = 32

type Kind = 'refresh' | 'login'

/** Servers that are loaded at once. */
interface Side {
  readonly name: string
  readonly servers: readonly Server[]
}

/** Milliseconds of CPU for each operation. */
interface Cost {
  readonly server: number
  readonly redis: number
  readonly rate: number
}

async function startRedis(
  bench: Bench,
): Promise<{ readonly child: Child; readonly url: string; readonly port: number }> {
  const port = await freePort('127.0.0.1')
  const settings = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--save', '', '--dir', bench.folder]
  const words = ['redis-server', '--port', String(port), '--bind', '127.0.0.1', ...settings]
  const child = start(loadCore, words, { log: join(bench.folder, 'redis.log') })
  const url = `redis://127.0.0.1:${port}`
  const client = await createClient({ url, socket: { reconnectStrategy: 50 } })
    .on('error', () => {})
    .connect()
  client.destroy()
  return { child, url, port }
}

export async function scale(): Promise<boolean> {
  const bench = await openBench()
  const second = openDriver(bench.folder, 'driver.ts')
  const redis = await startRedis(bench)
  const store = JSON.stringify({ kind: 'redis', servers: [`127.0.0.1:${redis.port}`] })
  const gateways = [
    await startGateway(bench, { name: 'gateway', store }),
    await startGateway(bench, { name: 'second', store }),
  ] as const
  const bare = [await startBare(bench, 'es', redis.url), await startBare(bench, 'es', redis.url)] as const
  const sides: readonly Side[] = [
    { name: 'one bare', servers: [bare[0]] },
    { name: 'two bare', servers: bare },
    { name: 'one gateway', servers: [gateways[0]] },
    { name: 'two gateways', servers: gateways },
  ]
  const drive = [bench.drive, driveBy(second, bench)]
  const reached: boolean[] = []
  for (const kind of ['refresh', 'login'] as const) {
    for (const { servers } of sides)
      for (const [index, { target }] of servers.entries())
        await drive[index]?.({ kind: 'seed', target, concurrency: 8, seconds: 60, count: 100 })
    reached.push(await compared(kind, sides, (side) => measured(kind, side, drive, redis.child)))
  }
  await Promise.all([...gateways, ...bare].map(({ child }) => child.stop()))
  await Promise.all([redis.child.stop(), second.stop(), bench.close()])
  return reached.every(Boolean)
}

const driveBy = (driver: Driver, { upstream }: Bench): Bench['drive'] => {
  return (job) => driver.drive({ ...job, upstreamHost: new URL(upstream).host })
}

async function measured(kind: Kind, { servers }: Side, drive: readonly Bench['drive'][], redis: Child): Promise<Cost> {
  const seconds = setting('SECONDS', 4)
  const cpu = () => servers.reduce((sum, { child }) => sum + child.cpu(), 0)
  const [before, redisBefore] = [cpu(), redis.cpu()]
  const job = { kind, concurrency: AT_ONCE, seconds, count: 1e9 }
  const reports = await Promise.all(
    servers.map(({ target }, index) => (drive[index] as Bench['drive'])({ ...job, target })),
  )
  const failures = reports.flatMap(({ failures: some }: Report) => Object.entries(some))
  if (failures.length > 0) throw new Error(`${failures.map(([text, count]) => `${count} × ${text}`).join(', ')}`)
  const done = reports.reduce((sum, report) => sum + report.done, 0)
  const each = (secondsOfCpu: number) => (secondsOfCpu / done) * 1000
  return { server: each(cpu() - before), redis: each(redis.cpu() - redisBefore), rate: done / seconds }
}

/** Rounds of all sides in turn, so that what else the machine does meets all of them. */
async function compared(kind: Kind, sides: readonly Side[], measure: (side: Side) => Promise<Cost>): Promise<boolean> {
  const costs = new Map<Side, Cost[]>(sides.map((side) => [side, []]))
  for (const side of sides) await measure(side) // warm
  for (let n = 0; n < setting('ROUNDS', 8); n++)
    for (const side of n % 2 === 0 ? sides : sides.toReversed()) costs.get(side)?.push(await measure(side))
  const [bare = 1, bares = 1, one = 1, two = 1] = sides.map((side) => {
    const all = costs.get(side) ?? []
    const middle = (what: keyof Cost) => median(all.map((cost) => cost[what]))
    console.log(
      `${kind}, ${side.name}: ${middle('server').toFixed(2)} ms CPU each, and ${middle('redis').toFixed(2)} ms of Redis; ${middle('rate').toFixed(0)}/s`,
    )
    return middle('server')
  })
  const [ofBare, second, shared] = [one / bare, two / one, bares / bare]
  const most = Math.max(MOST.second, shared)
  console.log(
    `scale: ${kind}: one gateway ${ofBare.toFixed(2)} of the bare library's CPU time (at most ${MOST.bare}); two ${second.toFixed(3)} of one's (at most ${most.toFixed(3)}; two bare are ${shared.toFixed(3)} of one's)`,
  )
  return ofBare <= MOST.bare && second <= most
}
