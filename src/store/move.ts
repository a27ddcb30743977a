import type { Entry } from './store.ts'
import { StoreUnavailable } from './store.ts'

/** An entry with all that a store knows of it. */
export interface Moved extends Entry {
  readonly kind: string
  readonly alias?: string
  readonly groups?: readonly string[]
}

/** Something that a store holds. `revoked`: a group that refuses members; `until` in Unix seconds. */
export type Piece = { readonly entry: Moved } | { readonly revoked: string; readonly until: number }

/** A store that no gateway serves from, to be read or filled as a whole. */
export interface Mover {
  /**
   * All that has not ended, of kinds that survive a crash.
   * @throws {StoreUnavailable} at its end where something was written meanwhile, of which what came before may know nothing
   */
  pieces(): AsyncIterable<Piece>
  /**
   * Takes all of it but the members of groups that it says are revoked, or nothing.
   * @param read begins anew at each call, and throws where something is wrong with what it reads
   * @throws {StoreUnavailable} where something is there already
   */
  fill(read: () => AsyncIterable<Piece>): Promise<void>
  close(): Promise<void>
}

/** What is said where a command revoked or used something that may have been read before. */
export const CHANGED = 'something was written into this store while it was read: run this again'

/** Whether an entry is in one of these groups, and so must not be alive, whatever else a file says. */
export const isRevoked = (piece: Piece, revoked: ReadonlySet<string>): boolean =>
  'entry' in piece && (piece.entry.groups ?? []).some((group) => revoked.has(group))

/** What the first line of a file says. */
export interface Head {
  readonly lotseStore: number
  /** Proves that the root secret is the one that seals what is in the file. */
  readonly root: string
  /** Unix seconds. */
  readonly at: number
}

/** The version of the file's form: each line JSON, a `Head`, then pieces, then how many there were. */
export const FORM = 1

/** JSON has no Infinity, and writes null. */
const back = (key: string, value: unknown) =>
  (key === 'expiresAt' || key === 'until') && value === null ? Infinity : value

/** One line of JSON for whoever reads it: some take these two for ends of lines, as Node's readline does. */
const lineOf = (value: unknown): string =>
  JSON.stringify(value).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')

/** The lines of a file. */
export async function* linesOf(head: Head, pieces: AsyncIterable<Piece>): AsyncIterable<string> {
  yield lineOf(head)
  let count = 0
  for await (const piece of pieces) {
    count++
    yield lineOf(piece)
  }
  yield lineOf({ pieces: count })
}

const refuse = (why: string): never => {
  throw new StoreUnavailable(why)
}

/**
 * The first line of a file.
 * @throws {StoreUnavailable} where it is not one of this version, or of another root secret
 */
export function headOf(line: string | undefined, root: string): Head {
  const head = parsed(line ?? '', 1) as Partial<Head> | null
  if (typeof head?.lotseStore !== 'number') return refuse('this file was not written by lotse store export')
  if (head.lotseStore > FORM)
    return refuse(`the file has version ${head.lotseStore} and this program knows up to ${FORM}: use the newer version`)
  if (head.root !== root)
    return refuse(
      'the file was written with another root secret: give this installation that one, or its keys and sealed parts cannot be read',
    )
  return head as Head
}

/**
 * The pieces of a file.
 * @throws {StoreUnavailable} where a line is none, or lines are missing
 */
export async function* piecesOf(lines: AsyncIterable<string>): AsyncIterable<Piece> {
  let number = 0
  let end: number | undefined
  for await (const line of lines) {
    number++
    if (number === 1) continue
    if (end !== undefined) refuse(`line ${number}: something follows the end`)
    const value = parsed(line, number)
    if (isPiece(value)) yield value
    else
      end = (value as { pieces?: unknown } | null)?.pieces === number - 2 ? number : refuse(`line ${number}: no entry`)
  }
  if (end === undefined) refuse('the file ends too early: it was not written to its end')
}

function parsed(line: string, number: number): unknown {
  try {
    return JSON.parse(line, back)
  } catch {
    return refuse(`line ${number}: no JSON`)
  }
}

function isPiece(value: unknown): value is Piece {
  if (typeof value !== 'object' || value === null) return false
  if ('revoked' in value)
    return typeof value.revoked === 'string' && 'until' in value && typeof value.until === 'number'
  const entry = 'entry' in value ? (value.entry as Partial<Record<keyof Moved, unknown>> | null) : null
  if (!entry || typeof entry.expiresAt !== 'number') return false
  return [entry.kind, entry.id, entry.value].every((each) => typeof each === 'string')
}
