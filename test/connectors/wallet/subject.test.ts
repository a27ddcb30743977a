import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Credential } from '../../../src/connectors/wallet/credential.ts'
import { subjectFrom } from '../../../src/connectors/wallet/subject.ts'
import { judge } from '../../../src/connectors/wallet/trust.ts'
import {
  CORP,
  credential,
  found,
  label,
  labelled,
  NOW,
  OTHER,
  person,
  policy,
  refusal,
  walletConfig,
} from './credentials.ts'

const config = walletConfig([
  { ...person, issuedBy: [{ id: CORP }, { id: OTHER }] },
  { ...labelled, need: 'optional' },
])
const byClaim = walletConfig([{ ...person, subject: { claim: 'staff' } }])

function named(from: typeof config, more: Partial<Credential> = {}, evidence = [label()]) {
  const judged = judge(policy(from, { evidence }), [found(from, 'member', credential(more))], NOW)
  return subjectFrom(judged, from, NOW)
}

test('a person is named by the issuer and the key of her wallet, never by her name', () => {
  const { subject } = named(config, { claims: { name: 'Ada', email: 'ada@corp.example' } })
  assert.equal(subject.id, `holder:${CORP}!thumbprint-of-alice`)
  assert.equal(named(config, { claims: { name: 'Bob' } }).subject.id, subject.id)
  assert.notEqual(named(config, { issuer: { id: OTHER, by: 'did' } }).subject.id, subject.id)
  assert.notEqual(named(config, { holder: 'another' }).subject.id, subject.id)
})

test('a person is named by the issuer and a configured claim, whatever key her wallet has', () => {
  const { subject } = named(byClaim, { claims: { staff: '7' } })
  assert.equal(subject.id, `claim:staff:${CORP}!7`)
  assert.equal(named(byClaim, { claims: { staff: 7 }, holder: 'another' }).subject.id, subject.id)
})

test('without the configured claim, or with several, nobody signs in', () => {
  for (const claims of [
    {},
    { staff: '' },
    { staff: null },
    { staff: ['7'] },
    { staff: { id: '7' } },
    { staff: '7\n8' },
  ])
    assert.match(
      refusal(() => named(byClaim, { claims })),
      /^claims_unusable/,
      JSON.stringify(claims),
    )
})

test('no two issuers and kinds of names make one person', () => {
  const tricky = walletConfig([
    { ...person, issuedBy: [{ id: 'did:web:a!b' }, { id: 'did:web:a' }], subject: { claim: 'staff' } },
  ])
  const one = named(tricky, { issuer: { id: 'did:web:a!b', by: 'did' }, claims: { staff: 'c' } }, [])
  const other = named(tricky, { issuer: { id: 'did:web:a', by: 'did' }, claims: { staff: 'b!c' } }, [])
  assert.notEqual(one.subject.id, other.subject.id)
  const claim = walletConfig([{ ...person, subject: { claim: 'holder' } }])
  const spoken = named(claim, { claims: { holder: 'thumbprint-of-alice' } }, [])
  assert.notEqual(spoken.subject.id, named(config).subject.id)
})

test('an issuer without a name of its own is told apart by its anchor', () => {
  const anchored = (anchor: string) => {
    const from = walletConfig([{ ...person, issuedBy: [{ anchor }] }], { anchors: { [anchor]: { env: 'A' } } })
    return named(from, { issuer: { id: 'CN=HR', by: 'x5c', anchor } }, []).subject.id
  }
  assert.notEqual(anchored('one'), anchored('two'))
})

test('claims are those of the credential, and what is known of the organisation', () => {
  const { subject } = named(config, { claims: { 'gx:identityRoles': ['developer'], 'gx:givenName': 'Ada' } })
  assert.deepEqual(
    { ...subject.claims },
    {
      'gx:identityRoles': ['developer'],
      'gx:givenName': ['Ada'],
      'credential.issuer': [CORP],
      'credential.type': ['gx:NaturalPersonPartyCredential'],
      'org.did': [CORP],
      'org.label': ['L1'],
    },
  )
})

test('a credential cannot say what the gateway says of the organisation', () => {
  for (const name of ['org.label', 'org.did', 'credential.issuer'])
    assert.match(
      refusal(() => named(config, { claims: { [name]: 'L3' } }, [])),
      /is what the gateway says itself/,
    )
})

test('of two credentials about one person the first of the configuration names her, and says what both say', () => {
  const two = walletConfig([person, { ...person, id: 'second', types: ['EmployeeCredential'] }])
  const second = credential({ types: ['EmployeeCredential'], claims: { name: 'B', grade: '3' } })
  const answer = [found(two, 'second', second), found(two, 'member', credential({ claims: { name: 'A' } }))]
  const { subject } = subjectFrom(judge(policy(two), answer, NOW), two, NOW)
  assert.deepEqual([subject.claims['name'], subject.claims['grade']], [['A'], ['3']])
  assert.deepEqual(subject.claims['credential.type'], ['gx:NaturalPersonPartyCredential'])
})

test('what she gets lasts until the first of what it rests on ends', () => {
  const { validUntil: _, ...endless } = credential()
  const judged = (one: Credential, evidence = [label()]) =>
    subjectFrom(judge(policy(config, { evidence }), [found(config, 'member', one)], NOW), config, NOW).validUntil
  assert.equal(judged(endless, []), undefined)
  assert.equal(judged(credential({ validUntil: NOW + 500 })), NOW + 500)
  assert.equal(judged(endless, [label({ validUntil: NOW + 400 })]), NOW + 400)
  assert.equal(judged(credential({ issuer: { id: CORP, by: 'did', certifiedUntil: NOW + 300 } })), NOW + 300)
})

test('names that an issuer gives once are taken where there is one issuer, and from none of several', () => {
  const claims = { preferred_username: 'ada', email: 'ada@corp.example', email_verified: true, staff: '7' }
  const one = named(byClaim, { claims }, []).subject.claims
  assert.deepEqual([one['preferred_username'], one['email']], [['ada'], ['ada@corp.example']])
  const several = named(config, { claims }, []).subject.claims
  assert.deepEqual(Object.keys(several).sort(), ['credential.issuer', 'credential.type', 'org.did', 'staff'])
  const anchored = walletConfig([{ ...person, issuedBy: [{ anchor: 'eu' }] }], { anchors: { eu: { env: 'A' } } })
  const issuer = { id: CORP, by: 'x5c', anchor: 'eu' } as const
  assert.equal('email' in named(anchored, { claims, issuer }, []).subject.claims, false)
})
