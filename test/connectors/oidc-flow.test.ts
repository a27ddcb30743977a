import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Challenge, Connector } from '../../src/connectors/connector.ts'
import { browser } from '../support/browser.ts'
import { type Idp, startIdp } from '../support/oidc-idp.ts'
import { connect, sealing } from './support.ts'

const callback = 'https://gateway.test/callback/corp'
const people = [
  {
    sub: 'ada',
    acr: 'urn:mfa',
    amr: ['pwd', 'otp'],
    claims: {
      name: 'Ada',
      email: 'ada@corp.test',
      email_verified: true,
      groups: ['/teams/web/dev', 'ops'],
      realm_access: { roles: ['a', 'b'] },
    },
  },
  { sub: 'bob', claims: { name: 'Bob' } },
] as const

let idp: Idp
before(async () => {
  idp = await startIdp({
    people,
    clients: [
      {
        id: 'lotse',
        secret: 'a-secret',
        redirectUris: [callback],
        postLogoutRedirectUris: ['https://gateway.test/bye'],
      },
    ],
  })
})
after(() => idp.close())

/** Goes through the upstream's pages as a person and gives back the callback URL. */
async function visit(challenge: Challenge, person: string): Promise<{ url: URL; form?: URLSearchParams }> {
  assert.equal(challenge.kind, 'redirect')
  const tab = browser({ stopAt: (url) => url.hostname === 'gateway.test' })
  const page = await tab.get((challenge as { url: URL }).url)
  const end = await tab.submit(page, page.form(person))
  const form = end.forms[0]
  if (form?.action.hostname === 'gateway.test') return { url: form.action, form: new URLSearchParams(form.fields) }
  return { url: end.visited.at(-1)! }
}

async function signIn(connector: Connector, person: string, hints = {}) {
  const challenge = await connector.begin('a-state', hints)
  return await connector.complete({ ...(await visit(challenge, person)), memo: challenge.memo })
}

test('a person signs in at a real provider and her claims arrive in one shape', async () => {
  const { connector, now } = connect({ issuer: idp.issuer })
  const proof = await signIn(connector, 'ada')
  const { claims, ...subject } = proof.subject
  assert.equal(subject.connector, 'corp')
  assert.equal(subject.id, 'ada')
  assert.equal(subject.acr, 'urn:mfa')
  assert.deepEqual(subject.amr, ['pwd', 'otp'])
  assert.deepEqual(claims['groups'], ['/teams/web/dev', 'ops'])
  assert.deepEqual(claims['/realm_access/roles'], ['a', 'b'])
  assert.deepEqual(claims['email_verified'], ['true'])
  assert.equal(claims['nonce'], undefined)
  assert.equal(proof.goodUntil, proof.provenAt + 43_200)
  assert.ok(Math.abs(proof.provenAt - now()) <= 1)
})

test('an answer by form_post is taken', async () => {
  const { connector } = connect({ issuer: idp.issuer, responseMode: 'form_post' })
  const proof = await signIn(connector, 'bob')
  assert.equal(proof.subject.id, 'bob')
})

test('an answer by query is refused where form_post was asked for', async () => {
  const { connector } = connect({ issuer: idp.issuer, responseMode: 'form_post' })
  const challenge = await connector.begin('a-state', {})
  const { url, form } = await visit(challenge, 'bob')
  url.search = form!.toString()
  await assert.rejects(connector.complete({ url, memo: challenge.memo }), { code: 'upstream_rejected' })
})

test('hints reach the upstream, and PKCE, state and nonce always do', async () => {
  const { connector } = connect({ issuer: idp.issuer, acr: { 'urn:mfa': 'high', 'urn:pwd': 'low' } })
  const challenge = await connector.begin('a-state', {
    acrValues: ['high'],
    maxAge: 60,
    prompt: 'login',
    loginHint: 'ada@corp.test',
    uiLocales: 'de',
  })
  const sent = Object.fromEntries((challenge as { url: URL }).url.searchParams)
  assert.equal(sent['acr_values'], 'urn:mfa')
  assert.equal(sent['max_age'], '60')
  assert.equal(sent['prompt'], 'login')
  assert.equal(sent['login_hint'], 'ada@corp.test')
  assert.equal(sent['ui_locales'], 'de')
  assert.equal(sent['state'], 'a-state')
  assert.equal(sent['code_challenge_method'], 'S256')
  assert.equal(sent['redirect_uri'], callback)
  assert.equal(sent['nonce']?.length, 43)
  const again = await connector.begin('b-state', {})
  assert.notEqual((again as { url: URL }).url.searchParams.get('nonce'), sent['nonce'])
})

test('an upstream acr is told in our words, and an unknown one means nothing', async () => {
  const mapped = connect({ issuer: idp.issuer, acr: { 'urn:mfa': 'high' } })
  assert.equal((await signIn(mapped.connector, 'ada')).subject.acr, 'high')
  const other = connect({ issuer: idp.issuer, acr: { 'urn:other': 'high' } })
  assert.equal((await signIn(other.connector, 'ada')).subject.acr, undefined)
})

test('a higher level than the one asked for is enough, a lower one is not', async () => {
  const high = connect({ issuer: idp.issuer, acr: { 'urn:mfa': 'high' } })
  assert.equal((await signIn(high.connector, 'ada', { acrValues: ['substantial', 'high'] })).subject.acr, 'high')
  const low = connect({ issuer: idp.issuer, acr: { 'urn:mfa': 'low', 'urn:hw': 'substantial' } })
  await assert.rejects(signIn(low.connector, 'ada', { acrValues: ['substantial'] }), { code: 'acr_not_met' })
  const lenient = connect({ issuer: idp.issuer, acr: { 'urn:mfa': 'low' }, acrNotMet: 'report' })
  assert.equal((await signIn(lenient.connector, 'ada', { acrValues: ['substantial'] })).subject.acr, 'low')
})

test('prompt=login is passed and its fresh auth_time accepted', async () => {
  const { connector, now } = connect({ issuer: idp.issuer })
  const { subject } = await signIn(connector, 'ada', { prompt: 'login' })
  assert.ok(Math.abs(subject.authTime - now()) < 10)
})

test('a person who declines is told apart from an upstream that refuses', async () => {
  const { connector } = connect({ issuer: idp.issuer })
  await assert.rejects(signIn(connector, 'decline'), { code: 'upstream_declined', facts: { error: 'access_denied' } })
})

test('prompt=none without a session at the upstream comes back as login_required', async () => {
  const { connector } = connect({ issuer: idp.issuer })
  const challenge = await connector.begin('a-state', { prompt: 'none' })
  const tab = browser({ stopAt: (url) => url.hostname === 'gateway.test' })
  const end = await tab.get((challenge as { url: URL }).url)
  await assert.rejects(connector.complete({ url: end.visited.at(-1)!, memo: challenge.memo }), {
    code: 'upstream_rejected',
    facts: { error: 'login_required' },
  })
})

test('what the upstream gave for later is sealed for this connector and person, and ends the session there', async () => {
  const { connector } = connect({ issuer: idp.issuer })
  const proof = await signIn(connector, 'ada')
  const kept = JSON.parse(sealing.open(proof.sealed!, 'oidc\ncorp\nada'))
  assert.equal(kept.idToken.split('.').length, 3)
  assert.equal(typeof kept.refreshToken, 'string')
  const end = await connector.logout!(proof, { returnTo: new URL('https://gateway.test/bye'), state: 'over' })
  assert.ok(end?.kind === 'redirect')
  assert.equal(end.url.origin, idp.issuer)
  assert.equal(end.url.searchParams.get('id_token_hint'), kept.idToken)
  const page = await browser().get(end.url)
  assert.equal(page.status, 200)
  assert.equal(page.forms.length > 0, true)
})

test("a sign-out here leaves the upstream's session where that is configured", async () => {
  const { connector } = connect({ issuer: idp.issuer, upstreamLogout: 'off' })
  const proof = await signIn(connector, 'ada')
  const back = { returnTo: new URL('https://gateway.test/bye'), state: 'over' }
  assert.equal(await connector.logout!(proof, back), undefined)
})

test('a proof of another person does not open what was sealed', async () => {
  const { connector } = connect({ issuer: idp.issuer })
  const proof = await signIn(connector, 'ada')
  const other = { ...proof, subject: { ...proof.subject, id: 'bob' } }
  await assert.rejects(connector.logout!(other, { returnTo: new URL('https://gateway.test/bye'), state: 'over' }))
})

test('the code is not redeemable with another client secret', async () => {
  const { connector } = connect({ issuer: idp.issuer, clientSecret: 'wrong' })
  await assert.rejects(signIn(connector, 'ada'), (error: Error & { code: string }) => {
    assert.equal(error.code, 'upstream_rejected')
    assert.match(error.message, /invalid_client/)
    return true
  })
})

test("the upstream's administrator gets all addresses to register", () => {
  const { connector } = connect({ issuer: idp.issuer })
  const [file] = connector.print!()
  assert.equal(file?.path, 'corp/client-registration.json')
  const facts = JSON.parse(file!.content)
  assert.deepEqual(facts.redirect_uris, [callback])
  assert.deepEqual(facts.post_logout_redirect_uris, ['https://gateway.test/logout/returned'])
  assert.equal(facts.backchannel_logout_uri, 'https://gateway.test/logout/back/corp')
  assert.equal(facts.frontchannel_logout_uri, 'https://gateway.test/logout/front/corp')
  assert.ok(facts.backchannel_logout_session_required && facts.frontchannel_logout_session_required)
  assert.deepEqual(facts.grant_types, ['authorization_code', 'refresh_token'])
})
