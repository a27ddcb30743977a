import type { Clock } from '../core/ports.ts'
import type { Live } from '../targets/live.ts'

/**
 * Stops changed rules, or claims that are suddenly empty, from taking much from many at once. What ends because its proof has ended is
 * never asked about here.
 */
export interface Guard {
  /** Whether a pass may take from all of these; where not, nothing is taken from anybody until a pass may again. */
  pass(subs: readonly string[], accounts: number): boolean
  /** Whether one more may lose something now, between two passes. */
  one(sub: string): boolean
  /** Whether the last pass may not. */
  holding(): boolean
}

/** @param limits asked anew at each use: a reload may change them */
export function openGuard(now: Clock, limits: () => Pick<Live, 'every' | 'atOnce'>): Guard {
  /** Whoever lost something lately, and when; Unix seconds. */
  const lately = new Map<string, number>()
  let held = false
  /** As many as the last pass found. */
  let known = 0

  const admit = (subs: readonly string[], accounts: number): boolean => {
    const { every, atOnce } = limits()
    for (const [sub, at] of lately) if (at <= now() - every) lately.delete(sub)
    const most = Math.max(atOnce.accounts, Math.floor((atOnce.percent * accounts) / 100))
    if (subs.length > 0 && new Set([...lately.keys(), ...subs]).size > most) return false
    for (const sub of subs) lately.set(sub, now())
    return true
  }

  return {
    pass(subs, accounts) {
      known = accounts
      held = !admit(subs, accounts)
      return !held
    },
    one: (sub) => !held && admit([sub], known),
    holding: () => held,
  }
}
