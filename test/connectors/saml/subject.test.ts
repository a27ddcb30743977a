import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Idp } from '../../../src/connectors/saml/idp.ts'
import { subjectOf } from '../../../src/connectors/saml/subject.ts'
import type { Verified } from '../../../src/connectors/saml/verify.ts'
import { LoginError } from '../../../src/core/errors.ts'
import type { RegexEngine } from '../../../src/core/policy.ts'
import { re2 } from '../../../src/regex.ts'
import { idpRecord } from '../../support/saml-idp.ts'
import { exchange, NOW } from './world.ts'

const PERSISTENT = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent'
const EPPN = 'urn:oid:1.3.6.1.4.1.5923.1.1.1.6'

const campus = idpRecord(exchange.idp, [], {
  scopes: [
    { text: 'example.edu', pattern: false },
    { text: '^[a-z]+\\.example\\.edu$', pattern: true },
    { text: '((', pattern: true },
  ],
})

/** Attributes by what they are sent as. */
const verified = (attributes: Readonly<Record<string, readonly string[]>>, more: Partial<Verified> = {}): Verified => ({
  assertionId: '_a',
  goodUntil: NOW + 300,
  issuer: exchange.idp,
  nameId: { value: 'x1', format: PERSISTENT },
  authnInstant: NOW,
  attributes: Object.entries(attributes).map(([name, values]) => ({ name, values })),
  ...more,
})

const usual = ['subject-id', 'pairwise-id', 'eduPersonUniqueId', 'persistent']

function read(said: Verified, idp: Idp = campus, subject: readonly string[] = usual) {
  return subjectOf(said, idp, { config: { id: 'campus', subject: [...subject] }, regex: re2, entityId: exchange.sp })
}

const transient = { nameId: { value: '_t1', format: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient' } }

function refused(what: () => unknown, why: RegExp): void {
  assert.throws(what, (error: unknown) => {
    assert.ok(error instanceof LoginError, String(error))
    assert.equal(error.code, 'claims_unusable')
    assert.match(error.message, why)
    return true
  })
}

test('a person is named by the first of the configured identifiers that is there', () => {
  const all = {
    'urn:oasis:names:tc:SAML:attribute:subject-id': ['Ada@example.edu'],
    'urn:oasis:names:tc:SAML:attribute:pairwise-id': ['P1@example.edu'],
    'urn:oid:1.3.6.1.4.1.5923.1.1.1.13': ['u1@example.edu'],
  }
  const id = (...order: readonly string[]) => read(verified(all), campus, order).subject.id
  assert.equal(id(...usual), 'subject-id:ada@example.edu')
  assert.equal(id('pairwise-id', 'subject-id'), 'pairwise-id:p1@example.edu')
  assert.equal(id('eduPersonUniqueId'), 'eduPersonUniqueId:u1@example.edu')
  assert.equal(id('persistent', 'subject-id'), `persistent:${exchange.idp}!${exchange.sp}!x1`)
})

test('the same persistent NameID of two IdPs is two people, whether or not it has its qualifiers', () => {
  const other = verified({}, { issuer: 'https://other.example' })
  assert.notEqual(read(verified({})).subject.id, read(other, idpRecord('https://other.example', [])).subject.id)
  const qualified = { value: 'x1', format: PERSISTENT, nameQualifier: exchange.idp, spNameQualifier: exchange.sp }
  assert.equal(read(verified({}, { nameId: qualified })).subject.id, read(verified({})).subject.id)
})

test('an IdP cannot name another’s person by a foreign NameQualifier or scope', () => {
  refused(
    () => read(verified({}, { nameId: { value: 'x1', format: PERSISTENT, nameQualifier: 'https://other.example' } })),
    /nothing names/,
  )
  const foreign = { 'urn:oasis:names:tc:SAML:attribute:subject-id': ['ada@other.edu'] }
  refused(() => read(verified(foreign, transient)), /nothing names/)
  assert.deepEqual(read(verified(foreign)).dropped, ['subject-id'])
  assert.match(read(verified(foreign)).subject.id, /^persistent:/)
})

test('a transient NameID names nobody, and an e-mail address only where the connector says so', () => {
  refused(() => read(verified({}, transient)), /nothing names the person/)
  const mail = {
    nameId: { value: 'ada@example.edu', format: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress' },
  }
  const attribute = { 'urn:oid:0.9.2342.19200300.100.1.3': ['ada@example.edu'] }
  refused(() => read(verified(attribute, mail)), /nothing names the person/)
  assert.equal(
    read(verified({}, mail), campus, ['emailAddress']).subject.id,
    `emailAddress:${exchange.idp}!ada@example.edu`,
  )
  assert.equal(
    read(verified(attribute, transient), campus, ['mail']).subject.id,
    `mail:${exchange.idp}!ada@example.edu`,
  )
})

test('an identifier with two values, a control character or a surrogate names nobody', () => {
  refused(() => read(verified({ employeeNumber: ['1', '2'] }), campus, ['employeeNumber']), /several values/)
  for (const value of ['a\u0000b', '\ud800', 'x'.repeat(256), ''])
    refused(() => read(verified({ employeeNumber: [value] }), campus, ['employeeNumber']), /employeeNumber/)
})

test('attributes have one name, whether they come by OID, by friendly name or by a claim’s URI', () => {
  const { claims } = read(
    verified({
      'urn:oid:1.3.6.1.4.1.5923.1.1.1.7': ['urn:mace:dir:entitlement:common-lib-terms'],
      'urn:mace:dir:attribute-def:eduPersonAffiliation': ['staff'],
      'http://schemas.microsoft.com/identity/claims/objectidentifier': ['0f0e'],
      'http://schemas.microsoft.com/ws/2008/06/identity/claims/groups': ['a', 'b'],
      displayName: ['Ada'],
      'https://example.edu/ns/costCentre': ['17'],
      nameID: ['root'],
      sub: ['root'],
      iss: ['https://evil.example'],
    }),
  ).subject
  assert.deepEqual(
    { ...claims },
    {
      eduPersonEntitlement: ['urn:mace:dir:entitlement:common-lib-terms'],
      eduPersonAffiliation: ['staff'],
      oid: ['0f0e'],
      groups: ['a', 'b'],
      displayName: ['Ada'],
      name: ['Ada'],
      'https://example.edu/ns/costCentre': ['17'],
      nameID: ['root'],
      sub: ['root'],
      idp: [exchange.idp],
    },
  )
})

test('rules and user names find a SAML person by the names that OpenID Connect has', () => {
  const { claims } = read(
    verified({
      [EPPN]: ['ada@example.edu'],
      'urn:oid:0.9.2342.19200300.100.1.3': ['ada@mail.example'],
      'urn:oid:2.5.4.42': ['Ada'],
      'urn:oid:2.5.4.4': ['L'],
    }),
  ).subject
  assert.deepEqual(
    [claims['preferred_username'], claims['email'], claims['given_name'], claims['family_name']],
    [['ada@example.edu'], ['ada@mail.example'], ['Ada'], ['L']],
  )
  assert.deepEqual(read(verified({ mail: ['a@x.example'], email: ['b@x.example'] })).subject.claims['email'], [
    'b@x.example',
  ])
})

test('a scoped value stays only with a scope of that IdP, by text or by pattern', () => {
  const { subject, dropped } = read(
    verified({
      'urn:oid:1.3.6.1.4.1.5923.1.1.1.9': [
        'staff@EXAMPLE.edu',
        'member@med.example.edu',
        'staff@evil.edu',
        'staff@a.b.example.edu',
        'staff',
        'a@evil.edu@example.edu',
        '@example.edu',
      ],
      [EPPN]: ['root@evil.edu'],
      'urn:oid:1.3.6.1.4.1.25178.1.2.9': ['example.edu'],
      'urn:oid:1.3.6.1.4.1.34998.3.3.1.12': ['member@evil.edu'],
    }),
  )
  assert.deepEqual(subject.claims['eduPersonScopedAffiliation'], ['staff@EXAMPLE.edu', 'member@med.example.edu'])
  assert.equal(subject.claims['eduPersonPrincipalName'], undefined)
  assert.equal(subject.claims['preferred_username'], undefined)
  assert.deepEqual(subject.claims['schacHomeOrganization'], ['example.edu'])
  assert.deepEqual(dropped, ['eduPersonScopedAffiliation', 'eduPersonPrincipalName', 'voPersonScopedAffiliation'])
})

test('of an IdP without scopes in its metadata no scoped value is believed', () => {
  const { subject, dropped } = read(verified({ [EPPN]: ['ada@example.edu'] }), idpRecord(exchange.idp, []))
  assert.equal(subject.claims['eduPersonPrincipalName'], undefined)
  assert.deepEqual(dropped, ['eduPersonPrincipalName'])
})

test('one attribute under two names must say the same', () => {
  const both = (oid: string) => verified({ 'urn:oid:0.9.2342.19200300.100.1.3': [oid], mail: ['a@x.example'] })
  assert.deepEqual(read(both('a@x.example')).subject.claims['mail'], ['a@x.example'])
  refused(() => read(both('b@x.example')), /two names/)
})

test('an attribute cannot say who the IdP is', () => {
  refused(() => read(verified({ idp: ['https://other.example'] })), /the gateway says/)
  const registered = idpRecord(exchange.idp, [], { registrationAuthority: 'https://www.aai.dfn.de' })
  assert.deepEqual(read(verified({}), registered).subject.claims['registrationAuthority'], ['https://www.aai.dfn.de'])
})

test('a photo is not read, and other values have the limits that claims have everywhere', () => {
  assert.equal(
    read(verified({ 'urn:oid:0.9.2342.19200300.100.1.60': ['x'.repeat(20_000)] })).subject.claims['jpegPhoto'],
    undefined,
  )
  refused(() => read(verified({ note: ['x'.repeat(2000)] })), /2000 characters/)
})

test('names that are a trap in JavaScript are attributes like any other', () => {
  const { claims } = read(verified({ constructor: ['a'], toString: ['b'], hasOwnProperty: ['c'] })).subject
  assert.deepEqual([claims['constructor'], claims['toString'], claims['hasOwnProperty']], [['a'], ['b'], ['c']])
})

test('the context class is the acr, methods are the amr, assurance is a claim', () => {
  const { subject } = read(
    verified(
      {
        'urn:oid:1.3.6.1.4.1.5923.1.1.1.11': ['https://refeds.org/assurance/IAP/high'],
        'http://schemas.microsoft.com/claims/authnmethodsreferences': ['mfa'],
      },
      { contextClass: 'https://refeds.org/profile/mfa' },
    ),
  )
  assert.equal(subject.acr, 'https://refeds.org/profile/mfa')
  assert.deepEqual(subject.amr, ['mfa'])
  assert.deepEqual(subject.claims['eduPersonAssurance'], ['https://refeds.org/assurance/IAP/high'])
  assert.equal(subject.authTime, NOW)
})

test('an identity provider whose name goes on like the people of another names nobody by it', () => {
  const evil = `${exchange.idp}!${exchange.sp}`
  const idp = idpRecord(evil, [], { scopes: [{ text: 'example.edu', pattern: false }] })
  refused(() => read(verified({}, { issuer: evil }), idp), /has a "!"/)
  refused(() => read(verified({ uid: ['x'] }, { issuer: evil }), idp, ['uid']), /has a "!"/)
  const scoped = verified({ 'subject-id': ['x@example.edu'] }, { issuer: evil })
  assert.equal(read(scoped, idp).subject.id, 'subject-id:x@example.edu')
})

test('an identity provider with thousands of expressions for scopes holds nobody up', () => {
  let compiled = 0
  const regex = {
    compile(source: string) {
      compiled += 1
      return re2.compile(source)
    },
  }
  const patterns = Array.from({ length: 2000 }, (_, n) => ({ text: `s${n}\\.example\\.org`, pattern: true }))
  const idp = idpRecord(exchange.idp, [], { scopes: [...patterns, { text: 'example.edu', pattern: false }] })
  const reader = { config: { id: 'campus', subject: usual }, regex, entityId: exchange.sp }
  const found = (scope: string) => subjectOf(verified({ [EPPN]: [`a@${scope}`] }), idp, reader).dropped.length === 0
  assert.equal(found('example.edu'), true)
  assert.equal(compiled, 0)
  assert.deepEqual([found('s9.example.org'), found('s10.example.org')], [true, false])
  assert.equal(compiled, 20)
})

test('an identity provider with costly expressions, and people of a thousand scopes, hold nobody up', () => {
  const matched: string[] = []
  const regex: RegexEngine = {
    compile(source, largest) {
      const { names, match } = re2.compile(source, largest)
      return {
        names,
        match(text) {
          matched.push(text)
          return match(text)
        },
      }
    },
  }
  const costly = { text: '((a{0,30}){0,30})', pattern: true } // 1900 instructions: 255 characters take 0.2 s
  const usualOne = { text: '^[a-z]+\\.example\\.org$', pattern: true }
  const idp = idpRecord(exchange.idp, [], { scopes: [costly, usualOne] })
  const reader = { config: { id: 'campus', subject: usual }, regex, entityId: exchange.sp }
  const affiliations = (scopes: readonly string[]) => {
    const values = scopes.map((scope) => `staff@${scope}`)
    return subjectOf(verified({ 'urn:oid:1.3.6.1.4.1.5923.1.1.1.9': values }), idp, reader).subject.claims
  }
  const { eduPersonScopedAffiliation: kept } = affiliations(['med.example.org', 'med.example.org', 'aaa'])
  assert.deepEqual(kept, ['staff@med.example.org', 'staff@med.example.org'])
  assert.deepEqual(matched.splice(0), ['med.example.org', 'aaa'])
  affiliations([`${'a'.repeat(300)}.example.org`])
  assert.deepEqual(matched, [])
  affiliations(Array.from({ length: 1000 }, (_, n) => `s${n}`))
  assert.equal(matched.length, 20)
})
