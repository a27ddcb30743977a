import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { groupOf } from '../../src/lifecycle/proofs.ts'
import { kinds } from '../../src/store/kinds.ts'
import { claimsIn, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { authorization, CALLBACK, person, pickPerson, redeem, signIn, tokensOf, toldAt } from '../support/sign-in.ts'
import { standard } from '../support/standard.ts'

const extra = (upstream: string) => ({
  connectors: `
  - { id: hidden, type: oidc, label: Secret Customer, unlisted: true, issuer: ${upstream}, clientId: lotse, clientSecret: { env: CORP_SECRET }, scope: openid profile email groups, domain: hidden, emailDomains: [hidden.example], identity: { prefix: 'hidden:' } }
  - { id: down, type: oidc, label: Down Ltd, issuer: 'http://127.0.0.1:9', clientId: lotse, clientSecret: { env: CORP_SECRET }, domain: down, emailDomains: [down.example], identity: { prefix: 'down:' } }
  - { id: first, type: oidc, label: Twin, unlisted: true, issuer: ${upstream}, clientId: lotse, clientSecret: { env: CORP_SECRET } }
  - { id: second, type: oidc, label: twin, unlisted: true, issuer: ${upstream}, clientId: lotse, clientSecret: { env: CORP_SECRET } }
  - { id: mail, type: oidc, label: eve@else.example, unlisted: true, issuer: ${upstream}, clientId: lotse, clientSecret: { env: CORP_SECRET } }`,
  targets: `
  - { id: empty, type: oidc, label: Empty, audience: https://empty.example }`,
  clients: `
  - { id: nowhere, label: Nowhere, target: empty, native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code, device] }`,
})

let idp: Idp
let gateway: TestGateway
let upstreamDown = false
before(async () => {
  const intercept = (_: unknown, response: { destroy(): void }) => {
    if (upstreamDown) response.destroy()
    return upstreamDown
  }
  ;({ idp, gateway } = await standard({ extra, answers: ['hidden', 'down'], idp: { intercept } }))
})
beforeEach(() => {
  upstreamDown = false
})
after(async () => {
  await gateway.close()
  await idp.close()
})

const viaCorp = { connector: 'corp' }
const hrefs = (page: { links: readonly { href: URL }[] }) => page.links.map(({ href }) => href.search)
const lastAsked = () => idp.asked.at(-1)
const titleOf = (page: { text: string }) => /<h1[^>]*>(.*?)<\/h1>/s.exec(page.text)?.[1]

test('without a hint people choose between the listed connectors, and no customer is on show', async () => {
  const page = await person().get(authorization(gateway, 'kubectl').url)
  assert.equal(page.status, 200)
  assert.match(page.location.pathname, /^\/login\//)
  assert.ok(hrefs(page).includes('?connector=corp'))
  assert.ok(!page.text.includes('Secret Customer') && !page.text.includes('connector=hidden'))
})

test('an unlisted connector is found by the whole name or e-mail domain of its organisation, never by a part', async () => {
  const search = async (organisation: string) => {
    const who = person()
    const page = await who.get(authorization(gateway, 'kubectl').url)
    return who.submit(page, page.form(), { organisation })
  }
  for (const words of ['ann@hidden.example', 'hidden.example', 'secret customer']) {
    assert.equal((await search(words)).location.origin, idp.issuer, words)
  }
  // Whoever gives a connector its name could otherwise have the people of another.
  for (const words of ['secret', 'example', 'hidden', '%', '', 'Twin', 'eve@else.example']) {
    const page = await search(words)
    assert.equal(page.location.origin, gateway.issuer, words)
    assert.ok(!page.text.includes('Secret Customer'))
  }
})

test('a login_hint picks the connector by its e-mail domain and goes on to the upstream', async () => {
  const page = await person().get(authorization(gateway, 'kubectl', { login_hint: 'ada@corp.example' }).url)
  assert.equal(page.location.origin, idp.issuer)
  assert.equal(lastAsked()?.get('login_hint'), 'ada@corp.example')
  assert.match(lastAsked()?.get('redirect_uri') ?? '', /\/callback\/corp$/)
})

test('a login_hint of an unknown domain leaves the choice to the person', async () => {
  const page = await person().get(authorization(gateway, 'kubectl', { login_hint: 'ada@else.example' }).url)
  assert.equal(page.location.origin, gateway.issuer)
  assert.ok(hrefs(page).includes('?connector=corp'))
})

test('the connector parameter of a client leads straight there; an unknown one is refused', async () => {
  const page = await person().get(authorization(gateway, 'kubectl', { connector: 'hidden' }).url)
  assert.equal(page.location.origin, idp.issuer)
  assert.match(lastAsked()?.get('redirect_uri') ?? '', /\/callback\/hidden$/)
  const unknown = await person().get(authorization(gateway, 'kubectl', { connector: 'nobody' }).url)
  assert.equal(toldAt(unknown).get('error'), 'invalid_request')
})

test('prompt=none without a session is login_required, and with one a code without any page', async () => {
  const who = person()
  const silent = () => who.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url)
  assert.equal(toldAt(await silent()).get('error'), 'login_required')
  await signIn(who, authorization(gateway, 'kubectl', viaCorp), 'ada')
  assert.ok(toldAt(await silent()).get('code'))
})

test('prompt=login asks the upstream again and ends in a newer auth_time, or the same person is not let through', async () => {
  const who = person()
  await signIn(who, authorization(gateway, 'kubectl', viaCorp), 'ada')
  const asked = idp.asked.length
  const page = await who.get(authorization(gateway, 'kubectl', { ...viaCorp, prompt: 'login' }).url)
  assert.equal(page.location.origin, idp.issuer)
  assert.equal(idp.asked.length, asked + 1)
  assert.equal(lastAsked()?.get('prompt'), 'login')
  assert.ok(toldAt(await pickPerson(who, page, 'ada')).get('code'))
})

test('max_age goes to the upstream; auth_time in the ID token is the upstream’s', async () => {
  const tokens = await tokensOf(gateway, 'kubectl', 'ada', { ...viaCorp, max_age: '300' })
  assert.equal(lastAsked()?.get('max_age'), '300')
  const { auth_time } = claimsIn(tokens.id_token)
  assert.ok(Math.abs(Number(auth_time) - Date.now() / 1000) < 30)
})

test('acr_values and ui_locales go to the upstream; a strength that it did not reach is told on a page', async () => {
  const who = person()
  const request = authorization(gateway, 'kubectl', { ...viaCorp, acr_values: 'urn:high', ui_locales: 'de' })
  const first = await who.get(request.url)
  assert.equal(lastAsked()?.get('acr_values'), 'urn:high')
  assert.equal(lastAsked()?.get('ui_locales'), 'de')
  const page = await pickPerson(who, first, 'ada')
  assert.equal(page.status, 403)
  assert.match(titleOf(page) ?? '', /stronger sign-in/)
})

test('two tabs of one browser log in at once, each for its own client', async () => {
  const who = person()
  const [one, two] = [authorization(gateway, 'kubectl', viaCorp), authorization(gateway, 'openstack', viaCorp)]
  const first = await who.get(one.url)
  const second = await who.get(two.url)
  const toldTwo = toldAt(await pickPerson(who, second, 'ada'))
  const toldOne = toldAt(await pickPerson(who, first, 'ada'))
  const tokens = await Promise.all([
    redeem(gateway, { code: toldOne.get('code'), verifier: one.verifier, client: 'kubectl' }),
    redeem(gateway, { code: toldTwo.get('code'), verifier: two.verifier, client: 'openstack' }),
  ])
  assert.deepEqual(
    tokens.map(({ body }) => claimsIn(body['access_token'] ?? '')['aud']),
    ['k8s-prod', 'keystone'],
  )
})

test('another person who signs in in the same browser gets her own session, and the one before is gone', async () => {
  const who = person()
  const mine = await signIn(who, authorization(gateway, 'kubectl', viaCorp), 'ada')
  assert.ok(mine.get('code'))
  const sessionCookie = () => who.cookies().find(({ name }) => name === 'lotse-session')?.value
  const before = sessionCookie() ?? ''
  const hers = (await gateway.store.get(kinds.Session, before))?.value ?? ''
  const request = authorization(gateway, 'kubectl', { ...viaCorp, prompt: 'login' })
  const changing = await pickPerson(who, await who.get(request.url), 'bob')
  assert.equal(changing.location.origin, idp.issuer, 'the upstream ends its own session of ada first')
  const told = toldAt(await who.submit(changing, changing.form()))
  const { body } = await redeem(gateway, { code: told.get('code'), verifier: request.verifier, client: 'kubectl' })
  assert.deepEqual(claimsIn(body['id_token'] ?? '')['groups'], ['x-db'])
  assert.notEqual(sessionCookie(), before)
  const next = authorization(gateway, 'kubectl')
  const again = toldAt(await who.get(next.url))
  const silent = await redeem(gateway, { code: again.get('code'), verifier: next.verifier, client: 'kubectl' })
  assert.equal(claimsIn(silent.body['id_token'] ?? '')['preferred_username'], 'corp:bob')
  // Ada's old cookie opens nothing any more, and a request of hers that is still on the way does not put her session back.
  const links = { groups: [groupOf.browser(JSON.parse(hers).uid)] }
  assert.equal(await gateway.store.put(kinds.Session, before, hers, 60, links), false)
  const thief = person({ cookie: `lotse-session=${before}` })
  const page = await thief.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url)
  assert.equal(toldAt(page).get('error'), 'login_required')
})

test('two browsers of one person are two sessions: neither sees or ends the other', async () => {
  const [one, two] = [person(), person()]
  for (const who of [one, two]) await signIn(who, authorization(gateway, 'kubectl', viaCorp), 'ada')
  const logout = await one.get(new URL('/logout', gateway.issuer))
  await one.submit(logout, logout.form(), { logout: 'yes' })
  assert.equal(
    toldAt(await one.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url)).get('error'),
    'login_required',
  )
  assert.ok(toldAt(await two.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url)).get('code'))
})

test('somebody who declines upstream brings the client access_denied', async () => {
  const who = person()
  const page = await who.get(authorization(gateway, 'kubectl', viaCorp).url)
  const told = toldAt(await who.submit(page, page.form('decline')))
  assert.equal(told.get('error'), 'access_denied')
  assert.equal(told.get('state'), 'client-state')
  assert.equal(told.get('iss'), gateway.issuer)
})

test('an upstream whose token endpoint dies during the sign-in brings the client temporarily_unavailable', async () => {
  const other = person()
  const page = await other.get(authorization(gateway, 'kubectl', viaCorp).url)
  const parked = await other.send(page.form('ada').action, {
    method: 'POST',
    body: new URLSearchParams(page.form('ada').fields),
  })
  const resume = await other.send(new URL(parked.headers.get('location') ?? '', idp.issuer))
  upstreamDown = true
  const told = toldAt(await other.get(new URL(resume.headers.get('location') ?? '', idp.issuer)))
  assert.equal(told.get('error'), 'temporarily_unavailable')
})

test('an upstream that is down from the start gets people a page that says so, and the others stay usable', async () => {
  const who = person()
  const page = await who.get(authorization(gateway, 'kubectl', { connector: 'down' }).url)
  assert.equal(page.status, 503)
  assert.match(page.location.pathname, /^\/login\//, 'where a reload tries again')
  assert.match(page.text, /[2-9A-Z0]{4}-[2-9A-Z0]{4}/)
  assert.ok(await tokensOf(gateway, 'kubectl', 'ada', viaCorp))
})

for (const [sub, why] of [
  ['carol', 'without any grant'],
  ['dave', 'who is suspended'],
] as const) {
  test(`a person ${why} gets a page with a reference, and its way back tells the client access_denied`, async () => {
    const who = person()
    const first = await who.get(authorization(gateway, 'kubectl', viaCorp).url)
    const page = await pickPerson(who, first, sub)
    assert.equal(page.status, 403)
    const reference = /[2-9A-Z0]{4}-[2-9A-Z0]{4}/.exec(page.text)?.[0]
    assert.ok(reference)
    const event = gateway.events.findLast((e) => e.event === 'login.refused')
    assert.equal(event?.event === 'login.refused' && event.personal.upstreamId, sub)
    const back = page.links.find(({ href }) => href.pathname.endsWith('/leave'))
    assert.ok(back, 'a way back')
    const told = toldAt(await who.follow(page, back))
    assert.equal(told.get('error'), 'access_denied')
    assert.equal(told.get('state'), 'client-state')
    assert.equal(told.get('code'), null)
    assert.equal(
      toldAt(await who.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url)).get('error'),
      'login_required',
    )
  })
}

test('single sign-on to a client whose target gives the person nothing is access_denied', async () => {
  const who = person()
  await signIn(who, authorization(gateway, 'kubectl', viaCorp), 'ada')
  const told = toldAt(await who.get(authorization(gateway, 'nowhere').url))
  assert.equal(told.get('error'), 'access_denied')
})

test('a terminal whose person is refused hears access_denied', async () => {
  const { body } = await gateway.post('/device/auth', { client_id: 'nowhere', scope: 'openid' })
  const who = person()
  const entry = await who.get(body['verification_uri_complete'] ?? '')
  const confirm = await who.submit(entry, entry.form())
  const chooser = await who.submit(confirm, confirm.form(), { confirm: 'yes' })
  const corp = chooser.links.find(({ href }) => href.search === '?connector=corp')
  assert.ok(corp, chooser.text.slice(0, 200))
  const page = await pickPerson(who, await who.follow(chooser, corp), 'ada')
  assert.equal(page.status, 403)
  const poll = await gateway.post('/token', {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    client_id: 'nowhere',
    device_code: body['device_code'] ?? '',
  })
  assert.deepEqual([poll.status, poll.body['error']], [400, 'access_denied'])
})

test('a code that nobody gave out, or that another client got, gives nothing', async () => {
  const request = authorization(gateway, 'kubectl', viaCorp)
  const told = await signIn(person(), request, 'ada')
  const made = await redeem(gateway, { code: 'x'.repeat(43), verifier: request.verifier, client: 'kubectl' })
  const stolen = await redeem(gateway, { code: told.get('code'), verifier: request.verifier, client: 'openstack' })
  assert.deepEqual([made.body['error'], stolen.body['error']], ['invalid_grant', 'invalid_grant'])
})

test('the finish of a sign-in that nobody proved is refused with a page', async () => {
  const who = person()
  const page = await who.get(authorization(gateway, 'kubectl').url)
  const finish = await who.get(`${page.location.href}/finish`)
  assert.equal(finish.status, 400)
  assert.ok(!finish.headers.get('location')?.startsWith(CALLBACK))
})

test('prompt=consent is answered by the operator’s consent, in a session and without one', async () => {
  const who = person()
  const first = authorization(gateway, 'kubectl', { ...viaCorp, prompt: 'consent' })
  assert.ok((await signIn(who, first, 'ada')).get('code'))
  const second = authorization(gateway, 'kubectl', { ...viaCorp, prompt: 'consent' })
  const told = toldAt(await who.get(second.url))
  const { body } = await redeem(gateway, { code: told.get('code'), verifier: second.verifier, client: 'kubectl' })
  assert.ok(body['refresh_token'])
})

test('prompt=login consent asks the upstream once and ends at the client', async () => {
  const who = person()
  await signIn(who, authorization(gateway, 'kubectl', viaCorp), 'ada')
  const asked = idp.asked.length
  const told = await signIn(who, authorization(gateway, 'kubectl', { ...viaCorp, prompt: 'login consent' }), 'ada')
  assert.ok(told.get('code'))
  assert.equal(idp.asked.length, asked + 1)
})

test('an id_token_hint of another person does not pass as the one who is signed in', async () => {
  const { id_token } = await tokensOf(gateway, 'kubectl', 'bob', viaCorp)
  const who = person()
  await signIn(who, authorization(gateway, 'kubectl', viaCorp), 'ada')
  const page = await who.get(authorization(gateway, 'kubectl', { prompt: 'none', id_token_hint: id_token }).url)
  assert.equal(toldAt(page).get('error'), 'login_required')
})

test('whoever signs in instead of the person of the id_token_hint is no answer to it, and keeps no session', async () => {
  const { id_token } = await tokensOf(gateway, 'kubectl', 'ada', viaCorp)
  const hinted = authorization(gateway, 'kubectl', { ...viaCorp, id_token_hint: id_token }).url
  const stranger = person()
  const events = gateway.events.length
  const told = toldAt(await pickPerson(stranger, await stranger.get(hinted), 'bob'))
  assert.deepEqual([told.get('error'), told.has('code')], ['login_required', false])
  assert.deepEqual(
    gateway.events.slice(events).map((each) => [each.event, 'code' in each && each.code]),
    [['login.refused', 'upstream_rejected']],
  )
  const silent = authorization(gateway, 'kubectl', { prompt: 'none' }).url
  assert.equal(toldAt(await stranger.get(silent)).get('error'), 'login_required', 'bob has no session from it')

  const other = person()
  await signIn(other, authorization(gateway, 'kubectl', viaCorp), 'bob')
  const again = await other.get(hinted)
  assert.equal(idp.asked.at(-1)?.get('prompt'), 'login', 'an upstream that remembers bob lets ada in')
  const changing = await pickPerson(other, again, 'ada')
  assert.ok(toldAt(await other.submit(changing, changing.form())).has('code'), 'after the upstream ended bob there')
})

test('the same person at two connectors is two people', async () => {
  const one = claimsIn((await tokensOf(gateway, 'kubectl', 'ada', viaCorp)).id_token)
  const who = person()
  const page = await pickPerson(
    who,
    await who.get(authorization(gateway, 'kubectl', { connector: 'hidden' }).url),
    'ada',
  )
  assert.equal(page.status, 403, 'no rule is from that connector')
  assert.equal(one['preferred_username'], 'corp:ada')
})

/** From a refusal to the page behind "another account". */
async function refusedThenRetry(more: Record<string, string>) {
  const who = person()
  const first = await who.get(authorization(gateway, 'kubectl', more).url)
  const corp = first.links.find(({ href }) => href.search === '?connector=corp')
  const page = await pickPerson(who, corp ? await who.follow(first, corp) : first, 'carol')
  const retry = page.links.find(({ href }) => href.searchParams.has('choose'))
  assert.ok(retry)
  return { who, page: await who.follow(page, retry) }
}

test('a person who was refused chooses anew, and the upstream asks who she is', async () => {
  const { who, page } = await refusedThenRetry({})
  const corp = page.links.find(({ href }) => href.searchParams.get('connector') === 'corp')
  assert.ok(corp)
  const upstream = await who.follow(page, corp)
  assert.equal(upstream.location.origin, idp.issuer)
  assert.equal(lastAsked()?.get('prompt'), 'login')
  const search = await who.submit(page, page.form(), { organisation: 'corp.example' })
  assert.equal(search.location.origin, idp.issuer)
  assert.equal(lastAsked()?.get('prompt'), 'login')
})

test('where the client names the connector, somebody who was refused is asked there who she is', async () => {
  const { page } = await refusedThenRetry(viaCorp)
  assert.equal(page.location.origin, idp.issuer)
  assert.equal(lastAsked()?.get('prompt'), 'login')
})

test('an upstream that cannot be reached leaves a way to try again, and one back to the client', async () => {
  const who = person()
  const page = await who.get(authorization(gateway, 'kubectl', { connector: 'down' }).url)
  assert.equal(page.status, 503)
  const ways = page.links.map(({ href }) => `${href.pathname.replace(/^\/login\/[^/]+/, '')}${href.search}`)
  assert.ok(ways.includes('?connector=down'), ways.join(' '))
  const leave = page.links.find(({ href }) => href.pathname.endsWith('/leave'))
  assert.ok(leave)
  assert.equal(toldAt(await who.get(leave.href)).get('error'), 'access_denied')
})
