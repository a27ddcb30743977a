import type { Log } from '../core/ports.ts'
import { TargetUnavailable } from '../targets/live.ts'
import { ClaimLost } from './claims.ts'

/** What keeps failing at one target, in this process. */
export interface Failures {
  /** How often in a row somebody could not be settled. */
  count(sub: string): number
  /** @returns seconds after which it is tried again: more each time */
  failed(sub: string, failure: Error): number
  settled(sub: string): void
}

/** Seconds until a first and a last try; while a target is down its gate is closed, and nobody tries. */
const WAITS = { down: [1, 16], refused: [60, 600], other: [1, 60] } as const

export function openFailures(): Failures {
  const counts = new Map<string, number>()
  return {
    count: (sub) => counts.get(sub) ?? 0,
    failed(sub, failure) {
      const before = counts.get(sub) ?? 0
      counts.set(sub, before + 1)
      const [first, most] = WAITS[failure instanceof TargetUnavailable ? failure.kind : 'other']
      return Math.min(first * 2 ** Math.min(before, 10), most)
    },
    settled: (sub) => void counts.delete(sub),
  }
}

/** Says what an operator must see to, each thing once for all that met it. A claim that was lost once is no such thing. */
export function tellFailures(log: Log, target: string, failures: Iterable<Error>): void {
  const told = new Map<string, { readonly error: Error; count: number }>()
  for (const error of failures) {
    if (error instanceof ClaimLost || isDown(error)) continue // the gate tells of an outage
    const before = told.get(error.message)
    if (before) before.count++
    else told.set(error.message, { error, count: 1 })
  }
  for (const { error, count } of told.values()) {
    const fields = { target, detail: error.message, accounts: count }
    if (error instanceof TargetUnavailable)
      log('error', 'a target refuses what it is to take; its answer says what to change', fields)
    else log('error', 'accounts at a target are not what they are to be yet; it is tried again', fields)
  }
}

/** Times in a row after which something must be slower than it may be. */
const OFTEN = 3

/** Says of accounts whose claims run out again and again. */
export function tellSlow(log: Log, target: string, { count }: Failures, lost: readonly string[]): void {
  const often = lost.filter((sub) => count(sub) === OFTEN)
  if (often.length === 0) return
  log('error', 'accounts at a target are not settled before another process may be at them: it answers too slowly', {
    target,
    accounts: often.length,
  })
}

export const isDown = (error: unknown): boolean => error instanceof TargetUnavailable && error.kind === 'down'
