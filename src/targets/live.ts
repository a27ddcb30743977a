import type { Grant, Identity } from '../core/decision.ts'
import type { Clock, Log } from '../core/ports.ts'

/**
 * A grant that the gateway wrote at a target and has to take back: the target's own stable name of it, such as
 * `project:ID:ROLE`. A grant that somebody else wrote never becomes a lease.
 */
export type Lease = string

/** What the ledger knows of one person, or service, at one target. */
export interface Account {
  /** The gateway's `sub`. */
  readonly sub: string
  /** Each lease, and what it is in words that people read. Noted before it is written, struck off after it was taken back. */
  readonly leases: Readonly<Record<Lease, string>>
  /**
   * The gateway locked the account, or was about to, since nothing stood behind it any more. What somebody else locked stays locked; a
   * target that can say whose lock it is goes by that alone.
   */
  readonly locked: boolean
}

/** What an account is to have at this target. */
export interface Wanted {
  readonly identity: Identity
  /** This target's alone, without those that it refuses; one for each place, as `mergeGrants` makes them. */
  readonly grants: readonly Grant[]
}

/** One change at a target, and what it means for the ledger. */
export interface Step {
  /** What it is about, in words that people read: `member in project web (corp)`; the kind is the verb. */
  readonly says: string
  /** `prepare` makes what a later plan needs (a project, a user); `give`, `take`, `lock` and `unlock` change access; `tidy` changes none. */
  readonly kind: 'prepare' | 'give' | 'take' | 'lock' | 'unlock' | 'tidy'
  /** The lease that `give` writes or `take` takes back. */
  readonly lease?: Lease
  /** The target's own data. */
  readonly does: unknown
}

/** What a target says about accounts; only the target that made it reads it. */
export interface Observed {
  readonly of: unknown
}

/** What the leases ask about: an account, and what it is to have; `gone` where nothing stands behind it any more. */
export interface Question {
  readonly account: Account
  readonly wanted: Wanted | 'gone'
}

/**
 * A target into which the gateway writes. The caller observes, plans, applies every step in order, and begins again until a plan is
 * empty: a `prepare` step ends a plan, since what comes after it needs to be observed first.
 */
export interface Live {
  /** Options of every live target; seconds. */
  readonly every: number
  readonly ifUnreachable: 'go-on' | 'refuse'
  readonly atOnce: { readonly accounts: number; readonly percent: number }
  /**
   * What is there now, for all of these accounts. Few: a handful of questions each. Many: everything at once, one read for a hundred
   * accounts or more.
   * @throws {TargetUnavailable}
   */
  observe(questions: readonly Question[]): Promise<Observed>
  /** What has to be done for one of the accounts that were observed. Pure; the same input gives the same steps in the same order. */
  plan(question: Question, observed: Observed): readonly Step[]
  /** Does one step; doing it twice is doing it once. @throws {TargetUnavailable} */
  apply(step: Step): Promise<void>
}

/** The powers that a live target may use. */
export interface LivePorts {
  readonly now: Clock
  readonly fetch: typeof globalThis.fetch
  readonly log: Log
}

/** The target cannot be asked or written now, or refuses what it has to take; nothing is known about what it did. */
export class TargetUnavailable extends Error {
  override readonly name = 'TargetUnavailable'
  /** `down`: nobody answers, or with 5xx: ask later. `refused`: it answers and says no to this: somebody has to look. */
  readonly kind: 'down' | 'refused'

  constructor(kind: 'down' | 'refused', message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}
