import type { Entry } from './store.ts'

/** One write, with its lifetime already turned into a moment and its links complete. */
export interface Write {
  readonly kind: string
  readonly id: string
  readonly value: string
  /** Unix seconds; Infinity where it has no end. */
  readonly expiresAt: number
  readonly alias: string | undefined
  readonly groups: readonly string[]
}

/**
 * One half of the embedded store, the durable or the volatile one: the verbs of `Store` without waiting, each atomic because
 * nothing else runs meanwhile. `now` is Unix seconds. Revocation is decided above; a shelf only deletes the members.
 */
export interface Shelf {
  get(kind: string, id: string, now: number): Entry | undefined
  find(kind: string, alias: string, now: number): Entry | undefined
  put(write: Write, now: number): void
  /** Whether nothing was there. */
  add(write: Write, now: number): boolean
  /** Overwrites value and end where the value is still `from`; keeps alias, groups and `consumedAt`. */
  replace(write: Omit<Write, 'alias' | 'groups'>, from: string, now: number): boolean
  take(kind: string, id: string, now: number): Entry | undefined
  consume(kind: string, id: string, now: number): 'first' | number | undefined
  delete(kind: string, id: string): void
  members(group: string, now: number): readonly { readonly kind: string; readonly id: string }[]
  list(kind: string, limit: number, now: number): readonly Entry[]
  /** Deletes every member of a group. */
  drop(group: string): void
  /** Deletes expired entries, at most `limit`; how many it was. */
  sweep(limit: number, now: number): number
}

/** An `Entry` without the keys that are undefined. */
export function entryOf(id: string, value: string, expiresAt: number, consumedAt: number | undefined): Entry {
  return consumedAt === undefined ? { id, value, expiresAt } : { id, value, expiresAt, consumedAt }
}
