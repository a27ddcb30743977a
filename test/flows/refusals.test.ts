import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { claimsIn, fakeClock, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { authorization, person, pickPerson, redeem, refresh, signIn, tokensOf, toldAt } from '../support/sign-in.ts'
import { standard } from '../support/standard.ts'

const PROD = 'urn:lotse:target:prod'
const ARGO = 'https://argo.example'
const CLOUD = 'urn:lotse:target:cloud'
/** Carol, to whom the usual rules give nothing, gets Argo CD. */
const rules = `
  - name: argo only
    from: [corp]
    if: [{ claim: preferred_username, is: carol }]
    give: [{ target: argo, group: argo-guests }]
`
const clients = `
  - { id: many, target: prod, targets: [argo, cloud], native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh], offlineAccess: true }`
/** More than the 4 KB that a token may say. */
const flood = Array.from({ length: 100 }, (_, at) => `'x-<team>-${'of-a-name-that-is-far-too-long-'.repeat(2)}${at}'`)

let idp: Idp
let gateway: TestGateway
let config: string
let clock: ReturnType<typeof fakeClock>
before(async () => {
  ;({ idp, gateway, config } = await standard({ rules, extra: () => ({ clients }) }))
})
beforeEach(() => {
  clock = fakeClock()
})
afterEach(async () => {
  clock.stop()
  await gateway.reload(config)
})
after(async () => {
  await gateway.close()
  await idp.close()
})

const outcome = ({ status, body }: { status: number; body: Readonly<Record<string, string>> }) =>
  `${status} ${body['error'] ?? 'tokens'}`
const revoked = () => gateway.events.filter(({ event }) => event === 'family.revoked').length

/** A refresh token from a code with several resources; the first of them is redeemed. */
async function withResources(sub: string, client: string, resources: readonly [string, ...string[]]) {
  const request = authorization(gateway, client)
  for (const resource of resources) request.url.searchParams.append('resource', resource)
  const code = (await signIn(person(), request, sub)).get('code')
  const fields = { fields: { resource: resources[0] } }
  const { status, body } = await redeem(gateway, { code, verifier: request.verifier, client }, fields)
  assert.equal(status, 200, JSON.stringify(body))
  return body['refresh_token'] ?? ''
}

test('a refresh whose decision does not fit into a token is refused and keeps its refresh token', async () => {
  const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
  const gifts = flood.map((group) => `      - { target: prod, group: ${group} }`).join('\n')
  await gateway.reload(config.replace("      - { target: prod, group: 'x-<team>' }", gifts))
  const refused = await refresh(gateway, 'kubectl', refresh_token)
  assert.equal(outcome(refused), '400 access_denied')
  assert.match(refused.body['error_description'] ?? '', /grants_too_large/)
  await gateway.reload(config)
  clock.advance(12)
  const { body, status } = await refresh(gateway, 'kubectl', refresh_token)
  assert.equal(status, 200, JSON.stringify(body))
  assert.deepEqual(claimsIn(body['access_token'] ?? '')['groups'], ['x-web'])
  assert.equal(revoked(), 0)
})

test('a refresh for a target at which the person gets nothing is refused, and the token goes on at the other', async () => {
  const token = await withResources('carol', 'kubectl', [ARGO, PROD])
  const refused = await refresh(gateway, 'kubectl', token, { resource: PROD })
  assert.equal(outcome(refused), '400 access_denied')
  assert.equal(outcome(await refresh(gateway, 'kubectl', token)), '400 access_denied', 'the client’s own, unnamed')
  clock.advance(11)
  const { body, status } = await refresh(gateway, 'kubectl', token, { resource: ARGO })
  assert.equal(status, 200, JSON.stringify(body))
  assert.deepEqual(claimsIn(body['access_token'] ?? '')['groups'], ['argo-guests'])
  assert.equal(revoked(), 0)
})

test('a refresh for a resource that was not granted, or for one of several without a name, uses nothing up', async () => {
  const token = await withResources('ada', 'many', [ARGO, CLOUD])
  const asked = [PROD, 'urn:lotse:target:nowhere', 'not a URI', '']
  for (const resource of asked) {
    assert.equal(outcome(await refresh(gateway, 'many', token, { resource })), '400 invalid_target', resource)
  }
  clock.advance(11)
  const { body, status } = await refresh(gateway, 'many', token, { resource: CLOUD })
  assert.equal(status, 200, JSON.stringify(body))
  assert.equal(claimsIn(body['access_token'] ?? '')['aud'], 'keystone')
  assert.equal(revoked(), 0)
})

test('a target that is taken from a client ends its refreshes there, and not elsewhere', async () => {
  const token = await withResources('ada', 'kubectl', [ARGO, PROD])
  await gateway.reload(config.replace('target: prod, targets: [argo], redirectUris', 'target: prod, redirectUris'))
  assert.equal(outcome(await refresh(gateway, 'kubectl', token, { resource: ARGO })), '400 invalid_target')
  clock.advance(11)
  assert.equal(outcome(await refresh(gateway, 'kubectl', token, { resource: PROD })), '200 tokens')
  assert.equal(revoked(), 0)
})

test('of two people in two tabs the second takes over the browser, without a page more, and the first keeps her tokens', async () => {
  const who = person()
  const [hers, his] = [authorization(gateway, 'kubectl'), authorization(gateway, 'openstack')]
  const first = await who.get(hers.url)
  const second = await who.get(his.url)
  const code = toldAt(await pickPerson(who, first, 'ada')).get('code')
  const { body } = await redeem(gateway, { code, verifier: hers.verifier, client: 'kubectl' })
  const changing = await pickPerson(who, second, 'bob')
  assert.equal(changing.location.origin, idp.issuer, 'the upstream ends its own session of ada first')
  const page = await who.submit(changing, changing.form())
  const other = await redeem(gateway, { code: toldAt(page).get('code'), verifier: his.verifier, client: 'openstack' })
  assert.match(JSON.stringify(claimsIn(other.body['access_token'] ?? '')), /os-db/)
  const here = page.visited.filter(({ origin }) => origin === gateway.issuer).map(({ pathname }) => pathname)
  assert.deepEqual(here, ['/callback/corp'])
  const ended = gateway.events.filter((e) => e.event === 'session.ended')
  const sub = claimsIn(body['id_token'] ?? '')['sub']
  assert.deepEqual(
    ended.map((e) => e.event === 'session.ended' && [e.cause, e.personal.sub]),
    [['other-person', sub]],
  )
  clock.advance(12)
  assert.equal(outcome(await refresh(gateway, 'kubectl', body['refresh_token'] ?? '')), '200 tokens')
  const next = authorization(gateway, 'kubectl')
  const silent = await redeem(gateway, {
    code: toldAt(await who.get(next.url)).get('code'),
    verifier: next.verifier,
    client: 'kubectl',
  })
  assert.equal(claimsIn(silent.body['id_token'] ?? '')['preferred_username'], 'corp:bob')
})
