import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answers, matched, queryOf } from '../../../src/connectors/wallet/dcql.ts'
import { walletOptions } from '../../../src/connectors/wallet/options.ts'
import { walletProblems } from '../../../src/connectors/wallet/problems.ts'
import { credential, label, labelled, person, refusal, type Written, walletConfig } from './credentials.ts'

const none = () => []
const employee = {
  id: 'employee',
  format: 'dc+sd-jwt',
  types: ['https://credentials.corp.example/employee'],
  about: 'person',
  issuedBy: [{ anchor: 'corp' }],
  claims: [{ path: ['roles', null], values: ['developer', 'operator'] }, { path: 'given_name' }],
}
const roots = { anchors: { corp: { env: 'CORP_ROOT' } } }

test('the query has the types, claims and values of the configuration', () => {
  assert.deepEqual(queryOf(walletConfig([employee], roots), none), {
    credentials: [
      {
        id: 'employee',
        format: 'dc+sd-jwt',
        meta: { vct_values: ['https://credentials.corp.example/employee'] },
        claims: [{ path: ['roles', null], values: ['developer', 'operator'] }, { path: ['given_name'] }],
      },
    ],
  })
})

test('the query of a VC names its types and its claims below credentialSubject', () => {
  const config = walletConfig([{ ...person, claims: [{ path: 'gx:identityRoles' }] }])
  assert.deepEqual(queryOf(config, none).credentials, [
    {
      id: 'member',
      format: 'vp+jwt',
      meta: { type_values: [['VerifiableCredential', 'NaturalPersonPartyCredential']] },
      claims: [{ path: ['credentialSubject', 'gx:identityRoles'] }],
    },
  ])
})

test('the query says which anchors are trusted only where anchors decide alone, and the configuration lets it', () => {
  const ids = (anchor: string) => (anchor === 'corp' ? ['aki-of-corp'] : [])
  const authorities = (issuedBy: readonly object[], more: Written = {}) =>
    queryOf(walletConfig([{ ...employee, issuedBy }], { ...roots, ...more }), ids).credentials[0]?.trusted_authorities
  const said = [{ type: 'aki', values: ['aki-of-corp'] }]
  assert.deepEqual(authorities([{ anchor: 'corp' }, { anchor: 'corp', id: 'https://hr.corp.example' }]), said)
  assert.equal(authorities([{ anchor: 'corp' }, { id: 'did:web:partner.example' }]), undefined)
  assert.equal(authorities([{ anchor: 'corp' }, { anchor: 'without-key-id' }]), undefined)
  assert.equal(authorities([{ anchor: 'corp' }], { trustedAuthorities: 'off' }), undefined)
})

test('sets, and what is optional or evidence, become credential_sets; what only the operator has is not asked for', () => {
  const sets = (credentials: readonly Written[], more: Written = {}) =>
    queryOf(walletConfig(credentials, more), none).credential_sets
  assert.equal(sets([person, { ...labelled, from: 'wallet' }]), undefined)
  assert.deepEqual(sets([person, labelled]), [
    { options: [['member']], required: true },
    { options: [['label']], required: false },
  ])
  assert.deepEqual(
    sets([person, { ...employee, issuedBy: [{ id: 'https://corp.example' }] }, labelled], {
      sets: [{ anyOf: [['member'], ['employee']] }, { anyOf: [['label']] }],
    }),
    [
      { options: [['member'], ['employee']], required: true },
      { options: [['label']], required: false },
    ],
  )
  const operator = queryOf(walletConfig([person, { ...labelled, from: 'operator' }]), none)
  assert.deepEqual(
    operator.credentials.map(({ id }) => id),
    ['member'],
  )
})

const both = walletConfig([person, labelled])

test('an answer holds one JWT for each thing that was asked for', () => {
  const [answered] = answers(both, { member: ['a.b.c'] })
  assert.equal(answered?.asked.id, 'member')
  assert.equal(answered?.presentation, 'a.b.c')
})

test('an unrequested credential is refused, also one that is the operator’s to bring', () => {
  assert.match(
    refusal(() => answers(both, { member: ['a.b.c'], other: ['a.b.c'] })),
    /was not asked for/,
  )
  const operator = walletConfig([person, { ...labelled, from: 'operator' }])
  assert.match(
    refusal(() => answers(operator, { member: ['a.b.c'], label: ['a.b.c'] })),
    /was not asked for/,
  )
})

test('an answer that does not fulfil the query is refused: nothing, too little, two for one, no text', () => {
  assert.match(
    refusal(() => answers(both, {})),
    /none of member came/,
  )
  assert.match(
    refusal(() => answers(both, { label: ['a.b.c'] })),
    /none of member came/,
  )
  for (const token of [undefined, null, 'a.b.c', ['a.b.c']])
    assert.match(
      refusal(() => answers(both, token)),
      /vp_token is no object/,
    )
  for (const member of ['a.b.c', [], ['a.b.c', 'd.e.f'], undefined])
    assert.match(
      refusal(() => answers(both, { member })),
      /not one presentation in a list/,
    )
  assert.match(
    refusal(() => answers(both, { member: ['a'.repeat(300_000)] })),
    /longer than/,
  )
  const sets = walletConfig([person, { ...person, id: 'second' }], { sets: [{ anyOf: [['member', 'second']] }] })
  assert.match(
    refusal(() => answers(sets, { member: ['a.b.c'] })),
    /none of member with second came/,
  )
})

test('a Tagus presentation as a sign-in is refused: it is an envelope that whoever saw it can send', () => {
  const presentation = { '@context': ['https://www.w3.org/2018/credentials/v1'], type: 'VerifiablePresentation' }
  assert.match(
    refusal(() => answers(both, { member: [presentation] })),
    /JSON-LD.* nothing about who presents it/,
  )
})

test('mdoc is refused with the reason, in an answer and in the configuration', () => {
  assert.match(
    refusal(() => answers(both, { member: ['o2d2ZXJzaW9uYzEuMGlkb2N1bWVudHM'] })),
    /mdoc is not read here/,
  )
  const read = walletOptions.credentials.safeParse([{ ...person, format: 'mso_mdoc' }])
  assert.match(read.error?.issues[0]?.message ?? '', /^mdoc is not read here; ask for the same as dc\+sd-jwt$/)
})

test('a claim of the query that is missing or has another value is refused, whatever the wallet thought of it', () => {
  const config = walletConfig([employee], roots)
  const presented = (claims: Written) => () =>
    matched(config, [
      {
        asked: config.credentials[0]!,
        credentials: [credential({ format: 'dc+sd-jwt', types: employee.types, claims: claims as never })],
      },
    ])
  const good = { roles: ['guest', 'developer'], given_name: 'Ada' }
  assert.equal(presented(good)().length, 1)
  assert.match(refusal(presented({ ...good, roles: ['guest'] })), /employee lacks roles\/\*/)
  assert.match(refusal(presented({ ...good, roles: [] })), /lacks roles/)
  assert.match(refusal(presented({ ...good, roles: 'developer' })), /lacks roles/)
  assert.match(refusal(presented({ ...good, given_name: null })), /lacks given_name/)
  assert.match(refusal(presented({ roles: ['developer'] })), /lacks given_name/)
  assert.match(refusal(presented(Object.create(good))), /lacks/)
})

test('a credential of another type or format than was asked for is refused', () => {
  const present = (more: object) => () =>
    matched(both, [{ asked: both.credentials[0]!, credentials: [credential(more)] }])
  assert.doesNotThrow(present({}))
  assert.match(refusal(present({ types: ['gx:LegalPerson'] })), /none of the types/)
  assert.match(refusal(present({ format: 'jwt_vc_json' })), /none of the types/)
  const sdJwt = walletConfig([employee], roots)
  const prefixed = credential({ format: 'dc+sd-jwt', types: [`gx:${employee.types[0]}`] })
  assert.match(
    refusal(() => matched(sdJwt, [{ asked: sdJwt.credentials[0]!, credentials: [prefixed] }])),
    /none of the types/,
  )
})

test('beside what was asked for a presentation may hold credentials about organisations, and nothing else', () => {
  const present =
    (...beside: readonly ReturnType<typeof credential>[]) =>
    () =>
      matched(both, [{ asked: both.credentials[0]!, credentials: [credential(), ...beside] }])
  const attached = label() as ReturnType<typeof credential>
  assert.deepEqual(
    present(attached)().map(({ asked }) => asked.id),
    ['member', 'label'],
  )
  assert.match(refusal(present(credential({ types: ['EmployeeCredential'] }))), /was not asked for/)
  assert.match(refusal(present(credential())), /more than once/)
})

test('options that contradict each other are refused with the option that is wrong', () => {
  const problems = (credentials: readonly Written[], more: Written = {}) =>
    walletProblems(walletConfig(credentials, { certificate: { env: 'A' }, privateKey: { env: 'B' }, ...more })).map(
      ({ path, message }) => `${path.join('.')}: ${message}`,
    )
  assert.deepEqual(problems([person]), [])
  assert.match(problems([labelled]).join(), /^credentials: none speaks of a person/)
  assert.match(problems([employee]).join(), /^credentials.0.issuedBy.0: no anchor is called corp/)
  assert.match(problems([{ ...person, issuedBy: [{ list: 'x' }] }]).join(), /no list is called x/)
  assert.match(problems([{ ...person, issuedBy: ['organisations'] }]).join(), /no credential vouches for organisations/)
  const members = { ...person, issuedBy: ['organisations'] }
  assert.deepEqual(problems([members, labelled]), [])
  for (const type of ['gx:VatID', 'legalRegistrationNumber'])
    assert.match(
      problems([members, { ...labelled, types: [type] }]).join(),
      /credentials.0.issuedBy.0: .* registration number/,
    )
  assert.match(problems([members, { ...labelled, issuedBy: ['itself'] }]).join(), /no credential vouches/)
  for (const type of ['gx:LegalParticipant', 'LabelCredential', 'https://w3id.org/gaia-x/development#LegalPerson'])
    assert.match(problems([{ ...person, types: [type] }]).join(), /^credentials.0.types: .* speaks of an organisation/)
  assert.match(problems([{ ...person, issuedBy: ['itself'] }]).join(), /nobody vouches for herself/)
  assert.match(problems([person, { ...labelled, issuedBy: ['organisations'] }]).join(), /name who vouches/)
  assert.match(problems([person, person]).join(), /credentials.1.id: is there twice/)
  assert.match(problems([{ ...person, from: 'either' }]).join(), /comes from her wallet alone/)
  assert.match(problems([person], { require: ['label'] }).join(), /^require:/)
  assert.match(problems([person], { sets: [{ anyOf: [['other']] }] }).join(), /is called other.*member is in none/)
  assert.match(problems([person], { certificate: undefined }).join(), /^certificate: missing/)
  assert.match(problems([person], { clientIdPrefix: 'decentralized_identifier' }).join(), /^did: missing/)
  assert.deepEqual(
    problems([person], { clientIdPrefix: 'redirect_uri', certificate: undefined, privateKey: undefined }),
    [],
  )
})
