import { setImmediate as nextTurn } from 'node:timers/promises'
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
  /** The accounts of some people at a target, by sub. */
  some(target: string, subs: readonly string[]): Promise<ReadonlyMap<string, Account>>
  /** Every account at a target. Reads those of all targets: for what is done now and then. */
  all(target: string): Promise<readonly Account[]>
  /** By target, how many accounts there have something that the gateway is to take back. */
  open(): Promise<ReadonlyMap<string, number>>
  /** Changes an account, or begins it; writes nothing where nothing changes. @param change pure */
  change(target: string, sub: string, change: (account: Account) => Account): Promise<Account>
}

/** Accounts of all targets: far more than any cloud has. */
const MOST = 5_000_000
/** Accounts read in one turn of the event loop, so that requests come in between. */
const IN_ONE_TURN = 50

/** What somebody has of whom nothing is known yet. */
export const noAccount = (sub: string): Account => ({ sub, leases: {}, locked: false })

/** The key of an account, here and wherever one process works on it. */
export const accountKey = (target: string, sub: string): string => `${target}\n${sub}`

export function openLedger(store: Store): Ledger {
  const entries = collection<Entered>(store, kinds.Account)
  return {
    get: (target, sub) => entries.get(accountKey(target, sub)),
    async some(target, subs) {
      const found = new Map<string, Account>()
      for (let at = 0; at < subs.length; at += IN_ONE_TURN) {
        const keys = subs.slice(at, at + IN_ONE_TURN).map((sub) => accountKey(target, sub))
        for (const account of await Promise.all(keys.map((key) => entries.get(key))))
          if (account) found.set(account.sub, account)
        await nextTurn()
      }
      return found
    },
    async all(target) {
      return (await entries.list(MOST)).flatMap(({ value }) => (value.target === target ? [value] : []))
    },
    async open() {
      const counts = new Map<string, number>()
      for (const { value } of await entries.list(MOST)) {
        if (value.locked && Object.keys(value.leases).length === 0) continue
        counts.set(value.target, (counts.get(value.target) ?? 0) + 1)
      }
      return counts
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
