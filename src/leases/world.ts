import type { Audit } from '../audit.ts'
import type { Decision, Grant } from '../core/decision.ts'
import type { Clock, Log } from '../core/ports.ts'
import type { Subject } from '../core/subject.ts'
import type { Lines } from '../lifecycle/lines.ts'
import type { ProofShelf } from '../lifecycle/proofs.ts'
import type { Rechecks } from '../lifecycle/recheck.ts'
import type { Store } from '../store/store.ts'
import type { Bindings } from '../targets/bindings.ts'
import type { Live } from '../targets/live.ts'

/** A target of the configuration into which the gateway writes. */
export interface LiveTarget {
  readonly id: string
  readonly live: Live
  refuse(grant: Grant): string | undefined
}

/** A target of the configuration at which the gateway keeps bindings. */
export interface BoundTarget {
  readonly id: string
  readonly bindings: Bindings
  /** What rules give there whoever comes: wanted also while nobody is signed in. */
  readonly always: readonly Grant[]
  refuse(grant: Grant): string | undefined
}

/** What the configuration of this moment says. */
export interface World {
  readonly targets: ReadonlyMap<string, LiveTarget>
  readonly bound: ReadonlyMap<string, BoundTarget>
  readonly decide: (subject: Subject, now: number) => Decision
  /** Connectors that are there. Who came by another one (its tenant's file is broken) is left as she is until her proofs end. */
  readonly connectors: ReadonlySet<string>
  /** The subs of clients that stand for themselves, for as long as they are in the configuration. */
  readonly services: readonly string[]
  /** The subject of one of them at a moment; undefined for everybody else. */
  readonly service: (sub: string, now: number) => Subject | undefined
}

/** What the leases count; no person, and targets of the configuration alone. */
export interface LeaseMeter {
  /** Marks that wait. */
  due(count: number): void
  target(target: string, state: 'up' | 'down'): void
  /** A pass looked at everybody and did what was to be done. @param at Unix seconds */
  passed(target: string, at: number): void
  /** Accounts from which nothing is taken before an operator says so. */
  held(target: string, accounts: number): void
}

export interface LeasePorts {
  readonly store: Store
  readonly proofs: ProofShelf
  /** Asks upstreams again before a pass; in a command, beside the process that does, nobody is asked. */
  readonly rechecks?: Rechecks
  readonly lines: Lines
  readonly audit: Audit
  readonly log: Log
  readonly now: Clock
  readonly random: () => string
  readonly meter: LeaseMeter
  /** Asked anew at each use: a reload swaps it. */
  readonly world: () => World
  /** How many processes share the queue; one if absent. */
  readonly processes?: () => number
  /** Once aborted nobody else is begun with: what is left waits in the queue, or for the next pass. */
  readonly stop?: AbortSignal
}
