import { readFileSync } from 'node:fs'

/**
 * Milliseconds that something took, without those in which this thread was ready to run and others had the processors: what it would take on
 * a machine that has nothing else to do, as far as this process goes. The wall clock where the system does not count them.
 */
export async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const [began, before] = [performance.now(), kept()]
  await work()
  return performance.now() - began - (kept() - before)
}

/** Milliseconds so far in which the first thread of this process stood in the queue of a processor. @see sched-stats in the kernel's documentation */
function kept(): number {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[1]) / 1e6
  } catch {
    return 0
  }
}

/**
 * The most processor time that this thread spent in one turn of the event loop while something was done, in milliseconds; by the least of at
 * most thirty runs: the first ones compile, and on a busy machine others take the caches away. The wall clock would count what other processes take.
 * @param enough ends with the first run below it
 */
export async function blocked(work: () => Promise<unknown>, enough: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let run = 0; run < 30 && least >= enough; run += 1) least = Math.min(least, await longestTurn(work))
  return least
}

/** The longest turn while something was done once. */
export async function longestTurn(work: () => Promise<unknown>): Promise<number> {
  const spent = () => {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1000
  }
  let [last, longest, going] = [spent(), 0, true]
  const turn = () => {
    const now = spent()
    longest = Math.max(longest, now - last)
    last = now
    if (going) setImmediate(turn)
  }
  setImmediate(turn)
  await new Promise((resolve) => setImmediate(resolve))
  try {
    await work()
  } finally {
    going = false // else the process of a test that fails in here would turn for ever
  }
  await new Promise((resolve) => setImmediate(resolve))
  return longest
}
