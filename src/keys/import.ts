import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import type { SigningAlg } from '../core/ports.ts'
import { type KeyPair, type PrivateJwk, restoreKey, signText, verifyText } from './keypair.ts'

/** Why a kind of key is refused. One key that go-jose cannot read makes a kube-apiserver refuse every token of the issuer. */
const refusedCurves: Readonly<Record<string, string>> = {
  Ed25519: 'Ed25519 keys are refused: no kube-apiserver takes their signatures, and many Apache modules do not',
  Ed448: 'Ed448 keys are refused: a kube-apiserver that meets one refuses every token of the issuer',
  X25519: 'X25519 keys are refused: they cannot sign, and a kube-apiserver that meets one refuses every token',
  X448: 'X448 keys are refused: they cannot sign, and a kube-apiserver that meets one refuses every token',
  secp256k1: 'secp256k1 keys are refused: a kube-apiserver that meets one refuses every token of the issuer',
  'P-521': 'P-521 keys are refused: several consumers cannot verify ES512; take P-256 or P-384',
}

/**
 * A private key from a file's text, PEM (PKCS#8, PKCS#1, SEC1) or JWK.
 * @throws with a sentence for the operator where it is neither, is public or is encrypted
 */
export function readPrivateKey(text: string): PrivateJwk {
  if (text.trimStart().startsWith('{')) return readJwk(text)
  if (/-----BEGIN (ENCRYPTED PRIVATE KEY)-----|Proc-Type: 4,ENCRYPTED/.test(text))
    throw new Error('the key is encrypted: decrypt it first (openssl pkcs8 -topk8 -nocrypt)')
  if (/-----BEGIN (RSA |EC )?PUBLIC KEY-----|-----BEGIN CERTIFICATE-----/.test(text) && !/PRIVATE KEY-----/.test(text))
    throw new Error('this is a public key or a certificate: the private key is needed')
  try {
    return { ...createPrivateKey(text).export({ format: 'jwk' }) }
  } catch {
    // The library's message may quote the text.
    throw new Error('not a private key that can be read: write PEM (RSA, or EC with P-256 or P-384) or a private JWK')
  }
}

function readJwk(text: string): PrivateJwk {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Error('the file begins like a JWK but is no JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('the file is no JWK')
  if ('keys' in value) throw new Error('this is a set of keys: import one private key at a time')
  return { ...value }
}

/**
 * A key pair of an operator's private JWK, for one of these algorithms. Its own `kid` is not kept: the thumbprint names it.
 * @throws with the reason where the key's kind, size or purpose is refused, or where private and public part do not belong together
 */
export function importKey(jwk: PrivateJwk, algs: readonly SigningAlg[]): KeyPair {
  const { kty, crv, use, d } = jwk
  const refused = typeof crv === 'string' ? refusedCurves[crv] : undefined
  if (refused !== undefined) throw new Error(refused)
  if (kty !== 'RSA' && !(kty === 'EC' && (crv === 'P-256' || crv === 'P-384')))
    throw new Error(`keys of type ${String(kty)} ${String(crv ?? '')} are refused: RSA, P-256 and P-384 only`)
  if (typeof d !== 'string') throw new Error('the key has no private part')
  if (use !== undefined && use !== 'sig') throw new Error(`the key is for "${String(use)}", not for signatures`)
  const alg = chooseAlg(jwk, algs)
  const pair = restored(alg, jwk)
  checkRsa(pair.publicKey)
  checkMatch(pair, jwk)
  return pair
}

function chooseAlg(jwk: PrivateJwk, algs: readonly SigningAlg[]): SigningAlg {
  const { alg, kty, crv } = jwk
  const can = kty === 'RSA' ? ['RS256', 'PS256'] : crv === 'P-256' ? ['ES256'] : ['ES384']
  if (alg !== undefined && !can.includes(String(alg)))
    throw new Error(`a ${String(kty)} key does not sign ${String(alg)} here`)
  const fit = algs.filter((each) => (alg === undefined ? can.includes(each) : each === alg))
  const [only] = fit
  if (!only) throw new Error(`this ring signs ${algs.join(', ')}; the key is for ${String(alg ?? can.join(' or '))}`)
  if (fit.length > 1) throw new Error(`the key fits ${fit.join(' and ')}: say which by --alg or by "alg" in the JWK`)
  return only
}

function restored(alg: SigningAlg, jwk: PrivateJwk): KeyPair {
  try {
    return restoreKey(alg, jwk)
  } catch {
    // Without the cause: a library's message may quote a part of the key.
    throw new Error(
      'the key cannot be used: parts are missing or wrong (an RSA key needs n, e, d, p, q, dp, dq and qi)',
    )
  }
}

function checkRsa(key: KeyObject): void {
  const { modulusLength, publicExponent } = key.asymmetricKeyDetails ?? {}
  if (modulusLength !== undefined && modulusLength < 2048)
    throw new Error(`an RSA key of ${modulusLength} bits is refused: 2048 at least, 3072 is advised`)
  if (modulusLength !== undefined && modulusLength > 8192)
    throw new Error(`an RSA key of ${modulusLength} bits is refused: each signature would take too long, 8192 at most`)
  if (publicExponent !== undefined && publicExponent < 65_537n)
    throw new Error('an RSA key with a public exponent below 65537 is refused')
}

/** The public members of a JWK are only claimed to fit; publishing a wrong one would refuse every token. */
function checkMatch(pair: KeyPair, jwk: PrivateJwk): void {
  const { d: _private, ...claimed } = jwk
  const published = createPublicKey({ key: { ...claimed }, format: 'jwk' })
  const signature = Buffer.from(signText(pair, 'lotse'), 'base64url')
  if (!verifyText({ ...pair, publicKey: published }, 'lotse', signature))
    throw new Error('the private and the public part of the key do not belong together')
}
