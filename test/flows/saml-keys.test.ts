import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { SignedXml } from 'xml-crypto'
import { configurationReader } from '../../src/configuration.ts'
import { readXml, type Tag, textIn, within } from '../../src/connectors/saml/xml.ts'
import type { Rings } from '../../src/keys/rings.ts'
import { openRoot } from '../../src/keys/root-secret.ts'
import { openKeys, openTargets } from '../../src/signing.ts'
import { fakeClock, freePort, startGateway, type TestGateway } from '../support/gateway.ts'
import { type SamlIdp, startSamlIdp } from '../support/saml-server.ts'
import { authorization, person, toldAt } from '../support/sign-in.ts'

let idp: SamlIdp
let gateway: TestGateway
let operator: Rings
let config: string
before(async () => {
  idp = await startSamlIdp({ people: [{ name: 'ada' }] })
  config = `
brand: { name: Cloud Nord, privacy: 'https://cloud.example/privacy' }
saml:
  name: { de: 'Wolke <Nord>', en: Cloud North }
  logo: { url: 'https://cloud.example/logo.png', width: 200, height: 80 }
  organization: { name: Cloud Nord gGmbH, url: 'https://cloud.example' }
  contacts: [{ type: technical, name: Ops & Co, email: ops@cloud.example }, { type: security, name: CERT, email: cert@cloud.example }]
  categories: [https://refeds.org/sirtfi, https://refeds.org/category/code-of-conduct/v2]
connectors:
  - { id: campus, type: saml, label: Example University, domain: campus, metadata: '${idp.entityId}', encrypted: required }
  - { id: hidden, type: saml, label: Secret Customer, unlisted: true, domain: hidden, metadata: '${idp.entityId}' }
targets:
  - { id: argo, type: oidc, label: Argo CD, audience: https://argo.example }
clients:
  - { id: kubectl, label: kubectl, native: true, target: argo, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh] }
rules:
  - { name: all, from: [campus], give: [{ target: argo, group: students }] }
`
  gateway = await startGateway({ port: await freePort(), config })
  operator = await openOperator(config)
})
after(async () => {
  await gateway.close()
  await idp.close()
})

/** The rings as a command beside the gateway sees them. */
async function openOperator(config: string): Promise<Rings> {
  const file = join(gateway.folder, 'operator.yaml')
  const head = `issuer: ${gateway.issuer}\nlisten: { port: 0 }\nstore: { kind: embedded, path: ./lotse.db }\nkeys: { rsaBits: 2048 }\n`
  await writeFile(file, head + config)
  const now = () => Math.floor(Date.now() / 1000)
  const read = await configurationReader({ env: {}, now })(file)
  await rm(file)
  assert.ok(read.ok)
  const root = await openRoot(join(gateway.folder, 'keys'), { create: 'refused' })
  const ports = { store: gateway.store, root, audit: async () => {}, now, mode: 'command' as const }
  return openKeys(ports, read.config, openTargets(read.config))
}

interface Published {
  readonly text: string
  readonly root: Tag
  readonly signing: readonly string[]
  readonly encryption: readonly string[]
}

async function published(path = '/saml/metadata/campus'): Promise<Published> {
  const answer = await fetch(gateway.issuer + path)
  assert.equal(answer.status, 200)
  assert.match(answer.headers.get('content-type') ?? '', /^application\/samlmetadata\+xml/)
  const text = await answer.text()
  const root = readXml(text)
  const certificates = (use: string) =>
    all(root, 'KeyDescriptor')
      .filter(({ attributes }) => attributes['use'] === use)
      .map((tag) => textIn(all(tag, 'X509Certificate')[0]))
  return { text, root, signing: certificates('signing'), encryption: certificates('encryption') }
}

const all = (root: Tag, wanted: string) => [...within(root)].filter(({ name }) => name === wanted)
const pem = (base64: string) => `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`

function isSignedBy(text: string, certificate: string): boolean {
  const checker = new SignedXml({ publicCert: pem(certificate) })
  checker.loadSignature(/<ds:Signature[\s\S]*?<\/ds:Signature>/.exec(text)?.[0] ?? '')
  try {
    return checker.checkSignature(text)
  } catch {
    return false
  }
}

/** Signs in with an assertion that is encrypted to a certificate. */
async function signIn(to: string): Promise<boolean> {
  const who = person()
  const page = await who.get(authorization(gateway, 'kubectl', { connector: 'campus' }).url)
  const said = { encryption: { to: pem(to) } }
  const response = await idp.respond(idp.got.at(-1)!, { name: 'ada', said })
  return toldAt(await who.submit(page, page.form('ada'), { SAMLResponse: response })).has('code')
}

test('the metadata is signed, names one entity, and says what is configured, escaped', async () => {
  const { text, root, signing } = await published()
  assert.equal(isSignedBy(text, signing[0] ?? ''), true)
  assert.equal(isSignedBy(text.replace('Cloud North', 'Cloud South'), signing[0] ?? ''), false)
  assert.equal(root.attributes['entityID'], `${gateway.issuer}/saml/metadata`)
  const names = all(root, 'DisplayName').map((tag) => [
    tag.attributes['{http://www.w3.org/XML/1998/namespace}lang'],
    textIn(tag),
  ])
  assert.deepEqual(names, [
    ['de', 'Wolke <Nord>'],
    ['en', 'Cloud North'],
  ])
  assert.equal(textIn(all(root, 'PrivacyStatementURL')[0]), 'https://cloud.example/privacy')
  assert.deepEqual(
    all(root, 'ContactPerson').map(({ attributes }) => attributes['contactType']),
    ['technical', 'other'],
  )
  assert.deepEqual(
    all(root, 'Attribute').map((tag) => [tag.attributes['Name'], textIn(all(tag, 'AttributeValue')[0])]),
    [
      ['http://macedir.org/entity-category', 'https://refeds.org/category/code-of-conduct/v2'],
      ['urn:oasis:names:tc:SAML:attribute:assurance-certification', 'https://refeds.org/sirtfi'],
    ],
  )
})

test('each connector has its own endpoints under the one entity, and an unlisted one is shown to nobody else', async () => {
  const places = ({ root }: Published) =>
    all(root, 'AssertionConsumerService').map(({ attributes }) => attributes['Location'])
  assert.deepEqual(places(await published('/saml/metadata')), [`${gateway.issuer}/callback/campus`])
  assert.deepEqual(places(await published('/saml/metadata/hidden')), [`${gateway.issuer}/callback/hidden`])
  assert.equal((await fetch(`${gateway.issuer}/saml/metadata/nobody`)).status, 404)
})

test('while the key rotates nobody is refused, whichever of the two an identity provider encrypts to', async () => {
  const { signing: before } = await published()
  const old = before[0] ?? ''
  assert.equal(await signIn(old), true)
  await operator.tick()
  assert.equal(await operator.rotate('saml', 'RS256', 'orderly'), 'announced')
  await gateway.app.tick()
  const both = await published()
  assert.equal(both.signing.length, 2)
  assert.deepEqual([both.signing[0], both.encryption], [old, both.signing])
  assert.equal(isSignedBy(both.text, old), true)
  const next = both.signing[1] ?? ''
  assert.deepEqual([await signIn(old), await signIn(next)], [true, true])
  const clock = fakeClock()
  try {
    clock.advance(7 * 86_400)
    await gateway.app.tick()
    const after = await published()
    assert.deepEqual(after.signing, [next])
    assert.equal(isSignedBy(after.text, next), true)
    assert.deepEqual([await signIn(old), await signIn(next)], [true, true])
    clock.advance(30 * 86_400)
    await gateway.app.tick()
    assert.deepEqual([await signIn(old), await signIn(next)], [false, true])
  } finally {
    clock.stop()
  }
})

test('where assertions have to be encrypted, one in the clear is refused', async () => {
  const who = person()
  const page = await who.get(authorization(gateway, 'kubectl', { connector: 'campus' }).url)
  assert.equal(toldAt(await who.submit(page, page.form('ada'))).get('error'), 'access_denied')
})

test('a reload says at once what the configuration says by then', async () => {
  await gateway.reload(config.replace('Cloud North', 'Cloud of the North'))
  assert.match((await published()).text, />Cloud of the North</)
  await gateway.reload(config)
  assert.match((await published()).text, />Cloud North</)
})
