import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { deflateRawSync } from 'node:zlib'
import { within } from '../../src/connectors/saml/xml.ts'
import { type Browser, browser, type Page } from '../support/browser.ts'
import { claimsIn, fakeClock, forgetEnds, freePort, startGateway, type TestGateway } from '../support/gateway.ts'
import { samlKeys } from '../support/saml-idp.ts'
import { type LogoutSaid, logoutXml, type Query, signedForm, signedQuery } from '../support/saml-logout.ts'
import { type SamlIdp, startSamlIdp } from '../support/saml-server.ts'
import { authorization, basic, CALLBACK, redeem, toldAt } from '../support/sign-in.ts'

const BYE = 'http://127.0.0.1:1/bye'
const SECRET = 'a-secret-0123456789-0123456789-0123456789'
const PARTIAL = 'urn:oasis:names:tc:SAML:2.0:status:PartialLogout'

const told: unknown[] = []
let receiver: Server
let clientAnswers = 200
let idp: SamlIdp
let gateway: TestGateway
before(async () => {
  receiver = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    told.push(claimsIn(new URLSearchParams(body).get('logout_token') ?? '')['sid'])
    response.writeHead(clientAnswers).end()
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  const back = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`
  const sessions = ['one', 'two', 'three']
  const people = sessions.map((name) => ({ name, said: { nameId: 'ada', sessionIndex: name } }))
  idp = await startSamlIdp({ people: [...people, { name: 'bob', said: { sessionIndex: 'one' } }] })
  const client = (id: string, more = '') =>
    `  - { id: ${id}, target: argo, auth: client_secret_basic, secret: { env: SECRET }, native: true, redirectUris: ['http://127.0.0.1/cb'], postLogoutRedirectUris: ['${BYE}'], grants: [code, refresh], alwaysRefresh: true${more} }`
  gateway = await startGateway({
    port: await freePort(),
    env: { SECRET },
    config: `
connectors:
  - { id: campus, type: saml, label: Example University, domain: campus, metadata: '${idp.entityId}' }
  - { id: posting, type: saml, label: Posting University, domain: posting, metadata: '${idp.entityId}', requestBinding: post }
  - { id: quiet, type: saml, label: Quiet University, domain: quiet, metadata: '${idp.entityId}', upstreamLogout: 'off' }
targets:
  - { id: argo, type: oidc, label: Argo CD, audience: https://argo.example }
clients:
${client('portal', `, backchannelLogout: { url: '${back}', private: true }`)}
${client('deaf')}
rules:
  - { name: all, from: [campus, posting, quiet], give: [{ target: argo, group: students }] }
`,
  })
  await idp.trust(`${gateway.issuer}/saml/metadata/campus`)
})
beforeEach(async () => {
  clientAnswers = 200
  told.length = 0
  ;(idp.got as unknown[]).splice(0)
  await forgetEnds(gateway)
})
after(async () => {
  receiver.closeAllConnections()
  await new Promise((resolve) => receiver.close(resolve))
  await gateway.close()
  await idp.close()
})

interface Held {
  readonly who: Browser
  readonly refresh: string
  readonly id: string
  readonly client: string
}

async function enter(name: string, client = 'portal', connector = 'campus', at = gateway): Promise<Held> {
  const who = browser({ stopAt: (url) => url.href.startsWith(CALLBACK) || url.href.startsWith(BYE) })
  const request = authorization(at, client, { connector, scope: 'openid' })
  let page = await who.get(request.url)
  if (page.location.href.startsWith(at.issuer)) page = await who.submit(page, page.form())
  const answer = toldAt(await who.submit(page, page.form(name)))
  const headers = basic(client, SECRET)
  const { body } = await redeem(at, { code: answer.get('code'), verifier: request.verifier }, { headers })
  return { who, refresh: body['refresh_token'] ?? '', id: body['id_token'] ?? '', client }
}

async function goesOn({ refresh, client }: Held): Promise<boolean> {
  const headers = basic(client, SECRET)
  return (await gateway.post('/token', { grant_type: 'refresh_token', refresh_token: refresh }, headers)).status === 200
}

const SLO = (connector = 'campus') => `${gateway.issuer}/logout/saml/${connector}`
const now = () => Math.floor(Date.now() / 1000)
let counter = 0
const said = (more: Partial<LogoutSaid> = {}): LogoutSaid => {
  counter += 1
  const head = {
    id: `_out${counter}`,
    issuer: idp.entityId,
    destination: SLO(),
    issuedAt: now(),
    notOnOrAfter: now() + 60,
  }
  return { ...head, nameId: 'ada', sessions: ['one'], ...more }
}

/** The browser is sent here with a LogoutRequest by redirect, and goes back with the answer. */
async function redirected(more: Partial<LogoutSaid> = {}, query: Partial<Query> = {}, keys = idp.keys): Promise<Page> {
  return browser().get(`${SLO()}?${signedQuery(logoutXml(said(more)), keys, { as: 'SAMLRequest', ...query })}`)
}

/** What the gateway answered: its status codes, the inner one too. */
function codes(): readonly string[] {
  const { root, signed } = idp.got.at(-1)!
  assert.equal(root.name, 'LogoutResponse')
  assert.equal(signed, true)
  return [...within(root)]
    .filter(({ name }) => name === 'StatusCode')
    .map(({ attributes }) => attributes['Value'] ?? '')
}

test('a logout request by redirect ends the session that it names, here and at clients, and is answered', async () => {
  const [mine, other, bobs] = [await enter('one'), await enter('two'), await enter('bob')]
  const page = await redirected({ id: '_ask1' }, { relayState: 'their state' })
  assert.equal(page.location.origin, idp.origin)
  const answer = idp.got.at(-1)!
  assert.equal(answer.root.attributes['InResponseTo'], '_ask1')
  assert.equal(answer.root.attributes['Destination'], `${idp.origin}/slo`)
  assert.equal(answer.relayState, 'their state')
  assert.deepEqual(codes(), ['urn:oasis:names:tc:SAML:2.0:status:Success'])
  assert.deepEqual(told, [claimsIn(mine.id)['sid']])
  assert.deepEqual([await goesOn(mine), await goesOn(other), await goesOn(bobs)], [false, true, true])
})

test('a logout request by POST is heard, too, and percent-encoding in lower case is no other message', async () => {
  const mine = await enter('one')
  const message = said()
  const body = signedForm(logoutXml(message), message.id, { keys: idp.keys })
  const page = await browser().send(new URL(SLO()), { method: 'POST', body, from: new URL(idp.origin) })
  assert.equal(page.status, 303)
  assert.equal(await goesOn(mine), false)
  const another = await enter('one')
  assert.equal((await redirected({}, { lowerCase: true, relayState: 'a/b=c' })).location.origin, idp.origin)
  assert.equal(await goesOn(another), false)
})

test('a request may name several sessions, or none, which is all of the person', async () => {
  const [one, two, three] = [await enter('one'), await enter('two'), await enter('three')]
  await redirected({ sessions: ['one', 'two'] })
  assert.deepEqual([await goesOn(one), await goesOn(two), await goesOn(three)], [false, false, true])
  await redirected({ sessions: [] })
  assert.equal(await goesOn(three), false)
})

test('who was signed out by her identity provider is welcome again at once, and a sign-in on its way is not kept', async () => {
  const clock = fakeClock()
  try {
    const who = browser({ stopAt: (url) => url.href.startsWith(CALLBACK) })
    const page = await who.get(authorization(gateway, 'portal', { connector: 'campus' }).url)
    clock.advance(1)
    await redirected({ sessions: ['one'] })
    assert.equal((await who.submit(page, page.form('one'))).status, 400)
    clock.advance(1)
    assert.equal(await goesOn(await enter('one')), true)
  } finally {
    clock.stop()
  }
})

test('at the address that all connectors share a request is heard by those that have its sender, and by no other', async () => {
  await idp.trust(`${gateway.issuer}/saml/metadata`)
  const [mine, posting, bobs] = [await enter('one'), await enter('one', 'portal', 'posting'), await enter('bob')]
  const to = `${gateway.issuer}/logout/saml`
  const message = said({ destination: to })
  const page = await browser().get(`${to}?${signedQuery(logoutXml(message), idp.keys, { as: 'SAMLRequest' })}`)
  assert.equal(page.location.origin, idp.origin)
  assert.deepEqual([await goesOn(mine), await goesOn(posting), await goesOn(bobs)], [false, false, true])
  const stranger = said({ destination: to, issuer: 'https://evil.example' })
  const refused = await browser().get(`${to}?${signedQuery(logoutXml(stranger), idp.keys, { as: 'SAMLRequest' })}`)
  assert.equal(refused.status, 403)
  const back = await signOut(await enter('one'))
  const [, next = ''] = /url=(.+)$/.exec(back.headers.get('refresh') ?? '') ?? []
  assert.equal(
    (await browser({ stopAt: ({ href }) => href.startsWith(BYE) }).get(next)).headers.get('location'),
    `${BYE}?state=s-9`,
  )
})

test('a connector whose metadata is gone holds up no logout, and what may be left at it is said', async () => {
  const clock = fakeClock()
  const end = new Date((now() + 3600) * 1000).toISOString()
  const file = join(tmpdir(), `lotse-${randomUUID()}.xml`)
  await writeFile(file, idp.metadata().replace('<md:EntityDescriptor', `$& validUntil="${end}"`))
  const both = await startGateway({
    port: await freePort(),
    config: `
connectors:
  - { id: near, type: saml, label: Near University, domain: near, metadata: '${idp.entityId}' }
  - { id: far, type: saml, label: Far University, domain: far, metadata: { file: '${file}' } }
targets:
  - { id: argo, type: oidc, label: Argo CD, audience: https://argo.example }
clients:
  - { id: portal, target: argo, auth: client_secret_basic, secret: { env: SECRET }, native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh] }
rules:
  - { name: all, from: [near, far], give: [{ target: argo, group: students }] }
`,
    env: { SECRET },
  })
  const to = `${both.issuer}/logout/saml`
  const send = (more: Partial<LogoutSaid> = {}) => {
    const message = logoutXml(said({ destination: to, sessions: [], ...more }))
    return browser().get(`${to}?${signedQuery(message, idp.keys, { as: 'SAMLRequest' })}`)
  }
  try {
    await idp.trust(`${both.issuer}/saml/metadata`)
    await enter('one', 'portal', 'far', both)
    clock.advance(3700)
    await send({ nameId: 'bob' })
    assert.deepEqual(codes(), ['urn:oasis:names:tc:SAML:2.0:status:Success'])
    await send()
    assert.ok(codes().includes(PARTIAL), 'she is still signed in by the other connector')
    assert.equal((await send({ issuer: 'https://perhaps.far.example' })).status, 503)
  } finally {
    clock.stop()
    await both.close()
    await rm(file)
    await idp.trust(`${gateway.issuer}/saml/metadata/campus`)
  }
})

test('where a client could not be told, the answer says that the logout is partial', async () => {
  await enter('one', 'deaf')
  await redirected()
  assert.ok(codes().includes(PARTIAL), 'a client without a back channel')
  clientAnswers = 503
  await enter('two')
  await redirected({ sessions: ['two'] })
  assert.ok(codes().includes(PARTIAL), 'a client that does not answer')
})

test('nobody is signed out by what is not signed, is for others, is old, or came before', async () => {
  const mine = await enter('one')
  const refused = async (page: Promise<Page>, what: string) => assert.equal((await page).status, 403, what)
  const message = logoutXml(said())
  const unsigned = new URLSearchParams({ SAMLRequest: deflateRawSync(message).toString('base64') })
  await refused(browser().get(`${SLO()}?${unsigned}`), 'unsigned query')
  const plain = new URLSearchParams({ SAMLRequest: Buffer.from(message).toString('base64') })
  await refused(browser().send(new URL(SLO()), { method: 'POST', body: plain }), 'unsigned form')
  await refused(redirected({}, {}, samlKeys()), 'another key')
  await refused(redirected({}, { algorithm: 'http://www.w3.org/2000/09/xmldsig#rsa-sha1' }), 'SHA-1')
  await refused(redirected({ destination: SLO('posting') }), 'another connector')
  await refused(redirected({ issuer: 'https://evil.example' }), 'another issuer')
  await refused(redirected({ issuedAt: now() - 3600, notOnOrAfter: now() + 60 }), 'old')
  await refused(redirected({ notOnOrAfter: now() - 3600 }), 'over')
  await refused(redirected({ edit: (xml) => xml.replace('<?', '').replace('ID=', 'id=') }), 'no ID')
  await refused(redirected({ edit: (xml) => `<!DOCTYPE x>${xml}` }), 'DOCTYPE')
  const bomb = deflateRawSync(Buffer.alloc(5_000_000, 0x20))
  const query = signedQuery(bomb, idp.keys, { as: 'SAMLRequest' })
  await refused(browser().get(`${SLO()}?${query}`), 'bomb')
  const relayed = signedQuery(logoutXml(said()), idp.keys, { as: 'SAMLRequest', relayState: 'a' })
  await refused(browser().get(`${SLO()}?${relayed.replace('RelayState=a', 'RelayState=b')}`), 'changed RelayState')
  assert.equal(await goesOn(mine), true)
  const twice = `${SLO()}?${signedQuery(logoutXml(said()), idp.keys, { as: 'SAMLRequest' })}`
  assert.equal((await browser().get(twice)).location.origin, idp.origin)
  const again = await enter('one')
  await refused(browser().get(twice), 'came before')
  assert.equal(await goesOn(again), true)
})

test('what is refused is told with a reference, and without a word of the message', async () => {
  const page = await redirected({ issuer: 'https://evil.example/&lt;script>' })
  assert.equal(page.text.includes('evil'), false)
  assert.match(page.text, /[0-9A-Z]{4}-[0-9A-Z]{4}/)
})

async function signOut({ who, id }: Held): Promise<Page> {
  const url = new URL('/logout', gateway.issuer)
  url.search = new URLSearchParams({ id_token_hint: id, post_logout_redirect_uri: BYE, state: 's-9' }).toString()
  const page = await who.get(url)
  return who.submit(page, page.form(), { logout: 'yes' })
}

for (const [connector, binding] of [
  ['campus', 'redirect'],
  ['posting', 'post'],
] as const) {
  test(`a sign-out here goes on to the identity provider by ${binding}, and comes back to the client with its state`, async () => {
    await idp.trust(`${gateway.issuer}/saml/metadata/${connector}`)
    const mine = await enter('one', 'portal', connector)
    const away = await signOut(mine)
    assert.equal(away.status, 200)
    const [, next = ''] = /url=(.+)$/.exec(away.headers.get('refresh') ?? '') ?? []
    const back = binding === 'redirect' ? await mine.who.get(next) : await mine.who.submit(away, away.form())
    const asked = idp.got.at(-1)!
    assert.equal(asked.binding, binding)
    assert.equal(asked.signed, true)
    assert.equal(asked.root.name, 'LogoutRequest')
    assert.match(asked.xml, /<saml:NameID Format="[^"]*:persistent">ada</)
    assert.match(asked.xml, /<samlp:SessionIndex>one</)
    assert.equal(back.headers.get('location'), `${BYE}?state=s-9`)
    assert.equal(await goesOn(mine), false)
  })
}

test('where the connector says so, a sign-out here leaves the identity provider in peace', async () => {
  const back = await signOut(await enter('one', 'portal', 'quiet'))
  assert.equal(back.headers.get('location'), `${BYE}?state=s-9`)
  assert.equal(
    idp.got.some(({ root }) => root.name === 'LogoutRequest'),
    false,
  )
})
