/**
 * A kind of thing that is stored. `durable: true` survives a crash once its write was acknowledged; `durable: false` may die with
 * the process and never comes back half-used: what a crash may cost is one sign-in in flight (interactions, codes, pending states).
 */
export interface Kind {
  readonly name: string
  readonly durable: boolean
  /**
   * Whoever has one gets in by it. A store that finds that it lost acknowledged writes (a replica that was behind became the primary)
   * gives back none of those that were written before: one of them may have been used or revoked since.
   */
  readonly lapses?: boolean
}

export interface Entry {
  readonly id: string
  readonly value: string
  /** Unix seconds; Infinity where it has no end. */
  readonly expiresAt: number
  /** Unix seconds at which `consume` was first called. */
  readonly consumedAt?: number
}

export interface Links {
  /** A second key that finds this entry (`find`): a session's uid, a user code. Finds the entry of the kind that named it last. */
  readonly alias?: string
  /** At most 5 groups that this entry belongs to, over kinds: `revoke(group)` deletes it. Such as `grant:ID`, `session:UID`, `proof:ID`. */
  readonly groups?: readonly string[]
}

/**
 * What the gateway remembers. Every promise is atomic over all callers of one store, in however many processes:
 *
 * - a promise that resolved is remembered (durable kinds: also over a crash of the process);
 * - an expired entry is never returned, and its id may be used again;
 * - of several callers of `add`, `take`, `consume` or `swap` for one entry exactly one is told that it was first;
 * - after `revoke(group)` resolved no member of the group can be read, and a `put`, `add` or `swap` that names the group is refused
 *   for `ttl` seconds, so that a token written after its grant was revoked does not survive;
 * - a failure is thrown as StoreUnavailable, within a second, and is never told as "not found" (law 4).
 *
 * Keys are any well-formed text up to 512 characters: nothing is found under another, and writing one throws a RangeError. Values are
 * any well-formed text up to 1,048,576 characters. `ttl` is in seconds, at least 1, or Infinity.
 */
export interface Store {
  get(kind: Kind, id: string): Promise<Entry | undefined>
  /** Looks up by alias. */
  find(kind: Kind, alias: string): Promise<Entry | undefined>
  /** Writes or overwrites, links too; keeps `consumedAt` of what was there. False: a group of it is revoked, nothing was written. */
  put(kind: Kind, id: string, value: string, ttl: number, links?: Links): Promise<boolean>
  /** Writes only where nothing is. False: something is there, or a group of it is revoked. */
  add(kind: Kind, id: string, value: string, ttl: number, links?: Links): Promise<boolean>
  /** Overwrites only where the value is still `from` (undefined: nothing is there), keeps links and `consumedAt`. False: it is not. */
  swap(kind: Kind, id: string, from: string | undefined, to: string, ttl: number): Promise<boolean>
  /** Reads and deletes in one step. */
  take(kind: Kind, id: string): Promise<Entry | undefined>
  /** Marks as used, once: 'first' for one caller, the earlier time (Unix seconds) for the rest, undefined where nothing is. */
  consume(kind: Kind, id: string): Promise<'first' | number | undefined>
  delete(kind: Kind, id: string): Promise<void>
  /** Every member of a group that can still be read. */
  members(group: string): Promise<readonly { readonly kind: string; readonly id: string }[]>
  /** All entries of one kind, for operators' commands and small kinds; at most `limit`. */
  list(kind: Kind, limit: number): Promise<readonly Entry[]>
  /** Deletes all members and refuses new ones for `ttl` seconds. Idempotent. */
  revoke(group: string, ttl: number): Promise<void>
  /** Proves that a write would be acknowledged now. @throws StoreUnavailable */
  check(): Promise<void>
  close(): Promise<void>
}

/**
 * The store cannot be read or written now. Answered as 503 with `temporarily_unavailable`, never as "not found" (law 4): the
 * fields are those that koa and oidc-provider read of an error that may be told.
 */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable'
  readonly status = 503
  readonly statusCode = 503
  readonly expose = true
  readonly error_description = 'the gateway cannot use its store now; try again in a moment'
  /** For the log: which operation failed, and how. */
  readonly detail: string

  constructor(detail: string, options?: ErrorOptions) {
    super('temporarily_unavailable', options)
    this.detail = detail
  }
}
