import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Idp } from '../../../src/connectors/saml/idp.ts'
import { completed } from '../../../src/connectors/saml/metadata/newest.ts'
import { type Only, openParser } from '../../../src/connectors/saml/metadata/parse.ts'
import { dateTime, duration } from '../../../src/connectors/saml/metadata/time.ts'
import { corpus } from '../../support/corpora.ts'
import { type EntityOptions, entityXml, groupXml, keyDescriptor } from '../../support/saml-metadata.ts'
import { milliseconds } from '../../support/turns.ts'

const now = Date.parse('2026-11-28T12:00:00Z') / 1000

function parse(xml: string, only: Only = {}) {
  const parser = openParser({ certificates: [], only, most: 1_000_000, now })
  parser.write(Buffer.from(xml))
  const parsed = parser.end()
  const lines = Buffer.concat(completed(parsed.blocks, []).map(({ bytes }) => bytes))
    .toString()
    .split('\n')
    .filter(Boolean)
  return { ...parsed, list: lines.map((line) => JSON.parse(line.slice(line.indexOf('\t') + 1)) as Idp) }
}

const only = (options: EntityOptions) => parse(entityXml(options)).list[0]
const names = (xml: string, filter?: Only) => parse(xml, filter).list.map(({ entityId }) => entityId)

const sso = (location: string, binding = 'HTTP-Redirect', more = '') =>
  `<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:${binding}" Location="${location}" ${more}/>`
const display = (language: string, name: string) =>
  `<mdui:UIInfo><mdui:DisplayName xml:lang="${language}">${name}</mdui:DisplayName></mdui:UIInfo>`
const category = (value: string, name = 'http://macedir.org/entity-category') =>
  `<mdattr:EntityAttributes><saml:Attribute Name="${name}"><saml:AttributeValue>${value}</saml:AttributeValue></saml:Attribute></mdattr:EntityAttributes>`

test('an IdP is read with all that a sign-in needs', () => {
  const idp = only({
    attributes: 'validUntil="2027-01-01T00:00:00Z"',
    extensions: `<mdrpi:RegistrationInfo registrationAuthority="https://federation.example"/>${category('http://refeds.org/category/research-and-scholarship')}`,
    role: `<shibmd:Scope regexp="false"> uni.example </shibmd:Scope><shibmd:Scope regexp="true">^.+\\.uni\\.example$</shibmd:Scope>
      <mdui:UIInfo><mdui:DisplayName xml:lang="de">Uni<!-- --> Gießen</mdui:DisplayName><mdui:DisplayName xml:lang="en">Gießen &amp; more</mdui:DisplayName>
      <mdui:Keywords xml:lang="en">justus+liebig jlu</mdui:Keywords></mdui:UIInfo><mdui:DiscoHints><mdui:DomainHint>jlu.example</mdui:DomainHint></mdui:DiscoHints>`,
    endpoints: `<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://a.example/slo" ResponseLocation="https://a.example/done"/>
      <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>
      ${sso('https://a.example/post', 'HTTP-POST')}${sso('https://a.example/soap', 'SOAP')}${sso('https://a.example/redirect')}`,
    after:
      '<md:Organization><md:OrganizationDisplayName xml:lang="en">not this</md:OrganizationDisplayName></md:Organization>',
  })
  assert.deepEqual(idp, {
    entityId: 'https://idp.example',
    signing: ['AAAA'],
    sso: [
      { binding: 'post', url: 'https://a.example/post' },
      { binding: 'redirect', url: 'https://a.example/redirect' },
    ],
    slo: [{ binding: 'post', url: 'https://a.example/slo', responseUrl: 'https://a.example/done' }],
    wantsSignedRequests: false,
    nameIdFormats: ['urn:oasis:names:tc:SAML:2.0:nameid-format:persistent'],
    scopes: [
      { text: 'uni.example', pattern: false },
      { text: '^.+\\.uni\\.example$', pattern: true },
    ],
    names: { de: 'Uni Gießen', en: 'Gießen & more' },
    keywords: ['justus liebig', 'jlu', 'jlu.example'],
    registrationAuthority: 'https://federation.example',
    categories: ['http://refeds.org/category/research-and-scholarship'],
    hidden: false,
  })
})

test('a key without use is for signing too, one for encryption is not, and one key twice is one', () => {
  const keys = [
    keyDescriptor('AA AA\n'),
    keyDescriptor('BBBB', ' use="encryption"'),
    keyDescriptor('CCCC', ' use="signing"'),
  ]
  assert.deepEqual(only({ keys: keys.join('') + keyDescriptor('CCCC') })?.signing, ['AAAA', 'CCCC'])
  assert.equal(only({ keys: keyDescriptor('BBBB', ' use="encryption"') }), undefined)
})

test('keys and endpoints count only where they stand in the role of the IdP', () => {
  const decoy = keyDescriptor('EVIL') + sso('https://evil.example')
  const role = (name: string) =>
    `<md:${name} protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">${decoy}</md:${name}>`
  const idp = only({
    extensions: `${role('IDPSSODescriptor')}${decoy}<x>${role('IDPSSODescriptor')}</x>`,
    role: `${decoy}<md:Extensions>${decoy}</md:Extensions>`,
    keys: `<md:KeyDescriptor><ds:KeyInfo><ds:X509Data><ds:X509Certificate>AA<x>EVIL</x>AA</ds:X509Certificate></ds:X509Data><x>${decoy}</x></ds:KeyInfo></md:KeyDescriptor>`,
    after: role('SPSSODescriptor') + role('AttributeAuthorityDescriptor') + role('IDPSSODescriptor') + decoy,
  })
  assert.deepEqual(idp?.signing, ['AAAA'])
  assert.deepEqual(idp?.sso, [{ binding: 'redirect', url: 'https://idp.example/sso' }])
})

test('an element of another name space is another element', () => {
  const xml = entityXml().replaceAll('md:IDPSSODescriptor', 'ds:IDPSSODescriptor')
  assert.deepEqual(parse(xml).list, [])
  assert.throws(() => parse('<EntityDescriptor entityID="a"/>'), /no SAML metadata/)
  assert.throws(() => parse('<html><body/></html>'), /no SAML metadata/)
})

test('a location to which no browser may be sent is not read, and an IdP without any is left out', () => {
  const bad = [
    'javascript:alert(1)',
    'http://idp.example/sso',
    'https://user:pw@idp.example/',
    '/sso',
    `https://${'a'.repeat(3000)}`,
  ]
  for (const location of bad) assert.equal(only({ endpoints: sso(location) }), undefined, location)
  assert.equal(only({ endpoints: sso('http://127.0.0.1:8080/sso') })?.sso.length, 1)
})

test('an IdP that speaks SAML 1.1 alone is left out', () => {
  assert.deepEqual(parse(entityXml().replace('SAML:2.0:protocol', 'SAML:1.1:protocol')).list, [])
  const both = entityXml().replace(
    'urn:oasis:names:tc:SAML:2.0:protocol',
    'urn:mace:shibboleth:1.0 urn:oasis:names:tc:SAML:2.0:protocol',
  )
  assert.equal(parse(both).list.length, 1)
})

test('names come from the organisation where the IdP has none, and a language is no name of a property', () => {
  const after =
    '<md:Organization><md:OrganizationDisplayName xml:lang="de">Firma</md:OrganizationDisplayName></md:Organization>'
  assert.deepEqual(only({ after })?.names, { de: 'Firma' })
  assert.deepEqual(only({ role: display('__proto__', 'x') + display('constructor-', 'y'), after })?.names, {
    de: 'Firma',
  })
  assert.deepEqual(only({ role: display('de', 'first') + display('DE', 'second') })?.names, { de: 'first' })
})

test('who asks to be hidden is hidden, and only values of the known attributes are categories', () => {
  const hide = 'http://refeds.org/category/hide-from-discovery'
  assert.equal(only({ extensions: category(hide) })?.hidden, true)
  assert.equal(only({ extensions: category(hide, 'urn:other') })?.hidden, false)
  const assurance = category('https://refeds.org/sirtfi', 'urn:oasis:names:tc:SAML:attribute:assurance-certification')
  assert.deepEqual(only({ extensions: assurance })?.categories, ['https://refeds.org/sirtfi'])
})

test('the earliest end counts: of the entity, its role and every group around it', () => {
  const at = (time: string) => `validUntil="2027-0${time}-01T00:00:00Z"`
  const inner = groupXml([entityXml({ attributes: at('4') }), entityXml({ attributes: at('2') })], at('3'))
  const outer = groupXml([inner.replace(/<\?xml.*?\?>/, ''), entityXml()], at('5'))
  const { list, validUntil: whole } = parse(outer)
  const ends = list.map(({ validUntil }) => new Date((validUntil ?? whole ?? 0) * 1000).getUTCMonth() + 1)
  assert.deepEqual(ends, [3, 2, 5])
  assert.equal(list[2]?.validUntil, undefined)
  assert.deepEqual(
    parse(entityXml({ attributes: 'validUntil="2027-01-01T00:00:00Z" cacheDuration="PT6H"' })).cacheDuration,
    21_600,
  )
})

test('an entity whose own end has passed, or cannot be read, is left out', () => {
  const entity = (time: string) => entityXml({ attributes: `validUntil="${time}"` })
  const list = ['2026-11-28T11:00:00Z', 'soon', '2026-11-28T13:00:00', '2026-11-28T13:00:00Z'].map(entity)
  assert.equal(parse(groupXml(list)).list.length, 1)
})

test('filters take what satisfies every list that is there', () => {
  const register = (authority: string) => `<mdrpi:RegistrationInfo registrationAuthority="${authority}"/>`
  const xml = groupXml([
    entityXml({ entityId: 'urn:a', extensions: register('urn:dfn') + category('urn:r-and-s') }),
    entityXml({ entityId: 'urn:b', extensions: register('urn:dfn') }),
    entityXml({ entityId: 'urn:c', extensions: category('urn:r-and-s') }),
  ])
  assert.deepEqual(names(xml), ['urn:a', 'urn:b', 'urn:c'])
  assert.deepEqual(names(xml, { registrationAuthorities: ['urn:dfn'] }), ['urn:a', 'urn:b'])
  assert.deepEqual(names(xml, { categories: ['urn:other', 'urn:r-and-s'] }), ['urn:a', 'urn:c'])
  assert.deepEqual(names(xml, { registrationAuthorities: ['urn:dfn'], categories: ['urn:r-and-s'] }), ['urn:a'])
  assert.deepEqual(names(xml, { entities: ['urn:c', 'urn:b'] }), ['urn:b', 'urn:c'])
})

test('one entity with far too much of everything keeps a bounded part', () => {
  const many = (count: number, make: (n: number) => string) => Array.from({ length: count }, (_, n) => make(n)).join('')
  const idp = only({
    keys: many(100, (n) => keyDescriptor(`AAA${'ABCDEFGHIJ'[n % 10]}${'ABCDEFGHIJ'[Math.floor(n / 10)]}AAA`)),
    endpoints: many(100, (n) => sso(`https://idp.example/${n}`)),
    role: many(5000, (n) => `<shibmd:Scope>s${n}.example</shibmd:Scope>`) + display('en', 'x'.repeat(10_000)),
  })
  assert.deepEqual(
    [idp?.signing.length, idp?.sso.length, idp?.scopes.length, idp?.names['en']?.length],
    [50, 50, 2000, 300],
  )
})

test('name spaces inside one another are read in a moment, however many are in scope', async () => {
  const nest = (depth: number, inside: string) =>
    Array.from({ length: depth }).reduceRight<string>(
      (inner, _, at) => `<a${Array.from({ length: 120 }, (_, n) => ` xmlns:a${at}x${n}="u:x"`).join('')}>${inner}</a>`,
      inside,
    )
  const role = nest(50, '<a xmlns:b="u:c"/>'.repeat(10_000))
  const took = await milliseconds(async () => assert.ok(only({ role })))
  assert.ok(took < 5000, `${took} ms`)
})

test('times of metadata are read as XML Schema writes them', () => {
  assert.equal(dateTime('1970-01-02T00:00:00.9Z'), 86_400)
  assert.equal(dateTime('1970-01-01T01:00:00+01:00'), 0)
  for (const text of ['1970-01-01', '1970-01-01T00:00:00', '1970-13-01T00:00:00Z', '', 'Z'])
    assert.equal(dateTime(text), undefined)
  for (const [text, seconds] of [
    ['PT1H', 3600],
    ['P1DT1M1.5S', 86_461],
    ['P1Y', 31_536_000],
    ['P1M', 2_592_000],
  ] as const)
    assert.equal(duration(text), seconds)
  for (const text of ['P', 'PT', 'P1DT', '-PT1H', '1h', '']) assert.equal(duration(text), undefined)
})

const samples = corpus('saml')
test('metadata of other projects gives their IdPs', samples, () => {
  const files: readonly (readonly [name: string, entityId: string])[] = [
    ['crewjam/samlsp/testdata/testshib_metadata.xml', 'https://idp.testshib.org/idp/shibboleth'],
    [
      'lightsaml/engine.surfconext.nl_authentication_idp_metadata.xml',
      'https://engine.surfconext.nl/authentication/idp/metadata',
    ],
    ['lightsaml/openidp.feide.no.xml', 'https://openidp.feide.no'],
  ]
  for (const [name, entityId] of files) {
    const parser = openParser({ certificates: [], only: {}, most: 10_000_000, now: 1_300_000_000 })
    parser.write(readFileSync(join(samples.path, name)))
    const lines = Buffer.concat(completed(parser.end().blocks, []).map(({ bytes }) => bytes)).toString()
    assert.ok(lines.includes(entityId), `${name}: ${lines.slice(0, 200)}`)
  }
})
