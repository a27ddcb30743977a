import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { type Store, StoreUnavailable } from '../../src/store/store.ts'
import type { Browser, Page } from '../support/browser.ts'
import { browser } from '../support/browser.ts'
import { claimsIn, fakeClock, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { authorization, basic, CALLBACK, redeem, refresh, signIn, toldAt } from '../support/sign-in.ts'
import { standard, standardEnv } from '../support/standard.ts'

const BYE = 'http://127.0.0.1:1/bye'

/** What arrived at the clients' back channels: which client, and its logout token. */
const heard: { client: string; token: string; type: string | undefined }[] = []
let failing = 0
/** The client that takes a request and never answers. */
let silent = ''
let broken = false
const brittle = (store: Store): Store => ({
  ...store,
  revoke: (group, ttl) => (broken ? Promise.reject(new StoreUnavailable('broken')) : store.revoke(group, ttl)),
})
let receiver: Server
let idp: Idp
let gateway: TestGateway
let config: string
let clock: ReturnType<typeof fakeClock>
before(async () => {
  receiver = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    if (failing > 0) {
      failing -= 1
      response.writeHead(503).end()
      return
    }
    if (request.url?.slice(1) === silent) return
    const token = new URLSearchParams(body).get('logout_token') ?? ''
    heard.push({ client: request.url?.slice(1) ?? '', token, type: request.headers['content-type'] })
    response.writeHead(200).end()
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`
  const one = (id: string) =>
    `  - { id: ${id}, target: prod, auth: client_secret_basic, secret: { env: HORIZON_SECRET }, redirectUris: ['${CALLBACK}'], postLogoutRedirectUris: ['${BYE}'], grants: [code, refresh], alwaysRefresh: true, backchannelLogout: { url: '${url}/${id}', private: true } }`
  ;({ idp, gateway, config } = await standard({
    store: brittle,
    extra: () => ({ clients: `${one('portal')}\n${one('wiki')}` }),
  }))
})
beforeEach(async () => {
  await gateway.app.deliver() // what the test before left in the queue
  clock = fakeClock()
  heard.length = 0
  failing = 0
})
afterEach(() => clock.stop())
after(async () => {
  receiver.closeAllConnections()
  await new Promise((resolve) => receiver.close(resolve))
  await gateway.close()
  await idp.close()
})

const somebody = () => browser({ stopAt: (url) => url.href.startsWith(CALLBACK) || url.href.startsWith(BYE) })

/** Signs in at a confidential client; later calls with the same browser are single sign-on. */
async function enter(who: Browser, client = 'portal') {
  const request = authorization(gateway, client, { scope: 'openid' })
  const page = await who.get(request.url)
  const told = page.headers.get('location') ? toldAt(page) : toldAt(await who.submit(page, page.form('ada')))
  const headers = basic(client, standardEnv.HORIZON_SECRET)
  const { body } = await redeem(gateway, { code: told.get('code'), verifier: request.verifier }, { headers })
  return {
    id: body['id_token'] ?? '',
    refresh: body['refresh_token'] ?? '',
    sid: claimsIn(body['id_token'] ?? '')['sid'],
  }
}

const renewed = async (client: string, refresh_token: string) => {
  const headers = basic(client, standardEnv.HORIZON_SECRET)
  const { status, body } = await gateway.post('/token', { grant_type: 'refresh_token', refresh_token }, headers)
  return status === 200 ? 'tokens' : body['error']
}

function logoutUrl(fields: Record<string, string>): URL {
  const url = new URL('/logout', gateway.issuer)
  url.search = new URLSearchParams(fields).toString()
  return url
}

const signOut = (who: Browser, page: Page) => who.submit(page, page.form(), { logout: 'yes' })

const signedIn = async (who: Browser) =>
  toldAt(await who.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url)).has('code')

test('a logout is confirmed by the person, ends the session and returns to the client with its state', async () => {
  const who = somebody()
  const { id, refresh: token } = await enter(who)
  const page = await who.get(logoutUrl({ id_token_hint: id, post_logout_redirect_uri: BYE, state: 's-9' }))
  assert.equal(page.status, 200)
  assert.equal(await signedIn(who), true, 'asking changes nothing')
  const again = await who.get(logoutUrl({ id_token_hint: id, post_logout_redirect_uri: BYE, state: 's-9' }))
  const left = await signOut(who, again)
  assert.equal(left.headers.get('location'), `${BYE}?state=s-9`)
  assert.equal(await signedIn(who), false)
  assert.equal(await renewed('portal', token), 'invalid_grant')
  const event = gateway.events.findLast((e) => e.event === 'session.ended')
  assert.ok(event?.event === 'session.ended' && event.cause === 'person' && event.client === 'portal')
})

test('every refresh token of the session dies with it, those of another session live on', async () => {
  const [who, other] = [somebody(), somebody()]
  const portal = await enter(who, 'portal')
  const wiki = await enter(who, 'wiki')
  const second = await enter(who, 'portal')
  const elsewhere = await enter(other, 'portal')
  await signOut(who, await who.get(logoutUrl({})))
  assert.deepEqual(
    [
      await renewed('portal', portal.refresh),
      await renewed('wiki', wiki.refresh),
      await renewed('portal', second.refresh),
      await renewed('portal', elsewhere.refresh),
    ],
    ['invalid_grant', 'invalid_grant', 'invalid_grant', 'tokens'],
  )
})

test('a person who declines stays signed in, and no client is told of anything', async () => {
  const who = somebody()
  const { refresh: token } = await enter(who)
  const page = await who.get(logoutUrl({}))
  const left = await who.submit(page, page.form())
  assert.ok(left.status < 400)
  assert.equal(await signedIn(who), true)
  assert.equal(await renewed('portal', token), 'tokens')
  await gateway.app.deliver()
  assert.deepEqual(heard, [])
})

test('a logout that a client asked for and the person declined leaves session and tokens alone', async () => {
  const who = somebody()
  const { id, refresh: token } = await enter(who)
  const page = await who.get(logoutUrl({ id_token_hint: id, post_logout_redirect_uri: BYE }))
  await who.submit(page, page.form())
  assert.equal(await signedIn(who), true)
  assert.equal(await renewed('portal', token), 'tokens')
  await gateway.app.deliver()
  assert.deepEqual(heard, [])
  await signOut(who, await who.get(logoutUrl({})))
  await gateway.app.deliver()
  assert.deepEqual(
    heard.map(({ client }) => client),
    ['portal'],
    'a later logout reaches it all the same',
  )
})

test('a logout that the person declined does not end on a page that says she is signed out', async () => {
  const who = somebody()
  await enter(who)
  const page = await who.get(logoutUrl({}))
  const end = await who.submit(page, page.form())
  assert.match(end.text, /You are still signed in/)
  assert.match((await signOut(who, await who.get(logoutUrl({})))).text, /You are signed out/)
})

test('a logout may be asked for by POST', async () => {
  const who = somebody()
  const { id } = await enter(who)
  const form = {
    name: undefined,
    id: undefined,
    action: logoutUrl({}),
    method: 'POST' as const,
    fields: { id_token_hint: id, post_logout_redirect_uri: BYE },
    buttons: [],
  }
  const anywhere = await who.get(`${gateway.issuer}/healthz`)
  const page = await who.submit(anywhere, form)
  assert.equal(page.status, 200)
  assert.equal((await signOut(who, page)).headers.get('location'), BYE)
  assert.equal(await signedIn(who), false)
})

test('a return address that is not registered exactly is refused, and the session stays', async () => {
  const who = somebody()
  const { id } = await enter(who)
  for (const uri of [
    `${BYE}/`,
    `${BYE}?x=1`,
    'http://127.0.0.1:2/bye',
    'https://evil.example/',
    'javascript:alert(1)',
  ]) {
    const page = await who.get(logoutUrl({ id_token_hint: id, post_logout_redirect_uri: uri }))
    assert.equal(page.status, 400, uri)
    assert.equal(page.headers.get('location'), null)
  }
  const nobody = await who.get(logoutUrl({ post_logout_redirect_uri: BYE }))
  const left = await signOut(who, nobody)
  assert.ok(!left.headers.get('location'), 'an address without a client to whom it belongs is not followed')
})

test('a forged hint is refused', async () => {
  const who = somebody()
  const { id } = await enter(who)
  const [head, , signature] = id.split('.')
  const payload = Buffer.from(JSON.stringify({ ...claimsIn(id), sub: 'somebody-else' })).toString('base64url')
  const page = await who.get(logoutUrl({ id_token_hint: `${head}.${payload}.${signature}` }))
  assert.equal(page.status, 400)
  assert.equal(await signedIn(who), true)
})

test('a logout form without its secret, as another site would send it, ends nothing', async () => {
  const who = somebody()
  await enter(who)
  const page = await who.get(logoutUrl({}))
  const forged = await who.submit(page, page.form(), { logout: 'yes', xsrf: 'guess' })
  assert.equal(forged.status, 400)
  assert.equal(await signedIn(who), true)
})

test('each client of the session hears of the logout by a token that verifies, the others hear nothing', async () => {
  const [who, other] = [somebody(), somebody()]
  const portal = await enter(who, 'portal')
  await enter(other, 'wiki')
  await signOut(who, await who.get(logoutUrl({ id_token_hint: portal.id })))
  await gateway.app.deliver()
  assert.deepEqual(
    heard.map(({ client }) => client),
    ['portal'],
  )
  const { token, type } = heard[0] ?? { token: '', type: '' }
  assert.match(type ?? '', /^application\/x-www-form-urlencoded/)
  assert.equal(decodeProtectedHeader(token).typ, 'logout+jwt')
  const keys = createRemoteJWKSet(new URL('/jwks', gateway.issuer))
  const { payload } = await jwtVerify(token, keys, { issuer: gateway.issuer, audience: 'portal' })
  assert.equal(payload['sid'], portal.sid)
  assert.equal(payload.sub, claimsIn(portal.id)['sub'])
  assert.deepEqual(payload['events'], { 'http://schemas.openid.net/event/backchannel-logout': {} })
  assert.ok(payload.jti && payload.iat && payload.exp)
  assert.equal(payload['nonce'], undefined)
  await gateway.app.deliver()
  assert.equal(heard.length, 1, 'and once')
})

test('a client that was down hears of the logout later, by a fresh token', async () => {
  const who = somebody()
  await enter(who, 'wiki')
  failing = 2
  await signOut(who, await who.get(logoutUrl({})))
  await gateway.app.deliver()
  assert.equal(heard.length, 0)
  clock.advance(6)
  await gateway.app.deliver()
  assert.equal(heard.length, 0)
  clock.advance(400)
  await gateway.app.deliver()
  assert.deepEqual(
    heard.map(({ client }) => client),
    ['wiki'],
  )
  const { iat, exp } = claimsIn(heard[0]?.token ?? '')
  assert.ok(Number(exp) > Date.now() / 1000 && Math.abs(Number(iat) - Date.now() / 1000) <= 1)
})

test('a client at a private address is told only where the configuration says that it is private', async () => {
  const port = (receiver.address() as AddressInfo).port
  const client = `  - { id: secret, target: prod, auth: client_secret_basic, secret: { env: HORIZON_SECRET }, redirectUris: ['${CALLBACK}'], grants: [code], backchannelLogout: { url: 'http://localhost:${port}/secret' } }`
  await gateway.reload(config.replace('rules:', `${client}\nrules:`))
  const who = somebody()
  await enter(who, 'secret')
  await enter(who, 'wiki')
  await signOut(who, await who.get(logoutUrl({})))
  await gateway.app.deliver()
  assert.deepEqual(
    heard.map(({ client }) => client),
    ['wiki'],
  )
  await gateway.reload(config)
})

test('a client that does not answer holds up neither the other clients nor the keys', async () => {
  const who = somebody()
  await enter(who, 'portal')
  await enter(who, 'wiki')
  silent = 'portal'
  await signOut(who, await who.get(logoutUrl({})))
  const delivered = gateway.app.deliver()
  await gateway.app.tick()
  while (heard.length === 0) await setImmediate()
  assert.deepEqual(
    heard.map(({ client }) => client),
    ['wiki'],
  )
  silent = ''
  receiver.closeAllConnections()
  await delivered
  clock.advance(6)
  await gateway.app.deliver()
  assert.equal(heard.length, 2)
})

test('a logout that the store could not take to its end says so, and works when asked again', async () => {
  const who = somebody()
  const { refresh: token } = await enter(who)
  broken = true
  const failed = await signOut(who, await who.get(logoutUrl({})))
  broken = false
  assert.equal(failed.status, 503)
  assert.equal(await signedIn(who), true)
  await signOut(who, await who.get(logoutUrl({})))
  assert.equal(await signedIn(who), false)
  assert.equal(await renewed('portal', token), 'invalid_grant')
})

test('somebody without a session who opens the logout gets to the end of it', async () => {
  const who = somebody()
  const page = await who.get(logoutUrl({}))
  assert.equal(page.status, 200)
  const end = page.forms.length > 0 ? await signOut(who, page) : page
  assert.equal(end.status, 200)
  assert.match(end.text, /Signed out|signed out/)
})

test('an opaque access token of the session is dead after the logout', async () => {
  const who = somebody()
  const request = authorization(gateway, 'horizon', { scope: 'openid' })
  const told = await signIn(who, request, 'ada')
  const headers = basic('horizon', standardEnv.HORIZON_SECRET)
  const { body } = await redeem(gateway, { code: told.get('code'), verifier: request.verifier }, { headers })
  const userinfo = async () =>
    (await fetch(`${gateway.issuer}/userinfo`, { headers: { authorization: `Bearer ${body['access_token']}` } })).status
  assert.equal(await userinfo(), 200)
  await signOut(who, await who.get(logoutUrl({})))
  assert.equal(await userinfo(), 401)
})

test('what the device flow gave to a session ends with it', async () => {
  const who = somebody()
  await enter(who)
  const { body: device } = await gateway.post('/device/auth', { client_id: 'kubectl', scope: 'openid offline_access' })
  const entry = await who.get(device['verification_uri_complete'] ?? '')
  const confirm = await who.submit(entry, entry.form())
  await who.submit(confirm, confirm.form(), { confirm: 'yes' })
  const { body } = await gateway.post('/token', {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    client_id: 'kubectl',
    device_code: device['device_code'] ?? '',
  })
  assert.equal((await refresh(gateway, 'kubectl', body['refresh_token'] ?? '')).status, 200)
  const next = await refresh(gateway, 'kubectl', body['refresh_token'] ?? '')
  await signOut(who, await who.get(logoutUrl({})))
  assert.equal((await refresh(gateway, 'kubectl', next.body['refresh_token'] ?? '')).status, 400)
})

test('clients of a session hear of its end when another person signs in in the browser', async () => {
  const who = somebody()
  const portal = await enter(who, 'portal')
  const request = authorization(gateway, 'kubectl', { prompt: 'login' })
  const page = await who.get(request.url)
  const changing = await who.submit(page, page.form('bob'))
  assert.ok(toldAt(await who.submit(changing, changing.form())).get('code'))
  const ended = gateway.events.findLast((e) => e.event === 'session.ended')
  assert.ok(ended?.event === 'session.ended' && ended.cause === 'other-person')
  assert.equal(ended.personal.sub, claimsIn(portal.id)['sub'])
  await gateway.app.deliver()
  assert.deepEqual(
    heard.map(({ client, token }) => [client, claimsIn(token)['sid']]),
    [['portal', portal.sid]],
  )
})
