import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import * as oidc from 'openid-client'
import type { Browser, Page } from '../support/browser.ts'
import { claimsIn, fakeClock, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { authorization, person, pickPerson, refresh, signIn, tokensOf } from '../support/sign-in.ts'
import { standard } from '../support/standard.ts'

const GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

const rules = `
  - name: guests of argo
    from: [corp]
    if: [{ claim: preferred_username, is: carol }]
    give: [{ target: argo, group: argo-guests }]
`

let idp: Idp
let gateway: TestGateway
let clock: ReturnType<typeof fakeClock>
before(async () => {
  ;({ idp, gateway } = await standard({ rules }))
})
beforeEach(() => {
  clock = fakeClock()
})
afterEach(() => clock.stop())
after(async () => {
  await gateway.close()
  await idp.close()
})

const ask = async (client = 'kubectl', more: Record<string, string> = {}) =>
  (await gateway.post('/device/auth', { client_id: client, scope: 'openid profile offline_access', ...more })).body

const poll = (device: Readonly<Record<string, string>>, client = 'kubectl', more: Record<string, string> = {}) =>
  gateway.post('/token', {
    grant_type: GRANT,
    client_id: client,
    device_code: device['device_code'] ?? '',
    ...more,
  })

const outcome = async (answer: ReturnType<typeof poll>) => {
  const { status, body } = await answer
  return `${status} ${body['error'] ?? 'tokens'}`
}

/** From the link with the code to the page that asks whether it is one's own. */
async function confirmPage(who: Browser, device: Readonly<Record<string, string>>): Promise<Page> {
  const entry = await who.get(device['verification_uri_complete'] ?? '')
  return who.submit(entry, entry.form())
}

async function confirm(who: Browser, device: Readonly<Record<string, string>>): Promise<Page> {
  const page = await confirmPage(who, device)
  return who.submit(page, page.form(), { confirm: 'yes' })
}

async function approve(device: Readonly<Record<string, string>>, sub = 'ada'): Promise<Page> {
  const who = person()
  return pickPerson(who, await confirm(who, device), sub)
}

test('a terminal gets a code, a person confirms it and signs in, and the poll gets her tokens', async () => {
  const device = await ask()
  assert.equal(Number(device['interval']), 5)
  assert.equal(device['verification_uri'], `${gateway.issuer}/device`)
  assert.match(device['user_code'] ?? '', /^[A-Z]{4}-[A-Z]{4}$/)
  assert.equal(Number(device['expires_in']), 600)
  assert.equal(await outcome(poll(device)), '400 authorization_pending')
  const done = await approve(device)
  assert.equal(done.status, 200)
  clock.advance(5)
  const { status, body } = await poll(device)
  assert.equal(status, 200)
  assert.deepEqual(claimsIn(body['access_token'] ?? '')['groups'], ['x-web'])
  const id = claimsIn(body['id_token'] ?? '')
  assert.ok(id['jti'] && id['sid'])
  assert.equal((await refresh(gateway, 'kubectl', body['refresh_token'] ?? '')).status, 200)
  const event = gateway.events.findLast((e) => e.event === 'device.confirmed')
  assert.ok(event?.event === 'device.confirmed' && event.client === 'kubectl' && event.personal.sub === id['sub'])
})

test('openid-client as it comes walks the device flow', async () => {
  const config = await oidc.discovery(new URL(gateway.issuer), 'openstack', undefined, oidc.None(), {
    execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks],
  })
  const device = await oidc.initiateDeviceAuthorization(config, { scope: 'openid offline_access' })
  await approve({ verification_uri_complete: device.verification_uri_complete ?? '' })
  const tokens = await oidc.pollDeviceAuthorizationGrant(config, { ...device, interval: 0.01 })
  assert.equal(tokens.claims()?.['preferred_username'], 'corp:ada')
  assert.equal(claimsIn(tokens.access_token)['aud'], 'keystone')
})

test('an impatient client hears slow_down, a patient one and the one that dies of it never', async () => {
  const device = await ask()
  assert.equal(await outcome(poll(device)), '400 authorization_pending')
  assert.equal(await outcome(poll(device)), '400 slow_down')
  clock.advance(5)
  assert.equal(await outcome(poll(device)), '400 authorization_pending')
  const old = await ask('openstack')
  for (let round = 0; round < 5; round += 1) {
    assert.equal(await outcome(poll(old, 'openstack')), '400 authorization_pending')
  }
})

test('the code in the link is filled in, and nothing happens before the person presses', async () => {
  const device = await ask()
  const who = person()
  const entry = await who.get(device['verification_uri_complete'] ?? '')
  assert.equal(entry.status, 200)
  assert.equal(entry.form().fields['user_code'], device['user_code'])
  assert.doesNotMatch(entry.text, /<script/)
  const page = await who.submit(entry, entry.form())
  assert.match(page.text, /kubectl/)
  assert.match(page.text, /127\.0\.0\.1/, 'from where it was asked')
  assert.deepEqual(
    page.form().buttons.map(({ name }) => name),
    ['abort', 'confirm'],
  )
  assert.equal(await outcome(poll(device)), '400 authorization_pending')
})

test('a code is taken in small letters and without its dash', async () => {
  const device = await ask()
  const who = person()
  const entry = await who.get(`${gateway.issuer}/device`)
  const typed = (device['user_code'] ?? '').replace('-', '').toLowerCase()
  const page = await who.submit(entry, entry.form(), { user_code: typed })
  assert.deepEqual(
    page.form().buttons.map(({ name }) => name),
    ['abort', 'confirm'],
  )
})

test('who reads the page of a link in another language keeps the code in its field', async () => {
  const device = await ask()
  const link = new URL(device['verification_uri_complete'] ?? '')
  link.searchParams.set('lang', 'de')
  const page = await person().get(link.href)
  assert.match(page.text, /<html lang="de">/)
  assert.equal(page.form().fields['user_code'], device['user_code'])
  const [back = ''] = /\/device\?[^"]*lang=en/.exec(page.text) ?? []
  assert.ok(back.includes(`user_code=${device['user_code']}`), back)
})

test('a person who declines is told so, and the terminal hears access_denied', async () => {
  const device = await ask()
  const who = person()
  const page = await confirmPage(who, device)
  const declined = await who.submit(page, page.form(), { abort: 'yes' })
  assert.equal(declined.status, 200)
  assert.equal(declined.forms.length, 0)
  assert.equal(await outcome(poll(device)), '400 access_denied')
  assert.match(declined.text, /kubectl/)
  const told = gateway.events.findLast(({ event }) => event === 'device.declined')
  assert.equal(told && 'client' in told && told.client, 'kubectl')
})

test('a sign-in that fails upstream says so, and never that the person had declined the code', async () => {
  const device = await ask()
  const who = person()
  const upstream = await confirm(who, device)
  const page = await who.submit(upstream, upstream.form('decline'))
  assert.equal(page.location.origin, gateway.issuer)
  assert.equal(page.status, 403)
  assert.match(page.text, /at your organisation was declined/)
  assert.doesNotMatch(page.text, /start the command again/)
  const { body } = await poll(device)
  assert.equal(body['error'], 'access_denied')
  assert.match(body['error_description'] ?? '', /upstream_declined.*reference/)
  assert.equal(gateway.events.at(-2)?.event, 'login.refused')
})

test('somebody who is signed in, and to whom the rules give nothing at this terminal, is told so', async () => {
  const who = person()
  await signIn(who, authorization(gateway, 'kubectl', { resource: 'https://argo.example' }), 'carol')
  const device = await ask('openstack')
  const page = await confirm(who, device)
  assert.equal(page.status, 403)
  assert.doesNotMatch(page.text, /declined/)
  assert.equal(await outcome(poll(device, 'openstack')), '400 access_denied')
  assert.ok(!gateway.events.slice(-3).some(({ event }) => event === 'device.declined'))
})

test('with a session the confirmation is the only step', async () => {
  const who = person()
  await signIn(who, authorization(gateway, 'kubectl'), 'ada')
  const device = await ask()
  const asked = idp.asked.length
  const done = await confirm(who, device)
  assert.equal(done.status, 200)
  assert.equal(idp.asked.length, asked)
  assert.equal(await outcome(poll(device)), '200 tokens')
})

test('a device code gives tokens once', async () => {
  const device = await ask()
  await approve(device)
  assert.equal(await outcome(poll(device)), '200 tokens')
  clock.advance(5)
  assert.equal(await outcome(poll(device)), '400 invalid_grant')
})

test('a user code that was confirmed is of no use to the next person', async () => {
  const device = await ask()
  await approve(device)
  const page = await confirmPage(person(), device)
  assert.equal(page.status, 400)
  assert.ok(!page.forms.some((form) => form.buttons.some(({ name }) => name === 'confirm')))
})

test('a device code that ran out is expired_token, on the page, too', async () => {
  const device = await ask()
  clock.advance(601)
  assert.equal(await outcome(poll(device)), '400 expired_token')
  const page = await confirmPage(person(), device)
  assert.equal(page.status, 400)
})

test('a device code of one client is nothing to another', async () => {
  const device = await ask()
  await approve(device)
  assert.equal(await outcome(poll(device, 'openstack')), '400 invalid_grant')
})

test('PKCE that was sent with the device request is verified at the poll', async () => {
  const verifier = randomBytes(32).toString('base64url')
  const code_challenge = createHash('sha256').update(verifier).digest('base64url')
  const challenged = { code_challenge, code_challenge_method: 'S256' }
  for (const [sent, wanted] of [
    [{ code_verifier: verifier }, '200 tokens'],
    [{ code_verifier: verifier.replace(/./, (c) => (c === 'x' ? 'y' : 'x')) }, '400 invalid_grant'],
    [{}, '400 invalid_grant'],
  ] as const) {
    const device = await ask('kubectl', challenged)
    await approve(device)
    assert.equal(await outcome(poll(device, 'kubectl', sent)), wanted)
  }
  const plain = await gateway.post('/device/auth', {
    client_id: 'kubectl',
    code_challenge: verifier,
    code_challenge_method: 'plain',
  })
  assert.equal(plain.body['error'], 'invalid_request')
})

test('a client that sends no scope at all gets tokens with names in them', async () => {
  const { body: device } = await gateway.post('/device/auth', { client_id: 'openstack' })
  await approve(device)
  const { status, body } = await poll(device, 'openstack')
  assert.equal(status, 200)
  assert.equal(claimsIn(body['id_token'] ?? '')['preferred_username'], 'corp:ada')
})

test('a public client may send Basic with an empty secret, as old keystoneauth does', async () => {
  const headers = { authorization: `Basic ${Buffer.from('openstack:').toString('base64')}` }
  const { status, body: device } = await gateway.post('/device/auth', { scope: 'openid' }, headers)
  assert.equal(status, 200)
  const answer = await gateway.post('/token', { grant_type: GRANT, device_code: device['device_code'] ?? '' }, headers)
  assert.equal(answer.body['error'], 'authorization_pending')
})

test('a client without the device grant gets no code', async () => {
  const { status, body } = await gateway.post('/device/auth', { client_id: 'argocd', scope: 'openid' })
  assert.ok(status >= 400 && status < 500)
  assert.equal(body['device_code'], undefined)
})

test('the way back from the device flow without its cookie is a page, not a crash', async () => {
  const page = await person().get(`${gateway.issuer}/device/anything`)
  assert.equal(page.status, 400)
})

test('a code that names a person by id_token_hint is confirmed by nobody else, signed in before or not', async () => {
  const { id_token } = await tokensOf(gateway, 'kubectl', 'ada')
  const before = person()
  await signIn(before, authorization(gateway, 'kubectl'), 'bob')
  for (const who of [before, person()]) {
    const device = await ask('kubectl', { id_token_hint: id_token })
    const page = await pickPerson(who, await confirm(who, device), 'bob')
    assert.equal(page.status, 403)
    assert.equal(await outcome(poll(device)), '400 access_denied')
  }
  const device = await ask('kubectl', { id_token_hint: id_token })
  const who = person()
  await pickPerson(who, await confirm(who, device), 'ada')
  assert.equal(await outcome(poll(device)), '200 tokens')
})
