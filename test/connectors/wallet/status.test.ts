import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateSync, gzipSync } from 'node:zlib'
import type { Issuer, StatusReference } from '../../../src/connectors/wallet/credential.ts'
import { thumbprint } from '../../../src/connectors/wallet/keys/jwk.ts'
import type { Leniency } from '../../../src/connectors/wallet/ports.ts'
import { bitstringStatus, tokenStatus } from '../../../src/connectors/wallet/status/reference.ts'
import { standingOf } from '../../../src/connectors/wallet/status/status.ts'
import { newKey, publicOf, signed, type Web, worldOf } from '../../support/credentials.ts'
import { certify, NOW } from '../../support/x509.ts'

const uri = 'https://corp.example/status/1'
const did = 'did:web:corp.example'
const other = 'did:web:evil.example'
const [key, theirs] = [newKey(), newKey()]
const document = (id: string, of: typeof key) =>
  JSON.stringify({ id, verificationMethod: [{ id: `${id}#k1`, controller: id, publicKeyJwk: publicOf(of) }] })
const dids = {
  'https://corp.example/.well-known/did.json': document(did, key),
  'https://evil.example/.well-known/did.json': document(other, theirs),
}
const issuer: Issuer = { id: did, by: 'did' }

const token = (index: number): StatusReference => ({ kind: 'token', uri, index })
const bit = (index: number, purpose = 'revocation', size = 1): StatusReference => ({
  kind: 'bitstring',
  uri,
  index,
  purpose,
  size,
})

interface TokenMade {
  readonly bytes?: Uint8Array
  readonly bits?: number
  readonly header?: object
  readonly payload?: object
  readonly signer?: typeof key
}
const tokenList = ({ bytes = Buffer.from([0b0000_0010]), bits = 1, header, payload, signer = key }: TokenMade = {}) =>
  signed(
    { typ: 'statuslist+jwt', kid: `${did}#k1`, ...header },
    {
      sub: uri,
      iat: NOW - 60,
      exp: NOW + 600,
      status_list: { bits, lst: deflateSync(bytes).toString('base64url') },
      ...payload,
    },
    signer,
  )

interface BitMade {
  readonly bytes?: Uint8Array
  readonly purpose?: string
  readonly header?: object
  readonly payload?: object
  readonly encoded?: string
  readonly signer?: typeof key
}
const bitList = ({
  bytes = Buffer.from([0b0100_0000, 0]),
  purpose = 'revocation',
  header,
  payload,
  encoded,
  signer = key,
}: BitMade = {}) =>
  signed(
    { typ: 'vc+jwt', iss: did, kid: `${did}#k1`, ...header },
    {
      id: uri,
      type: ['VerifiableCredential', 'BitstringStatusListCredential'],
      issuer: did,
      validFrom: new Date((NOW - 60) * 1000).toISOString(),
      credentialSubject: {
        type: 'BitstringStatusList',
        statusPurpose: purpose,
        encodedList: encoded ?? `u${gzipSync(bytes).toString('base64url')}`,
      },
      ...payload,
    },
    signer,
  )

const at = (list: Web[string], more: Parameters<typeof worldOf>[1] = {}) => worldOf({ ...dids, [uri]: list }, more)
const standing = (status: readonly StatusReference[], world: ReturnType<typeof worldOf>, of = issuer) =>
  standingOf({ issuer: of, status }, world)
const unreadable = (status: readonly StatusReference[], list: Web[string], message: RegExp, of = issuer) =>
  assert.rejects(standing(status, at(list), of), { code: 'upstream_unavailable', message })

test('a credential without status is valid, and nobody is asked', async () => {
  const world = worldOf()
  assert.equal(await standing([], world), 'valid')
  assert.deepEqual(world.asked, [])
})

test('a Token Status List is read from the lowest bit on: valid, revoked, suspended', async () => {
  const world = at(tokenList())
  assert.deepEqual(await Promise.all([0, 1, 2].map((index) => standing([token(index)], world))), [
    'valid',
    'revoked',
    'valid',
  ])
  const two = at(tokenList({ bytes: Buffer.from([0b11_10_01_00]), bits: 2 }))
  // What is neither 0 nor 2 is not valid, whatever an application means by it.
  assert.deepEqual(await Promise.all([0, 1, 2, 3].map((index) => standing([token(index)], two))), [
    'valid',
    'revoked',
    'suspended',
    'revoked',
  ])
})

test('a Bitstring Status List is read from the highest bit on, for its purpose', async () => {
  assert.equal(await standing([bit(1)], at(bitList())), 'revoked')
  assert.equal(await standing([bit(0)], at(bitList())), 'valid')
  assert.equal(await standing([bit(1, 'suspension')], at(bitList({ purpose: 'suspension' }))), 'suspended')
  assert.equal(await standing([bit(1, 'revocation', 4)], at(bitList({ bytes: Buffer.from([0x03]) }))), 'revoked')
})

test('a Bitstring Status List of data model 1.1 is read too', async () => {
  const subject = {
    type: 'BitstringStatusList',
    statusPurpose: 'revocation',
    encodedList: gzipSync(Buffer.from([0x40])).toString('base64url'),
  }
  const vc = { type: ['VerifiableCredential', 'BitstringStatusListCredential'], credentialSubject: subject }
  const list = signed({ typ: 'JWT', kid: `${did}#k1` }, { iss: did, nbf: NOW - 60, vc }, key)
  assert.equal(await standing([bit(1)], at(list)), 'revoked')
})

test('the worst of several lists counts', async () => {
  const elsewhere = 'https://corp.example/status/2'
  const world = worldOf({
    ...dids,
    [uri]: bitList(),
    [elsewhere]: bitList({ purpose: 'suspension', payload: { id: elsewhere } }),
  })
  const suspended: StatusReference = { kind: 'bitstring', uri: elsewhere, index: 1, purpose: 'suspension', size: 1 }
  assert.equal(await standing([bit(0), suspended], world), 'suspended')
  assert.equal(await standing([bit(1), suspended], world), 'revoked')
})

test('a status list of another issuer is not believed, in either direction', async () => {
  const header = { kid: `${other}#k1`, iss: other }
  await unreadable([token(1)], tokenList({ header, payload: { iss: other }, signer: theirs }), /another issuer/)
  await unreadable([bit(0)], bitList({ header, payload: { issuer: other }, signer: theirs }), /another issuer/)
  await unreadable([token(1)], tokenList({ header: { kid: `${other}#k1` }, signer: theirs }), /another did/)
  await unreadable([token(1)], tokenList({ signer: theirs }), /not signed/)
  await unreadable([bit(1)], bitList({ signer: theirs }), /not signed/)
})

test('a status list without signature (alg none) or with a shared secret is not believed', async () => {
  for (const alg of ['none', 'HS256']) {
    await unreadable([token(0)], tokenList({ header: { alg } }), new RegExp(alg))
    await unreadable([bit(0)], bitList({ header: { alg } }), new RegExp(alg))
  }
})

test('a place beyond the status list (a wrong index) is refused', async () => {
  await assert.rejects(standing([token(8)], at(tokenList())), { code: 'upstream_rejected', message: /does not reach/ })
  await assert.rejects(standing([bit(16)], at(bitList())), { code: 'upstream_rejected', message: /does not reach/ })
  for (const index of [-1, 1.5, '1', null, 2 ** 40])
    assert.throws(() => tokenStatus({ uri, idx: index as never }), /no place/)
  for (const index of [-1, '-1', 'x', '1e3', 2 ** 40])
    assert.throws(
      () =>
        bitstringStatus({
          type: 'BitstringStatusListEntry',
          statusPurpose: 'revocation',
          statusListIndex: index,
          statusListCredential: uri,
        }),
      /no place/,
    )
})

test('a status list that is bomb-compressed is not unpacked', async () => {
  const bomb = Buffer.alloc(64 * 1024 * 1024)
  await unreadable([token(0)], tokenList({ bytes: bomb }), /unpacked/)
  await unreadable([bit(0)], bitList({ bytes: bomb }), /unpacked/)
})

test('an oversized status list is not read', async () => {
  await unreadable([token(0)], tokenList({ payload: { more: 'x'.repeat(1_000_000) } }), /more than/)
  await unreadable([bit(0)], bitList({ payload: { more: 'x'.repeat(300_000) } }), /more than/)
})

test('a status list that is packed in no way that is known is not believed', async () => {
  await unreadable([bit(0)], bitList({ encoded: 'uAAAA' }), /unpacked/)
  await unreadable([token(0)], tokenList({ payload: { status_list: { bits: 1, lst: 'AAAA' } } }), /unpacked/)
  await unreadable([token(0)], tokenList({ payload: { status_list: { bits: 3, lst: 'AAAA' } } }), /cannot be read/)
})

test('a status list for another address, type, purpose or time is not believed', async () => {
  await unreadable([token(0)], tokenList({ payload: { sub: 'https://corp.example/status/2' } }), /another address/)
  await unreadable([token(0)], tokenList({ header: { typ: 'JWT' } }), /type/)
  await unreadable([token(0)], tokenList({ payload: { exp: NOW } }), /expired/)
  await unreadable([bit(0)], bitList({ purpose: 'suspension' }), /another purpose/)
  await unreadable([bit(0)], bitList({ payload: { id: `${uri}/2` } }), /another address/)
  assert.equal(await standing([bit(1)], at(bitList({ payload: { id: undefined } }))), 'revoked')
  await unreadable([bit(0)], bitList({ payload: { validUntil: new Date(NOW * 1000).toISOString() } }), /expired/)
  await unreadable([bit(0)], bitList({ payload: { type: ['VerifiableCredential', 'Other'] } }), /another type/)
})

test('a status list that cannot be had is an outage', async () => {
  await assert.rejects(standing([token(0)], worldOf(dids)), { code: 'upstream_unavailable' })
  await assert.rejects(
    standing(
      [token(0)],
      at(() => new Response('', { status: 500 })),
    ),
    { code: 'upstream_unavailable' },
  )
})

test('a list under the same anchor counts for an issuer that is known by its certificate, one under another does not', async () => {
  const anchors = [1, 2].map(() => certify({ subject: 'CN=root', ca: 'ca', usage: 0x06 }))
  const signers = anchors.map((anchor) => certify({ subject: 'CN=issuer', usage: 0x80 }, anchor))
  const lists = signers.map((signer) =>
    tokenList({ header: { x5c: [signer.base64], kid: undefined }, signer: signer.key }),
  )
  const of: Issuer = { id: 'CN=issuer', by: 'x5c', anchor: 'one' }
  const roots = { one: anchors[0]!.pem, two: anchors[1]!.pem }
  assert.equal(await standing([token(1)], at(lists[0]!, { anchors: roots }), of), 'revoked')
  await assert.rejects(standing([token(1)], at(lists[1]!, { anchors: roots }), of), { message: /another issuer/ })
})

test('a list is read again after five minutes at most, whatever its headers say', async () => {
  let now = NOW
  let bytes = Buffer.from([0])
  const headers = { 'cache-control': 'max-age=86400' }
  const world = at(() => new Response(tokenList({ bytes, payload: { ttl: 86_400, exp: NOW + 86_400 } }), { headers }), {
    now: () => now,
  })
  const asked = () => world.asked.filter((each) => each === uri).length
  assert.equal(await standing([token(1)], world), 'valid')
  bytes = Buffer.from([2])
  now += 299
  assert.equal(await standing([token(1)], world), 'valid')
  assert.equal(asked(), 1)
  now += 1
  assert.equal(await standing([token(1)], world), 'revoked')
  assert.equal(asked(), 2)
})

test('a list that says that it is good for a minute is read again after it', async () => {
  let now = NOW
  const world = at(() => new Response(tokenList({ payload: { ttl: 60 } })), { now: () => now })
  await standing([token(0)], world)
  now += 60
  await standing([token(0)], world)
  assert.equal(world.asked.filter((each) => each === uri).length, 2)
})

test('a status in a way that nobody reads is refused; what takes nothing back is left aside', () => {
  const entry = {
    type: 'BitstringStatusListEntry',
    statusPurpose: 'revocation',
    statusListIndex: '7',
    statusListCredential: uri,
  }
  assert.deepEqual(bitstringStatus([entry, { ...entry, statusPurpose: 'message', statusSize: 2 }]), [bit(7)])
  for (const wrong of [
    { ...entry, type: 'RevocationList2020Status' },
    { ...entry, statusPurpose: 'other' },
    { ...entry, statusSize: 3 },
    'x',
  ])
    assert.throws(() => bitstringStatus(wrong), { code: 'upstream_rejected' })
  for (const address of ['http://corp.example/1', 'file:///etc/passwd', 'data:x', 1])
    assert.throws(() => tokenStatus({ uri: address, idx: 0 }), /https address/)
})

test('deviations of a list are taken as those of credentials are', async () => {
  const list = bitList({ header: { typ: 'JWT' } })
  await unreadable([bit(1)], list, /vc-typ/)
  const lenient: readonly Leniency[] = ['vc-typ']
  assert.equal(await standing([bit(1)], at(list, { lenient })), 'revoked')
})

test('a key that an issuer has taken out of its did document takes back what it signed', async () => {
  let now = NOW
  let current = document(did, key)
  const signedBy: Issuer = { ...issuer, key: thumbprint(publicOf(key) as never) }
  const world = worldOf(
    { 'https://corp.example/.well-known/did.json': () => new Response(current) },
    { now: () => now },
  )
  assert.equal(await standing([], world, signedBy), 'valid')
  current = document(did, theirs)
  now += 301
  assert.equal(await standing([], world, signedBy), 'revoked')
  current = document(did, key)
  now += 301
  assert.equal(await standing([], world, signedBy), 'valid')
})

test('a key that an issuer has taken out of its metadata takes back what it signed', async () => {
  const iss = 'https://issuer.example'
  const signedBy: Issuer = { id: iss, by: 'metadata', key: thumbprint(publicOf(key) as never) }
  const metadata = (of: typeof key) => JSON.stringify({ issuer: iss, jwks: { keys: [publicOf(of)] } })
  const world = (of: typeof key) => worldOf({ [`${iss}/.well-known/jwt-vc-issuer`]: metadata(of) })
  assert.equal(await standing([], world(key), signedBy), 'valid')
  assert.equal(await standing([], world(theirs), signedBy), 'revoked')
})

test('whether a key still stands is not known while its issuer cannot be read, and not asked of whom nobody trusts', async () => {
  const signedBy: Issuer = { ...issuer, key: thumbprint(publicOf(key) as never) }
  await assert.rejects(standing([], worldOf(), signedBy), { code: 'upstream_unavailable', message: /key of an issuer/ })
  const world = worldOf()
  assert.equal(await standingOf({ issuer: signedBy, status: [] }, { ...world, allowed: () => false }), 'valid')
  assert.deepEqual(world.asked, [])
})
