import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { promisify } from 'node:util'
import type { SigningAlg } from '../core/ports.ts'

const generate = promisify(generateKeyPair)

/** A private key as a JSON object (RFC 7517): what is sealed and stored. */
export type PrivateJwk = Readonly<Record<string, unknown>>

/** One key, ready to sign and to verify. */
export interface KeyPair {
  /** RFC 7638 thumbprint: the same key never gets two names, and no name is used twice. */
  readonly kid: string
  readonly alg: SigningAlg
  readonly privateJwk: PrivateJwk
  readonly publicJwk: Readonly<Record<string, unknown>>
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

interface Shape {
  readonly kty: 'EC' | 'RSA'
  readonly crv?: 'P-256' | 'P-384'
  readonly hash: 'sha256' | 'sha384'
}

/** RFC 7518, 3.1; only what every consumer reads. */
const shapes: Readonly<Record<SigningAlg, Shape>> = {
  ES256: { kty: 'EC', crv: 'P-256', hash: 'sha256' },
  ES384: { kty: 'EC', crv: 'P-384', hash: 'sha384' },
  RS256: { kty: 'RSA', hash: 'sha256' },
  PS256: { kty: 'RSA', hash: 'sha256' },
}

/** The algorithms in the order in which they are shown. */
export const signingAlgs = Object.keys(shapes) as readonly SigningAlg[]

/** Makes a key pair on the thread pool: 3072 bits of RSA take a second of CPU. */
export async function generateKey(alg: SigningAlg, rsaBits: number): Promise<KeyPair> {
  const { crv } = shapes[alg]
  const { privateKey } = crv
    ? await generate('ec', { namedCurve: crv })
    : await generate('rsa', { modulusLength: rsaBits, publicExponent: 0x10001 })
  return keyPair(alg, privateKey)
}

/**
 * The key pair of a stored private key.
 * @throws where it is none of this algorithm
 */
export function restoreKey(alg: SigningAlg, jwk: PrivateJwk): KeyPair {
  const pair = keyPair(alg, createPrivateKey({ key: { ...jwk }, format: 'jwk' }))
  const { kty, crv } = shapes[alg]
  if (pair.privateJwk['kty'] !== kty || pair.privateJwk['crv'] !== crv) throw new Error(`not a key for ${alg}`)
  return pair
}

function keyPair(alg: SigningAlg, privateKey: KeyObject): KeyPair {
  const publicKey = createPublicKey(privateKey)
  const bare = publicKey.export({ format: 'jwk' })
  const kid = thumbprint(bare)
  const marks = { use: 'sig', alg, kid }
  const privateJwk = { ...privateKey.export({ format: 'jwk' }), ...marks }
  return { kid, alg, privateKey, publicKey, privateJwk, publicJwk: { ...bare, ...marks } }
}

/** RFC 7638, 3: the required members in lexical order. */
function thumbprint(jwk: JsonWebKey): string {
  const { crv, e, kty, n, x, y } = jwk
  const members = kty === 'RSA' ? { e, kty, n } : { crv, kty, x, y }
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url')
}

/** How node:crypto must be told of an algorithm: JOSE has raw r‖s (RFC 7518, 3.4) and a salt as long as the hash (3.5). */
function operation(alg: SigningAlg, key: KeyObject) {
  if (alg === 'PS256') return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
  return alg === 'RS256' ? { key } : { key, dsaEncoding: 'ieee-p1363' as const }
}

/**
 * A signature as base64url. Synchronous: half of what a thread-pool round trip takes under load. Elliptic keys go to Node as they are,
 * and its DER is turned into r‖s here: 35 µs for ES256, where a key with `dsaEncoding` beside it takes 90.
 */
export function signText(pair: KeyPair, text: string): string {
  const { kty, hash } = shapes[pair.alg]
  const data = Buffer.from(text)
  if (kty === 'RSA') return sign(hash, data, operation(pair.alg, pair.privateKey)).toString('base64url')
  return rawSignature(sign(hash, data, pair.privateKey), hash === 'sha256' ? 32 : 48).toString('base64url')
}

/**
 * ECDSA-Sig-Value (RFC 3279, 2.2.3) as two numbers of equal length side by side. All lengths stand in one byte up to P-384.
 * @param size bytes of one number
 */
function rawSignature(der: Buffer, size: number): Buffer {
  const raw = Buffer.alloc(2 * size)
  let at = 2
  for (const end of [size, 2 * size]) {
    const length = der[at + 1]!
    const start = at + 2
    at = start + length
    // A leading zero keeps DER's number positive; a number that begins with zeros is shorter.
    const digits = der.subarray(Math.max(start, at - size), at)
    digits.copy(raw, end - digits.length)
  }
  return raw
}

/** Whether a signature over this text is this key's. */
export function verifyText(pair: KeyPair, text: string, signature: Buffer): boolean {
  return verify(shapes[pair.alg].hash, Buffer.from(text), operation(pair.alg, pair.publicKey), signature)
}
