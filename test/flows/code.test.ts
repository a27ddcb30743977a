import assert from 'node:assert/strict'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify, SignJWT } from 'jose'
import * as oidc from 'openid-client'
import { claimsIn, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { authorization, basic, CALLBACK, person, redeem, signIn, tokensOf, toldAt } from '../support/sign-in.ts'
import { standard, standardEnv } from '../support/standard.ts'

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const publicKey = JSON.stringify({
  ...pair.publicKey.export({ format: 'jwk' }),
  kid: 'signer-1',
  alg: 'ES256',
  use: 'sig',
})
const clients = `
  - { id: web, label: Web, target: argo, auth: client_secret_post, secret: { env: ROBOT_SECRET }, redirectUris: ['http://127.0.0.1:1/cb', 'https://app.example/cb?fixed=1'], grants: [code] }
  - { id: signer, label: Signer, target: argo, auth: private_key_jwt, jwks: { keys: [${publicKey}] }, native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code] }
  - { id: rsa, target: prod, native: true, redirectUris: ['http://127.0.0.1/cb'], idTokenAlg: RS256 }
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

const assertion = (audience: string, key = pair.privateKey) =>
  new SignJWT({})
    .setProtectedHeader({ alg: 'ES256', kid: 'signer-1' })
    .setIssuer('signer')
    .setSubject('signer')
    .setAudience(audience)
    .setJti(randomUUID())
    .setIssuedAt()
    .setExpirationTime('1m')
    .sign(key)

const byAssertion = (client_assertion: string) => ({
  client_assertion,
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
})

test('a person signs in upstream and comes out with the groups that the rules give', async () => {
  const tokens = await tokensOf(gateway, 'kubectl', 'ada')
  const id = claimsIn(tokens.id_token)
  const access = claimsIn(tokens.access_token)
  assert.equal(id['iss'], gateway.issuer)
  assert.equal(id['aud'], 'kubectl')
  assert.deepEqual(id['groups'], ['x-web'])
  assert.equal(access['aud'], 'k8s-prod')
  assert.deepEqual(access['groups'], ['x-web'])
  assert.match(String(id['sub']), /^[\w-]{43}$/)
  assert.ok(id['jti'] && id['sid'] && id['auth_time'])
})

test('single sign-on needs no second visit to the upstream', async () => {
  const who = person()
  await signIn(who, authorization(gateway, 'kubectl'), 'ada')
  const asked = idp.asked.length
  const page = await who.get(authorization(gateway, 'kubectl').url)
  assert.ok(page.headers.get('location')?.startsWith(`${CALLBACK}?code=`))
  assert.equal(idp.asked.length, asked)
})

test('both tokens verify against the published keys, with a type and an end', async () => {
  const keys = createRemoteJWKSet(new URL('/jwks', gateway.issuer))
  const tokens = await tokensOf(gateway, 'kubectl', 'ada')
  const access = await jwtVerify(tokens.access_token, keys, {
    issuer: gateway.issuer,
    audience: 'k8s-prod',
    typ: 'at+jwt',
    algorithms: ['ES256'],
    requiredClaims: ['exp', 'iat', 'jti', 'client_id', 'sub'],
  })
  const id = await jwtVerify(tokens.id_token, keys, { issuer: gateway.issuer, audience: 'kubectl', typ: 'JWT' })
  assert.equal(access.payload.sub, id.payload.sub)
  assert.ok((access.payload.exp ?? 0) - (access.payload.iat ?? 0) <= 600)
  assert.ok((id.payload.exp ?? 0) - (id.payload.iat ?? 0) <= 600)
})

test('a client that wants RS256 gets its ID token signed so, and the key is published', async () => {
  const { id_token } = await tokensOf(gateway, 'rsa', 'ada')
  const keys = createRemoteJWKSet(new URL('/jwks', gateway.issuer))
  await jwtVerify(id_token, keys, { issuer: gateway.issuer, audience: 'rsa', algorithms: ['RS256'] })
})

test('openid-client as it comes walks the whole code flow', async () => {
  const config = await oidc.discovery(new URL(gateway.issuer), 'kubectl', undefined, oidc.None(), {
    execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks],
  })
  const verifier = oidc.randomPKCECodeVerifier()
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: CALLBACK,
    scope: 'openid email offline_access',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state: 's-1',
    nonce: 'n-1',
  })
  const told = await signIn(person(), { url, verifier }, 'ada')
  const tokens = await oidc.authorizationCodeGrant(config, new URL(`${CALLBACK}?${told}`), {
    pkceCodeVerifier: verifier,
    expectedState: 's-1',
    expectedNonce: 'n-1',
    idTokenExpected: true,
  })
  assert.equal(tokens.claims()?.['preferred_username'], 'corp:ada')
  const renewed = await oidc.refreshTokenGrant(config, tokens.refresh_token ?? '')
  assert.equal(renewed.claims()?.sub, tokens.claims()?.sub)
  assert.notEqual(renewed.refresh_token, tokens.refresh_token)
})

test('a public client without a code challenge is refused at its redirect URI', async () => {
  const page = await person().get(
    authorization(gateway, 'kubectl', { code_challenge: '', code_challenge_method: '' }).url,
  )
  assert.equal(toldAt(page).get('error'), 'invalid_request')
})

test('a plain code challenge is refused', async () => {
  const page = await person().get(authorization(gateway, 'kubectl', { code_challenge_method: 'plain' }).url)
  assert.equal(toldAt(page).get('error'), 'invalid_request')
})

test('a code without its verifier, or with another, gives no token', async () => {
  for (const verifier of [undefined, authorization(gateway, 'kubectl').verifier]) {
    const told = await signIn(person(), authorization(gateway, 'kubectl'), 'ada')
    const { status, body } = await redeem(gateway, {
      code: told.get('code'),
      client: 'kubectl',
      ...(verifier && { verifier }),
    })
    assert.deepEqual([status, body['error']], [400, 'invalid_grant'])
  }
})

test('a client that cannot do PKCE redeems its code with its secret alone', async () => {
  const request = authorization(gateway, 'horizon', { code_challenge: '', code_challenge_method: '', scope: 'openid' })
  const told = await signIn(person(), request, 'ada')
  const headers = basic('horizon', standardEnv.HORIZON_SECRET)
  const { status, body } = await redeem(gateway, { code: told.get('code') }, { headers })
  assert.equal(status, 200, JSON.stringify(body))
  assert.deepEqual(Object.keys(body).sort(), ['access_token', 'expires_in', 'id_token', 'scope', 'token_type'])
})

test('a confidential client by client_secret_post gets its tokens, and none with a wrong secret, with none or with another client’s', async () => {
  const secret = standardEnv.ROBOT_SECRET
  const outcomes = []
  const attempts = [
    { fields: { client_secret: secret } },
    { fields: { client_secret: `${secret}x` } },
    { fields: { client_secret: standardEnv.HORIZON_SECRET } },
    {},
  ]
  for (const more of attempts) {
    const request = authorization(gateway, 'web')
    const told = await signIn(person(), request, 'ada')
    const { status, body } = await redeem(
      gateway,
      { code: told.get('code'), verifier: request.verifier, client: 'web' },
      more,
    )
    outcomes.push([status, body['error']])
  }
  assert.deepEqual(outcomes, [
    [200, undefined],
    [401, 'invalid_client'],
    [401, 'invalid_client'],
    [401, 'invalid_client'],
  ])
})

test('a client by private_key_jwt gets its tokens; its assertion is good once, and for this gateway only', async () => {
  const good = await assertion(gateway.issuer)
  const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const outcomes = []
  for (const jwt of [good, good, await assertion('https://other.example'), await assertion(gateway.issuer, foreign)]) {
    const request = authorization(gateway, 'signer')
    const told = await signIn(person(), request, 'ada')
    const fields = byAssertion(jwt)
    const { status } = await redeem(
      gateway,
      { code: told.get('code'), verifier: request.verifier, client: 'signer' },
      { fields },
    )
    outcomes.push(status === 200)
  }
  assert.deepEqual(outcomes, [true, false, false, false])
})

test('an unregistered redirect URI gets a page with a reference and no redirect', async () => {
  const uris = [
    'http://127.0.0.1:1/cb/',
    'http://127.0.0.1:1/cb?x=1',
    'http://127.0.0.1:2/cb',
    'https://app.example/cb',
    '',
  ]
  for (const redirect_uri of uris) {
    const page = await person().get(authorization(gateway, 'web', { redirect_uri }).url)
    assert.equal(page.status, 400, redirect_uri)
    assert.equal(page.headers.get('location'), null)
    assert.match(page.text, /[2-9A-Z0]{4}-[2-9A-Z0]{4}/)
    const why = gateway.logs.findLast(({ message }) => message === 'authorization.error')?.fields
    assert.equal(why?.['client'], 'web')
    assert.equal(why?.['redirectUri'], redirect_uri || undefined, 'the operator reads what was sent')
  }
})

test('a native client may listen on any loopback port, on no other host and no other path', async () => {
  const statusOf = async (redirect_uri: string) =>
    (await person().get(authorization(gateway, 'kubectl', { redirect_uri }).url)).status
  assert.equal(await statusOf('http://127.0.0.1:45671/cb'), 200)
  assert.equal(await statusOf('http://127.0.0.1:45671/other'), 400)
  assert.equal(await statusOf('http://localhost:45671/cb'), 400)
  assert.equal(await statusOf('https://127.0.0.1:45671/cb'), 400)
})

test('offline_access without prompt=consent gives a refresh token where configured, and none where not asked for', async () => {
  assert.ok((await tokensOf(gateway, 'kubectl', 'ada')).refresh_token)
  assert.equal((await tokensOf(gateway, 'kubectl', 'ada', { scope: 'openid' })).refresh_token, undefined)
  assert.equal((await tokensOf(gateway, 'rsa', 'ada')).refresh_token, undefined)
})

test('a client that always refreshes gets a refresh token without asking', async () => {
  const request = authorization(gateway, 'argocd', { scope: 'openid' })
  const told = await signIn(person(), request, 'ada')
  const headers = basic('argocd', standardEnv.HORIZON_SECRET)
  const { body } = await redeem(gateway, { code: told.get('code'), verifier: request.verifier }, { headers })
  assert.ok(body['refresh_token'])
})

test('an answer by form_post brings the code in a form, never in the address', async () => {
  const who = person()
  const request = authorization(gateway, 'kubectl', { response_mode: 'form_post' })
  const first = await who.get(request.url)
  const page = await who.submit(first, first.form('ada'))
  const form = page.form()
  assert.equal(form.action.href, CALLBACK)
  assert.equal(form.method, 'POST')
  assert.equal(form.fields['state'], 'client-state')
  assert.equal(form.fields['iss'], gateway.issuer)
  assert.ok(page.visited.every((url) => url.pathname.startsWith('/callback/') || !url.search.includes('code=')))
  const { status } = await redeem(gateway, {
    code: form.fields['code'] ?? '',
    verifier: request.verifier,
    client: 'kubectl',
  })
  assert.equal(status, 200)
})

test('an implicit ID token goes by form_post to the client that says so', async () => {
  const who = person()
  const more = {
    response_type: 'id_token',
    response_mode: 'form_post',
    code_challenge: '',
    code_challenge_method: '',
    scope: 'openid email',
  }
  const first = await who.get(authorization(gateway, 'horizon', more).url)
  const page = await who.submit(first, first.form('ada'))
  const { fields } = page.form()
  const keys = createRemoteJWKSet(new URL('/jwks', gateway.issuer))
  const { payload } = await jwtVerify(fields['id_token'] ?? '', keys, { issuer: gateway.issuer, audience: 'horizon' })
  assert.equal(payload['nonce'], 'client-nonce')
  assert.ok(payload.exp)
  assert.equal(fields['code'], undefined)
  assert.equal(fields['access_token'], undefined)
  assert.ok(
    gateway.events.some((e) => e.event === 'token.issued' && e.grantType === 'implicit' && e.client === 'horizon'),
  )
})

test('an implicit ID token never goes by fragment or query, nor to a client that does not say so', async () => {
  const ask = async (client: string, more: Record<string, string>) => {
    const who = person()
    const implicit = { response_type: 'id_token', code_challenge: '', code_challenge_method: '', ...more }
    const page = await who.get(authorization(gateway, client, implicit).url)
    const sent = page.forms.some((form) => form.name === 'ada') ? await who.submit(page, page.form('ada')) : page
    return `${sent.headers.get('location')} ${sent.text}`
  }
  const answers = await Promise.all([
    ask('horizon', {}),
    ask('horizon', { response_mode: 'fragment' }),
    ask('horizon', { response_mode: 'query' }),
    ask('kubectl', { response_mode: 'form_post' }),
    ask('horizon', { response_type: 'code id_token' }),
  ])
  for (const answer of answers) assert.doesNotMatch(answer, /id_token(=|")\s*(value=")?ey/, answer.slice(0, 300))
})
