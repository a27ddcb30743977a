/** Memory over many first sign-ins. */
import { setting } from './compare.ts'
import { startGateway } from './gateway.ts'
import { openBench } from './servers.ts'

/** Sign-ins in which caches fill: SQLite's pages, compiled code, the heap's working size. */
const filling = 4000
const step = 500
const shown = 1000

/** KB for each sign-in after those: 1,000,000 would cost 1 GB. A session that leaked would hold 10 KB and more. */
const bound = 1

/** The slope of the line through the points with least squares: one garbage collection more or less hardly moves it. */
function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (at: 0 | 1) => points.reduce((sum, point) => sum + point[at], 0) / points.length
  const [x, y] = [mean(0), mean(1)]
  const over = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0)
  return over / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0)
}

/** Resident memory stays flat: says by how many KB it grows with each sign-in. */
export async function growth(): Promise<boolean> {
  const total = setting('LOGINS', 20_000)
  const bench = await openBench()
  const { child, target } = await startGateway(bench)
  const points: [number, number][] = []
  const begun = performance.now()
  let cpu = child.cpu()
  for (let done = 0; done < total; done += step) {
    const report = await bench.drive({ kind: 'login', target, concurrency: 8, seconds: 120, count: step })
    const failures = Object.entries(report.failures)
    if (failures.length > 0 || report.done !== step) throw new Error(`sign-ins failed: ${JSON.stringify(failures)}`)
    points.push([done + step, child.rss()])
    if ((done + step) % shown === 0) {
      const each = ((child.cpu() - cpu) / shown) * 1000
      cpu = child.cpu()
      console.log(`  ${done + step} sign-ins: ${(child.rss() / 1024).toFixed(0)} MB, ${each.toFixed(2)} ms CPU each`)
    }
  }
  console.log(`  ${(total / ((performance.now() - begun) / 1000)).toFixed(0)} sign-ins a second`)
  await Promise.all([child.stop(), bench.close()])
  const each = slope(points.filter(([done]) => done >= filling))
  console.log(`memory: ${each.toFixed(2)} KB for each sign-in after the first ${filling} (at most ${bound})`)
  return each <= bound
}
