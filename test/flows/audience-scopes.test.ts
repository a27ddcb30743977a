import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { scopedTargets } from '../../src/http/resources.ts'
import { claimsIn, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import {
  authorization,
  basic,
  person,
  pickPerson,
  redeem,
  refresh,
  signIn,
  tokensOf,
  toldAt,
} from '../support/sign-in.ts'
import { standard, standardEnv } from '../support/standard.ts'

/* Dex's `audience:server:client_id:X`: what clients can say that know nothing but scopes. */

const of = (...audiences: readonly string[]) =>
  ['openid', 'groups', 'offline_access', ...audiences.map((each) => `audience:server:client_id:${each}`)].join(' ')

const targets = `
  - { id: stage, type: kubernetes, server: https://10.0.0.2:6443, audience: k8s-stage, alg: RS256, ttl: 5m }
  - { id: lab, type: kubernetes, server: https://10.0.0.3:6443, audience: k8s-lab }
`
const native =
  "native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh, device], offlineAccess: true"
const clients = `
  - { id: cli, targets: [prod, stage, argo, cloud], ${native} }
  - { id: k8s-lab, target: lab, targets: [prod], ${native} }
  - { id: dashboard, target: prod, targets: [stage], accessToken: opaque, auth: client_secret_basic, secret: { env: HORIZON_SECRET }, native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code] }
`
const rules = `
  - { name: stage, from: [corp], each: { claim: groups, pattern: '/teams/<team>/<rank>' }, give: [{ target: stage, group: 's-<team>' }, { target: lab, group: 'lab-<team>' }] }
  - { name: argo only, from: [corp], if: [{ claim: preferred_username, is: carol }], give: [{ target: argo, group: argo-guests }] }
`

let idp: Idp
let gateway: TestGateway
before(async () => {
  ;({ idp, gateway } = await standard({ rules, extra: () => ({ targets, clients }) }))
})
after(async () => {
  await gateway.close()
  await idp.close()
})

/** What the client is told at its redirect URI, without a sign-in where it is refused before. */
const askedFor = async (client: string, scope: string, more: Record<string, string> = {}) =>
  toldAt(await person().get(authorization(gateway, client, { scope, ...more }).url))

const verified = (token: string, alg: string) =>
  jwtVerify(token, createRemoteJWKSet(new URL('/jwks', gateway.issuer)), {
    issuer: gateway.issuer,
    algorithms: [alg],
  })

test('a kubelogin that knows nothing but scopes gets an ID token for the cluster, signed as that reads it, and keeps it', async () => {
  const first = await tokensOf(gateway, 'cli', 'ada', { scope: of('k8s-stage') })
  const { status, body } = await refresh(gateway, 'cli', first.refresh_token)
  assert.equal(status, 200)
  for (const tokens of [first, body]) {
    const { payload } = await verified(tokens['id_token'] ?? '', 'RS256')
    // go-oidc, in the kube-apiserver and in kubelogin, takes a token whose `aud` has what each of them wants among others.
    assert.deepEqual([payload.aud, payload['azp']], [['k8s-stage', 'cli'], 'cli'])
    assert.deepEqual(payload['groups'], ['s-web'])
    assert.equal(Number(payload.exp) - Number(payload.iat), 300)
    assert.ok(payload.jti && payload['sid'] && payload['preferred_username'])
    assert.ok(!('client_id' in payload))
    const access = claimsIn(tokens['access_token'] ?? '')
    assert.deepEqual([access['aud'], access['groups']], ['k8s-stage', ['s-web']])
  }
})

test('the ID token is signed by ES256 where its cluster reads that, with the same claims', async () => {
  const { id_token } = await tokensOf(gateway, 'cli', 'ada', { scope: of('k8s-prod') })
  const { payload } = await verified(id_token, 'ES256')
  assert.deepEqual([payload.aud, payload['azp'], payload['groups']], [['k8s-prod', 'cli'], 'cli', ['x-web']])
})

test('the audit log names the target that the tokens are for, and not the client’s own', async () => {
  const before = gateway.events.length
  await tokensOf(gateway, 'cli', 'ada', { scope: of('k8s-stage') })
  const issued = gateway.events.slice(before).find(({ event }) => event === 'token.issued')
  assert.ok(issued?.event === 'token.issued')
  assert.equal(issued.target, 'stage')
})

test('a device flow takes the scope, too', async () => {
  const asked = await gateway.post('/device/auth', { client_id: 'cli', scope: of('k8s-stage') })
  const who = person()
  const entry = await who.get(asked.body['verification_uri_complete'] ?? '')
  const confirm = await who.submit(entry, entry.form())
  await pickPerson(who, await who.submit(confirm, confirm.form(), { confirm: 'yes' }), 'ada')
  const { status, body } = await gateway.post('/token', {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    client_id: 'cli',
    device_code: asked.body['device_code'] ?? '',
  })
  assert.equal(status, 200, JSON.stringify(body))
  const told = claimsIn(body['id_token'] ?? '')
  assert.deepEqual([told['aud'], told['azp'], told['groups']], [['k8s-stage', 'cli'], 'cli', ['s-web']])
})

test('a dashboard gets the ID token that it forwards', async () => {
  const request = authorization(gateway, 'dashboard', { scope: of('k8s-stage') })
  const code = (await signIn(person(), request, 'ada')).get('code')
  const headers = basic('dashboard', standardEnv.HORIZON_SECRET)
  const { body } = await redeem(gateway, { code, verifier: request.verifier }, { headers })
  const told = claimsIn(body['id_token'] ?? '')
  assert.deepEqual([told['aud'], told['azp'], told['groups']], [['k8s-stage', 'dashboard'], 'dashboard', ['s-web']])
})

test('without the scope the ID token is the client’s own, also where resource names a target', async () => {
  for (const more of [{}, { resource: 'urn:lotse:target:argo' }]) {
    const { id_token } = await tokensOf(gateway, 'kubectl', 'ada', more)
    const told = claimsIn(id_token)
    assert.deepEqual([told['aud'], told['azp'], told['groups']], ['kubectl', undefined, ['x-web']])
  }
})

test('an audience that nobody has, or that the client may not use, is invalid_target at every endpoint', async () => {
  // The last three: a Keystone, which reads no ID token; a target's id instead of its audience; none at all.
  for (const audience of ['k8s-lab', 'unknown', 'keystone', 'stage', '']) {
    const scope = `openid audience:server:client_id:${audience}`
    assert.equal((await askedFor('cli', scope)).get('error'), 'invalid_target', audience)
    const device = await gateway.post('/device/auth', { client_id: 'cli', scope })
    assert.deepEqual([device.status, device.body['error']], [400, 'invalid_target'], audience)
    const { url } = authorization(gateway, 'cli', { scope })
    const pushed = await gateway.post('/request', Object.fromEntries(url.searchParams))
    assert.deepEqual([pushed.status, pushed.body['error']], [400, 'invalid_target'], audience)
  }
  const mixed = await askedFor('cli', of('k8s-stage', 'unknown'))
  assert.equal(mixed.get('error'), 'invalid_target')
})

test('a pushed request is granted what its scope names', async () => {
  const request = authorization(gateway, 'cli', { scope: of('k8s-stage') })
  const { body } = await gateway.post('/request', Object.fromEntries(request.url.searchParams))
  const url = new URL(`/auth?client_id=cli&request_uri=${body['request_uri']}`, gateway.issuer)
  const code = (await signIn(person(), { ...request, url }, 'ada')).get('code')
  const tokens = await redeem(gateway, { code, verifier: request.verifier, client: 'cli' })
  assert.deepEqual(claimsIn(tokens.body['id_token'] ?? '')['aud'], ['k8s-stage', 'cli'])
})

test('several are granted at one sign-in, and each answer is for the one that its request names', async () => {
  const request = authorization(gateway, 'cli', { scope: of('k8s-stage', 'k8s-prod') })
  const code = (await signIn(person(), request, 'ada')).get('code')
  const fields = { code, verifier: request.verifier, client: 'cli' }
  const first = await redeem(gateway, fields, { fields: { resource: 'urn:lotse:target:prod' } })
  assert.deepEqual(claimsIn(first.body['id_token'] ?? '')['aud'], ['k8s-prod', 'cli'])
  const second = await refresh(gateway, 'cli', first.body['refresh_token'] ?? '', { scope: of('k8s-stage') })
  const told = claimsIn(second.body['id_token'] ?? '')
  assert.deepEqual([told['aud'], told['groups']], [['k8s-stage', 'cli'], ['s-web']])
  assert.equal(claimsIn(second.body['access_token'] ?? '')['aud'], 'k8s-stage')
  const third = await refresh(gateway, 'cli', second.body['refresh_token'] ?? '', {
    resource: 'urn:lotse:target:prod',
  })
  assert.deepEqual(claimsIn(third.body['id_token'] ?? '')['aud'], ['k8s-prod', 'cli'])
  const fourth = await refresh(gateway, 'cli', third.body['refresh_token'] ?? '')
  assert.deepEqual([fourth.status, fourth.body['error']], [400, 'invalid_target'])
  const fifth = await refresh(gateway, 'cli', third.body['refresh_token'] ?? '', { scope: of('k8s-stage') })
  assert.equal(fifth.status, 200, 'the refresh token was not used up by the refusal')
})

test('of several none is guessed: a request that names none is refused', async () => {
  const request = authorization(gateway, 'cli', { scope: of('k8s-stage', 'k8s-prod') })
  const code = (await signIn(person(), request, 'ada')).get('code')
  const { status, body } = await redeem(gateway, { code, verifier: request.verifier, client: 'cli' })
  assert.deepEqual([status, body['error']], [400, 'invalid_target'])
  assert.equal(body['error_description'], 'name one resource, which was granted')
})

test('of several the client’s own target is meant where a request names none', async () => {
  const first = await tokensOf(gateway, 'kubectl', 'ada', { scope: of('https://argo.example', 'k8s-prod') })
  assert.deepEqual(claimsIn(first.id_token)['aud'], ['k8s-prod', 'kubectl'])
  const second = await refresh(gateway, 'kubectl', first.refresh_token, { scope: of('https://argo.example') })
  const told = claimsIn(second.body['id_token'] ?? '')
  assert.deepEqual([told['aud'], told['groups']], [['https://argo.example', 'kubectl'], ['argo-web']])
})

test('a refresh asks for nothing that the sign-in was not granted, and one without the scope gets the client’s own ID token', async () => {
  const { refresh_token } = await tokensOf(gateway, 'cli', 'ada', { scope: of('k8s-stage') })
  const more = await refresh(gateway, 'cli', refresh_token, { scope: of('k8s-prod') })
  assert.deepEqual([more.status, more.body['error']], [400, 'invalid_scope'])
  const less = await refresh(gateway, 'cli', refresh_token, { scope: 'openid' })
  const told = claimsIn(less.body['id_token'] ?? '')
  assert.deepEqual([less.status, told['aud'], told['groups']], [200, 'cli', undefined])
})

test('a client’s own id names nothing further', async () => {
  const { id_token } = await tokensOf(gateway, 'cli', 'ada', { scope: of('cli', 'k8s-stage') })
  assert.deepEqual(claimsIn(id_token)['aud'], ['k8s-stage', 'cli'])
  const own = claimsIn((await tokensOf(gateway, 'k8s-lab', 'ada', { scope: of('k8s-lab') })).id_token)
  assert.deepEqual([own['aud'], own['azp'], own['groups']], ['k8s-lab', undefined, ['lab-web']])
})

test('a client whose ID tokens a cluster takes anyway gets none for a second one', async () => {
  // Its `aud` would have both, and stock flags look for theirs among others (law 8).
  assert.equal((await askedFor('k8s-lab', of('k8s-prod'))).get('error'), 'invalid_target')
})

test('resource and scope name the same target, or the request is refused', async () => {
  const stage = 'urn:lotse:target:stage'
  const { id_token } = await tokensOf(gateway, 'cli', 'ada', { scope: of('k8s-stage'), resource: stage })
  assert.deepEqual(claimsIn(id_token)['aud'], ['k8s-stage', 'cli'])
  const told = await askedFor('cli', of('k8s-prod'), { resource: stage })
  assert.equal(told.get('error'), 'invalid_target')
})

test('somebody to whom the rules give nothing there gets access_denied, whatever else she may use', async () => {
  const who = person()
  const page = await pickPerson(
    who,
    await who.get(authorization(gateway, 'cli', { scope: of('k8s-prod') }).url),
    'carol',
  )
  assert.equal(page.status, 403)
  const both = authorization(gateway, 'cli', { scope: of('k8s-prod', 'https://argo.example') })
  const code = (await signIn(person(), both, 'carol')).get('code')
  const fields = { code, verifier: both.verifier, client: 'cli' }
  const denied = await redeem(gateway, fields, { fields: { resource: 'urn:lotse:target:prod' } })
  assert.deepEqual([denied.status, denied.body['error']], [400, 'access_denied'])
})

test('such an ID token is no id_token_hint, and nobody is signed out by it unasked', async () => {
  const who = person()
  const request = authorization(gateway, 'cli', { scope: of('k8s-prod') })
  const code = (await signIn(who, request, 'ada')).get('code')
  const { body } = await redeem(gateway, { code, verifier: request.verifier, client: 'cli' })
  const page = await who.get(new URL(`/logout?id_token_hint=${body['id_token']}`, gateway.issuer))
  assert.equal(page.status, 400)
  const still = await who.get(authorization(gateway, 'cli', { prompt: 'none', scope: of('k8s-prod') }).url)
  assert.ok(toldAt(still).has('code'))
})

test('discovery says nothing of scopes that only the configuration knows', async () => {
  const { scopes_supported } = (await (await fetch(`${gateway.issuer}/.well-known/openid-configuration`)).json()) as {
    scopes_supported: string[]
  }
  assert.ok(scopes_supported.every((scope) => !scope.startsWith('audience:')))
})

test('whatever a client asks for, it is for targets of its own alone', () => {
  const audiences = ['a', 'b', 'c', 'cli', 'https://d.example']
  let refused = 0
  for (let round = 0; round < 2000; round++) {
    const some = <T>(all: readonly T[]) => all.filter(() => Math.random() < 0.5)
    const all = some(audiences).map((audience) => {
      const ring = Math.random() < 0.8 ? 'issuer' : 'other'
      return [`id-${audience}`, { id: `id-${audience}`, audience, ring }] as const
    })
    const mine: readonly string[] = some(all.map(([id]) => id))
    const client = { id: 'cli', target: Math.random() < 0.5 ? mine[0] : undefined, targets: mine.slice(1) }
    const asked = some(['', ...audiences])
    const scope = asked.map((audience) => `audience:server:client_id:${audience}`).join(' ')
    try {
      const found = scopedTargets({ targets: new Map(all) as never }, client as never, scope)
      const named = asked.filter((audience) => audience !== 'cli')
      assert.deepEqual(
        found.map(({ audience }) => audience),
        named,
      )
      for (const { id, ring } of found)
        assert.ok((client.target === id || client.targets.includes(id)) && ring === 'issuer')
    } catch (error) {
      assert.equal((error as { error?: string }).error, 'invalid_target')
      refused++
    }
  }
  assert.ok(refused > 100 && refused < 2000)
})
