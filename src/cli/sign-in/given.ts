import { createHash } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { givenFileOf, type Held, type Place, unfinishedOf } from './session.ts'

/** Which process was given a token last. */
interface Given {
  readonly parent: number
  readonly resource: string
  /** Of which token: no secret. */
  readonly digest: string
  /** Unix seconds. */
  readonly at: number
  /** It had been given another before, and came back. */
  readonly again: boolean
}

/** Seconds in which a process that comes back comes because it was refused: kubectl keeps a token in its memory. */
const SOON = 60

const digestOf = ({ token }: Held) => createHash('sha256').update(token).digest('hex').slice(0, 16)

function lastGiven(place: Place): Partial<Given> {
  try {
    return (JSON.parse(readFileSync(givenFileOf(place), 'utf8')) ?? {}) as Partial<Given>
  } catch {
    return {}
  }
}

/**
 * What it means that this process asks: nothing, or that its cluster has refused the token that it was given, once (a key was revoked:
 * another token helps) or twice (none will). kubectl does not tell, and asks up to ten times.
 */
export function refusals(place: Place, resource: string, held: Held, by: Asking): 'none' | 'once' | 'twice' {
  const last = lastGiven(place)
  const same = last.parent === by.parent && last.resource === resource && last.digest === digestOf(held)
  const age = by.now - (last.at ?? 0)
  if (!same || age < 0 || age > SOON) return 'none'
  return last.again ? 'twice' : 'once'
}

/** Who asks, and when in Unix seconds. */
export interface Asking {
  readonly parent: number
  readonly now: number
}

/** Remembers who was given what. A loss does no harm, so this neither waits for the disk nor fails. */
export function noteGiven(place: Place, resource: string, held: Held, by: Asking & { readonly again: boolean }): void {
  const given: Given = { parent: by.parent, resource, digest: digestOf(held), at: by.now, again: by.again }
  const unfinished = unfinishedOf(place)
  try {
    writeFileSync(unfinished, JSON.stringify(given), { mode: 0o600 })
    renameSync(unfinished, givenFileOf(place))
  } catch {
    // A cache that cannot be written was told where a token had to be kept; who holds the lock may have swept this one away.
  }
}
