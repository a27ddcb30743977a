/** Memory over many first sign-ins. */
import { setting } from './compare.ts'
import { startGateway } from './gateway.ts'
import { openBench } from './servers.ts'

/**
 * Until then what is bounded fills: SQLite's pages, compiled code, V8's heap up to its first large collections, and for a minute the codes
 * of all sign-ins, which are remembered until they end. Whichever is later.
 */
const filling = { signIns: 8000, seconds: 75 }
const step = 500
const shown = 1000

/** KB for each sign-in after that: 1,000,000 would cost 1 GB. A session that leaked would hold 10 KB and more. */
const bound = 1

/** The slope of the line through the points with least squares: one garbage collection more or less hardly moves it. */
function slope(points: readonly Point[]): number {
  const mean = (at: 0 | 1) => points.reduce((sum, point) => sum + point[at], 0) / points.length
  const [x, y] = [mean(0), mean(1)]
  const over = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0)
  return over / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0)
}

/** Sign-ins, and the resident memory in KB after them. */
type Point = readonly [signIns: number, rss: number]

/** Resident memory stays flat: says by how many KB it grows with each sign-in once it has stopped to fill, and where it stands then. */
export async function growth(): Promise<boolean> {
  const total = setting('LOGINS', 20_000)
  const bench = await openBench()
  const { child, target } = await startGateway(bench)
  const begun = performance.now()
  const seconds = () => (performance.now() - begun) / 1000
  let cpu = child.cpu()
  const more = async (before: number): Promise<Point> => {
    const done = before + step
    const report = await bench.drive({ kind: 'login', target, concurrency: 8, seconds: 120, count: step })
    const failures = Object.entries(report.failures)
    if (failures.length > 0 || report.done !== step) throw new Error(`sign-ins failed: ${JSON.stringify(failures)}`)
    if (done % shown === 0) {
      const each = ((child.cpu() - cpu) / shown) * 1000
      cpu = child.cpu()
      console.log(`  ${done} sign-ins: ${megabytes(child.rss())}, ${each.toFixed(2)} ms CPU each`)
    }
    return [done, child.rss()]
  }
  const idle = child.rss()
  let full: Point = [0, idle]
  while (full[0] < filling.signIns || seconds() < filling.seconds) full = await more(full[0])
  const points = [full]
  for (let at = full; at[0] < full[0] + total; points.push(at)) at = await more(at[0])
  const [last, rss] = points.at(-1)!
  console.log(`  ${(last / seconds()).toFixed(0)} sign-ins a second`)
  await Promise.all([child.stop(), bench.close()])
  console.log(
    `  ${megabytes(idle)} idle, ${megabytes(full[1])} after ${full[0]} sign-ins, ${megabytes(rss)} after ${last}`,
  )
  const each = slope(points)
  console.log(`memory: ${each.toFixed(2)} KB for each of ${total} sign-ins (at most ${bound}), at ${megabytes(rss)}`)
  return each <= bound
}

const megabytes = (kilobytes: number) => `${(kilobytes / 1024).toFixed(0)} MB`
