import { isDeepStrictEqual } from 'node:util'
import { collection, kinds } from '../store/collection.ts'
import type { Store } from '../store/store.ts'
import type { Account } from '../targets/live.ts'

/** An account with the target at which it is. */
interface Entered extends Account {
  readonly target: string
}

/** What the gateway wrote at its targets, and so may take back; what is not in it was written by others. */
export interface Ledger {
  get(target: string, sub: string): Promise<Account | undefined>
  /** Every account at a target. */
  all(target: string): Promise<readonly Account[]>
  /** Changes an account, or begins it; writes nothing where nothing changes. @param change pure */
  change(target: string, sub: string, change: (account: Account) => Account): Promise<Account>
}

/** Accounts of all targets: far more than any cloud has. */
const MOST = 5_000_000

/** What somebody has of whom nothing is known yet. */
export const noAccount = (sub: string): Account => ({ sub, leases: {}, locked: false })

/** The key of an account, here and wherever one process works on it. */
export const accountKey = (target: string, sub: string): string => `${target}\n${sub}`

export function openLedger(store: Store): Ledger {
  const entries = collection<Entered>(store, kinds.Account)
  return {
    get: (target, sub) => entries.get(accountKey(target, sub)),
    async all(target) {
      return (await entries.list(MOST)).flatMap(({ value }) => (value.target === target ? [value] : []))
    },
    async change(target, sub, change) {
      const key = accountKey(target, sub)
      const before = await entries.get(key)
      const after = { ...change(before ?? noAccount(sub)), target }
      if (before && isDeepStrictEqual(before, after)) return before
      const changed = await entries.update(key, (current) => ({ ...change(current ?? noAccount(sub)), target }))
      return changed ?? after
    },
  }
}
