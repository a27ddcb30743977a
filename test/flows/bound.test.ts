import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as oidc from 'openid-client'
import { claimsIn, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import {
  authorization,
  basic,
  CALLBACK,
  person,
  redeem,
  refresh,
  signIn,
  tokensOf,
  toldAt,
} from '../support/sign-in.ts'
import { standard, standardEnv } from '../support/standard.ts'

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const publicKey = JSON.stringify({
  ...pair.publicKey.export({ format: 'jwk' }),
  kid: 'strict-1',
  alg: 'ES256',
  use: 'sig',
})
const clients = `
  - { id: strict, label: Strict, target: prod, auth: private_key_jwt, jwks: { keys: [${publicKey}] }, native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh], offlineAccess: true, par: required, dpop: required }
  - { id: bare, target: cloud, auth: client_secret_basic, secret: { env: HORIZON_SECRET }, native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh], accessToken: opaque, alwaysRefresh: true }
  - { id: service, target: cloud, auth: client_secret_basic, secret: { env: ROBOT_SECRET }, introspect: true, native: true, redirectUris: ['http://127.0.0.1/cb'] }
  - { id: stranger, target: prod, auth: client_secret_basic, secret: { env: ROBOT_SECRET }, introspect: true, native: true, redirectUris: ['http://127.0.0.1/cb'] }
`

let idp: Idp
let gateway: TestGateway
before(async () => {
  ;({ idp, gateway } = await standard({ extra: () => ({ clients }) }))
})
after(async () => {
  await gateway.close()
  await idp.close()
})

const asBare = basic('bare', standardEnv.HORIZON_SECRET)

async function bareTokens(sub = 'ada') {
  const request = authorization(gateway, 'bare', { scope: 'openid' })
  const told = await signIn(person(), request, sub)
  const { body } = await redeem(gateway, { code: told.get('code'), verifier: request.verifier }, { headers: asBare })
  return { access: body['access_token'] ?? '', refresh: body['refresh_token'] ?? '' }
}

const introspect = async (token: string, headers: Record<string, string>) =>
  (await gateway.post('/token/introspection', { token }, headers)).body as Readonly<Record<string, unknown>>

const userinfoStatus = async (token: string) =>
  (await fetch(`${gateway.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } })).status

async function strictClient() {
  const key = await crypto.subtle.importKey(
    'jwk',
    pair.privateKey.export({ format: 'jwk' }),
    { name: 'ECDSA', namedCurve: 'P-256' },
    false,
    ['sign'],
  )
  const auth = oidc.PrivateKeyJwt({ key, kid: 'strict-1' })
  return oidc.discovery(new URL(gateway.issuer), 'strict', undefined, auth, {
    execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks],
  })
}

test('openid-client walks PAR, private_key_jwt and DPoP: the tokens are bound to its key', async () => {
  const config = await strictClient()
  const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair('ES256'))
  const verifier = oidc.randomPKCECodeVerifier()
  const parameters = {
    redirect_uri: CALLBACK,
    scope: 'openid offline_access',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state: 's-2',
  }
  const url = await oidc.buildAuthorizationUrlWithPAR(config, parameters, { DPoP })
  assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request_uri'])
  const told = await signIn(person(), { url, verifier }, 'ada')
  const checks = { pkceCodeVerifier: verifier, expectedState: 's-2', idTokenExpected: true }
  const tokens = await oidc.authorizationCodeGrant(config, new URL(`${CALLBACK}?${told}`), checks, undefined, { DPoP })
  assert.equal(tokens.token_type, 'dpop')
  const cnf = claimsIn(tokens.access_token)['cnf'] as { jkt: string }
  assert.equal(cnf.jkt, await DPoP.calculateThumbprint())
  const renewed = await oidc.refreshTokenGrant(config, tokens.refresh_token ?? '', undefined, { DPoP })
  assert.deepEqual(claimsIn(renewed.access_token)['cnf'], cnf)
  const other = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair('ES256'))
  const again = oidc.refreshTokenGrant(config, renewed.refresh_token ?? '', undefined, { DPoP: other })
  assert.equal(
    claimsIn((await again).access_token)['aud'],
    'k8s-prod',
    'a confidential client proves itself by its own key',
  )
  await assert.rejects(oidc.refreshTokenGrant(config, renewed.refresh_token ?? ''), 'without any proof of possession')
})

test('a public client that bound its refresh token must prove the same key at each refresh', async () => {
  const config = await oidc.discovery(new URL(gateway.issuer), 'kubectl', undefined, oidc.None(), {
    execute: [oidc.allowInsecureRequests],
  })
  const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair('ES256'))
  const request = authorization(gateway, 'kubectl', { nonce: '' })
  const told = await signIn(person(), request, 'ada')
  const checks = { pkceCodeVerifier: request.verifier, expectedState: 'client-state' }
  const tokens = await oidc.authorizationCodeGrant(config, new URL(`${CALLBACK}?${told}`), checks, undefined, { DPoP })
  const token = tokens.refresh_token ?? ''
  const other = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair('ES256'))
  const invalid = { error: 'invalid_grant' }
  await assert.rejects(oidc.refreshTokenGrant(config, token, undefined, { DPoP: other }), invalid)
  await assert.rejects(oidc.refreshTokenGrant(config, token), invalid)
  const renewed = await oidc.refreshTokenGrant(config, token, undefined, { DPoP })
  assert.equal(renewed.token_type, 'dpop')
})

test('a client that must push its requests is refused when it does not', async () => {
  const page = await person().get(authorization(gateway, 'strict').url)
  assert.equal(toldAt(page).get('error'), 'invalid_request')
})

test('a pushed request is good once and for its client only', async () => {
  const { url, verifier } = authorization(gateway, 'kubectl')
  const pushed = await gateway.post('/request', Object.fromEntries(url.searchParams))
  assert.equal(pushed.status, 201)
  const request_uri = pushed.body['request_uri'] ?? ''
  const at = (client_id: string) => new URL(`/auth?${new URLSearchParams({ client_id, request_uri })}`, gateway.issuer)
  const stolen = await person().get(at('openstack'))
  assert.ok(!stolen.headers.get('location')?.includes('code='))
  const who = person()
  const told = await signIn(who, { url: at('kubectl'), verifier }, 'ada')
  const { body } = await redeem(gateway, { code: told.get('code'), verifier, client: 'kubectl' })
  assert.ok(body['refresh_token'], 'offline_access survives being pushed')
  const again = await who.get(at('kubectl'))
  assert.ok(!again.headers.get('location')?.includes('code='), `${again.headers.get('location')}`)
})

test('a client introspects its own tokens, and those of another are inactive to it', async () => {
  const tokens = await bareTokens()
  const own = await introspect(tokens.access, asBare)
  assert.equal(own['active'], true)
  assert.equal(own['client_id'], 'bare')
  assert.ok(own['exp'])
  assert.equal((await introspect(tokens.refresh, asBare))['active'], true)
  const horizon = await introspect(tokens.access, basic('horizon', standardEnv.HORIZON_SECRET))
  assert.deepEqual({ ...horizon }, { active: false })
})

test('a consumer that may introspect sees tokens of its own target, not of another', async () => {
  const tokens = await bareTokens()
  const seen = await introspect(tokens.access, basic('service', standardEnv.ROBOT_SECRET))
  assert.equal(seen['active'], true)
  assert.deepEqual(await introspect(tokens.access, basic('stranger', standardEnv.ROBOT_SECRET)), { active: false })
})

test('introspection wants a client that proves itself', async () => {
  const tokens = await bareTokens()
  const wrong = await gateway.post('/token/introspection', { token: tokens.access }, basic('service', 'wrong'))
  assert.equal(wrong.status, 401)
  const nobody = await gateway.post('/token/introspection', { token: tokens.access, client_id: 'service' })
  assert.equal(nobody.status, 401)
  assert.deepEqual(await introspect('x'.repeat(43), asBare), { active: false })
})

test('revoking a refresh token ends the tokens of its sign-in', async () => {
  const tokens = await bareTokens()
  assert.equal(await userinfoStatus(tokens.access), 200)
  const { status } = await gateway.post('/token/revocation', { token: tokens.refresh }, asBare)
  assert.equal(status, 200)
  assert.equal((await introspect(tokens.refresh, asBare))['active'], false)
  assert.equal(await userinfoStatus(tokens.access), 401)
  const event = gateway.events.findLast((e) => e.event === 'token.revoked')
  assert.ok(event?.event === 'token.revoked' && event.client === 'bare')
})

test('revoking an access token makes it useless; a stranger revokes nothing', async () => {
  const tokens = await bareTokens()
  await gateway.post('/token/revocation', { token: tokens.access }, basic('horizon', standardEnv.HORIZON_SECRET))
  assert.equal(await userinfoStatus(tokens.access), 200)
  await gateway.post('/token/revocation', { token: tokens.access }, asBare)
  assert.equal(await userinfoStatus(tokens.access), 401)
})

test('a public client revokes its own refresh token, and revoking nonsense is no error', async () => {
  const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
  const revoke = async (token: string) =>
    (await gateway.post('/token/revocation', { token, client_id: 'kubectl' })).status
  assert.equal(await revoke('nonsense'), 200)
  assert.equal(await revoke(refresh_token), 200)
  assert.equal((await refresh(gateway, 'kubectl', refresh_token)).body['error'], 'invalid_grant')
})
