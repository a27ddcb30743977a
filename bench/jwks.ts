/** The key set under a flood: what every kube-apiserver does at once that meets a key that it does not know, while people sign in. */
import { median, setting } from './compare.ts'
import type { Report } from './driver.ts'
import type { Flood } from './flood.ts'
import { startGateway } from './gateway.ts'
import { openBench, openDriver, type Server } from './servers.ts'

/** Fetches and sign-ins in a second, and milliseconds in which 99 of 100 fetches are answered. */
const [FETCHES, LOGINS, AT_MOST] = [3000, 20, 10]

interface Round {
  readonly flood: Report
  readonly logins: Report
  /** Cores that the server took. */
  readonly cpu: number
}

const failuresOf = (...reports: readonly Report[]) =>
  reports.flatMap(({ failures }) => Object.entries(failures).map(([text, count]) => `${count} × ${text}`)).join(', ')

function show({ flood, logins, cpu }: Round): void {
  const load = ((flood.driverCpu + logins.driverCpu) / flood.seconds) * 100
  console.log(
    `  ${(flood.done / flood.seconds).toFixed(0)} fetches/s: p50 ${flood.p50.toFixed(2)} ms, p99 ${flood.p99.toFixed(2)} ms; ` +
      `${(logins.done / logins.seconds).toFixed(0)} sign-ins/s: p50 ${logins.p50.toFixed(0)} ms, p99 ${logins.p99.toFixed(0)} ms; ` +
      `server ${(cpu * 100).toFixed(0)} % of its core, load ${load.toFixed(0)} % of its own ${failuresOf(flood, logins)}`,
  )
}

/** Whether the load was what it should be; a slow driver or upstream makes a server look quick. */
const isFull = ({ flood, logins }: Round) =>
  failuresOf(flood, logins) === '' &&
  flood.done / flood.seconds > 0.98 * FETCHES &&
  logins.done / logins.seconds > 0.9 * LOGINS

/** Rounds of the flood beside sign-ins, all of them at one pinned server. */
export async function jwks(): Promise<boolean> {
  const bench = await openBench()
  const flooder = openDriver(bench.folder, 'flood.ts')
  const server = await startGateway(bench)
  const seconds = setting('SECONDS', 10)
  const round = async ({ target, child }: Server, fetches: number): Promise<Round> => {
    const before = child.cpu()
    const work: Flood = { origin: target.origin, path: '/jwks', rate: fetches, seconds }
    const [flood, logins] = await Promise.all([
      flooder.drive<Flood, Report>(work),
      bench.drive({ kind: 'login', target, concurrency: 8, seconds, count: LOGINS * seconds, rate: LOGINS }),
    ])
    return { flood, logins, cpu: (child.cpu() - before) / flood.seconds }
  }
  const alone = await round(server, 1)
  console.log('sign-ins alone')
  show(alone)
  const rounds: Round[] = []
  for (let n = 1; n <= setting('ROUNDS', 3); n++) {
    console.log(`round ${n}`)
    rounds.push(await round(server, FETCHES))
    show(rounds.at(-1)!)
  }
  await Promise.all([server.child.stop(), flooder.stop(), bench.close()])
  const p99 = median(rounds.map(({ flood }) => flood.p99))
  const each = ((median(rounds.map(({ cpu }) => cpu)) - alone.cpu) / FETCHES) * 1e6
  console.log(`a fetch costs ${each.toFixed(0)} µs of CPU`)
  const full = rounds.every(isFull)
  if (!full) console.log('not everything that was asked was answered in its time: the figure counts for nothing')
  console.log(`jwks: p99 ${p99.toFixed(2)} ms at ${FETCHES}/s and ${LOGINS} sign-ins/s (at most ${AT_MOST})`)
  return full && p99 <= AT_MOST
}
