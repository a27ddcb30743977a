import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { browser, type Form, type Page } from '../support/browser.ts'
import { claimsIn, fakeClock, freePort, startGateway, type TestGateway } from '../support/gateway.ts'
import { samlKeys } from '../support/saml-idp.ts'
import { type SamlIdp, startSamlIdp } from '../support/saml-server.ts'
import { authorization, CALLBACK, person, redeem, toldAt } from '../support/sign-in.ts'

const people = [
  { name: 'ada-1', said: { contextClass: 'https://refeds.org/profile/mfa' } },
  { name: 'bob-2' },
  { name: 'eve-9', said: { nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient' } },
]
const START = 'http://127.0.0.1:1/start'

let campus: SamlIdp
let other: SamlIdp
let gateway: TestGateway
before(async () => {
  campus = await startSamlIdp({ people })
  other = await startSamlIdp({ people, bindings: ['post'] })
  const connector = (id: string, idp: SamlIdp, more = '') =>
    `  - { id: ${id}, type: saml, label: University ${id}, domain: ${id}, metadata: '${idp.entityId}'${more} }`
  gateway = await startGateway({
    port: await freePort(),
    env: { PORTAL_SECRET: 'portal-secret-0123456789-0123456789' },
    config: `
brand: { name: Cloud Nord }
connectors:
${connector('campus', campus, ", acr: { 'https://refeds.org/profile/mfa': high, 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport': low }")}
${connector('again', campus, ', requestBinding: post')}
${connector('other', other)}
${connector('open', campus, `, idpInitiated: { restartAt: '${START}' }`)}
targets:
  - { id: argo, type: oidc, label: Argo CD, audience: https://argo.example }
clients:
  - { id: kubectl, label: kubectl, native: true, target: argo, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh] }
  - { id: portal, label: Portal, native: true, target: argo, auth: client_secret_basic, secret: { env: PORTAL_SECRET }, redirectUris: ['http://127.0.0.1/cb'], grants: [code, implicit] }
rules:
  - name: all
    from: [campus, again, other, open]
    give: [{ target: argo, group: students }]
`,
  })
  await campus.trust(`${gateway.issuer}/saml/metadata`)
  await other.trust(`${gateway.issuer}/saml/metadata/other`)
})
beforeEach(() => void (campus.got as unknown[]).splice(0))
after(async () => {
  await gateway.close()
  await campus.close()
  await other.close()
})

const via = (connector: string, more: Record<string, string> = {}) =>
  authorization(gateway, 'kubectl', { connector, scope: 'openid', ...more })
const lastRefusal = () => gateway.logs.findLast(({ message }) => message === 'sign-in failed at its upstream')?.fields
const lastAsked = (idp = campus) => idp.got.at(-1)!

/** To the identity provider's page, over the form that a POST binding needs. */
async function atIdp(who = person(), request = via('campus')) {
  const page = await who.get(request.url)
  return {
    who,
    request,
    page: page.location.href.startsWith(gateway.issuer) ? await who.submit(page, page.form()) : page,
  }
}

/** The fields of a response, to be posted wherever a test wants. */
const fieldsOf = (form: Form) => new URLSearchParams(form.fields)

for (const [connector, binding] of [
  ['campus', 'redirect'],
  ['again', 'post'],
  ['other', 'post'],
] as const) {
  test(`somebody signs in at ${connector}, asked by ${binding}, with an answer posted from another site`, async () => {
    const idp = connector === 'other' ? other : campus
    const { who, request, page } = await atIdp(person(), via(connector))
    const asked = lastAsked(idp)
    assert.equal(asked.binding, binding)
    assert.equal(asked.signed, true)
    assert.equal(asked.root.name, 'AuthnRequest')
    assert.equal(asked.root.attributes['Destination'], `${idp.origin}/sso`)
    const told = toldAt(await who.submit(page, page.form('ada-1')))
    const { body } = await redeem(gateway, { code: told.get('code'), verifier: request.verifier, client: 'kubectl' })
    const claims = claimsIn(body['access_token'] ?? '')
    assert.equal(claims['aud'], 'https://argo.example')
  })
}

test('the answer waits for the GET of its browser, which alone carries the cookie, and no other browser gets it', async () => {
  const { who, page } = await atIdp()
  const post = await who.send(new URL(page.form('ada-1').action), {
    method: 'POST',
    body: fieldsOf(page.form('ada-1')),
    from: page.location,
  })
  assert.equal(post.status, 303)
  const parked = new URL(post.headers.get('location') ?? '', gateway.issuer)
  const stranger = await person().get(parked)
  assert.equal(stranger.status, 400)
  assert.equal(toldAt(await who.get(parked)).has('code'), true)
})

test('a response that is posted a second time is refused', async () => {
  const { who, page } = await atIdp()
  toldAt(await who.submit(page, page.form('ada-1')))
  const again = await who.submit(page, page.form('ada-1'))
  assert.equal(again.status, 400)
})

test('of twenty posts of one response at once one signs in', async () => {
  const { who, page } = await atIdp()
  const form = page.form('ada-1')
  const posts = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const post = await who.send(form.action, { method: 'POST', body: fieldsOf(form), from: page.location })
      const to = post.headers.get('location')
      return to === null ? post : who.get(new URL(to, gateway.issuer))
    }),
  )
  const codes = posts.filter(({ headers }) => headers.get('location')?.includes('code='))
  assert.deepEqual([codes.length, posts.filter(({ status }) => status === 400).length], [1, 19])
})

test('an assertion counts once, also for two sign-ins that were begun in one browser', async () => {
  const who = person()
  const first = await atIdp(who)
  const second = await atIdp(who)
  const stolen = first.page.form('ada-1').fields['SAMLResponse'] ?? ''
  toldAt(await who.submit(first.page, first.page.form('ada-1')))
  const told = toldAt(await who.submit(second.page, second.page.form('ada-1'), { SAMLResponse: stolen }))
  assert.equal(told.get('error'), 'access_denied')
  assert.match(String(lastRefusal()?.['detail']), /InResponseTo/)
})

test('the same assertion in a new response is refused, since its id was claimed', async () => {
  const idp = await startSamlIdp({ people: [{ name: 'ada-1', said: { assertionId: '_the-same' } }] })
  const config = `
connectors: [{ id: twin, type: saml, label: Twin, domain: twin, metadata: '${idp.entityId}' }]
targets: [{ id: argo, type: oidc, label: Argo CD, audience: https://argo.example }]
clients: [{ id: kubectl, label: kubectl, native: true, target: argo, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh] }]
rules: [{ name: all, from: [twin], give: [{ target: argo, group: students }] }]
`
  const here = await startGateway({ port: await freePort(), config })
  try {
    const sign = async () => {
      const who = person()
      const page = await who.get(authorization(here, 'kubectl', { scope: 'openid' }).url)
      return toldAt(await who.submit(page, page.form('ada-1')))
    }
    assert.equal((await sign()).has('code'), true)
    assert.equal((await sign()).get('error'), 'access_denied')
    assert.ok(here.logs.some(({ fields }) => fields['detail'] === 'this answer came before'))
  } finally {
    await here.close()
    await idp.close()
  }
})

test('a response that was meant for one connector is refused at another of the same identity provider', async () => {
  const who = person()
  const { page } = await atIdp(who, via('campus'))
  const own = await atIdp(who, via('again'))
  const stolen = page.form('ada-1').fields['SAMLResponse'] ?? ''
  const told = toldAt(await who.submit(own.page, own.page.form('ada-1'), { SAMLResponse: stolen }))
  assert.equal(told.get('error'), 'access_denied')
  assert.match(String(lastRefusal()?.['detail']), /Destination|InResponseTo|Recipient/)
  // And with the state of its own sign-in, at the address of the other.
  const form = page.form('ada-1')
  const address = new URL(form.action.href.replace('/campus', '/again'))
  const posted = await who.send(address, { method: 'POST', body: fieldsOf(form), from: page.location })
  assert.equal(posted.status, 400)
})

test('a response of another identity provider is refused', async () => {
  const who = person()
  const { page } = await atIdp(who, via('campus'))
  const forged = await other.respond(lastAsked(), { name: 'ada-1' })
  const told = toldAt(await who.submit(page, page.form('ada-1'), { SAMLResponse: forged }))
  assert.equal(told.get('error'), 'access_denied')
  assert.match(String(lastRefusal()?.['detail']), /Issuer/)
})

test('an answer whose session is over by the gateway’s clock is refused, though its identity provider’s may be late', async () => {
  const { who, page } = await atIdp()
  const sessionEnd = Math.floor(Date.now() / 1000) - 20
  const late = await campus.respond(lastAsked(), { name: 'ada-1', said: { sessionEnd } })
  const told = toldAt(await who.submit(page, page.form('ada-1'), { SAMLResponse: late }))
  assert.equal(told.get('error'), 'access_denied')
  assert.match(String(lastRefusal()?.['detail']), /rests on is over/)
})

test('an answer that nobody asked for is refused', async () => {
  const { page } = await atIdp()
  const body = new URLSearchParams({ SAMLResponse: page.form('ada-1').fields['SAMLResponse'] ?? '' })
  const answer = await browser().send(page.form('ada-1').action, { method: 'POST', body, from: page.location })
  assert.equal(answer.status, 400)
})

test('where the connector says so, an answer that nobody asked for leads to where people begin, and is not looked at', async () => {
  const body = new URLSearchParams({ SAMLResponse: 'AAAA', RelayState: 'http://evil.example/' })
  const address = new URL('/callback/open', gateway.issuer)
  const answer = await browser().send(address, { method: 'POST', body, from: new URL(campus.origin) })
  assert.equal(answer.status, 303)
  assert.equal(answer.headers.get('location'), START)
})

test('who has no stable name is told so, with a reference that the log has, too', async () => {
  const { who, page } = await atIdp()
  const refused = await who.submit(page, page.form('eve-9'))
  assert.equal(refused.status, 403)
  assert.equal(lastRefusal()?.['code'], 'claims_unusable')
})

test('a strength that is asked for is asked of the upstream by its own word, and a lower one is refused', async () => {
  const { who, page } = await atIdp(person(), via('campus', { acr_values: 'high' }))
  assert.match(
    lastAsked().xml,
    /<samlp:RequestedAuthnContext Comparison="exact"><saml:AuthnContextClassRef>https:\/\/refeds.org\/profile\/mfa</,
  )
  const low = await who.submit(page, page.form('bob-2'))
  assert.equal(low.status, 403)
  assert.equal(lastRefusal()?.['code'], 'acr_not_met')
  const again = await atIdp(person(), via('campus', { acr_values: 'high' }))
  assert.equal(toldAt(await again.who.submit(again.page, again.page.form('ada-1'))).has('code'), true)
})

test('prompt=login asks for a fresh sign-in', async () => {
  await atIdp(person(), via('campus', { prompt: 'login' }))
  assert.equal(lastAsked().root.attributes['ForceAuthn'], 'true')
})

test('a SAML response in the query is no answer', async () => {
  const { who, page } = await atIdp()
  const url = new URL(page.form('ada-1').action)
  url.search = String(fieldsOf(page.form('ada-1')))
  const told: Page = await who.get(url)
  assert.equal(toldAt(told).get('error'), 'access_denied')
  assert.ok(told.location.href.startsWith(CALLBACK) || told.status === 303)
})

test('an identity provider that signs by a new key at once fails nobody, and a stranger’s key makes nobody ask it all the time', async () => {
  const clock = fakeClock()
  try {
    assert.equal(await entered('campus'), true)
    clock.advance(100)
    campus.roll()
    assert.equal(await entered('campus'), true)
    const reads = () => gateway.logs.filter(({ message }) => message === 'metadata was read').length
    const before = reads()
    clock.advance(100)
    for (let times = 0; times < 3; times += 1) {
      const { who, page } = await atIdp()
      const forged = await campus.respond(lastAsked(), { name: 'ada-1', said: { signing: { keys: samlKeys() } } })
      assert.equal(toldAt(await who.submit(page, page.form('ada-1'), { SAMLResponse: forged })).has('code'), false)
    }
    assert.ok(reads() <= before + 1, 'read anew once a minute at most')
  } finally {
    clock.stop()
  }
})

async function entered(connector: string): Promise<boolean> {
  const { who, page } = await atIdp(person(), via(connector))
  return toldAt(await who.submit(page, page.form('ada-1'))).has('code')
}

test('the form that leads to an identity provider is no token in the audit log, also where a token was asked for by form', async () => {
  const { who, page } = await atIdp(person(), via('again'))
  toldAt(await who.submit(page, page.form('ada-1')))
  const implicit = {
    response_type: 'id_token',
    response_mode: 'form_post',
    code_challenge: '',
    code_challenge_method: '',
  }
  const { url } = authorization(gateway, 'portal', {
    connector: 'again',
    scope: 'openid',
    prompt: 'login',
    ...implicit,
  })
  const before = gateway.events.length
  const form = await who.get(url)
  assert.equal(form.status, 200)
  assert.ok(form.form().fields['SAMLRequest'], form.text)
  assert.deepEqual(
    gateway.events.slice(before).map(({ event }) => event),
    [],
  )
})
