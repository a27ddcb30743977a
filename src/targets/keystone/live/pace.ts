/** Milliseconds for which a request keeps its place. */
const SECOND = 1000

/**
 * A turnstile: at most so many pass in any second, in the order in which they came.
 * @param perSecond at least 1
 */
export function openPace(perSecond: number): () => Promise<void> {
  const waiting: (() => void)[] = []
  let free = perSecond
  const leave = () => {
    const next = waiting.shift()
    if (next === undefined) free++
    else enter(next)
  }
  const enter = (go: () => void) => {
    setTimeout(leave, SECOND).unref()
    go()
  }
  return () =>
    new Promise<void>((resolve) => {
      if (free === 0) waiting.push(resolve)
      else {
        free--
        enter(resolve)
      }
    })
}
