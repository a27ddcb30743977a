import type { Log } from '../core/ports.ts'
import type { Ledger } from './ledger.ts'

/** Says of what is left where the gateway wrote and does not write any more: a target was renamed, taken out, or lost `reconcile`. */
export async function tellOrphans(log: Log, ledger: Ledger, targets: ReadonlySet<string>): Promise<void> {
  for (const [target, accounts] of await ledger.open()) {
    if (targets.has(target)) continue
    log('error', 'the gateway wrote into a target that it may not write into any more: nobody takes it back', {
      target,
      accounts,
      advice:
        `put the target back under this id, with reconcile; before it goes for good, let no rule give anything there ` +
        `and run 'lotse reconcile ${target} --yes'`,
    })
  }
}
