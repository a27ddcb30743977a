import assert from 'node:assert/strict'
import { createSign } from 'node:crypto'
import { test } from 'node:test'
import { deflateRawSync } from 'node:zlib'
import type { Relayed } from '../../../src/connectors/connector.ts'
import { type LogoutExpected, readLogout } from '../../../src/connectors/saml/logout-message.ts'
import { idpRecord, samlKeys } from '../../support/saml-idp.ts'
import { type LogoutSaid, logoutXml, signedForm, signedQuery } from '../../support/saml-logout.ts'
import { exchange, keys, NOW, others, refused } from './world.ts'

const to = new URL('https://gateway.example/logout/saml')
const said = (more: Partial<LogoutSaid> = {}): LogoutSaid => ({
  id: '_out1',
  issuer: exchange.idp,
  destination: to.href,
  issuedAt: NOW,
  nameId: 'ada',
  ...more,
})
const idp = idpRecord(exchange.idp, [keys])
const expected: LogoutExpected = {
  find: async (entityId) => (entityId === idp.entityId ? idp : undefined),
  renew: async () => undefined,
  now: NOW,
  skew: 60,
  policy: {},
}
const query = (text: string): Relayed => ({ kind: 'redirect', query: text, to })
const form = (fields: URLSearchParams): Relayed => ({ kind: 'form', form: fields, to })
const asked = (more: Partial<LogoutSaid> = {}, relayState?: string) =>
  signedQuery(logoutXml(said(more)), keys, { as: 'SAMLRequest', ...(relayState !== undefined && { relayState }) })
const posted = (more: Partial<LogoutSaid> = {}) => signedForm(logoutXml(said(more)), '_out1', { keys })

test('a request by either binding is read, from what was signed', async () => {
  for (const message of [query(asked({ sessions: ['s1'] }, 'r')), form(posted({ sessions: ['s1'] }))]) {
    const read = await readLogout(message, expected)
    assert.ok(read.kind === 'request')
    assert.deepEqual([read.id, read.nameId.value, read.sessions], ['_out1', 'ada', ['s1']])
    // As long as it could be shown again: until its own age is refused, by a clock that is behind and one that is ahead.
    assert.equal(read.goodUntil, NOW + 420)
  }
})

test('a posted request is read from the bytes that were signed, where the two parsers read it differently', async () => {
  const xml = Buffer.from(posted({ nameId: 'a\nb' }).get('SAMLRequest') ?? '', 'base64').toString()
  const changed = xml.replace('a\nb', 'a\u2028b')
  assert.notEqual(changed, xml)
  const read = await readLogout(
    form(new URLSearchParams({ SAMLRequest: Buffer.from(changed).toString('base64') })),
    expected,
  )
  assert.equal(read.kind === 'request' && read.nameId.value, 'a\nb')
})

test('an equals sign that is not encoded, which a query may have, is part of what was signed', async () => {
  const [octets = ''] = asked({}, 'https://idp.example/?a=b=').replaceAll('%3D', '=').split('&Signature=')
  assert.match(octets, /a=b=&SigAlg/)
  const signature = createSign('RSA-SHA256').update(octets).sign(keys.key, 'base64')
  const read = await readLogout(query(`${octets}&Signature=${encodeURIComponent(signature)}`), expected)
  assert.equal(read.relayState, 'https://idp.example/?a=b=')
})

test('a certificate of the metadata that is none keeps no other from being asked', async () => {
  const broken = { ...idp, signing: ['AAAA', ...idp.signing] }
  const find = async () => broken
  for (const message of [query(asked()), form(posted())])
    assert.equal((await readLogout(message, { ...expected, find })).id, '_out1')
  const junk = { ...idp, signing: ['AAAA'] }
  await refused(readLogout(query(asked()), { ...expected, find: async () => junk }), /no key of 1/)
})

test('a key of 1024 bits signs no logout, also where the metadata names it', async () => {
  const short = samlKeys('old.example', 'RSA-1024')
  const known = { ...expected, find: async () => idpRecord(exchange.idp, [short]) }
  const xml = logoutXml(said())
  const messages = [
    query(signedQuery(xml, short, { as: 'SAMLRequest' })),
    form(signedForm(xml, '_out1', { keys: short })),
  ]
  for (const message of messages) {
    await refused(readLogout(message, known), /: it is shorter than RSA keys of 2048 bits make it/)
    assert.equal((await readLogout(message, { ...known, policy: { shortKeys: true } })).id, '_out1')
  }
})

const response = (status: string) =>
  readLogout(
    query(
      signedQuery(
        logoutXml(said({ inResponseTo: '_x', edit: (xml) => xml.replace(/<samlp:StatusCode [^>]*\/>/, status) })),
        keys,
        { as: 'SAMLResponse' },
      ),
    ),
    expected,
  )

test('a response says whether all was ended', async () => {
  const code = (value: string, inside = '') =>
    `<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:${value}">${inside}</samlp:StatusCode>`
  for (const [status, wholly] of [
    [code('Success'), true],
    [code('Success', code('PartialLogout')), false],
    [code('Responder'), false],
    ['', false],
  ] as const) {
    const read = await response(status)
    assert.ok(read.kind === 'response')
    assert.equal(read.wholly, wholly, status)
  }
})

const part = (name: string) => new RegExp(`${name}=[^&]*`)
// biome-ignore format: the columns are read downwards
const refusals: readonly (readonly [what: string, by: RegExp, message: () => Relayed])[] = [
  ['a parameter twice',                 /there twice/,          () => query(`${asked()}&SAMLRequest=a`)],
  ['an unsigned RelayState beside it',  /no key of 1/,          () => query(`${asked()}&RelayState=a`)],
  ['a RelayState taken away',           /no key of 1/,          () => query(asked({}, 'r').replace('&RelayState=r', ''))],
  ['a request and a response',          /not one message/,      () => query(`${asked()}&SAMLResponse=a`)],
  ['another encoding',                  /not deflated/,         () => query(`${asked()}&SAMLEncoding=urn:x:PLAIN`)],
  ['no signature',                      /not signed/,           () => query(asked().replace(part('&Signature'), ''))],
  ['an empty signature',                /is shorter than/,       () => query(asked().replace(part('Signature'), 'Signature='))],
  ['another algorithm than it was',     /no key of 1/,          () => query(asked().replace('sha256', 'sha512'))],
  ['an algorithm by a property’s name', /is not allowed/,       () => query(asked().replace(part('SigAlg'), 'SigAlg=constructor'))],
  ['broken percent-encoding',           /not URL-encoded/,      () => query(asked().replace(part('SAMLRequest'), 'SAMLRequest=%'))],
  ['another’s key by POST',             /no key of 1/,          () => form(signedForm(logoutXml(said()), '_out1', { keys: others }))],
  ['an unsigned form',                  /not signed/,           () => form(new URLSearchParams({ SAMLRequest: Buffer.from(logoutXml(said())).toString('base64') }))],
  ['a response posted as a request',    /is no LogoutRequest/,  () => form(posted({ inResponseTo: '_x' }))],
  ['nobody',                            /names nobody/,         () => form(posted({ nameId: ' ' }))],
  ['another address',                   /its Destination/,      () => query(asked({ destination: `${to}/campus` }))],
  ['no ID',                             /no ID/,                () => query(asked({ id: '' }))],
  ['an ID without end',                 /no ID/,                () => query(asked({ id: `_${'a'.repeat(255)}` }))],
  ['what is too old',                   /its IssueInstant/,     () => query(asked({ issuedAt: NOW - 361 }))],
  ['what is not yet',                   /its IssueInstant/,     () => query(asked({ issuedAt: NOW + 61 }))],
  ['what is over',                      /its NotOnOrAfter/,     () => query(asked({ notOnOrAfter: NOW - 60 }))],
]
for (const [what, by, message] of refusals)
  test(`a logout message is refused for ${what}`, () => refused(readLogout(message(), expected), by))

test('of a bomb no more is inflated than a message may have', async () => {
  const bomb = signedQuery(deflateRawSync(Buffer.alloc(20_000_000, 0x20)), keys, { as: 'SAMLRequest' })
  await assert.rejects(readLogout(query(bomb), expected), (error: Error) => {
    assert.equal((error.cause as { code?: string }).code, 'ERR_BUFFER_TOO_LARGE')
    return true
  })
})
