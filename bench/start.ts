/** How long a server takes to its first answer, and what it holds while nobody asks. */
import { median, setting } from './compare.ts'
import { gatewayPlan } from './gateway.ts'
import { ready, serverCore, start } from './process.ts'
import { barePlan, openBench } from './servers.ts'

const longest = 400
const largest = 110

/** After the first answer, for what is compiled or collected a moment later. */
const settle = 2000

interface Started {
  readonly milliseconds: number
  readonly megabytes: number
}

async function once(plan: Awaited<ReturnType<typeof barePlan>>): Promise<Started> {
  const child = start(serverCore, plan.words, plan.options)
  const milliseconds = await ready(plan.origin, child, plan.options.log)
  await new Promise((resolve) => setTimeout(resolve, settle))
  const megabytes = child.rss() / 1024
  await child.stop()
  return { milliseconds, megabytes }
}

/** From exec to the first 200 on discovery, and idle memory, in turns with the bare library; keys and database are there. */
export async function coldStart(): Promise<boolean> {
  const bench = await openBench()
  const plans = [await gatewayPlan(bench), await barePlan(bench)]
  const results = new Map<string, Started[]>(plans.map(({ target }) => [target.name, []]))
  for (const plan of plans) await once(plan)
  for (let n = 0; n < setting('ROUNDS', 7); n++)
    for (const plan of plans) results.get(plan.target.name)?.push(await once(plan))
  await bench.close()
  const of = (name: string) => {
    const all = results.get(name)!
    const times = all.map(({ milliseconds }) => milliseconds)
    const found = { time: median(times), size: median(all.map(({ megabytes }) => megabytes)) }
    const range = `${Math.min(...times).toFixed(0)}–${Math.max(...times).toFixed(0)}`
    console.log(`  ${name.padEnd(9)}${found.time.toFixed(0)} ms (${range}), ${found.size.toFixed(0)} MB`)
    return found
  }
  const { time, size } = of('gateway')
  of('bare')
  console.log(`start: ${time.toFixed(0)} ms (at most ${longest}), ${size.toFixed(0)} MB idle (at most ${largest})`)
  return time <= longest && size <= largest
}
