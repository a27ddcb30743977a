import { gunzipSync, inflateSync } from 'node:zlib'
import { bytesOf } from '../credentials/jws.ts'
import { refusal } from '../refusal.ts'

/** Bytes of a list once unpacked: 32 million credentials of one bit. A packed bomb stops there. */
const LARGEST = 4 * 1024 * 1024
/** Characters of the document in which a list travels. */
export const LONGEST = 1_000_000
/** Seconds for which a list is kept at the most: a credential that is revoked ends access by the next refresh after that. */
export const KEPT = 300

/** A list of statuses, unpacked. */
export interface List {
  readonly bytes: Uint8Array
  readonly bits: number
  /** In which order a byte is read: Token Status List from its lowest bit on, Bitstring Status List from its highest. */
  readonly from: 'lowest' | 'highest'
}

/** @throws {LoginError} where it is not packed like this, or larger than is read */
export function unpacked(text: string, how: 'deflate' | 'gzip'): Uint8Array {
  const bytes = bytesOf(text)
  if (!bytes) throw refusal('the status list is not base64url')
  try {
    const limit = { maxOutputLength: LARGEST }
    return how === 'gzip' ? gunzipSync(bytes, limit) : inflateSync(bytes, limit)
  } catch (cause) {
    throw refusal(`the status list cannot be unpacked, or to more than ${LARGEST} bytes`, cause)
  }
}

/** The value at a place; undefined where the list does not reach that far. */
export function valueAt({ bytes, bits, from }: List, index: number): number | undefined {
  const byte = bytes[Math.floor((index * bits) / 8)]
  if (byte === undefined) return undefined
  const place = (index * bits) % 8
  return (byte >> (from === 'lowest' ? place : 8 - bits - place)) & (2 ** bits - 1)
}
