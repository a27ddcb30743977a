import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { kinds } from '../../src/store/kinds.ts'
import { authority, selfSigned } from '../support/certificate.ts'
import { newKey, publicOf, signed } from '../support/credentials.ts'
import { claimsIn, fakeClock, forgetEnds, freePort, startGateway, type TestGateway } from '../support/gateway.ts'
import { person, redeem, refresh, toldAt } from '../support/sign-in.ts'
import { open, type Read, send } from '../support/wallet.ts'
import { waiting } from './wallet-world.ts'

/** What organisations, a clearing house and a registry publish, each below its own path of one host. */
const published: Record<string, unknown> = {}
const tls = selfSigned()
const acmeKey = newKey()
const houseKey = newKey()
const adaKey = newKey()
const ada = `did:jwk:${Buffer.from(JSON.stringify(publicOf(adaKey))).toString('base64url')}`
let web: Server
let host = ''
let gateway: TestGateway
let clock: ReturnType<typeof fakeClock>

const did = (name: string) => `did:web:${host.replace(':', '%3A')}:${name}`
const iso = (seconds: number) => new Date(seconds * 1000).toISOString()
const seconds = () => Math.floor(Date.now() / 1000)

function publish(name: string, key: ReturnType<typeof newKey>) {
  const id = did(name)
  const method = { id: `${id}#key-1`, type: 'JsonWebKey', controller: id, publicKeyJwk: publicOf(key) }
  published[`/${name}/did.json`] = { id, verificationMethod: [method], assertionMethod: [method.id] }
}

before(async () => {
  web = createServer(tls, ({ url = '' }, response) => {
    const found = published[url]
    response.writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(found ?? {}))
  })
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve))
  host = `127.0.0.1:${(web.address() as AddressInfo).port}`
  publish('acme', acmeKey)
  publish('house', houseKey)
  const own = authority('Root of verifiers').issue({ name: 'login.example', dns: ['login.example'] })
  gateway = await startGateway({
    port: await freePort(),
    env: { CHAIN: own.chain, KEY: String(own.key.export({ type: 'pkcs8', format: 'pem' })), CA: tls.cert },
    config: `
connectors:
  - id: gaiax
    type: wallet
    label: Gaia-X wallet
    domain: gaiax
    certificate: { env: CHAIN }
    privateKey: { env: KEY }
    ca: { env: CA }
    allowPrivate: [127.0.0.0/8]
    lists: { houses: { url: 'https://${host}/houses.json' } }
    credentials:
      - id: member
        format: vp+jwt
        types: [NaturalPersonPartyCredential]
        about: person
        issuedBy: [organisations]
        memberOf: { claim: 'gx:parentPartyCredential' }
        claims: [{ path: 'gx:identityRoles' }]
      - id: label
        format: vp+jwt
        types: [LabelCredential]
        about: organisation
        issuedBy: [{ list: houses }]
        from: either
      - { id: participant, format: vp+jwt, types: [LegalPerson], about: organisation, issuedBy: [itself], from: either, need: optional }
    require: [label]
targets: [{ id: argo, type: oidc, label: Argo CD, audience: https://argo.example }]
clients: [{ id: kubectl, label: kubectl, native: true, target: argo, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh], offlineAccess: true }]
rules:
  - name: members of an organisation with a level-1 label and role developer get project X
    from: [gaiax]
    if: [{ claim: org.label, anyOf: [L1, L2, L3] }, { claim: 'gx:identityRoles', is: developer }]
    give: [{ target: argo, group: project-X }]
`,
  })
})
beforeEach(async () => {
  await forgetEnds(gateway)
  published['/houses.json'] = [did('house')]
  clock = fakeClock()
})
afterEach(() => clock.stop())
after(async () => {
  await gateway.close()
  web.closeAllConnections()
  web.close()
})

/** A VC-JWT of Gaia-X Loire. */
function vc(issuer: string, key: ReturnType<typeof newKey>, subject: object): string {
  const id = did(issuer)
  const now = seconds()
  return signed(
    { typ: 'vc+jwt', cty: 'vc', kid: `${id}#key-1`, iss: id },
    {
      '@context': ['https://www.w3.org/ns/credentials/v2'],
      type: ['VerifiableCredential'],
      issuer: id,
      validFrom: iso(now - 3600),
      validUntil: iso(now + 86_400),
      credentialSubject: subject,
    },
    key,
  )
}

const participant = () => vc('acme', acmeKey, { id: `https://${host}/acme/lp.json`, type: 'gx:LegalPerson' })
function labelFor(level: string, given: string) {
  const digest = `sha256-${hash('sha256', given, 'base64')}`
  const listed = [{ type: 'gx:LegalPerson', 'gx:digestSRI': digest }]
  const subject = { id: 'https://any.example/label#cs', type: 'gx:LabelCredential', 'gx:labelLevel': level }
  return vc('house', houseKey, { ...subject, 'gx:compliantCredentials': listed })
}
const membership = (more: object = {}) =>
  vc('acme', acmeKey, {
    id: ada,
    type: 'gx:NaturalPersonPartyCredential',
    'gx:identityRoles': ['developer'],
    'gx:parentPartyCredential': `https://${host}/acme/party.json`,
    ...more,
  })

function presentation(read: Read, credentials: readonly string[], key = adaKey): string {
  const verifiableCredential = credentials.map((jwt) => ({
    type: 'EnvelopedVerifiableCredential',
    id: `data:application/vc+jwt,${jwt}`,
  }))
  const payload = {
    type: ['VerifiablePresentation'],
    holder: ada,
    verifiableCredential,
    nonce: read.nonce,
    aud: read.clientId,
  }
  return signed({ typ: 'vp+jwt', cty: 'vp', kid: `${ada}#0` }, payload, key)
}

/** Ada presents these; the page at which it ends. */
async function come(credentials: readonly string[], key = adaKey) {
  const at = await waiting(gateway, 'gaiax', person())
  const read = await open(at.link)
  const sent = await send(read, { member: [presentation(read, credentials, key)] })
  return { ...at, end: await at.who.get(sent.body['redirect_uri'] ?? '') }
}

const kept = async () => JSON.stringify(await gateway.store.list(kinds.Metadata, 100))
const why = () => gateway.logs.findLast(({ message }) => message === 'sign-in failed at its upstream')?.fields['detail']

test('members of an organisation with a level-1 label and role developer get project X, whoever listed the organisation nowhere', async () => {
  const own = participant()
  const { end, verifier } = await come([membership(), labelFor('L1', own), own])
  const { status, body } = await redeem(gateway, { code: toldAt(end).get('code'), verifier, client: 'kubectl' })
  assert.equal(status, 200)
  assert.deepEqual(claimsIn(body['id_token'] ?? '')['groups'], ['project-X'])
})

test("a label that was given for another organisation's credential, and none at all, are refused", async () => {
  const stranger = vc('house', houseKey, { id: 'https://else.example/lp.json', type: 'gx:LegalPerson' })
  for (const credentials of [[membership()], [membership(), labelFor('L1', stranger), participant()]]) {
    assert.equal(toldAt((await come(credentials)).end).get('error'), 'access_denied')
    assert.match(String(why()), /may not issue member/)
  }
})

test('a copy of what somebody else presented is worth nothing: another key cannot present it', async () => {
  const own = participant()
  const copied = await come([membership(), labelFor('L1', own), own], newKey())
  assert.equal(toldAt(copied.end).get('error'), 'access_denied')
  assert.match(String(why()), /not signed by did:jwk/)
  const other = await come([membership({ id: 'did:jwk:e30' }), labelFor('L1', own), own])
  assert.equal(toldAt(other.end).get('error'), 'access_denied')
  assert.match(String(why()), /not bound to who presents it/)
})

test('a clearing house that leaves the list of the registry takes the access of those for whom it vouched', async () => {
  const own = participant()
  const { end, verifier } = await come([membership(), labelFor('L1', own), own])
  const { body } = await redeem(gateway, { code: toldAt(end).get('code'), verifier, client: 'kubectl' })
  clock.advance(400)
  const second = await refresh(gateway, 'kubectl', body['refresh_token'] ?? '')
  assert.equal(second.status, 200)
  published['/houses.json'] = ['did:web:another.example']
  clock.advance(3700)
  await gateway.app.tick()
  // The registry answers over a socket, which no test's clock moves; what was read is kept.
  while (!(await kept()).includes('another.example')) await new Promise((resolve) => setTimeout(resolve, 5))
  const third = await refresh(gateway, 'kubectl', second.body['refresh_token'] ?? '')
  assert.deepEqual([third.status, third.body['error']], [400, 'invalid_grant'])
})
