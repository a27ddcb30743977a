import { type Alg, isSignedBy } from '../../signature.ts'
import type { Json } from '../credential.ts'
import type { PublicJwk } from '../keys/jwk.ts'
import { printable, refusal } from '../refusal.ts'

export type JsonObject = { readonly [name: string]: Json }

/** A compact JWS as it was sent: nothing of it is believed before `isSigned`. */
export interface Jws {
  readonly text: string
  readonly header: JsonObject
  readonly payload: JsonObject
}

/** What issuers and wallets sign with: HAIP asks for ES256, Gaia-X issuers also use RSA and Ed25519. Neither `none` nor a shared secret. */
const ALGS: readonly Alg[] = [
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
  'EdDSA',
  'Ed25519',
]

/** Characters of one JWS: the largest known, a presentation of 68 credentials, has 190,000. */
const LONGEST = 262_144
/** How deep JSON is nested; the deepest real credential has 9. */
export const DEPTH = 32

/**
 * Reads a compact JWS (RFC 7515, 7.1) without believing it.
 * @param what names it in refusals: `the key binding`
 * @param longest characters
 * @throws {LoginError} `upstream_rejected`
 */
export function readJws(text: string, what: string, longest = LONGEST): Jws {
  if (text.length > longest) throw refusal(`${what} has more than ${longest} characters`)
  const [head = '', body = '', tail, ...more] = text.split('.')
  if (!tail || more.length > 0) throw refusal(`${what} is not a signed JWS`)
  const [header, payload] = [decode(head), decode(body)]
  if (!header || !payload) throw refusal(`${what} is not a JWS of JSON objects`)
  if (!ALGS.some((alg) => alg === header['alg']))
    throw refusal(`${what} is signed by ${printable(header['alg'] ?? 'no algorithm', 20)}, which is not taken`)
  if ('crit' in header) throw refusal(`${what} asks for an extension of JWS that is not known here`)
  return { text, header, payload }
}

/** Whether this key signed it. */
export const isSigned = (jws: Jws, jwk: PublicJwk): boolean => isSignedBy(jws.text, jwk, ALGS)

/** base64url without a flaw: one text for one value. Undefined where it is anything else. */
export function bytesOf(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

function decode(text: string): JsonObject | undefined {
  const value = jsonOf(bytesOf(text)?.toString('utf8') ?? '')
  return isObject(value) ? value : undefined
}

/** JSON that is not nested absurdly; undefined where it is anything else. */
export function jsonOf(text: string): Json | undefined {
  try {
    const value = JSON.parse(text) as Json
    return isShallow(value, DEPTH) ? value : undefined
  } catch {
    return undefined
  }
}

function isShallow(value: Json, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  return depth > 0 && Object.values(value).every((each) => isShallow(each, depth - 1))
}

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** One value or a list of them, as a list. */
export const listOf = (value: Json | undefined): readonly Json[] =>
  value === undefined || value === null ? [] : Array.isArray(value) ? value : [value as Json]

export const textOf = (value: Json | undefined): string | undefined => (typeof value === 'string' ? value : undefined)

/** Whole seconds (RFC 7519, NumericDate). Undefined where it is absent. @throws {LoginError} where it is something else */
export function secondsOf(value: Json | undefined, what: string): number | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0 || value > 1e11)
    throw refusal(`${what} is not a time in seconds`)
  return Math.floor(value)
}
