import assert from 'node:assert/strict'
import { generateKeyPairSync, hash } from 'node:crypto'
import { test } from 'node:test'
import { presented } from '../../../src/connectors/wallet/credentials/presented.ts'
import {
  binding,
  bound,
  digest,
  disclosure,
  type Issue,
  issued,
  newKey,
  publicOf,
  signed,
  worldOf,
} from '../../support/credentials.ts'
import { NOW } from '../../support/x509.ts'

const key = newKey()
const holder = newKey()
const iss = 'https://issuer.corp.example'
const metadata = {
  [`${iss}/.well-known/jwt-vc-issuer`]: JSON.stringify({
    issuer: iss,
    jwks: { keys: [{ ...publicOf(key), kid: 'k1' }] },
  }),
}
const hidden = { given_name: 'Ada', roles: ['developer'] }

/** What an honest issuer makes, but for what is said otherwise. */
const credential = (more: Partial<Issue> = {}) =>
  issued({ key, holder, hidden, ...more, header: { kid: 'k1', ...more.header }, open: { iss, ...more.open } })

const check = (presentation: string, world = worldOf(metadata)) => presented('dc+sd-jwt', presentation, binding, world)

const refused = (presentation: string, why: RegExp, world = worldOf(metadata)) =>
  assert.rejects(check(presentation, world), { code: 'upstream_rejected', message: why })

test('a presentation that is bound to the request is read, with everything that was disclosed', async () => {
  const [found] = await check(bound(credential(), holder))
  assert.deepEqual(found, {
    format: 'dc+sd-jwt',
    types: ['https://credentials.example/employee'],
    issuer: { id: iss, by: 'metadata', key: thumb(publicOf(key)) },
    holder: thumb(publicOf(holder)),
    claims: { given_name: 'Ada', roles: ['developer'] },
    validFrom: NOW - 3600,
    validUntil: NOW + 3600,
    status: [],
    leniencies: [],
  })
})

test('what the wallet did not disclose is not there', async () => {
  const [first = '', , ...rest] = credential().split('~')
  const [found] = await check(bound([first, ...rest].join('~'), holder))
  assert.deepEqual(found?.claims, { roles: ['developer'] })
})

test('a presentation without key binding is refused', () => refused(credential(), /key binding is missing/))

test('a key binding that nobody signed is refused', async () => {
  const presentation = bound(credential(), holder)
  await refused(presentation.slice(0, presentation.lastIndexOf('.') + 1), /not a signed JWS/)
  await refused(`${presentation.slice(0, presentation.lastIndexOf('.') + 1)}AAAA`, /not signed by the key/)
})

test('a key binding by another key than the one in cnf is refused', () =>
  refused(bound(credential(), newKey()), /not signed by the key to which/))

test('a credential that is bound to no key is refused', () =>
  refused(bound(credential({ holder: undefined }), holder), /bound to no key/))

for (const [name, payload, why] of [
  ['nonce', { nonce: 'another' }, /another nonce/],
  ['missing nonce', { nonce: undefined }, /another nonce/],
  ['audience', { aud: 'x509_hash:other' }, /meant for/],
  ['list of audiences', { aud: [binding.audience, 'other'] }, /meant for/],
  ['sd_hash', { sd_hash: digest('other') }, /sd_hash/],
  ['iat of ten minutes ago', { iat: NOW - 601 }, /too old/],
  ['missing iat', { iat: undefined }, /too old/],
  ['iat in two minutes', { iat: NOW + 120 }, /future/],
  ['iat that is a text', { iat: String(NOW) }, /not a time/],
] as const)
  test(`a key binding with a wrong ${name} is refused`, () => refused(bound(credential(), holder, { payload }), why))

test('a key binding of another type is refused', () =>
  refused(bound(credential(), holder, { header: { typ: 'JWT' } }), /not of the type kb/))

test('a disclosure that was left out after the holder signed is refused', async () => {
  const [first, , ...rest] = bound(credential(), holder).split('~')
  await refused([first, ...rest].join('~'), /sd_hash/)
})

test('a disclosed claim that was changed is refused', async () => {
  const [first = '', ...rest] = credential().split('~')
  rest[0] = disclosure('given_name', 'Grace')
  await refused(bound([first, ...rest].join('~'), holder), /not among those that the issuer signed/)
})

test('a disclosure that is there twice is refused', async () => {
  const [first = '', second = '', ...rest] = credential().split('~')
  await refused(bound([first, second, second, ...rest].join('~'), holder), /there twice/)
})

test('a digest that stands twice is refused', async () => {
  const one = disclosure('given_name', 'Ada')
  const text = issued({ key, holder, header: { kid: 'k1' }, open: { iss, _sd: [digest(one), digest(one)] } })
  await refused(bound(`${text}${one}~`, holder), /twice/)
})

test('a digest that stands twice is refused also where it is a decoy, or in two places', async () => {
  const open = { iss, _sd: ['decoy'], address: { _sd: ['decoy'] } }
  await refused(bound(issued({ key, holder, header: { kid: 'k1' }, open }), holder), /twice/)
})

test('a disclosed claim that is also there openly is refused', () =>
  refused(bound(credential({ open: { given_name: 'Grace' } }), holder), /there already/))

test('two disclosures of one claim are refused', async () => {
  const [one, other] = [disclosure('role', 'guest'), disclosure('role', 'admin')]
  const text = issued({ key, holder, header: { kid: 'k1' }, open: { iss, _sd: [digest(one), digest(other)] } })
  await refused(bound(`${text}${one}~${other}~`, holder), /there already/)
})

for (const name of ['iss', 'exp', 'cnf', 'vct', 'status'])
  test(`${name} that is disclosed selectively is refused`, async () => {
    const text = issued({
      key,
      holder,
      header: { kid: 'k1' },
      open: { iss, [name]: undefined },
      hidden: { [name]: 'x' },
    })
    // Without cnf the holder has no key; without iss and vct there is no issuer and no type.
    await refused(bound(text, holder), /selectively|bound to no key|there already|no issuer|no type/)
  })

test('an element of an array in the place of a claim is refused, and the other way round', async () => {
  const element = disclosure('developer')
  const first = issued({ key, holder, header: { kid: 'k1' }, open: { iss, _sd: [digest(element)] } })
  await refused(bound(`${first}${element}~`, holder), /where a claim has to be/)
  const claim = disclosure('roles', 'developer')
  const second = issued({ key, holder, header: { kid: 'k1' }, open: { iss, roles: [{ '...': digest(claim) }] } })
  await refused(bound(`${second}${claim}~`, holder), /where an element has to be/)
})

test('claims inside disclosed claims are found, and elements that were not disclosed are not there', async () => {
  const inner = disclosure('city', 'Bremen')
  const outer = disclosure('address', { _sd: [digest(inner)] })
  const element = disclosure('DE')
  const open = { iss, _sd: [digest(outer)], nationalities: [{ '...': digest(element) }, { '...': digest('hidden') }] }
  const text = `${issued({ key, holder, header: { kid: 'k1' }, open })}${outer}~${inner}~${element}~`
  const [found] = await check(bound(text, holder))
  assert.deepEqual(found?.claims, { address: { city: 'Bremen' }, nationalities: ['DE'] })
})

test('a disclosure inside of one that was not disclosed is refused', async () => {
  const inner = disclosure('city', 'Bremen')
  const outer = disclosure('address', { _sd: [digest(inner)] })
  const text = issued({ key, holder, header: { kid: 'k1' }, open: { iss, _sd: [digest(outer)] } })
  await refused(bound(`${text}${inner}~`, holder), /not among those/)
})

test('digests by another hash than SHA-2 are refused', () =>
  refused(bound(credential({ open: { _sd_alg: 'md5' } }), holder), /not taken/))

test('a credential without signature (alg none) is refused', async () => {
  const payload = { iss, vct: 'x', cnf: { jwk: publicOf(holder) }, exp: NOW + 60 }
  const unsigned = signed({ typ: 'dc+sd-jwt', alg: 'none' }, payload, key)
  await refused(bound(`${unsigned}~`, holder), /signed by none/)
  await refused(bound(`${unsigned.slice(0, unsigned.lastIndexOf('.') + 1)}~`, holder), /not a signed JWS/)
})

test('a credential that is signed with a shared secret (HS256) is refused', async () => {
  const payload = { iss, vct: 'x', cnf: { jwk: publicOf(holder) }, exp: NOW + 60 }
  await refused(bound(`${signed({ typ: 'dc+sd-jwt', alg: 'HS256', kid: 'k1' }, payload, key)}~`, holder), /HS256/)
  await refused(bound(credential(), holder, { header: { alg: 'HS256' } }), /HS256/)
})

test('a credential by another key than its issuer has is refused', () =>
  refused(bound(credential({ key: newKey() }), holder), /not signed by a key of its issuer/))

test('an expired credential is refused, and one of tomorrow', async () => {
  await refused(bound(credential({ open: { exp: NOW } }), holder), /expired/)
  await refused(bound(credential({ open: { nbf: NOW + 3600 } }), holder), /not yet valid/)
})

test('a credential of the older type is taken where the operator says so, and that it was is noted', async () => {
  const text = bound(credential({ header: { typ: 'vc+sd-jwt' } }), holder)
  await refused(text, /sd-jwt-typ/)
  const [found] = await check(text, worldOf(metadata, { lenient: ['sd-jwt-typ'] }))
  assert.deepEqual(found?.leniencies, ['sd-jwt-typ'])
})

test('a status of a kind that nobody knows is refused, since it cannot be read', () =>
  refused(bound(credential({ open: { status: { other_list: {} } } }), holder), /kind that is not known/))

test('an extension of JWS that is critical is refused', () =>
  refused(bound(credential({ header: { crit: ['exp'] } }), holder), /extension/))

test('an issuer whom no configuration trusts is not asked for its keys', async () => {
  const world = worldOf(metadata)
  await refused(bound(credential(), holder), /no issuer of this connector/, { ...world, allowed: () => false })
  assert.deepEqual(world.asked, [])
})

test('who cannot prove to hold the credential makes no request happen', async () => {
  const world = worldOf(metadata)
  await refused(credential(), /key binding is missing/, world)
  assert.deepEqual(world.asked, [])
})

test('an issuer that cannot be read is an outage and no refusal', () =>
  assert.rejects(check(bound(credential(), holder), worldOf()), { code: 'upstream_unavailable' }))

test('metadata about another issuer is refused', async () => {
  const web = {
    ...metadata,
    [`${iss}/.well-known/jwt-vc-issuer`]: JSON.stringify({ issuer: 'https://other.example', jwks: {} }),
  }
  await refused(bound(credential(), holder), /not about this issuer/, worldOf(web))
})

test('two issuers whose names lead to one address are not one', async () => {
  const world = worldOf(metadata)
  await check(bound(credential(), holder), world)
  await refused(bound(credential({ open: { iss: `${iss}/` } }), holder), /not about this issuer/, world)
})

test('a key that its issuer has exchanged is found by looking once more', async () => {
  let now = NOW
  const old = newKey()
  const keys = [{ ...publicOf(old), kid: 'k1' }]
  const address = `${iss}/.well-known/jwt-vc-issuer`
  const web = { [address]: () => new Response(JSON.stringify({ issuer: iss, jwks: { keys } })) }
  const world = worldOf(web, { now: () => now })
  await check(bound(credential({ key: old }), holder), world)
  keys[0] = { ...publicOf(key), kid: 'k1' }
  now += 20
  await check(bound(credential(), holder), world)
  assert.deepEqual(world.asked, [address, address])
  await refused(bound(credential({ key: newKey() }), holder), /not signed/, world)
  assert.equal(world.asked.length, 2, 'wrong signatures do not cause a request each')
})

test('Ed25519 holders are known by their key too', async () => {
  const other = generateKeyPairSync('ed25519').privateKey
  const [found] = await check(bound(credential({ holder: other }), other))
  const { crv, kty, x } = publicOf(other)
  assert.equal(found?.holder, hash('sha256', JSON.stringify({ crv, kty, x }), 'base64url'))
})

function thumb({ crv, kty, x, y }: ReturnType<typeof publicOf>): string {
  return hash('sha256', JSON.stringify({ crv, kty, x, y }), 'base64url')
}

test('disclosures inside of each other, deeper than JSON may be nested at all, are refused', () => {
  const nested = (inner: object) => Array.from({ length: 28 }).reduce<object>((each) => ({ a: each }), inner)
  const all: string[] = []
  for (let at = 0; at < 400; at += 1) {
    const before = all.at(-1)
    all.push(disclosure('a', nested(before === undefined ? {} : { _sd: [digest(before)] })))
  }
  const [jwt = ''] = credential({ hidden: {}, open: { _sd: [digest(all.at(-1) ?? '')] } }).split('~')
  return refused(bound(`${[jwt, ...all].join('~')}~`, holder), /nested/)
})
