import { constants, createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto'
import { errors, type JWK } from 'jose'

/** The asymmetric algorithms of JOSE that are taken at all: neither `none` nor a shared secret. */
export type Alg =
  | 'ES256'
  | 'ES384'
  | 'ES512'
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512'
  | 'EdDSA'
  | 'Ed25519'

/** What a key must be for an algorithm, and how node:crypto is told of it. */
interface Shape {
  readonly kty: 'EC' | 'RSA' | 'OKP'
  readonly crv?: string
  readonly hash: string | null
  readonly pss?: true
}

/** RFC 7518, 3.1 and RFC 8037, 3.1. */
const shapes: Readonly<Record<Alg, Shape>> = {
  ES256: { kty: 'EC', crv: 'P-256', hash: 'sha256' },
  ES384: { kty: 'EC', crv: 'P-384', hash: 'sha384' },
  ES512: { kty: 'EC', crv: 'P-521', hash: 'sha512' },
  RS256: { kty: 'RSA', hash: 'sha256' },
  RS384: { kty: 'RSA', hash: 'sha384' },
  RS512: { kty: 'RSA', hash: 'sha512' },
  PS256: { kty: 'RSA', hash: 'sha256', pss: true },
  PS384: { kty: 'RSA', hash: 'sha384', pss: true },
  PS512: { kty: 'RSA', hash: 'sha512', pss: true },
  EdDSA: { kty: 'OKP', crv: 'Ed25519', hash: null },
  Ed25519: { kty: 'OKP', crv: 'Ed25519', hash: null },
}

/** RFC 7518, 3.3: "A key of size 2048 bits or larger MUST be used". */
const SMALLEST_RSA = 2048

/**
 * Verifies the signature of a compact JWS, and nothing else of it: 0.1 ms, where WebCrypto's way over the thread pool takes three times as
 * long. The key is the one that its `kid` and `alg` leave of the upstream's; the header brings no key of its own.
 * @param algs those that are taken at all
 * @throws {errors.JWKSNoMatchingKey} where no key, or more than one, is left
 * @throws {errors.JWSSignatureVerificationFailed}
 * @throws {errors.JWSInvalid} where it is no JWS, or its algorithm is not taken
 */
export function checkSignature(jws: string, keys: readonly JWK[], algs: readonly Alg[]): void {
  const { alg, kid } = signedParts(jws, algs)
  const fitting = keys.filter((jwk) => fits(jwk, alg) && (kid === undefined || jwk.kid === kid))
  const [jwk] = fitting
  if (fitting.length !== 1 || !jwk || !keyOf(jwk)) throw new errors.JWKSNoMatchingKey()
  if (!isSignedBy(jws, jwk, algs)) throw new errors.JWSSignatureVerificationFailed()
}

/**
 * Whether a key signed a compact JWS. The key is the caller's choice, and its `kid` is not looked at; `alg` must be one for which it is made.
 * @throws {errors.JWSInvalid} where it is no JWS, or its algorithm is not taken
 */
export function isSignedBy(jws: string, jwk: JWK, algs: readonly Alg[]): boolean {
  const { alg, text, tail } = signedParts(jws, algs)
  const key = fits(jwk, alg) ? keyOf(jwk) : undefined
  const signature = Buffer.from(tail, 'base64url')
  // Strict: one text for one signature.
  const strict = signature.toString('base64url') === tail
  return key !== undefined && strict && verifies(shapes[alg], key, { text, signature })
}

/** Whether a key signed a text by an algorithm for which it is made; for signatures whose text is not a JWS by itself. */
export function isTextSignedBy(signed: Signed, jwk: JWK, alg: Alg): boolean {
  const key = fits(jwk, alg) ? keyOf(jwk) : undefined
  return key !== undefined && verifies(shapes[alg], key, signed)
}

function signedParts(jws: string, algs: readonly Alg[]) {
  const [head = '', body = '', tail = '', ...more] = jws.split('.')
  const { alg, kid, crit } = headerOf(head)
  const wanted = algs.find((one) => one === alg)
  // RFC 7515, 4.1.11: an extension that is not understood is a refusal, and none is understood here.
  if (more.length > 0 || wanted === undefined || crit !== undefined)
    throw new errors.JWSInvalid('not a JWS to be taken')
  return { alg: wanted, kid, text: `${head}.${body}`, tail }
}

function headerOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const header: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    if (typeof header === 'object' && header !== null) return header as Readonly<Record<string, unknown>>
  } catch {
    // told below
  }
  throw new errors.JWSInvalid('not a JWS')
}

/** RFC 7517, 4: what a key says of itself, as far as it does. */
function fits(jwk: JWK, alg: Alg): boolean {
  const { kty, crv } = shapes[alg]
  return (
    jwk.kty === kty &&
    (crv === undefined || jwk.crv === crv) &&
    (jwk.alg === undefined || jwk.alg === alg) &&
    (jwk.use === undefined || jwk.use === 'sig') &&
    mayVerify(jwk.key_ops)
  )
}

/** RFC 7517, 4.3: a list, if anything. Who publishes a key may have written anything there. */
const mayVerify = (operations: unknown): boolean =>
  (operations ?? undefined) === undefined || (Array.isArray(operations) && operations.includes('verify'))

const read = new WeakMap<JWK, KeyObject>()

function keyOf(jwk: JWK): KeyObject | undefined {
  const known = read.get(jwk)
  if (known) return known
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
    const bits = key.asymmetricKeyDetails?.modulusLength
    if (bits !== undefined && bits < SMALLEST_RSA) return undefined
    read.set(jwk, key)
    return key
  } catch {
    return undefined // not a key, whatever it says of itself
  }
}

/** A text, or bytes, and what is said to be its signature. */
export interface Signed {
  readonly text: string | Uint8Array
  readonly signature: Buffer
}

/** RFC 7518: ECDSA as two numbers side by side (3.4), a PSS salt as long as the hash (3.5). */
function verifies({ kty, hash, pss }: Shape, key: KeyObject, { text, signature }: Signed): boolean {
  const how = {
    ...(kty === 'EC' && { dsaEncoding: 'ieee-p1363' as const }),
    ...(pss && { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }),
  }
  return verify(hash, typeof text === 'string' ? Buffer.from(text) : text, { key, ...how }, signature)
}
