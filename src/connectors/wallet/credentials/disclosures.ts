import { hash } from 'node:crypto'
import type { Json } from '../credential.ts'
import { refusal } from '../refusal.ts'
import { bytesOf, DEPTH, isObject, type JsonObject, jsonOf } from './jws.ts'

/** RFC 9901, 4.1.1; by their names in the IANA registry of named information hashes. */
const hashes: Readonly<Record<string, string>> = { 'sha-256': 'sha256', 'sha-384': 'sha384', 'sha-512': 'sha512' }

/** The hash function that the issuer chose for this SD-JWT. @throws {LoginError} `upstream_rejected` */
export function hashOf(payload: JsonObject): (text: string) => string {
  const { _sd_alg: name = 'sha-256' } = payload
  const algorithm = typeof name === 'string' && Object.hasOwn(hashes, name) ? hashes[name] : undefined
  if (algorithm === undefined) throw refusal('its digests are made in a way that is not taken')
  return (text) => hash(algorithm, text, 'base64url')
}

/** What one disclosure says: a claim of an object, or an element of an array. */
interface Disclosure {
  readonly name?: string
  readonly value: Json
}

/** What is still to be found in the payload, by digest, and which digests were met. */
interface Pending {
  readonly disclosures: Map<string, Disclosure>
  readonly met: Set<string>
  /** How much deeper it may go: each disclosure is shallow, and one may hold the digest of the next. */
  readonly depth: number
}

/**
 * The payload of an SD-JWT with what was disclosed in its place (RFC 9901, 7.1, step 3). Each disclosure is named by exactly one digest, and
 * no digest stands twice: else one signed place could be filled with a claim that the issuer put elsewhere.
 * @throws {LoginError} `upstream_rejected`
 */
export function disclosed(payload: JsonObject, texts: readonly string[]): JsonObject {
  const digest = hashOf(payload)
  const disclosures = new Map<string, Disclosure>()
  for (const text of texts) {
    const key = digest(text)
    if (disclosures.has(key)) throw refusal('a disclosure is there twice')
    disclosures.set(key, readDisclosure(text))
  }
  const pending: Pending = { disclosures, met: new Set(), depth: DEPTH }
  const { _sd_alg: _, ...rest } = filled(payload, pending)
  if (disclosures.size > 0) throw refusal('a disclosure is not among those that the issuer signed')
  return rest
}

function readDisclosure(text: string): Disclosure {
  const parts = jsonOf(bytesOf(text)?.toString('utf8') ?? '')
  const [salt, second, third] = Array.isArray(parts) ? (parts as readonly Json[]) : []
  if (!Array.isArray(parts) || typeof salt !== 'string' || second === undefined)
    throw refusal('a disclosure cannot be read')
  if (parts.length === 2) return { value: second }
  // RFC 9901, 4.2.1: these names are the format's own.
  if (parts.length !== 3 || typeof second !== 'string' || second === '_sd' || second === '...' || third === undefined)
    throw refusal('a disclosure cannot be read')
  return { name: second, value: third }
}

function filled(object: JsonObject, pending: Pending): JsonObject {
  const { _sd: digests = [], ...plain } = object
  if (!Array.isArray(digests)) throw refusal('_sd is no list of digests')
  const entries = new Map<string, Json>()
  for (const [name, value] of Object.entries(plain)) {
    if (name === '...') throw refusal('a digest of an element is out of its place')
    entries.set(name, replaced(value, pending))
  }
  for (const digest of digests as readonly Json[]) {
    const found = claim(digest, pending)
    if (!found) continue
    if (found.name === undefined) throw refusal('an element was disclosed where a claim has to be')
    if (entries.has(found.name)) throw refusal('a disclosed claim is there already')
    entries.set(found.name, replaced(found.value, pending))
  }
  return Object.fromEntries(entries)
}

function replaced(value: Json, pending: Pending): Json {
  if (typeof value !== 'object' || value === null) return value
  if (pending.depth === 0) throw refusal(`it is nested deeper than ${DEPTH} levels`)
  const inner = { ...pending, depth: pending.depth - 1 }
  if (Array.isArray(value)) return (value as readonly Json[]).flatMap((element) => elements(element, inner))
  return filled(value as JsonObject, inner)
}

function elements(element: Json, pending: Pending): readonly Json[] {
  if (!isObject(element) || !('...' in element)) return [replaced(element, pending)]
  if (Object.keys(element).length !== 1) throw refusal('a digest of an element has something beside it')
  const found = claim(element['...'], pending)
  if (!found) return []
  if (found.name !== undefined) throw refusal('a claim was disclosed where an element has to be')
  return [replaced(found.value, pending)]
}

/** The disclosure of a digest, once. Undefined where it was not disclosed, or is a decoy. */
function claim(digest: Json | undefined, { disclosures, met }: Pending): Disclosure | undefined {
  if (typeof digest !== 'string') throw refusal('a digest is no text')
  if (met.has(digest)) throw refusal('a digest is there twice')
  met.add(digest)
  const found = disclosures.get(digest)
  disclosures.delete(digest)
  return found
}
