import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type ConnectorPorts, urlsFor } from '../../../src/connectors/connector.ts'
import { openSaml } from '../../../src/connectors/saml/connector.ts'
import { type SamlConfig, samlOptions } from '../../../src/connectors/saml/options.ts'
import { re2 } from '../../../src/regex.ts'
import { signedResponse } from '../../support/saml-idp.ts'
import { logoutXml, signedForm, signedQuery } from '../../support/saml-logout.ts'
import { entityXml, keyDescriptor } from '../../support/saml-metadata.ts'
import { forgetful, keyless, sealing } from '../support.ts'
import { exchange, keys, NOW, others, refused } from './world.ts'

const folder = mkdtempSync(join(tmpdir(), 'lotse-saml-'))
after(() => rmSync(folder, { recursive: true }))
const file = join(folder, 'idp.xml')
writeFileSync(file, entityXml({ entityId: exchange.idp, keys: keyDescriptor(keys.base64) }))

const defaults = Object.entries(samlOptions).flatMap(([name, schema]) => {
  const read = schema.safeParse(undefined)
  return read.success && read.data !== undefined ? [[name, read.data]] : []
})
const config = { ...Object.fromEntries(defaults), id: 'campus', label: 'Campus', metadata: [{ file }] } as SamlConfig
const none = () => assert.fail('nothing is asked')
const ports: ConnectorPorts = {
  now: () => NOW,
  fetch: none,
  download: none,
  kept: forgetful,
  ...urlsFor(new URL('https://gateway.example'), 'campus'),
  ...sealing,
  sp: { ...keyless, entityId: exchange.sp },
  regex: re2,
  log: () => {},
}
const connector = openSaml(config, ports)

const memo = {
  connector: 'campus',
  request: exchange.requestId,
  idp: exchange.idp,
  asked: JSON.stringify({ requestedAt: NOW - 10, acrValues: [], contexts: [] }),
}
const url = new URL(exchange.acs)
const answer = async (change: Readonly<Record<string, string>> = {}) => {
  const form = new URLSearchParams({ SAMLResponse: await signedResponse(exchange) })
  return connector.complete({ url, form, memo: { ...memo, ...change } })
}

test('an answer is a proof where the memo is of its sign-in, and says what may come once only', async () => {
  const proved = await answer()
  assert.equal(proved.subject.connector, 'campus')
  assert.match(proved.once?.id ?? '', /^https:\/\/idp\.example\/saml\n_/)
})

test('an answer is refused with the memo of another connector’s sign-in, with one that misses something, and without a form', async () => {
  await refused(answer({ connector: 'corp' }), /another connector/)
  for (const name of ['request', 'idp', 'asked']) await refused(answer({ [name]: '' }), /memo of this sign-in/)
  await refused(answer({ idp: 'https://other.example' }), /no longer in the metadata/)
  await refused(answer({ request: '_request2' }), /InResponseTo/)
  const query = new URLSearchParams({ SAMLResponse: await signedResponse(exchange) })
  await refused(connector.complete({ url: new URL(`?${query}`, url), memo }), /no SAMLResponse by POST/)
})

/** An identity provider that has a new key: its metadata has it from the second reading on, which comes when `publish` is called. */
function rollover() {
  const published = Promise.withResolvers<void>()
  let readings = 0
  const download: ConnectorPorts['download'] = async (_url, _headers, sink) => {
    readings += 1
    if (readings > 1) await published.promise
    const { base64 } = readings > 1 ? others : keys
    await sink(Buffer.from(entityXml({ entityId: exchange.idp, keys: keyDescriptor(base64) })))
    return new Response(null)
  }
  const metadata = [{ url: 'https://idp.example/metadata' }]
  const opened = openSaml({ ...config, metadata }, { ...ports, download })
  return { ...opened, publish: published.resolve, readings: () => readings }
}

test('all who come while metadata is read for the first of them are let in by its new key', async () => {
  const { begin, complete, publish, readings } = rollover()
  await begin('state', {}).catch(() => {}) // there is no key to sign the request, and the metadata is known
  const form = new URLSearchParams({ SAMLResponse: await signedResponse({ ...exchange, keys: others }) })
  const first = complete({ url, form, memo })
  const second = complete({ url, form, memo })
  second.catch(() => {})
  // Signatures are checked one after the other: once this one is, theirs have been found to be by no known key.
  await complete({ url, form: new URLSearchParams({ SAMLResponse: await signedResponse(exchange) }), memo })
  publish()
  assert.equal((await first).subject.connector, 'campus')
  assert.equal((await second).subject.connector, 'campus')
  assert.equal(readings(), 2)
})

test('a logout that is signed by a new key is heard', async () => {
  const to = ports.logout.saml
  const xml = logoutXml({ id: '_out', issuer: exchange.idp, destination: to.href, issuedAt: NOW, nameId: 'ada' })
  for (const message of [
    { kind: 'redirect', query: signedQuery(xml, others, { as: 'SAMLRequest' }), to } as const,
    { kind: 'form', form: signedForm(xml, '_out', { keys: others }), to } as const,
  ]) {
    const { begin, relay, publish } = rollover()
    await begin('state', {}).catch(() => {})
    publish()
    assert.ok('once' in (await relay!(message)))
  }
})

test('whatever is looked at as a kept answer is told what is wrong with it', async () => {
  for (const text of ['', '%C3', '%41%', 'SAMLResponse=%C3', '<', 'x'.repeat(100_000), '\0']) {
    const { checks, subject } = await connector.inspect!({ text })
    assert.deepEqual([checks.at(-1)?.ok, subject], [false, undefined], text.slice(0, 20))
  }
})
