import { kinds } from './kinds.ts'
import type { Kind, Store } from './store.ts'

/** A store that counts what this process took back, so that who remembers an answer can tell that it may be wrong by now. */
export interface Counted {
  readonly store: Store
  /** Grows with each revocation, with each token that ends, and with each end of all that a person or client holds, once it is done. */
  readonly withdrawn: () => number
}

const tokens: ReadonlySet<Kind> = new Set([
  kinds.AccessToken,
  kinds.ClientCredentials,
  kinds.RefreshToken,
  kinds.Grant,
  kinds.RevokedToken,
])

/** Whatever is written there ends something. */
const endings: ReadonlySet<Kind> = new Set([kinds.RevokedToken, kinds.EndedAt])

/** What another process takes back is not counted: a memory of answers must end by itself, too. */
export function countWithdrawals(store: Store): Counted {
  let count = 0
  const counting = async <T>(work: Promise<T>): Promise<T> => {
    // Also what failed: it may have happened all the same.
    try {
      return await work
    } finally {
      count++
    }
  }
  return {
    withdrawn: () => count,
    store: {
      ...store,
      revoke: (group, ttl) => counting(store.revoke(group, ttl)),
      delete: (kind, id) => (tokens.has(kind) ? counting(store.delete(kind, id)) : store.delete(kind, id)),
      put: (kind, ...rest) => (endings.has(kind) ? counting(store.put(kind, ...rest)) : store.put(kind, ...rest)),
      swap: (kind, ...rest) => (endings.has(kind) ? counting(store.swap(kind, ...rest)) : store.swap(kind, ...rest)),
    },
  }
}
