import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { claimsIn, withoutIds } from '../support/gateway.ts'
import { begin, finishHonestly, type Ground, groundEnv, redeem, startGround } from '../support/ground.ts'
import { authorization, CALLBACK, toldAt } from '../support/sign-in.ts'

/* What belongs to one client or one target is useless to any other. */

let ground: Ground
before(async () => {
  ground = await startGround()
})
after(() => ground.close())

const basic = { authorization: `Basic ${Buffer.from(`web:${groundEnv.WEB_SECRET}`).toString('base64')}` }
const codeFor = async (client: string) => {
  const begun = await begin(ground, { client })
  return { code: (await finishHonestly(begun, ground.corp)).get('code') ?? '', verifier: begun.verifier }
}
const tokensFor = async (client: 'kubectl' | 'openstack') => {
  const { code, verifier } = await codeFor(client)
  const { body, status } = await redeem(ground, code, verifier, { client_id: client })
  assert.equal(status, 200, JSON.stringify(body))
  return body as unknown as { access_token: string; id_token: string; refresh_token: string }
}
const webTokens = async () => {
  const { code, verifier } = await codeFor('web')
  const fields = { grant_type: 'authorization_code', code, redirect_uri: CALLBACK, code_verifier: verifier }
  const { body, status } = await ground.gateway.post('/token', fields, basic)
  assert.equal(status, 200, JSON.stringify(body))
  return body as unknown as { access_token: string; refresh_token: string }
}
const jwksAt = async (path: string) =>
  ((await (await fetch(ground.gateway.issuer + path)).json()) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid)
const kidOf = (jwt: string) =>
  (JSON.parse(Buffer.from(jwt.split('.')[0]!, 'base64url').toString()) as { kid: string }).kid

test('a token for one target names that target alone, and is signed by a key that the other does not know', async () => {
  const [prod, cloud] = [await tokensFor('kubectl'), await tokensFor('openstack')]
  assert.equal(claimsIn(prod.access_token)['aud'], 'k8s-prod')
  assert.equal(claimsIn(cloud.access_token)['aud'], 'keystone')
  const [issuer, keystone] = [await jwksAt('/jwks'), await jwksAt('/jwks/keystone-cloud')]
  assert.ok(issuer.includes(kidOf(prod.access_token)) && !keystone.includes(kidOf(prod.access_token)))
  assert.ok(keystone.includes(kidOf(cloud.access_token)) && !issuer.includes(kidOf(cloud.access_token)))
  // The Apache modules in front of a Keystone check neither `aud` nor `typ`: nothing else may bear its ring's signature.
  for (const token of [cloud.id_token, prod.id_token]) assert.ok(!keystone.includes(kidOf(token)))
})

test('a decision for one target does not speak of another: no grants of the cluster at the cloud and back', async () => {
  const [prod, cloud] = [await tokensFor('kubectl'), await tokensFor('openstack')]
  for (const token of [prod.access_token, prod.id_token]) assert.doesNotMatch(withoutIds(claimsIn(token)), /os-/)
  for (const token of [cloud.access_token, cloud.id_token]) assert.doesNotMatch(withoutIds(claimsIn(token)), /x-dev/)
})

test('a client that asks for a token of a target that is not its own is refused', async () => {
  for (const resource of [
    'urn:lotse:target:cloud',
    'keystone',
    'https://keystone.example/v3',
    'urn:lotse:target:__proto__',
  ]) {
    const begun = await begin(ground)
    await finishHonestly(begun, ground.corp)
    const { url } = authorization(ground.gateway, 'kubectl')
    url.searchParams.set('resource', resource)
    const page = await begun.who.get(url)
    const told = new URL(page.headers.get('location') ?? 'about:none').searchParams
    assert.equal(told.get('error'), 'invalid_target', `${resource}: ${page.status} ${page.headers.get('location')}`)
    const { code, verifier } = await codeFor('kubectl')
    const { status, body } = await redeem(ground, code, verifier, { resource })
    assert.deepEqual([status, body['error']], [400, 'invalid_target'], resource)
  }
})

test('tokens for a target open nothing at the gateway itself, and an ID token is no access token', async () => {
  const { access_token, id_token, refresh_token } = await tokensFor('kubectl')
  for (const token of [access_token, id_token, refresh_token, `${access_token}.`, '', 'null']) {
    const answer = await fetch(`${ground.gateway.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } })
    assert.ok(answer.status === 401 || answer.status === 400, `${answer.status}`)
    assert.doesNotMatch(await answer.text(), /preferred_username/)
  }
  const opaque = (await webTokens()).access_token
  const good = await fetch(`${ground.gateway.issuer}/userinfo`, { headers: { authorization: `Bearer ${opaque}` } })
  assert.equal(good.status, 200, 'the control')
  const inQuery = await fetch(`${ground.gateway.issuer}/userinfo?access_token=${opaque}`)
  assert.ok(inQuery.status >= 400, 'a token in a query')
})

test('a client learns nothing about another client’s tokens, and ends none of them', async () => {
  const theirs = await webTokens()
  const introspected = await ground.gateway.post('/token/introspection', {
    token: theirs.refresh_token,
    client_id: 'kubectl',
  })
  assert.ok(
    introspected.status !== 200 || JSON.stringify(introspected.body) === '{"active":false}',
    JSON.stringify(introspected.body),
  )
  await ground.gateway.post('/token/revocation', { token: theirs.refresh_token, client_id: 'kubectl' })
  const fields = { grant_type: 'refresh_token', refresh_token: theirs.refresh_token }
  assert.equal((await ground.gateway.post('/token', fields, basic)).status, 200)
})

test('a code redeemed by another client is refused', async () => {
  const { code, verifier } = await codeFor('kubectl')
  const { status, body } = await redeem(ground, code, verifier, { client_id: 'openstack' })
  assert.deepEqual([status, body['error']], [400, 'invalid_grant'])
  const web = await ground.gateway.post(
    '/token',
    { grant_type: 'authorization_code', code, redirect_uri: CALLBACK, code_verifier: verifier },
    basic,
  )
  assert.equal(web.body['error'], 'invalid_grant')
})

test('a code with another redirect URI than the one that it was sent to is refused', async () => {
  for (const redirect_uri of ['http://127.0.0.1:2/cb', 'http://127.0.0.1/cb', '']) {
    const { code, verifier } = await codeFor('kubectl')
    const { status } = await redeem(ground, code, verifier, { redirect_uri })
    assert.equal(status, 400, redirect_uri)
  }
})

test('a refresh token used by another client is refused, and its owner keeps it', async () => {
  const { refresh_token } = await tokensFor('kubectl')
  const use = (client_id: string) =>
    ground.gateway.post('/token', { grant_type: 'refresh_token', refresh_token, client_id })
  const stolen = await use('openstack')
  assert.deepEqual([stolen.status, stolen.body['error']], [400, 'invalid_grant'])
  assert.equal((await use('kubectl')).status, 200)
})

test('PKCE cannot be taken away, turned down or guessed', async () => {
  for (const [more, error] of [
    [{ code_challenge: '', code_challenge_method: '' }, 'invalid_request'],
    [{ code_challenge_method: 'plain' }, 'invalid_request'],
    [{ code_challenge_method: 'none' }, 'invalid_request'],
    [{ code_challenge_method: '' }, 'invalid_request'],
    [{ code_challenge: 'short' }, 'invalid_request'],
  ] as const) {
    const begun = await begin(ground)
    const page = await begun.who.get(authorization(ground.gateway, 'kubectl', more).url)
    assert.equal(toldAt(page).get('error'), error, JSON.stringify(more))
  }
  for (const code_verifier of ['', 'A'.repeat(43), 'A'.repeat(200)]) {
    const { code } = await codeFor('kubectl')
    const { status } = await redeem(ground, code, code_verifier)
    assert.equal(status, 400)
  }
})

test('a verifier for a code that had no challenge is refused: somebody took the challenge away', async () => {
  const begun = await begin(ground, { client: 'web' })
  await finishHonestly(begun, ground.corp)
  const bare = authorization(ground.gateway, 'web', { code_challenge: '', code_challenge_method: '' })
  const told = toldAt(await begun.who.get(bare.url))
  const fields = { grant_type: 'authorization_code', code: told.get('code') ?? '', redirect_uri: CALLBACK }
  const { status, body } = await ground.gateway.post('/token', { ...fields, code_verifier: bare.verifier }, basic)
  assert.deepEqual([status, body['error']], [400, 'invalid_grant'])
})

test('a confidential client cannot pass as a public one, and no client by a wrong, doubled or foreign secret', async () => {
  const { code, verifier } = await codeFor('web')
  const fields = { grant_type: 'authorization_code', code, redirect_uri: CALLBACK, code_verifier: verifier }
  for (const [more, headers] of [
    [{ client_id: 'web' }, {}],
    [{ client_id: 'web', client_secret: '' }, {}],
    [{ client_id: 'web', client_secret: 'kubectl' }, {}],
    [{}, { authorization: `Basic ${Buffer.from('web:').toString('base64')}` }],
    [{}, { authorization: `Basic ${Buffer.from(`web:${groundEnv.WEB_SECRET}x`).toString('base64')}` }],
    [{}, { authorization: 'Basic' }],
    [
      {
        client_id: 'web',
        client_assertion: 'x.y.z',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      },
      {},
    ],
  ] as const) {
    const { status, body } = await ground.gateway.post('/token', { ...fields, ...more }, headers)
    assert.ok(status === 400 || status === 401, JSON.stringify([more, status, body]))
    assert.equal(body['access_token'], undefined)
  }
  const { status } = await ground.gateway.post('/token', fields, basic)
  assert.equal(status, 200, 'the code is still good for its own client')
})

test('a code used a second time later ends what the first use gave', async () => {
  const { code, verifier } = await codeFor('kubectl')
  const first = await redeem(ground, code, verifier)
  assert.equal(first.status, 200)
  const second = await redeem(ground, code, verifier)
  assert.deepEqual([second.status, second.body['error']], [400, 'invalid_grant'])
})
