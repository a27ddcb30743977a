import type { Log } from '../core/ports.ts'
import { TargetUnavailable } from '../targets/live.ts'
import { ClaimLost } from './claims.ts'

/** Seconds after which what failed is tried again. */
export function waitAfter(failure: 'busy' | Error): number {
  if (failure === 'busy' || failure instanceof ClaimLost) return 1
  if (!(failure instanceof TargetUnavailable)) return 5
  return failure.kind === 'down' ? 1 : 60 // while it is down its gate is closed, and nobody tries
}

/** Says what an operator must see to, each thing once for all that met it. */
export function tellFailures(log: Log, target: string, failures: Iterable<'busy' | Error>): void {
  const told = new Map<string, { readonly error: Error; count: number }>()
  for (const error of failures) {
    if (error === 'busy' || error instanceof ClaimLost || isDown(error)) continue // the gate tells of an outage
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

export const isDown = (error: unknown): boolean => error instanceof TargetUnavailable && error.kind === 'down'
