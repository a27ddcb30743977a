import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { claimsIn, type TestGateway, withoutIds } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import {
  authorization,
  basic,
  person,
  pickPerson,
  redeem,
  refresh,
  signIn,
  tokensOf,
  toldAt,
} from '../support/sign-in.ts'
import { standard, standardEnv } from '../support/standard.ts'

let idp: Idp
let gateway: TestGateway
before(async () => {
  ;({ idp, gateway } = await standard())
})
afterEach(() => gateway.failAudit('no'))
after(async () => {
  await gateway.close()
  await idp.close()
})

/** The names of the events that something leaves. */
async function eventsOf(act: () => Promise<unknown>): Promise<string[]> {
  const before = gateway.events.length
  await act()
  return gateway.events.slice(before).map(({ event }) => event)
}

test('a sign-in leaves two lines: who entered and why, and what was issued', async () => {
  const before = gateway.events.length
  const tokens = await tokensOf(gateway, 'kubectl', 'ada')
  const [entered, issued] = gateway.events.slice(before)
  assert.ok(entered?.event === 'login.success' && issued?.event === 'token.issued')
  assert.equal(entered.connector, 'corp')
  assert.equal(entered.client, 'kubectl')
  assert.deepEqual(
    entered.because.map(({ rule }) => rule),
    ['teams'],
  )
  assert.equal(entered.personal.upstreamId, 'ada')
  assert.equal(entered.personal.sub, claimsIn(tokens.id_token)['sub'])
  assert.equal(issued.jti, claimsIn(tokens.access_token)['jti'])
  assert.deepEqual(issued.kinds, ['access_token', 'id_token', 'refresh_token'])
  assert.equal(issued.target, 'prod')
  assert.equal(issued.until, claimsIn(tokens.access_token)['exp'])
})

test('personal data stands under `personal` and nowhere else', async () => {
  await tokensOf(gateway, 'kubectl', 'ada')
  const who = person()
  await pickPerson(who, await who.get(authorization(gateway, 'kubectl').url), 'dave')
  for (const { personal: _dropped, ...rest } of gateway.events as readonly (Record<string, unknown> & {
    personal?: unknown
  })[]) {
    assert.doesNotMatch(withoutIds(rest), /ada|dave|corp\.example|127\.0\.0\.1/)
  }
})

test('each flow leaves its own events', async () => {
  const who = person()
  const signInAgain = async () => void (await signIn(who, authorization(gateway, 'kubectl'), 'ada'))
  assert.deepEqual(await eventsOf(signInAgain), ['login.success'])
  const silent = () => who.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url)
  assert.deepEqual(await eventsOf(silent), [])
  const refused = person()
  const refusal = async () => pickPerson(refused, await refused.get(authorization(gateway, 'kubectl').url), 'carol')
  assert.deepEqual(await eventsOf(refusal), ['login.refused'])
  const declining = person()
  const decline = async () => {
    const page = await declining.get(authorization(gateway, 'kubectl').url)
    return declining.submit(page, page.form('decline'))
  }
  assert.deepEqual(await eventsOf(decline), ['login.refused'])
  const wrong = () => redeem(gateway, { code: 'nonsense', verifier: 'x'.repeat(43), client: 'kubectl' })
  assert.deepEqual(await eventsOf(wrong), ['token.refused'])
  const stranger = () => gateway.post('/token', { grant_type: 'client_credentials' }, basic('robot', 'wrong'))
  assert.deepEqual(await eventsOf(stranger), ['token.refused'])
  const robot = () =>
    gateway.post('/token', {
      grant_type: 'client_credentials',
      client_id: 'robot',
      client_secret: standardEnv.ROBOT_SECRET,
    })
  assert.deepEqual(await eventsOf(robot), ['token.issued'])
  const logout = async () => {
    const page = await who.get(`${gateway.issuer}/logout`)
    return who.submit(page, page.form(), { logout: 'yes' })
  }
  assert.deepEqual(await eventsOf(logout), ['session.ended'])
})

test('the reference on a page is the id of its audit line', async () => {
  const who = person()
  const page = await pickPerson(who, await who.get(authorization(gateway, 'kubectl').url), 'carol')
  assert.equal(gateway.events.at(-1)?.event, 'login.refused')
  assert.ok(page.text.includes(`>${gateway.ids.at(-1)}<`), gateway.ids.at(-1))
})

test('the error_id of an answer is the id of its audit line', async () => {
  const { body } = await redeem(gateway, { code: 'nonsense', verifier: 'x'.repeat(43), client: 'kubectl' })
  assert.equal(gateway.events.at(-1)?.event, 'token.refused')
  assert.equal(body['error_id'], gateway.ids.at(-1))
})

test('a sign-in whose audit line cannot be written fails, and no session or code leaves', async () => {
  const who = person()
  const first = await who.get(authorization(gateway, 'kubectl').url)
  gateway.failAudit('yes')
  const page = await pickPerson(who, first, 'ada')
  assert.ok(page.status === 503 || toldError(page) === 'temporarily_unavailable', `${page.status}`)
  gateway.failAudit('no')
  const silent = await who.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url)
  assert.equal(toldAt(silent).get('error'), 'login_required')
})

const toldError = (page: { headers: Headers }) =>
  new URL(page.headers.get('location') ?? 'about:blank').searchParams.get('error')

test('a code whose audit line cannot be written gives no token, and what was made is dead', async () => {
  const request = authorization(gateway, 'kubectl')
  const told = await signIn(person(), request, 'ada')
  gateway.failAudit('yes')
  const fields = { code: told.get('code'), verifier: request.verifier, client: 'kubectl' }
  const { status, body, headers } = await redeem(gateway, fields)
  assert.deepEqual([status, body['error']], [503, 'temporarily_unavailable'])
  assert.deepEqual(Object.keys(body).sort(), ['error', 'error_id'])
  assert.ok(headers.get('retry-after'))
})

test('a refresh whose audit line cannot be written gives no token', async () => {
  const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
  gateway.failAudit('yes')
  const { status, body } = await refresh(gateway, 'kubectl', refresh_token)
  assert.deepEqual([status, body['error']], [503, 'temporarily_unavailable'])
  assert.equal(body['access_token'], undefined)
})

test('a robot whose audit line cannot be written gets no token', async () => {
  gateway.failAudit('yes')
  const { status, body } = await gateway.post('/token', {
    grant_type: 'client_credentials',
    client_id: 'robot',
    client_secret: standardEnv.ROBOT_SECRET,
  })
  assert.deepEqual([status, body['access_token']], [503, undefined])
})

test('a device poll whose audit line cannot be written says authorization_pending and no token', async () => {
  const { body: device } = await gateway.post('/device/auth', { client_id: 'openstack', scope: 'openid' })
  const who = person()
  const entry = await who.get(device['verification_uri_complete'] ?? '')
  const confirm = await who.submit(entry, entry.form())
  await pickPerson(who, await who.submit(confirm, confirm.form(), { confirm: 'yes' }), 'ada')
  gateway.failAudit('yes')
  const { status, body } = await gateway.post('/token', {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    client_id: 'openstack',
    device_code: device['device_code'] ?? '',
  })
  assert.equal(body['access_token'], undefined)
  assert.deepEqual([status, body['error']], [400, 'authorization_pending'])
})

test('an implicit ID token whose audit line cannot be written does not leave', async () => {
  const who = person()
  await signIn(who, authorization(gateway, 'kubectl'), 'ada')
  gateway.failAudit('yes')
  const more = {
    response_type: 'id_token',
    response_mode: 'form_post',
    scope: 'openid',
    code_challenge: '',
    code_challenge_method: '',
  }
  const page = await who.get(authorization(gateway, 'horizon', more).url)
  assert.equal(page.status, 503)
  assert.doesNotMatch(page.text, /eyJ/)
})

test('no token, code, secret or cookie of a whole day’s flows stands in the log or the audit log', async () => {
  const secrets: string[] = Object.values(standardEnv)
  const who = person()
  const request = authorization(gateway, 'kubectl')
  const told = await signIn(who, request, 'ada')
  secrets.push(told.get('code') ?? '', request.verifier)
  const { body } = await redeem(gateway, { code: told.get('code'), verifier: request.verifier, client: 'kubectl' })
  const renewed = await refresh(gateway, 'kubectl', body['refresh_token'] ?? '')
  for (const answer of [body, renewed.body]) {
    for (const kind of ['access_token', 'id_token', 'refresh_token']) secrets.push(answer[kind] ?? '')
  }
  const dashboard = authorization(gateway, 'horizon', { scope: 'openid' })
  const code = toldAt(await who.get(dashboard.url)).get('code')
  const headers = basic('horizon', standardEnv.HORIZON_SECRET)
  const opaque = await redeem(gateway, { code, verifier: dashboard.verifier }, { headers })
  secrets.push(opaque.body['access_token'] ?? '', code ?? '')
  const { body: device } = await gateway.post('/device/auth', { client_id: 'kubectl', scope: 'openid' })
  secrets.push(device['device_code'] ?? '', device['user_code'] ?? '')
  await redeem(gateway, { code: told.get('code'), verifier: request.verifier, client: 'kubectl' })
  await refresh(gateway, 'openstack', body['refresh_token'] ?? '')
  await fetch(`${gateway.issuer}/userinfo`, { headers: { authorization: `Bearer ${body['access_token']}x` } })
  const page = await who.get(`${gateway.issuer}/logout?id_token_hint=${body['id_token']}x`)
  assert.equal(page.status, 400)
  await who.get(`${gateway.issuer}/callback/corp?code=upstream-code-1234567890&state=none`)
  secrets.push('upstream-code-1234567890')
  secrets.push(...who.cookies().map(({ value }) => value))
  const written = JSON.stringify([gateway.logs, gateway.events])
  const long = secrets.filter((secret) => secret.length >= 8)
  assert.ok(long.length > 15)
  for (const secret of long) {
    const signature = secret.split('.').at(-1) ?? secret
    const at = written.indexOf(written.includes(secret) ? secret : signature)
    assert.equal(at, -1, `${secret.slice(0, 6)}… is written down: ${written.slice(Math.max(0, at - 80), at)}`)
  }
})
