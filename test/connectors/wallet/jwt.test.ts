import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { Format } from '../../../src/connectors/wallet/credential.ts'
import { presented } from '../../../src/connectors/wallet/credentials/presented.ts'
import { thumbprint } from '../../../src/connectors/wallet/keys/jwk.ts'
import type { Leniency } from '../../../src/connectors/wallet/ports.ts'
import { binding, newKey, publicOf, signed, worldOf } from '../../support/credentials.ts'
import { NOW } from '../../support/x509.ts'

const [key, holderKey] = [newKey(), newKey()]
const iss = 'did:web:corp.example'
const web = {
  'https://corp.example/.well-known/did.json': JSON.stringify({
    id: iss,
    verificationMethod: [{ id: `${iss}#k1`, controller: iss, publicKeyJwk: publicOf(key) }],
    assertionMethod: [`${iss}#k1`],
  }),
}
const didOf = (of: typeof key) => `did:jwk:${Buffer.from(JSON.stringify(publicOf(of))).toString('base64url')}`
const holder = didOf(holderKey)
const holderPrint = thumbprint(publicOf(holderKey) as never)
const iso = (seconds: number) => new Date(seconds * 1000).toISOString()

type Parts = Readonly<Record<'header' | 'payload' | 'vpHeader' | 'vpPayload', object>>

/** A presentation of each format that is right, but for what is said otherwise. */
interface Made extends Partial<Parts> {
  readonly signer?: typeof key
  readonly presenter?: typeof key
  /** Instead of the credentials. */
  readonly list?: readonly unknown[]
}

const person = { id: holder, 'gx:givenName': 'Ada', roles: ['developer'] }

const makers = {
  'vp+jwt'({ header, payload, vpHeader, vpPayload, signer = key, presenter = holderKey, list }: Made = {}) {
    const vc = signed(
      { typ: 'vc+jwt', cty: 'vc', kid: `${iss}#k1`, iss, ...header },
      {
        '@context': ['https://www.w3.org/ns/credentials/v2'],
        id: 'urn:vc:1',
        type: ['VerifiableCredential', 'gx:NaturalPersonPartyCredential'],
        issuer: iss,
        validFrom: iso(NOW - 3600),
        validUntil: iso(NOW + 3600),
        credentialSubject: person,
        ...payload,
      },
      signer,
    )
    const enveloped = [{ id: `data:application/vc+jwt,${vc}`, type: 'EnvelopedVerifiableCredential' }]
    const vp = {
      type: ['VerifiablePresentation'],
      holder,
      verifiableCredential: list ?? enveloped,
      nonce: binding.nonce,
      aud: binding.audience,
      iat: NOW,
      ...vpPayload,
    }
    return signed({ typ: 'vp+jwt', cty: 'vp', kid: `${holder}#0`, ...vpHeader }, vp, presenter)
  },
  jwt_vc_json({ header, payload, vpHeader, vpPayload, signer = key, presenter = holderKey, list }: Made = {}) {
    const vc = {
      type: ['VerifiableCredential', 'gx:NaturalPersonPartyCredential'],
      credentialSubject: person,
    }
    const times = { nbf: NOW - 3600, exp: NOW + 3600 }
    const jwt = signed(
      { typ: 'JWT', kid: `${iss}#k1`, ...header },
      { iss, jti: 'urn:vc:1', ...times, vc, ...payload },
      signer,
    )
    const vp = { type: ['VerifiablePresentation'], verifiableCredential: list ?? [jwt] }
    const claims = { iss: holder, nonce: binding.nonce, aud: binding.audience, iat: NOW, vp, ...vpPayload }
    return signed({ typ: 'JWT', kid: `${holder}#0`, ...vpHeader }, claims, presenter)
  },
} satisfies Partial<Record<Format, (made: Made) => string>>

type MadeFormat = keyof typeof makers
const formats = Object.keys(makers) as readonly MadeFormat[]
const check = (format: Format, text: string, lenient: readonly Leniency[] = [], world = worldOf(web, { lenient })) =>
  presented(format, text, binding, world)
const refused = (format: Format, text: string, message: RegExp) =>
  assert.rejects(check(format, text), { code: 'upstream_rejected', message })

for (const format of formats) {
  const make = makers[format]

  test(`${format}: a credential that is bound to its holder by its subject is read`, async () => {
    const [{ digests, ...found } = { digests: [] }] = await check(format, make())
    assert.deepEqual(found, {
      format,
      types: ['gx:NaturalPersonPartyCredential'],
      id: 'urn:vc:1',
      issuer: { id: iss, by: 'did', key: thumbprint(publicOf(key) as never) },
      holder: holderPrint,
      subject: holder,
      claims: person,
      validFrom: NOW - 3600,
      validUntil: NOW + 3600,
      status: [],
      leniencies: [],
    })
    assert.match(digests?.[0] ?? '', /^[0-9a-f]{64}$/)
  })

  test(`${format}: a credential that is bound by cnf is read, and one bound to another key is refused`, async () => {
    const inside =
      format === 'vp+jwt'
        ? { credentialSubject: { name: 'Ada' } }
        : { vc: { type: ['VerifiableCredential', 'T'], credentialSubject: { name: 'Ada' } } }
    const [found] = await check(format, make({ payload: { ...inside, cnf: { jwk: publicOf(holderKey) } } }))
    assert.equal(found?.holder, holderPrint)
    await refused(
      format,
      make({ payload: { ...inside, cnf: { jwk: publicOf(newKey()) } } }),
      /bound to another key \(cnf\)/,
    )
    await refused(format, make({ payload: { cnf: { jwk: publicOf(newKey()) } } }), /bound to another key \(cnf\)/)
  })

  test(`${format}: a credential about somebody else is evidence that is bound to nobody`, async () => {
    const about = { id: 'did:web:corp.example', 'gx:legalName': 'Corp' }
    const payload =
      format === 'vp+jwt'
        ? { credentialSubject: about }
        : { vc: { type: ['VerifiableCredential', 'gx:LegalPerson'], credentialSubject: about } }
    const [found] = await check(format, make({ payload }))
    assert.equal(found?.holder, undefined)
    assert.equal(found?.subject, 'did:web:corp.example')
  })

  for (const [name, vpPayload, why] of [
    ['another nonce', { nonce: 'other' }, /another nonce/],
    ['no nonce', { nonce: undefined }, /another nonce/],
    ['another audience', { aud: 'x509_hash:other' }, /meant for/],
    ['a second audience', { aud: [binding.audience, 'https://other.example'] }, /meant for/],
    ['no audience', { aud: undefined }, /meant for/],
    ['an iat of long ago', { iat: NOW - 700 }, /too old/],
    ['an iat in the future', { iat: NOW + 120 }, /not yet valid/],
    ['an exp of before', { exp: NOW }, /expired/],
  ] as const)
    test(`${format}: a presentation with ${name} is refused`, () => refused(format, make({ vpPayload }), why))

  test(`${format}: a presentation that another key than its holder's signed is refused`, () =>
    refused(format, make({ presenter: newKey() }), /not signed by did:jwk/))

  test(`${format}: a presentation whose kid is of another did than its holder is refused`, () => {
    const other = newKey()
    return refused(format, make({ vpHeader: { kid: `${didOf(other)}#0` }, presenter: other }), /another did/)
  })

  test(`${format}: a copied presentation under another holder's name is evidence of nobody`, async () => {
    const thief = newKey()
    const named = format === 'vp+jwt' ? { holder: didOf(thief) } : { iss: didOf(thief) }
    const [found] = await check(
      format,
      make({ vpPayload: named, vpHeader: { kid: `${didOf(thief)}#0` }, presenter: thief }),
    )
    assert.equal(found?.holder, undefined)
  })

  test(`${format}: a credential that another key than its issuer's signed is refused`, () =>
    refused(format, make({ signer: newKey() }), /not signed by the key/))

  test(`${format}: a credential whose issuer is not the did of its key is refused`, () =>
    refused(format, make({ header: { kid: 'did:web:evil.example#k1' } }), /another did/))

  test(`${format}: a credential that names two issuers is refused`, () => {
    const payload =
      format === 'vp+jwt'
        ? { issuer: 'did:web:evil.example' }
        : { vc: { type: ['VerifiableCredential'], issuer: 'did:web:evil.example', credentialSubject: person } }
    return refused(format, make({ payload }), /or two/)
  })

  test(`${format}: alg none and HS256 are refused, of the presentation and of a credential`, async () => {
    for (const alg of ['none', 'HS256']) {
      await refused(format, make({ vpHeader: { alg } }), new RegExp(alg))
      await refused(format, make({ header: { alg } }), new RegExp(alg))
    }
    await refused(format, make().replace(/\.[^.]*$/, '.'), /not a signed JWS/)
  })

  test(`${format}: an expired credential is refused, and one of tomorrow`, async () => {
    const [late, early] =
      format === 'vp+jwt'
        ? [{ validUntil: iso(NOW) }, { validFrom: iso(NOW + 3600) }]
        : [{ exp: NOW }, { nbf: NOW + 3600 }]
    await refused(format, make({ payload: late }), /expired/)
    await refused(format, make({ payload: early }), /not yet valid/)
  })

  test(`${format}: a credential about several subjects is refused`, () => {
    const subjects = [person, { id: 'did:web:other.example' }]
    const payload =
      format === 'vp+jwt'
        ? { credentialSubject: subjects }
        : { vc: { type: ['VerifiableCredential'], credentialSubject: subjects } }
    return refused(format, make({ payload }), /2 subjects/)
  })

  test(`${format}: a status of an unknown kind is refused`, () => {
    const credentialStatus = { type: 'StatusList2017' }
    const payload =
      format === 'vp+jwt'
        ? { credentialStatus }
        : { vc: { type: ['VerifiableCredential'], credentialSubject: person, credentialStatus } }
    return refused(format, make({ payload }), /kind that is not known/)
  })

  test(`${format}: a Token Status List in the JWT counts, and another status there is refused`, async () => {
    const uri = 'https://corp.example/status/1'
    const [found] = await check(format, make({ payload: { status: { status_list: { idx: 3, uri } } } }))
    assert.deepEqual(found?.status, [{ kind: 'token', uri, index: 3 }])
    for (const status of ['revoked', {}, { other: {} }, null])
      await refused(format, make({ payload: { status } }), /kind that is not known/)
  })

  test(`${format}: a presentation without credentials, with a hundred and one, or with something else is refused`, async () => {
    for (const list of [[], Array(101).fill('x'), [1], [{ type: 'VerifiableCredential' }]])
      await refused(format, make({ list }), /credential/)
  })

  test(`${format}: an issuer whom no configuration trusts is not asked`, async () => {
    const world = worldOf(web)
    await assert.rejects(
      presented(format, make(), binding, { ...world, allowed: () => false }),
      /no issuer of this connector/,
    )
    assert.deepEqual(world.asked, [])
  })

  test(`${format}: a holder who names a did:web makes no request happen unless it is configured`, async () => {
    const world = worldOf(web)
    const named = format === 'vp+jwt' ? { holder: 'did:web:10.0.0.1' } : { iss: 'did:web:10.0.0.1' }
    await assert.rejects(
      presented(format, make({ vpPayload: named }), binding, { ...world, allowed: () => false }),
      /no holder/,
    )
    assert.deepEqual(world.asked, [])
  })
}

test('a presentation of one format is refused as the other', async () => {
  await refused('jwt_vc_json', makers['vp+jwt'](), /no presentation/)
  await refused('vp+jwt', makers.jwt_vc_json(), /of the type JWT|deviates/)
  await refused('dc+sd-jwt', makers['vp+jwt'](), /no SD-JWT/)
})

test('jwt_vc_json: a credential whose sub is not its subject is refused', () =>
  refused('jwt_vc_json', makers.jwt_vc_json({ payload: { sub: 'did:web:other.example' } }), /two subjects/))

test('vp+jwt: a credential with a second one in its claim vc is refused', () =>
  refused('vp+jwt', makers['vp+jwt']({ payload: { vc: { credentialSubject: {} } } }), /data model 2.0/))

const deviations: readonly (readonly [Leniency, Made])[] = [
  ['vc-typ', { header: { typ: 'vc+ld+jwt' } }],
  ['vc-typ', { header: { typ: 'vc+ld+json+jwt' } }],
  ['vc-typ', { header: { typ: 'JWT' } }],
  ['vp-typ', { vpHeader: { typ: 'vc+jwt' } }],
  ['iss-missing', { header: { iss: undefined } }],
  ['header-milliseconds', { header: { iat: (NOW - 60) * 1000, exp: (NOW + 600) * 1000 } }],
  ['kid-unknown', { header: { kid: `${iss}#X509-JWK2020` } }],
]
for (const [name, made] of deviations)
  test(`vp+jwt: ${name} (${JSON.stringify(made)}) is refused, taken where the operator says so, and noted`, async () => {
    await refused('vp+jwt', makers['vp+jwt'](made), new RegExp(name))
    const [found] = await check('vp+jwt', makers['vp+jwt'](made), [name])
    assert.deepEqual(found?.leniencies, [name])
  })

test('vp+jwt: an envelope with a semicolon is refused, taken where the operator says so, and noted', async () => {
  const text = makers['vp+jwt']()
  const envelope = JSON.parse(Buffer.from(text.split('.')[1]!, 'base64url').toString()).verifiableCredential[0]
  const list = [{ ...envelope, id: envelope.id.replace(',', ';') }]
  await refused('vp+jwt', makers['vp+jwt']({ list }), /enveloped-separator/)
  const [found] = await check('vp+jwt', makers['vp+jwt']({ list }), ['enveloped-separator'])
  assert.deepEqual(found?.leniencies, ['enveloped-separator'])
})

test('vp+jwt: an end in the header counts, also in milliseconds', () =>
  assert.rejects(
    check('vp+jwt', makers['vp+jwt']({ header: { exp: (NOW - 1) * 1000 } }), ['header-milliseconds']),
    /expired/,
  ))

test('vp+jwt: a credential is known by the digest of its text, and of its JSON in canonical form', async () => {
  const text = makers['vp+jwt']()
  const [found] = await check('vp+jwt', text)
  const vc: string = JSON.parse(
    Buffer.from(text.split('.')[1]!, 'base64url').toString(),
  ).verifiableCredential[0].id.split(',')[1]
  const sha = (of: string) => createHash('sha256').update(of).digest('hex')
  const sorted = JSON.stringify(JSON.parse(Buffer.from(vc.split('.')[1]!, 'base64url').toString()), (_, value) =>
    typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  )
  assert.deepEqual(found?.digests, [sha(vc), sha(sorted)])
})

test('what was checked is told step by step', async () => {
  const steps: string[] = []
  await presented('vp+jwt', makers['vp+jwt'](), binding, worldOf(web), ({ check: name }) => void steps.push(name))
  assert.deepEqual(steps, ['presentation', 'credential'])
})

test('of one presentation no more than sixteen issuers are asked for their keys', async () => {
  const dids = Array.from({ length: 20 }, (_, at) => `did:web:many.example:${at}`)
  const documents = dids.map((id, at) => [
    `https://many.example/${at}/did.json`,
    JSON.stringify({
      id,
      verificationMethod: [{ id: `${id}#k1`, controller: id, publicKeyJwk: publicOf(key) }],
      assertionMethod: [`${id}#k1`],
    }),
  ])
  const of = (id: string) =>
    signed(
      { typ: 'vc+jwt', kid: `${id}#k1`, iss: id },
      {
        type: ['VerifiableCredential', 'gx:LegalPerson'],
        issuer: id,
        credentialSubject: { id: 'https://many.example' },
      },
      key,
    )
  const world = worldOf(Object.fromEntries(documents))
  const list = (all: readonly string[]) =>
    all.map((id) => ({ id: `data:application/vc+jwt,${of(id)}`, type: 'EnvelopedVerifiableCredential' }))
  assert.equal((await check('vp+jwt', makers['vp+jwt']({ list: list(dids.slice(0, 16)) }), [], world)).length, 16)
  await assert.rejects(check('vp+jwt', makers['vp+jwt']({ list: list(dids) }), [], world), /more than 16 issuers/)
  assert.equal(world.asked.length, 16)
})
