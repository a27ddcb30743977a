import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { claimsIn, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { authorization, person, pickPerson, redeem, refresh, signIn } from '../support/sign-in.ts'
import { standard } from '../support/standard.ts'

const PROD = 'urn:lotse:target:prod'
const ARGO = 'https://argo.example'
/** Carol, to whom the usual rules give nothing, gets Argo CD. */
const rules = `
  - name: argo only
    from: [corp]
    if: [{ claim: preferred_username, is: carol }]
    give: [{ target: argo, group: argo-guests }]
`
/** A client that speaks for no target of its own. */
const clients = `
  - { id: lotse-cli, native: true, targets: [prod, argo], redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh, device], offlineAccess: true }`

let idp: Idp
let gateway: TestGateway
before(async () => {
  ;({ idp, gateway } = await standard({ rules, extra: () => ({ clients }) }))
})
after(async () => {
  await gateway.close()
  await idp.close()
})

const client = 'lotse-cli'

/** What a sign-in without any `resource` gives for one that is named at the token endpoint. */
async function signedIn(sub: string, resource?: string) {
  const request = authorization(gateway, client)
  const code = (await signIn(person(), request, sub)).get('code')
  return redeem(gateway, { code, verifier: request.verifier, client }, resource ? { fields: { resource } } : {})
}

test('a client of no target of its own signs a person in at all of its targets, and names one for each token', async () => {
  const first = await signedIn('ada', PROD)
  assert.equal(first.status, 200, JSON.stringify(first.body))
  assert.equal(claimsIn(first.body['access_token'] ?? '')['aud'], 'k8s-prod')
  const { body, status } = await refresh(gateway, client, first.body['refresh_token'] ?? '', { resource: ARGO })
  assert.equal(status, 200, JSON.stringify(body))
  assert.deepEqual(
    [claimsIn(body['access_token'] ?? '')].map(({ aud, groups }) => [aud, groups]),
    [[ARGO, ['argo-web']]],
  )
})

test('the same holds in the device flow', async () => {
  const { body: device } = await gateway.post('/device/auth', { client_id: client, scope: 'openid offline_access' })
  const who = person()
  const entry = await who.get(device['verification_uri_complete'] ?? '')
  const page = await who.submit(entry, entry.form())
  await pickPerson(who, await who.submit(page, page.form(), { confirm: 'yes' }), 'ada')
  const grant_type = 'urn:ietf:params:oauth:grant-type:device_code'
  const fields = { grant_type, client_id: client, device_code: device['device_code'] ?? '' }
  const first = await gateway.post('/token', { ...fields, resource: ARGO })
  assert.equal(first.status, 200, JSON.stringify(first.body))
  const { body } = await refresh(gateway, client, first.body['refresh_token'] ?? '', { resource: PROD })
  assert.deepEqual(claimsIn(body['access_token'] ?? '')['groups'], ['x-web'])
})

test('it names no target at the token endpoint: no token for all of them', async () => {
  const { status, body } = await signedIn('ada')
  assert.deepEqual([status, body['error']], [400, 'invalid_target'])
})

test('who gets something at one of them is signed in, and is told at the others', async () => {
  const { body } = await signedIn('carol', ARGO)
  const denied = await refresh(gateway, client, body['refresh_token'] ?? '', { resource: PROD })
  assert.deepEqual([denied.status, denied.body['error']], [400, 'access_denied'])
  assert.equal((await refresh(gateway, client, body['refresh_token'] ?? '', { resource: ARGO })).status, 200)
})

test('who gets nothing at any of them is not', async () => {
  const who = person()
  const page = await pickPerson(who, await who.get(authorization(gateway, client).url), 'dave')
  assert.equal(page.status, 403)
  assert.match(page.text, /nothing is granted to you here/)
})
