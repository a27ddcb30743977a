import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeAggregate } from '../../../bench/saml-aggregate.ts'
import { completed } from '../../../src/connectors/saml/metadata/newest.ts'
import { openParser } from '../../../src/connectors/saml/metadata/parse.ts'
import { corpus } from '../../support/corpora.ts'
import {
  entityXml,
  enveloped,
  exclusive,
  groupXml,
  keyDescriptor,
  type SignOptions,
  signer,
  signMetadata,
} from '../../support/saml-metadata.ts'

const federation = signer()
const now = Date.parse('2026-11-28T12:00:00Z') / 1000

/** Reads a document under the federation's certificate. @param piece bytes that come at once */
function read(xml: string | Buffer, { certificates = [federation.certificate], piece = 65_536 } = {}) {
  const parser = openParser({ certificates, only: {}, most: 1_000_000, now })
  const bytes = Buffer.from(xml as string)
  for (let at = 0; at < bytes.length; at += piece) parser.write(bytes.subarray(at, at + piece))
  const { blocks } = parser.end()
  return Buffer.concat(completed(blocks, []).map(({ bytes }) => bytes))
    .toString()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line.slice(line.indexOf('\t') + 1)) as { entityId: string })
}

const refuses = (xml: string | Buffer, why: RegExp, options = {}) =>
  assert.throws(() => read(xml, options), { code: 'upstream_unavailable', message: why })

const sign = (xml: string, options: SignOptions = {}) => signMetadata(xml, federation.key, options)
const plain = groupXml([entityXml(), entityXml({ entityId: 'https://other.example' })])
const good = sign(plain)

test('a signed aggregate gives its IdPs', () => {
  assert.deepEqual(
    read(good).map(({ entityId }) => entityId),
    ['https://idp.example', 'https://other.example'],
  )
})

test('a document is read the same in whatever pieces it comes', () => {
  const accented = sign(
    groupXml([entityXml({ after: '<md:Organization><!-- Gießen 𝔊 --><md:X>ß𝔊 &amp; é</md:X></md:Organization>' })]),
  )
  for (const piece of [1, 2, 3, 7, 100]) assert.equal(read(accented, { piece }).length, 1)
})

/** Everything that canonicalisation has to get right, and that metadata of real federations has somewhere. */
const odd = groupXml(
  [
    entityXml({
      attributes: 'xmlns="urn:default" xmlns:b="urn:b" xmlns:a="urn:a" b:y="1" a:z="2" x="3" xml:lang="de"',
      extensions: `<unknown xmlns="urn:one"><inner xmlns="">no name space</inner><again/><c:d xmlns:c="urn:c" c:e='"quoted"' f="&#9;&#10;&#13; &lt;&amp;&gt; tab	and
line"/></unknown><empty xmlns=""/>`,
      role: '<![CDATA[<not> & a tag]]>&#13;text &gt; &lt; <!-- a comment --><?target  some data ?><?bare?>',
    }),
  ],
  'xmlns:unused="urn:unused" ID="_all" validUntil="2030-01-01T00:00:00Z"',
).replaceAll('\n', '\r\n')

test('what xml-crypto signed is good, however oddly it is written', () => {
  // That library leaves line ends as they are, against XML 1.0, section 2.11, and knows no processing instructions.
  const tidy = odd.replaceAll('\r\n', '\n').replace('tab	and\nline', '')
  assert.equal(read(sign(tidy.replace(/<\?(?:target|bare).*?\?>/g, ''))).length, 1)
})

const xmlsec = { skip: existsSync('/usr/bin/xmlsec1') ? false : 'there is no xmlsec1' }

/** Has xmlsec1 sign a document by a template that stands where the signature belongs. */
function signByXmlsec(xml: string, transform: string, info = '', comments = ''): string {
  const folder = mkdtempSync(join(tmpdir(), 'lotse-xmlsec-'))
  const template = `<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
    <ds:SignedInfo><ds:CanonicalizationMethod Algorithm="${exclusive}${comments}">${info}</ds:CanonicalizationMethod>
    <ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"/><ds:Reference URI="#_all"><ds:Transforms>
    <ds:Transform Algorithm="${enveloped}"/><ds:Transform Algorithm="${exclusive}${comments}">${transform}</ds:Transform></ds:Transforms>
    <ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/><ds:DigestValue/></ds:Reference></ds:SignedInfo>
    <ds:SignatureValue/><ds:KeyInfo><ds:KeyName>whoever</ds:KeyName></ds:KeyInfo></ds:Signature>`
  writeFileSync(
    join(folder, 'in.xml'),
    xml.replace(/(<md:EntitiesDescriptor[^>]*>)/, (root) => `${root}\n${template}`),
  )
  writeFileSync(join(folder, 'key.pem'), federation.key.export({ type: 'pkcs8', format: 'pem' }))
  const id = ['--id-attr:ID', 'urn:oasis:names:tc:SAML:2.0:metadata:EntitiesDescriptor']
  const words = ['--sign', '--privkey-pem', join(folder, 'key.pem'), ...id, '--output', join(folder, 'out.xml')]
  const done = spawnSync('xmlsec1', [...words, join(folder, 'in.xml')], { encoding: 'utf8' })
  assert.equal(done.status, 0, done.stderr)
  const signed = readFileSync(join(folder, 'out.xml'), 'utf8')
  rmSync(folder, { recursive: true })
  return signed
}

test('what xmlsec1 signed is good, however oddly it is written', xmlsec, () => {
  const list = (prefixes: string) => `<ec:InclusiveNamespaces xmlns:ec="${exclusive}" PrefixList="${prefixes}"/>`
  for (const xml of [plain, odd]) {
    assert.ok(read(signByXmlsec(xml, '')).length > 0)
    assert.ok(read(signByXmlsec(xml, '', '', 'WithComments')).length > 0)
    assert.ok(read(signByXmlsec(xml, list('saml b absent'))).length > 0)
    assert.ok(read(signByXmlsec(xml, list('#default unused'), list('mdui md'))).length > 0)
  }
})

test('the aggregate that measures are made with is one that xmlsec1 takes, and this gateway', xmlsec, () => {
  const folder = mkdtempSync(join(tmpdir(), 'lotse-xmlsec-'))
  const [file, pem] = [join(folder, 'all.xml'), join(folder, 'cert.pem')]
  writeAggregate(file, { entities: 40, validUntil: now + 86_400, key: federation.key })
  writeFileSync(pem, federation.certificate)
  const id = ['--id-attr:ID', 'urn:oasis:names:tc:SAML:2.0:metadata:EntitiesDescriptor']
  const words = ['--verify', '--pubkey-cert-pem', pem, ...id, file]
  const done = spawnSync('xmlsec1', words, { encoding: 'utf8' })
  assert.equal(done.status, 0, done.stderr)
  assert.equal(read(readFileSync(file)).length, 20)
  rmSync(folder, { recursive: true })
})

test('every change of one byte is refused, or changes nothing that is read', () => {
  const bytes = Buffer.from(sign(groupXml([entityXml()])))
  const before = JSON.stringify(read(bytes))
  let refusals = 0
  for (let at = 0; at < bytes.length; at += 1) {
    for (const change of [1, 32]) {
      const changed = Buffer.from(bytes)
      changed[at]! ^= change
      try {
        assert.equal(JSON.stringify(read(changed)), before, `byte ${at}`)
      } catch (error) {
        if ((error as { code?: string }).code !== 'upstream_unavailable') throw error
        refusals += 1
      }
    }
  }
  // What may change are declarations that nothing uses, and how tags are spaced: they are in no canonical form.
  assert.ok(refusals > bytes.length * 1.6, `${refusals} of ${bytes.length * 2}`)
})

test('an unsigned document is refused where a certificate is configured, wherever a signature stands in it', () => {
  refuses(plain, /not signed/)
  refuses(groupXml([]), /not signed/)
  const entity = sign(entityXml({ attributes: 'ID="_one"' }))
  refuses(groupXml([entity]), /not signed/)
  const [signature = ''] = /<ds:Signature .*?<\/ds:Signature>/s.exec(good) ?? []
  refuses(plain.replace('</md:EntitiesDescriptor>', `${signature}</md:EntitiesDescriptor>`), /not signed/)
})

test('a signature by another key is refused, also where it brings its own certificate', () => {
  const attacker = signer()
  const theirs = signMetadata(plain, attacker.key)
  const body = attacker.certificate.replace(/-----[A-Z ]+-----/g, '')
  const info = `<ds:KeyInfo><ds:X509Data><ds:X509Certificate>${body}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`
  refuses(theirs, /not made by a configured key/)
  refuses(theirs.replace('</ds:Signature>', `${info}</ds:Signature>`), /not made by a configured key/)
  assert.equal(read(theirs, { certificates: [federation.certificate, attacker.certificate] }).length, 2)
})

test('a signed document wrapped into another one, or beside one, is refused', () => {
  const inner = good.slice(good.indexOf('<md:Entities'))
  const evil = entityXml({ entityId: 'https://evil.example' })
  const [signature = ''] = /<ds:Signature .*?<\/ds:Signature>/s.exec(good) ?? []
  const root = '<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="_evil">'
  refuses(`${root}${signature}${evil}${inner}</md:EntitiesDescriptor>`, /not over its root/)
  refuses(`${root.replace('_evil', '_all')}${signature}${evil}${inner}</md:EntitiesDescriptor>`, /not what was signed/)
  refuses(`${root}<md:Extensions>${inner}</md:Extensions>${evil}</md:EntitiesDescriptor>`, /not signed/)
  refuses(`${good}${evil}`, /not well-formed/)
  const hidden = signature.replace('</ds:Signature>', `<ds:Object>${inner}</ds:Object></ds:Signature>`)
  refuses(`${root.replace('_evil', '_all')}${hidden}${evil}</md:EntitiesDescriptor>`, /not what was signed|too many/)
})

test('every algorithm but the listed ones is refused', () => {
  const c14n = 'http://www.w3.org/TR/2001/REC-xml-c14n-20010315'
  const sha1 = 'http://www.w3.org/2000/09/xmldsig#sha1'
  refuses(sign(plain, { algorithm: 'http://www.w3.org/2000/09/xmldsig#rsa-sha1' }), /signed by .*rsa-sha1/)
  refuses(sign(plain, { digest: sha1 }), /digest is by .*sha1/)
  refuses(sign(plain, { canonicalisation: c14n }), /canonicalisation is/)
  refuses(sign(plain, { transforms: [enveloped, c14n] }), /canonicalisation is/)
  refuses(sign(plain, { transforms: [enveloped] }), /unusual Transforms/)
  refuses(sign(plain, { transforms: [exclusive] }), /unusual Transforms/)
  refuses(sign(plain, { transforms: [exclusive, enveloped] }), /not an enveloped one/)
  const hmac = good.replace(/xmldsig-more#rsa-sha256/, 'xmldsig-more#hmac-sha256')
  refuses(hmac, /signed by .*hmac/)
})

test('RSA with SHA-512 and elliptic curves are taken, and a key of another kind is not tried', () => {
  assert.equal(read(sign(plain, { algorithm: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512' })).length, 2)
  const curve = signer(generateKeyPairSync('ec', { namedCurve: 'P-256' }))
  refuses(good, /not made by/, { certificates: [curve.certificate] })
})

test('two references, two SignedInfo and a digest with something inside are refused', () => {
  const [reference = ''] = /<ds:Reference.*?<\/ds:Reference>/s.exec(good) ?? []
  const [info = ''] = /<ds:SignedInfo>.*?<\/ds:SignedInfo>/s.exec(good) ?? []
  refuses(good.replace(reference, reference + reference), /unusual SignedInfo/)
  refuses(good.replace(info, info + info), /unusual Signature/)
  refuses(good.replace('<ds:DigestValue>', '<ds:DigestValue><x/>'), /not made by/)
  refuses(good.replace('<ds:DigestValue>', '<ds:DigestValue>AAAA<!-- -->'), /not made by/)
  refuses(good.replace('URI="#_all"', 'URI=""'), /not made by/)
  refuses(sign(plain.replace('ID="_all" ', 'ID="" ')), /not over its root/)
})

test('a document type, another encoding, another version and what is not well-formed are refused', () => {
  const after = good.indexOf('<md:Entities')
  const inner = good.slice(after)
  refuses(`<!DOCTYPE md:EntitiesDescriptor [<!ENTITY a "b">]>${inner}`, /document type/)
  refuses(`<?xml version="1.1"?>${inner}`, /XML 1.1/)
  refuses(`<?xml version="1.0" encoding="ISO-8859-1"?>${inner}`, /not UTF-8/)
  refuses(Buffer.from(inner, 'utf16le'), /not well-formed/)
  refuses(good.slice(0, -20), /not well-formed/)
  refuses(good.replace('<md:Extensions/>', '<md:Extensions>&undefined;</md:Extensions>'), /not well-formed/)
  refuses(good.replace('<md:Extensions/>', '<no:Extensions/>'), /not well-formed/)
  refuses(`${'<a>'.repeat(100)}${'</a>'.repeat(100)}`, /inside one another/, { certificates: [] })
  refuses(`<a ${Array.from({ length: 200 }, (_, n) => `xmlns:n${n}="urn:${n}"`).join(' ')}/>`, /attributes/, {
    certificates: [],
  })
  refuses(groupXml([entityXml({ keys: keyDescriptor('A'.repeat(1_000_000)) })]), /larger than/, { certificates: [] })
})

test('metadata past its end, and a signed aggregate without one, are refused', () => {
  refuses(sign(groupXml([entityXml()], 'ID="_all" validUntil="2026-11-28T11:59:59Z"')), /validUntil has passed/)
  refuses(sign(groupXml([entityXml()], 'ID="_all"')), /needs a validUntil/)
  refuses(sign(groupXml([entityXml()], 'ID="_all" validUntil="tomorrow"')), /no time in UTC/)
  assert.equal(read(sign(entityXml({ attributes: 'ID="_one"' }))).length, 1)
})

test('a weak key and a text that is no certificate are refused', () => {
  const weak = signer(generateKeyPairSync('rsa', { modulusLength: 1024 }))
  refuses(good, /1024 bits/, { certificates: [weak.certificate] })
  refuses(good, /no PEM certificate/, { certificates: ['whatever'] })
})

const bombs = corpus('xml')
test('no bomb of the corpus is expanded', bombs, async () => {
  const { globSync } = await import('node:fs')
  const files = globSync('**/*.xml', { cwd: bombs.path })
  assert.ok(files.length > 5)
  for (const file of files) refuses(readFileSync(join(bombs.path, file)), /refused/, { certificates: [] })
})

const samples = corpus('saml')
test('signed metadata of the corpus is good under its certificate, and not where it was changed', samples, () => {
  const at = (name: string) => readFileSync(join(samples.path, name), 'utf8')
  // Microsoft's own, with a byte order mark, and in the default name space.
  const xml = at('xml-crypto/wsfederation_metadata.xml')
  const entities = (text: string) => {
    const certificates = [at('xml-crypto/wsfederation_metadata.pem')]
    const parser = openParser({ certificates, only: {}, most: 1_000_000, now })
    parser.write(Buffer.from(text))
    return parser.end().entities
  }
  assert.equal(entities(xml), 1)
  assert.throws(() => entities(xml.replace(/entityID="./, 'entityID="X')), /not what was signed/)
})
