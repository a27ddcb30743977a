import assert from 'node:assert/strict'
import { constants, sign } from 'node:crypto'
import { before, test } from 'node:test'
import { CompactSign, errors, exportJWK, generateKeyPair, type JWK } from 'jose'
import { checkSignature } from '../../src/connectors/signature.ts'

const algs = 'ES256 ES384 ES512 RS256 RS384 RS512 PS256 PS384 PS512 EdDSA Ed25519'.split(' ') as readonly Alg[]
type Alg = Parameters<typeof checkSignature>[2][number]
type Pair = Awaited<ReturnType<typeof generateKeyPair>>

const pairs = new Map<string, Pair>()
const published: JWK[] = []
before(async () => {
  for (const alg of algs) {
    const pair = await generateKeyPair(alg, { extractable: true })
    pairs.set(alg, pair)
    published.push({ ...(await exportJWK(pair.publicKey)), kid: alg })
  }
})

const payload = new TextEncoder().encode('{"sub":"ada"}')
const signed = (alg: string, header: object = {}) =>
  new CompactSign(payload).setProtectedHeader({ alg, kid: alg, ...header }).sign(pairs.get(alg)!.privateKey)
const fails = (jws: string, kind: new (...args: never[]) => Error, keys: readonly JWK[] = published, taken = algs) =>
  assert.throws(() => checkSignature(jws, keys, taken), kind)

for (const alg of algs) {
  test(`a signature by ${alg} is taken, and no other text, signature or algorithm with it`, async () => {
    const jws = await signed(alg)
    checkSignature(jws, published, algs)
    const [head = '', body = '', tail = ''] = jws.split('.')
    const other = Buffer.from('{"sub":"eve"}').toString('base64url')
    fails(`${head}.${other}.${tail}`, errors.JWSSignatureVerificationFailed)
    const cut = Buffer.from(tail, 'base64url')
    fails(`${head}.${body}.${cut.subarray(1).toString('base64url')}`, errors.JWSSignatureVerificationFailed)
    fails(`${head}.${body}.`, errors.JWSSignatureVerificationFailed)
    fails(`${head}.${body}.${tail}=`, errors.JWSSignatureVerificationFailed)
    fails(`${head}.${body}.${Buffer.alloc(cut.length).toString('base64url')}`, errors.JWSSignatureVerificationFailed)
    fails(
      jws,
      errors.JWSInvalid,
      published,
      algs.filter((one) => one !== alg),
    )
  })
}

test('the key is the one that the kid names, or the only one that fits', async () => {
  const jws = await signed('ES256')
  const others = published.filter(({ kid }) => kid !== 'ES256')
  fails(jws, errors.JWKSNoMatchingKey, others)
  const own = published.find(({ kid }) => kid === 'ES256')!
  const { kid: _, ...nameless } = own
  fails(jws, errors.JWKSNoMatchingKey, [...others, nameless])
  const unnamed = await new CompactSign(payload)
    .setProtectedHeader({ alg: 'ES256' })
    .sign(pairs.get('ES256')!.privateKey)
  checkSignature(unnamed, [...others, nameless], algs)
  const second = await exportJWK((await generateKeyPair('ES256')).publicKey)
  fails(unnamed, errors.JWKSNoMatchingKey, [nameless, second])
  fails(jws, errors.JWSSignatureVerificationFailed, [{ ...second, kid: 'ES256' }])
})

test('a key that is for another use, algorithm or curve, or is none, is not taken', async () => {
  const jws = await signed('ES256')
  const own = published.find(({ kid }) => kid === 'ES256')!
  for (const change of [
    { use: 'enc' },
    { key_ops: ['sign'] },
    { key_ops: 5 as never },
    { key_ops: {} as never },
    { key_ops: 'verify' as never },
    { alg: 'ES384' },
    { crv: 'P-384' },
    { kty: 'RSA' },
    { x: 'A' },
  ])
    fails(jws, errors.JWKSNoMatchingKey, [{ ...own, ...change }])
  checkSignature(jws, [{ ...own, use: 'sig', alg: 'ES256', key_ops: ['verify'] }], algs)
})

test('an RSA key of 1024 bits is not taken', async () => {
  const { generateKeyPairSync } = await import('node:crypto')
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const text = `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.e30`
  const jws = `${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`
  fails(jws, errors.JWKSNoMatchingKey, [publicKey.export({ format: 'jwk' }) as JWK])
})

test('a PSS signature with another salt, or of the other RSA kind, is not taken', async () => {
  const { generateKeyPairSync } = await import('node:crypto')
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const keys = [publicKey.export({ format: 'jwk' }) as JWK]
  const text = `${Buffer.from('{"alg":"PS256"}').toString('base64url')}.e30`
  const by = (how: object) =>
    `${text}.${sign('sha256', Buffer.from(text), { key: privateKey, ...how }).toString('base64url')}`
  const padding = constants.RSA_PKCS1_PSS_PADDING
  checkSignature(by({ padding, saltLength: 32 }), keys, algs)
  fails(by({ padding, saltLength: 0 }), errors.JWSSignatureVerificationFailed, keys)
  fails(by({}), errors.JWSSignatureVerificationFailed, keys)
})

test('alg none, a shared secret, a crit header, and what is no JWS are refused before any key is looked at', async () => {
  const [, body = '', tail = ''] = (await signed('ES256')).split('.')
  const headed = (header: unknown) => `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${body}.${tail}`
  for (const header of [
    { alg: 'none' },
    { alg: 'HS256' },
    { alg: 'ES256', crit: ['b64'] },
    { alg: ['ES256'] },
    {},
    null,
    1,
    'x',
  ])
    fails(headed(header), errors.JWSInvalid, [])
  for (const text of ['', '.', '..', 'a.b.c', `${await signed('ES256')}.x`]) fails(text, errors.JWSInvalid, [])
})
