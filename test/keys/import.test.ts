import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, it } from 'node:test'
import { importKey, readPrivateKey } from '../../src/keys/import.ts'

const ec = (namedCurve: string): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey
const rsa = (modulusLength: number, publicExponent = 65_537): KeyObject =>
  generateKeyPairSync('rsa', { modulusLength, publicExponent }).privateKey
const jwk = (key: KeyObject) => ({ ...key.export({ format: 'jwk' }) })
const pem = (key: KeyObject, type: 'pkcs8' | 'sec1' | 'pkcs1' = 'pkcs8') =>
  key.export({ format: 'pem', type }).toString()

const p256 = ec('P-256')
const rsa2048 = rsa(2048)
const all = ['ES256', 'ES384', 'RS256'] as const

describe('an imported key', () => {
  it('is taken as PEM in every usual wrapping and as JWK, and named by its thumbprint', () => {
    const expected = importKey(jwk(p256), all)
    assert.deepEqual([expected.alg, expected.kid.length], ['ES256', 43])
    for (const text of [pem(p256), pem(p256, 'sec1'), JSON.stringify({ ...jwk(p256), kid: 'x', use: 'sig' })])
      assert.equal(importKey(readPrivateKey(text), all).kid, expected.kid)
    for (const text of [pem(rsa2048), pem(rsa2048, 'pkcs1')])
      assert.equal(importKey(readPrivateKey(text), all).alg, 'RS256')
    assert.equal(importKey(jwk(ec('P-384')), all).alg, 'ES384')
    assert.equal(importKey({ ...jwk(rsa2048), alg: 'PS256' }, ['RS256', 'PS256']).alg, 'PS256')
  })

  it('has the thumbprint of RFC 7638', () => {
    const { n } = jwk(rsa2048) as { n: string }
    const digest = createHash('sha256').update(`{"e":"AQAB","kty":"RSA","n":"${n}"}`).digest('base64url')
    assert.equal(importKey(jwk(rsa2048), all).kid, digest)
  })

  const unfit: readonly (readonly [string, () => object, RegExp])[] = [
    ['Ed25519', () => jwk(generateKeyPairSync('ed25519').privateKey), /Ed25519 keys are refused: no kube-apiserver/],
    ['Ed448', () => jwk(generateKeyPairSync('ed448').privateKey), /Ed448 keys are refused/],
    ['X25519', () => jwk(generateKeyPairSync('x25519').privateKey), /X25519 keys are refused: they cannot sign/],
    ['secp256k1', () => jwk(ec('secp256k1')), /secp256k1 keys are refused/],
    ['P-521', () => jwk(ec('P-521')), /P-521 keys are refused/],
    ['RSA of 1024 bits', () => jwk(rsa(1024)), /1024 bits is refused: 2048/],
    ['RSA with exponent 3', () => jwk(rsa(2048, 3)), /exponent below 65537/],
    ['a symmetric key', () => ({ kty: 'oct', k: 'AAAA', d: 'x' }), /type oct {2}are refused/],
    ['nothing', () => ({}), /are refused/],
    ['a public key', () => ({ ...jwk(p256), d: undefined }), /no private part/],
    ['an encryption key', () => ({ ...jwk(rsa2048), use: 'enc' }), /not for signatures/],
    ['another algorithm', () => ({ ...jwk(p256), alg: 'ES384' }), /does not sign ES384/],
    ['RSA without its primes', () => ({ ...jwk(rsa2048), p: undefined, q: undefined }), /parts are missing/],
    ['halves of two keys', () => ({ ...jwk(p256), d: jwk(ec('P-256')).d }), /do not belong together|parts are missing/],
    [
      'an algorithm that the ring has not',
      () => ({ ...jwk(rsa2048), alg: 'PS256' }),
      /ring signs .*; the key is for PS256/,
    ],
  ]
  for (const [what, make, reason] of unfit) {
    it(`is refused with the reason: ${what}`, () => {
      const key = Object.fromEntries(Object.entries(make()).filter(([, value]) => value !== undefined))
      assert.throws(() => importKey(key, all), reason)
    })
  }

  it('that fits two algorithms of the ring needs a word', () => {
    assert.throws(() => importKey(jwk(rsa2048), ['RS256', 'PS256']), /fits RS256 and PS256/)
  })
})

describe('a file that holds no private key', () => {
  const encrypted = p256.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' }).toString()
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['is encrypted', encrypted, /decrypt it first/],
    ['is public', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----', /private key is needed/],
    ['is a certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', /private key is needed/],
    ['is damaged', pem(p256).replace(/[A-Z]{4}/, '!!!!'), /not a private key that can be read/],
    ['is empty', '', /not a private key/],
    ['is half a JWK', '{"kty":', /is no JSON/],
    ['is a set', '{"keys":[]}', /one private key at a time/],
  ]
  for (const [what, text, reason] of cases) {
    it(`is refused where it ${what}, without a word of its text`, () => {
      assert.throws(
        () => readPrivateKey(text),
        (error: Error) => reason.test(error.message) && error.cause === undefined && !error.message.includes('MIG'),
      )
    })
  }
})
