import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openSignatureThread } from '../../../src/connectors/saml/signature-thread.ts'
import { verifyResponse } from '../../../src/connectors/saml/verify.ts'
import { corpus } from '../../support/corpora.ts'
import { responseXml, xmlns } from '../../support/saml-idp.ts'
import { blocked } from '../../support/turns.ts'
import { base64, exchange, expected, NOW, refused } from './world.ts'

/* Hostile input of any shape: refused for what it is, before a document is built of it, and nobody waits meanwhile. */

const check = openSignatureThread().queue()
const HEAD = `<samlp:Response xmlns:samlp="${xmlns.samlp}" xmlns:saml="${xmlns.saml}"`
const response = (inside: string, attributes = '') => `${HEAD}${attributes}>${inside}</samlp:Response>`
const times = (count: number, make: (at: number) => string) =>
  Array.from({ length: count }, (_, at) => make(at)).join('')

// biome-ignore format: the columns are read downwards
const floods: readonly (readonly [what: string, by: RegExp, xml: string])[] = [
  ['namespaces of one element',         /too many attributes/,    response('', times(2000, (at) => ` xmlns:a${at}="u:${at}"`))],
  ['namespaces of siblings',            /more than 1200 elements/, response(times(2000, (at) => `<a xmlns:b${at}="u:x"/>`))],
  ['namespaces one inside another',     /namespaces are in scope/, response(`${times(20, (at) => `<a ${times(20, (n) => ` xmlns:b${at}x${n}="u:x"`)}>`)}${'</a>'.repeat(20)}`)],
  ['attributes',                        /too many attributes/,    response('', times(3000, (at) => ` a${at}=""`))],
  ['attributes of many',                /too many attributes/,    response(times(1000, () => '<a b="" c="" d="" e=""/>'))],
  ['elements',                          /more than 1200 elements/, response('<a/>'.repeat(11_000))],
  ['comments',                          /more than 1200 elements/, response('<!---->'.repeat(6000))],
  ['CDATA sections',                    /more than 1200 elements/, response('<![CDATA[]]>'.repeat(3900))],
  ['nesting',                           /nested deeper/,          response(`${'<a>'.repeat(6000)}${'</a>'.repeat(6000)}`)],
  ['a long name',                       /response version/,       response(`<${'a'.repeat(23_000)}></${'a'.repeat(23_000)}>`)],
  ['a long attribute',                  /response version/,       response('', ` a="${'&lt;'.repeat(11_000)}"`)],
  ['blanks inside an Issuer',           /response version/,       response(`<saml:Issuer>a${' '.repeat(46_000)}b</saml:Issuer>`)],
  ['a long text of references',         /response version/,       response('&lt;'.repeat(11_000))],
  ['an entity in an entity',            /has a DOCTYPE/,          `<!DOCTYPE r [<!ENTITY a "${'x'.repeat(100)}">${times(100, (at) => `<!ENTITY b${at} "${'&a;'.repeat(100)}">`)}]><r>&b0;</r>`],
  ['an unended DOCTYPE',                /not well-formed/,        `<!DOCTYPE r [${'<!ELEMENT a (b)>'.repeat(2900)}`],
  ['an external entity',                /has a DOCTYPE/,          '<!DOCTYPE r SYSTEM "file:///etc/passwd"><r/>'],
  ['unended tags',                      /not well-formed/,        '<a '.repeat(15_000)],
  ['brackets',                          /not well-formed/,        '<'.repeat(48_000)],
  ['nothing',                           /has no element|not well-formed|not base64/, ' '],
]

for (const [what, by, xml] of floods)
  test(`a flood is refused within 10 ms: ${what}`, async () => {
    const encoded = base64(xml)
    const took = await blocked(() => refused(verifyResponse(encoded, expected(), check), by), 10)
    assert.ok(took < 10, `${took} ms`)
  })

test('what is not base64 or not UTF-8 is refused within 10 ms', async () => {
  for (const [text, by] of [
    ['A'.repeat(70_000), /more than 65536 characters/],
    ['%'.repeat(60_000), /not base64/],
    ['AAA', /not base64/],
    ['AAA=AAA=', /not base64/],
    [`${' '.repeat(60_000)}A`, /not base64/],
    [Buffer.from([0xff, 0xfe, 0x3c]).toString('base64'), /not UTF-8/],
  ] as const) {
    const took = await blocked(() => refused(verifyResponse(text, expected(), check), by), 10)
    assert.ok(took < 10, `${took} ms`)
  }
})

test('a response as large as they may be, with a signature that is none, leaves the event loop free', async () => {
  const groups = Array.from({ length: 230 }, (_, at) => `group-${at}`)
  const xml = await responseXml(exchange, { attributes: { groups } })
  const forged = base64(xml.replace('group-7<', 'group-8<'))
  assert.ok(forged.length > 50_000, `${forged.length}`)
  const took = await blocked(() => refused(verifyResponse(forged, expected(), check), /no key of 1/), 10)
  assert.ok(took < 10, `${took} ms`)
})

test('a person with 230 groups signs in', async () => {
  const groups = Array.from({ length: 230 }, (_, at) => `group-${at}`)
  const found = await verifyResponse(base64(await responseXml(exchange, { attributes: { groups } })), expected(), check)
  assert.deepEqual(found.attributes[0]?.values, groups)
  assert.equal(found.goodUntil, NOW + 360)
})

test('canonical form may be larger than what was sent: 400 values of which each uses a namespace of the root', async () => {
  const groups = Array.from({ length: 400 }, (_, at) => `group-${at}`)
  const xsi = ' xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
  const editAssertion = (xml: string) => xml.replaceAll(xsi, '').replace('<saml:Assertion', `<saml:Assertion${xsi}`)
  const xml = await responseXml(exchange, { attributes: { groups }, editAssertion, sign: 'both' })
  assert.ok(xml.length < 49_000 && xml.length > 30_000, `${xml.length}`)
  const found = await verifyResponse(base64(xml), expected(), check)
  assert.equal(found.attributes[0]?.values.length, 400)
})

const bombs = corpus('xml', 'defusedxml')
test('public XML bombs are refused within 10 ms each, and take no memory', bombs, async () => {
  const files = readdirSync(bombs.path, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.xml$|\.xsl$/.test(name),
  )
  assert.ok(files.length >= 10, `${files.length}`)
  const before = process.memoryUsage().rss
  for (const name of files) {
    const encoded = readFileSync(join(bombs.path, name)).toString('base64')
    const took = await blocked(
      () => refused(verifyResponse(encoded, expected(), check), /DOCTYPE|no Response|processing instruction|more than/),
      10,
    )
    assert.ok(took < 10, `${name}: ${took} ms`)
  }
  const grown = (process.memoryUsage().rss - before) / 1e6
  assert.ok(grown < 60, `${grown} MB`)
})
