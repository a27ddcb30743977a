/** What a report says of the times that were measured, in milliseconds. */
export function spread(times: number[]): { readonly done: number; readonly p50: number; readonly p99: number } {
  times.sort((one, other) => one - other)
  const quantile = (part: number) => times[Math.floor(part * times.length)] ?? 0
  return { done: times.length, p50: quantile(0.5), p99: quantile(0.99) }
}
