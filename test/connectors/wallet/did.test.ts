import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { presented } from '../../../src/connectors/wallet/credentials/presented.ts'
import { base58, didWebUrl, keyInDid, readDidDocument } from '../../../src/connectors/wallet/keys/did.ts'
import { publicJwk, thumbprint } from '../../../src/connectors/wallet/keys/jwk.ts'
import { binding, bound, issued, newKey, publicOf, worldOf } from '../../support/credentials.ts'
import { certify } from '../../support/x509.ts'

const did = 'did:web:corp.example:issuer'
const address = 'https://corp.example/issuer/did.json'
const [key, holder] = [newKey(), newKey()]

const method = (id: string, more: object = {}) => ({
  id,
  type: 'JsonWebKey2020',
  controller: did,
  publicKeyJwk: publicOf(key),
  ...more,
})
const document = (more: object = {}) =>
  JSON.stringify({ id: did, verificationMethod: [method(`${did}#k1`)], assertionMethod: [`${did}#k1`], ...more })

const credential = (header: object = {}, signer = key, iss = did) =>
  bound(issued({ key: signer, holder, header: { kid: `${did}#k1`, ...header }, open: { iss } }), holder)
const check = (text: string, web: Parameters<typeof worldOf>[0], more: Parameters<typeof worldOf>[1] = {}) =>
  presented('dc+sd-jwt', text, binding, worldOf(web, more))
const refused = (text: string, web: Parameters<typeof worldOf>[0], message: RegExp) =>
  assert.rejects(check(text, web), { code: 'upstream_rejected', message })

test('a did:web is asked for its key at its host and path', async () => {
  for (const kid of [`${did}#k1`, '#k1', 'k1']) {
    const [found] = await check(credential({ kid }), { [address]: document() })
    assert.deepEqual(found?.issuer, { id: did, by: 'did', key: thumbprint(publicOf(key) as never) })
  }
})

test('the address of a did:web is its host and path, and nothing else can be written into it', () => {
  assert.equal(didWebUrl('did:web:corp.example'), 'https://corp.example/.well-known/did.json')
  assert.equal(didWebUrl('did:web:corp.example%3A8443:a:b'), 'https://corp.example:8443/a/b/did.json')
  for (const wrong of [
    'did:web:',
    'did:web:a@corp.example',
    'did:web:corp.example%2Fx',
    'did:web:corp.example:..:x',
    'did:web:corp.example:%2e%2e',
    'did:web:corp.example:a%2Fb',
    'did:web:corp.example:a/b',
    'did:web:corp.example:a?b',
    'did:web:corp.example:a#b',
    'did:web:corp.example:',
    'did:web:corp.example%3A80@x',
    'did:web:corp example',
    'did:web:[::1]',
    'did:web:corp.example\\x',
    'did:webs:corp.example',
  ])
    assert.throws(() => didWebUrl(wrong), { code: 'upstream_rejected' }, wrong)
})

test('an issuer did that is not the did of the signing key is refused', async () => {
  const other = 'did:web:bank.example'
  await refused(
    credential({}, key, other),
    { 'https://bank.example/.well-known/did.json': document() },
    /key of another did/,
  )
})

test('a kid with the fragment of another document is refused', async () => {
  const web = { [address]: document(), 'https://evil.example/.well-known/did.json': document() }
  await refused(credential({ kid: 'did:web:evil.example#k1' }), web, /key of another did/)
})

test('a document that is about another did is refused, also one that is read at the same address', async () => {
  await refused(credential(), { [address]: document({ id: 'did:web:evil.example' }) }, /about another did/)
  const root = 'did:web:corp.example'
  const rootMethod = { id: `${root}#k1`, controller: root, publicKeyJwk: publicOf(key) }
  const web = {
    'https://corp.example/.well-known/did.json': JSON.stringify({ id: root, verificationMethod: [rootMethod] }),
  }
  const world = worldOf(web, { lenient: ['kid-unknown'] })
  await presented('dc+sd-jwt', credential({ kid: '#k1' }, key, root), binding, world)
  const twin = `${root}:.well-known`
  await assert.rejects(presented('dc+sd-jwt', credential({ kid: `${twin}#k1` }, key, twin), binding, world), {
    message: /about another did/,
  })
})

test('who comes by another did of one address keeps nobody from being believed by the did of its document', async () => {
  const root = 'did:web:corp.example'
  const rootMethod = { id: `${root}#k1`, controller: root, publicKeyJwk: publicOf(key) }
  const json = JSON.stringify({ id: root, verificationMethod: [rootMethod] })
  const world = worldOf({ 'https://corp.example/.well-known/did.json': json })
  const twin = `${root}:.well-known`
  await assert.rejects(presented('dc+sd-jwt', credential({ kid: `${twin}#k1` }, key, twin), binding, world), {
    code: 'upstream_rejected',
  })
  const [found] = await presented('dc+sd-jwt', credential({ kid: `${root}#k1` }, key, root), binding, world)
  assert.equal(found?.issuer.id, root)
  assert.equal(world.asked.length, 1)
})

test('a key that the document lists for another did or controller is not taken', async () => {
  const foreign = 'did:web:evil.example#k1'
  const documents = [
    { verificationMethod: [method(foreign)], assertionMethod: [foreign] },
    { verificationMethod: [method(`${did}#k1`, { controller: 'did:web:evil.example' })] },
  ]
  for (const each of documents) await refused(credential(), { [address]: document(each) }, /not signed by the key/)
  await refused(credential({ kid: foreign }), { [address]: document(documents[0]) }, /another did/)
})

test('a key that is not for assertions signs no credential', () =>
  refused(credential(), { [address]: document({ assertionMethod: [], authentication: [`${did}#k1`] }) }, /not signed/))

test('two keys of one name are none', () =>
  refused(
    credential(),
    {
      [address]: document({
        verificationMethod: [method(`${did}#k1`), method(`${did}#k1`, { publicKeyJwk: publicOf(holder) })],
      }),
    },
    /not signed/,
  ))

test('a kid that the document does not have is taken where the operator says so, by the keys that it has', async () => {
  const web = { [address]: document() }
  await refused(credential({ kid: `${did}#gone` }), web, /kid-unknown/)
  const [found] = await check(credential({ kid: `${did}#gone` }), web, { lenient: ['kid-unknown'] })
  assert.deepEqual(found?.leniencies, ['kid-unknown'])
  const foreign = credential({ kid: `${did}#gone` }, newKey())
  await assert.rejects(check(foreign, web, { lenient: ['kid-unknown'] }), { message: /not signed/ })
})

test('a document that is no longer the one of before is read again where a signature does not fit', async () => {
  let now = 1_790_000_000
  let current = document({ verificationMethod: [method(`${did}#k1`, { publicKeyJwk: publicOf(newKey()) })] })
  const world = worldOf({ [address]: () => new Response(current) }, { now: () => now })
  await assert.rejects(presented('dc+sd-jwt', credential(), binding, world))
  current = document()
  now += 20
  await presented('dc+sd-jwt', credential(), binding, world)
  await presented('dc+sd-jwt', credential(), binding, world)
  assert.equal(world.asked.length, 2)
})

test('a certificate that an anchor backs is noted with the did whose key names it, and one of another key is not', async () => {
  const anchor = certify({ subject: 'CN=root', ca: 'ca', usage: 0x06 })
  const own = certify({ subject: 'CN=issuer', usage: 0x80 }, anchor, key)
  const chainUrl = 'https://corp.example/chain.pem'
  for (const [certificate, expected] of [
    [own, 'roots'],
    [certify({ subject: 'CN=x', usage: 0x80 }, anchor), undefined],
  ] as const) {
    const jwk = { ...publicOf(key), x5u: chainUrl }
    const web = {
      [address]: document({ verificationMethod: [method(`${did}#k1`, { publicKeyJwk: jwk })] }),
      [chainUrl]: certificate.pem,
    }
    const [found] = await check(credential(), web, { anchors: { roots: anchor.pem } })
    assert.equal(found?.issuer.anchor, expected)
  }
})

test('did:key and did:jwk are the key that they hold', () => {
  const ed = generateKeyPairSync('ed25519').privateKey
  const bytes = Buffer.concat([Buffer.from('ed01', 'hex'), Buffer.from(publicOf(ed).x, 'base64url')])
  assert.deepEqual(keyInDid(`did:key:z${to58(bytes)}`), { crv: 'Ed25519', kty: 'OKP', x: publicOf(ed).x })
  const { crv, kty, x, y } = publicOf(key)
  const compressed = Buffer.concat([
    Buffer.from('8024', 'hex'),
    Buffer.from([2 + (Buffer.from(y, 'base64url').at(-1)! & 1)]),
    Buffer.from(x, 'base64url'),
  ])
  assert.deepEqual(keyInDid(`did:key:z${to58(compressed)}`), { crv, kty, x, y })
  const jwk = Buffer.from(JSON.stringify({ ...publicOf(key), use: 'sig' })).toString('base64url')
  assert.deepEqual(keyInDid(`did:jwk:${jwk}`), { crv, kty, x, y, use: 'sig' })
  // https://w3c-ccg.github.io/did-key-spec/#example-1
  assert.equal(keyInDid('did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK')?.crv, 'Ed25519')
  assert.equal(keyInDid('did:web:corp.example'), undefined)
})

test('a did:jwk that holds a private key, a shared secret or nonsense is refused', () => {
  const encode = (value: unknown) => `did:jwk:${Buffer.from(JSON.stringify(value)).toString('base64url')}`
  const secret = key.export({ format: 'jwk' })
  for (const wrong of [
    encode(secret),
    encode({ kty: 'oct', k: 'AAAA' }),
    encode([]),
    encode({ ...publicOf(key), crv: 'secp256k1' }),
    'did:jwk:x',
    'did:key:z0',
    'did:key:f00',
  ])
    assert.throws(() => keyInDid(wrong), { code: 'upstream_rejected' }, wrong)
})

test('an RSA key that would take seconds to compute with is none', () => {
  const n = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' }).n!
  assert.ok(publicJwk({ kty: 'RSA', n, e: 'AQAB' }))
  assert.equal(publicJwk({ kty: 'RSA', n: 'A'.repeat(5000), e: 'AQAB' }), undefined)
  assert.equal(publicJwk({ kty: 'RSA', n, e: n }), undefined)
})

test('a coordinate that lost its leading zeros is made whole', () => {
  const found = publicJwk({ kty: 'EC', crv: 'P-256', x: Buffer.alloc(31, 1).toString('base64url'), y: publicOf(key).y })
  assert.equal(Buffer.from(found?.x ?? '', 'base64url').length, 32)
})

test('a document that names no purpose means each of its keys for everything', () => {
  const { keys } = readDidDocument(JSON.stringify({ id: did, verificationMethod: [method(`${did}#k1`)] }))
  assert.deepEqual([keys.assertionMethod.length, keys.authentication.length], [1, 1])
})

test('base58 is read as Bitcoin writes it', () => {
  assert.equal(base58('StV1DL6CwTryKyV')?.toString(), 'hello world')
  assert.deepEqual(base58('112')?.toJSON().data, [0, 0, 1])
  assert.equal(base58('0'), undefined)
  assert.equal(base58('1'.repeat(3000)), undefined)
})

function to58(bytes: Uint8Array): string {
  let value = BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
  let text = ''
  for (; value > 0n; value /= 58n)
    text = `${'123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'[Number(value % 58n)]}${text}`
  return text
}
