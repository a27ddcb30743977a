/**
 * The most processor time that this thread spent in one turn of the event loop while something was done, in milliseconds; by the least of a few
 * runs, since the first compile. The wall clock would count what other processes take.
 */
export async function blocked(work: () => Promise<unknown>): Promise<number> {
  const runs: number[] = []
  for (let run = 0; run < 5; run += 1) runs.push(await longestTurn(work))
  return Math.min(...runs)
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
  await work()
  going = false
  await new Promise((resolve) => setImmediate(resolve))
  return longest
}
