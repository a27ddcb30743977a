import type { Clock } from '../core/ports.ts'
import { kinds } from '../store/kinds.ts'
import type { Store } from '../store/store.ts'

/** One process alone works on an account. */
export interface Claim {
  /**
   * Right before each change at the target, when nothing is left to wait for: a change may take `STEP` seconds from here.
   * @throws {ClaimLost} where another process may be at it by now
   */
  hold(): Promise<void>
  release(): Promise<void>
}

/** This process was too slow, and another may have begun: nothing more is done here. */
export class ClaimLost extends Error {
  override readonly name = 'ClaimLost'
}

export interface Claims {
  /** Undefined where somebody else is at it. */
  claim(key: string): Promise<Claim | undefined>
  /** The keys that somebody works on now. */
  taken(): Promise<ReadonlySet<string>>
}

/** Seconds for which a claim holds unless it is prolonged: so long an account waits when the process that worked on it died. */
export const HOLDS = 30
/** Seconds that one change may take; so much at least is left of a claim that was held. */
export const STEP = 25
const MOST = 100_000

export function openClaims(store: Store, now: Clock, random: () => string): Claims {
  return {
    async claim(key) {
      const token = random()
      let until = now() + HOLDS
      if (!(await store.add(kinds.Settling, key, token, HOLDS))) return undefined
      return {
        async hold() {
          if (now() < until - STEP) return
          const next = now() + HOLDS
          const ours = until > 0 && (await store.swap(kinds.Settling, key, token, token, HOLDS))
          if (!ours) throw new ClaimLost('another process may be at this account: the claim on it ran out')
          until = next
        },
        async release() {
          until = 0 // what still waits for its turn finds no claim
          // One that ran out, by whatever clock, may be another process's by now.
          if ((await store.get(kinds.Settling, key))?.value === token) await store.delete(kinds.Settling, key)
        },
      }
    },
    taken: async () => new Set((await store.list(kinds.Settling, MOST)).map(({ id }) => id)),
  }
}
