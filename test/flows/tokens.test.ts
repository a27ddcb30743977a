import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createLocalJWKSet, createRemoteJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { claimsIn, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { authorization, basic, person, redeem, refresh, signIn, tokensOf, toldAt } from '../support/sign-in.ts'
import { standard, standardEnv } from '../support/standard.ts'

const PROD = 'urn:lotse:target:prod'
const ARGO = 'https://argo.example'
const clients = `
  - { id: idle-robot, target: cloud, auth: client_secret_post, secret: { env: ROBOT_SECRET }, grants: [client_credentials], serviceAccount: { connector: corp, id: idle-1, claims: { groups: [/all] } } }
  - { id: dashboard, target: prod, accessToken: opaque, auth: client_secret_basic, secret: { env: HORIZON_SECRET }, native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code] }
`
const rules = `
  - name: argo only
    from: [corp]
    if: [{ claim: preferred_username, is: carol }]
    give: [{ target: argo, group: argo-guests }]
`

let idp: Idp
let gateway: TestGateway
before(async () => {
  ;({ idp, gateway } = await standard({ rules, extra: () => ({ clients }) }))
})
after(async () => {
  await gateway.close()
  await idp.close()
})

const robot = (client_id = 'robot', more: Record<string, string> = {}) =>
  gateway.post('/token', {
    grant_type: 'client_credentials',
    client_id,
    client_secret: standardEnv.ROBOT_SECRET,
    ...more,
  })

async function keysAt(path: string): Promise<JSONWebKeySet> {
  return (await (await fetch(gateway.issuer + path)).json()) as JSONWebKeySet
}

test('a robot gets what the rules give its service account, and never a refresh token', async () => {
  const { status, body } = await robot()
  assert.equal(status, 200)
  assert.deepEqual(Object.keys(body).sort(), ['access_token', 'expires_in', 'token_type'])
  const claims = claimsIn(body['access_token'] ?? '')
  assert.match(JSON.stringify(claims), /os-ci/)
  assert.equal(claims['aud'], 'keystone')
  assert.ok(Number(claims['exp']) > Number(claims['iat']))
  const event = gateway.events.findLast((e) => e.event === 'token.issued')
  assert.ok(event?.event === 'token.issued' && event.grantType === 'client_credentials' && event.jti === claims['jti'])
})

test('a robot to whose account the rules give nothing gets access_denied', async () => {
  const { status, body } = await robot('idle-robot')
  assert.deepEqual([status, body['error']], [400, 'access_denied'])
})

test('a robot may not ask for another target’s token', async () => {
  const { body } = await robot('robot', { resource: PROD })
  assert.equal(body['error'], 'invalid_target')
})

test('a Keystone’s tokens are signed by its own ring, published there and nowhere else', async () => {
  const own = await keysAt('/jwks/keystone-cloud')
  const issuer = await keysAt('/jwks')
  const kids = ({ keys }: JSONWebKeySet) => keys.map(({ kid }) => kid)
  assert.ok(own.keys.length > 0)
  assert.ok(kids(own).every((kid) => !kids(issuer).includes(kid)))
  const person = await tokensOf(gateway, 'openstack', 'ada')
  const { body } = await robot()
  for (const token of [person.access_token, body['access_token'] ?? '']) {
    await jwtVerify(token, createLocalJWKSet(own), { issuer: gateway.issuer, audience: 'keystone', typ: 'at+jwt' })
    await assert.rejects(jwtVerify(token, createLocalJWKSet(issuer)))
  }
})

test('no ID token is ever signed by a Keystone’s ring', async () => {
  const own = createLocalJWKSet(await keysAt('/jwks/keystone-cloud'))
  const issuer = createRemoteJWKSet(new URL('/jwks', gateway.issuer))
  const first = await tokensOf(gateway, 'openstack', 'ada')
  const second = await refresh(gateway, 'openstack', first.refresh_token)
  for (const token of [first.id_token, second.body['id_token'] ?? '']) {
    await jwtVerify(token, issuer, { issuer: gateway.issuer, audience: 'openstack' })
    await assert.rejects(jwtVerify(token, own))
  }
})

test('published keys are public keys, of kinds that every consumer can read', async () => {
  for (const path of ['/jwks', '/jwks/keystone-cloud']) {
    for (const key of (await keysAt(path)).keys) {
      assert.ok(!('d' in key) && !('p' in key) && !('k' in key), path)
      assert.ok(key.kty === 'RSA' || ['P-256', 'P-384', 'P-521'].includes(key.crv ?? ''))
      assert.equal(key.use, 'sig')
      assert.ok(key.kid && key.alg)
    }
  }
})

test('a dashboard gets an opaque token, and userinfo has the groups of the ID token and of the JWT form', async () => {
  const request = authorization(gateway, 'dashboard', { scope: 'openid profile email groups' })
  const told = await signIn(person(), request, 'ada')
  const headers = basic('dashboard', standardEnv.HORIZON_SECRET)
  const { body } = await redeem(gateway, { code: told.get('code'), verifier: request.verifier }, { headers })
  assert.ok(!body['access_token']?.includes('.'))
  const info = await fetch(`${gateway.issuer}/userinfo`, {
    headers: { authorization: `Bearer ${body['access_token']}` },
  })
  assert.equal(info.status, 200)
  const userinfo = (await info.json()) as Record<string, unknown>
  const id = claimsIn(body['id_token'] ?? '')
  const jwt = claimsIn((await tokensOf(gateway, 'kubectl', 'ada')).access_token)
  assert.deepEqual(userinfo['groups'], ['x-web'])
  assert.deepEqual(id['groups'], userinfo['groups'])
  assert.deepEqual(jwt['groups'], userinfo['groups'])
  assert.equal(userinfo['sub'], id['sub'])
  assert.equal(userinfo['preferred_username'], 'corp:ada')
})

test('userinfo takes no JWT of a target, no made-up token, and none in the query', async () => {
  const { access_token } = await tokensOf(gateway, 'kubectl', 'ada')
  const statusOf = async (path: string, token?: string) =>
    (await fetch(gateway.issuer + path, token ? { headers: { authorization: `Bearer ${token}` } } : {})).status
  assert.equal(await statusOf('/userinfo', access_token), 401)
  assert.equal(await statusOf('/userinfo', 'x'.repeat(43)), 401)
  assert.ok([400, 401].includes(await statusOf('/userinfo')))
  assert.ok([400, 401].includes(await statusOf(`/userinfo?access_token=${'x'.repeat(43)}`)))
})

test('a client asks for a token of a second target by resource, and gets that audience and those groups only', async () => {
  const request = authorization(gateway, 'kubectl', { resource: ARGO })
  const told = await signIn(person(), request, 'ada')
  const { body } = await redeem(
    gateway,
    { code: told.get('code'), verifier: request.verifier, client: 'kubectl' },
    { fields: { resource: ARGO } },
  )
  const claims = claimsIn(body['access_token'] ?? '')
  assert.equal(claims['aud'], ARGO)
  assert.deepEqual(claims['groups'], ['argo-web'])
  assert.equal(claimsIn(body['id_token'] ?? '')['aud'], 'kubectl')
})

test('a target that the client may not use, or that nobody knows, is invalid_target', async () => {
  const targets = ['urn:lotse:target:cloud', 'https://unknown.example', 'urn:lotse:target:']
  for (const resource of targets) {
    const page = await person().get(authorization(gateway, 'kubectl', { resource }).url)
    assert.equal(toldAt(page).get('error'), 'invalid_target', resource)
  }
  const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
  const { body } = await refresh(gateway, 'kubectl', refresh_token, { resource: targets[0] ?? '' })
  assert.equal(body['error'], 'invalid_target')
})

test('two resources at one sign-in give one token for each refresh, never one for both', async () => {
  const request = authorization(gateway, 'kubectl')
  request.url.searchParams.append('resource', ARGO)
  request.url.searchParams.append('resource', PROD)
  const told = await signIn(person(), request, 'ada')
  const fields = { code: told.get('code'), verifier: request.verifier, client: 'kubectl' }
  const first = await redeem(gateway, fields, { fields: { resource: PROD } })
  assert.equal(first.status, 200, JSON.stringify(first.body))
  assert.equal(claimsIn(first.body['access_token'] ?? '')['aud'], 'k8s-prod')
  const second = await refresh(gateway, 'kubectl', first.body['refresh_token'] ?? '', { resource: ARGO })
  assert.equal(claimsIn(second.body['access_token'] ?? '')['aud'], ARGO)
  assert.deepEqual(claimsIn(second.body['access_token'] ?? '')['groups'], ['argo-web'])
  const third = await refresh(gateway, 'kubectl', second.body['refresh_token'] ?? '')
  assert.equal(
    claimsIn(third.body['access_token'] ?? '')['aud'],
    'k8s-prod',
    'the client’s own target, where none is named',
  )
})

test('somebody whom the rules give nothing at the named target gets access_denied there and tokens at the other', async () => {
  const argo = authorization(gateway, 'kubectl', { resource: ARGO })
  const told = await signIn(person(), argo, 'carol')
  const fields = { code: told.get('code'), verifier: argo.verifier, client: 'kubectl' }
  const { status, body } = await redeem(gateway, fields, { fields: { resource: ARGO } })
  assert.equal(status, 200)
  assert.deepEqual(claimsIn(body['access_token'] ?? '')['groups'], ['argo-guests'])
  const prod = await refresh(gateway, 'kubectl', body['refresh_token'] ?? '', { resource: PROD })
  // Carol's own token was for Argo CD alone: what was not granted is another refusal than what the rules deny.
  assert.deepEqual([prod.status, prod.body['error']], [400, 'invalid_target'])
  const both = authorization(gateway, 'kubectl', { resource: ARGO })
  both.url.searchParams.append('resource', PROD)
  const code = (await signIn(person(), both, 'carol')).get('code')
  const denied = await redeem(
    gateway,
    { code, verifier: both.verifier, client: 'kubectl' },
    { fields: { resource: PROD } },
  )
  assert.deepEqual([denied.status, denied.body['error']], [400, 'access_denied'])
})

test('no form of token is without an end', async () => {
  const tokens = await tokensOf(gateway, 'openstack', 'ada')
  const { body } = await robot()
  for (const token of [tokens.access_token, tokens.id_token, body['access_token'] ?? '']) {
    const { iat, exp } = claimsIn(token)
    assert.ok(Number(exp) - Number(iat) > 0 && Number(exp) - Number(iat) <= 3600)
  }
})
