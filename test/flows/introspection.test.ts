import assert from 'node:assert/strict'
import { createSign, generateKeyPairSync } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as oidc from 'openid-client'
import { as, asking, askingClients, type Claims } from '../support/asking.ts'
import { claimsIn, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import {
  authorization,
  basic,
  CALLBACK,
  person,
  pickPerson,
  redeem,
  refresh,
  signIn,
  tokensOf,
} from '../support/sign-in.ts'
import { standard } from '../support/standard.ts'

const ARGO = 'https://argo.example'

let idp: Idp
let gateway: TestGateway
let config: string
before(async () => {
  ;({ idp, gateway, config } = await standard({ extra: () => ({ clients: askingClients }) }))
})
after(async () => {
  await gateway.close()
  await idp.close()
})

const { told, tokensAt, isActive, robot, toldRobot, revoke } = asking(() => gateway)

test('a JWT access token is active with its own claims and the groups that the person has now', async () => {
  const { access } = await tokensAt('web')
  const { grant_id, ...own } = claimsIn(access)
  assert.ok(grant_id)
  const answer = await told(access)
  assert.deepEqual({ ...answer }, { ...own, active: true, token_type: 'Bearer' })
  assert.deepEqual(answer['groups'], ['x-web'])
  for (const name of ['iss', 'sub', 'client_id', 'aud', 'scope', 'jti', 'iat', 'exp', 'azp'])
    assert.ok(answer[name], name)
  for (const hint of ['access_token', 'refresh_token', 'nonsense'])
    assert.deepEqual(await told(access, 'watcher', hint), answer, hint)
})

test('the client that holds a token asks about it, confidential or public', async () => {
  assert.equal(await isActive((await tokensAt('web')).access, 'web'), true)
  const { access_token } = await tokensOf(gateway, 'kubectl', 'ada')
  const asked = await gateway.post('/token/introspection', { token: access_token, client_id: 'kubectl' })
  assert.equal((asked.body as Claims)['active'], true)
})

test('a token from a refresh and one from the device flow are active', async () => {
  const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
  assert.equal(await isActive((await refresh(gateway, 'kubectl', refresh_token)).body['access_token']), true)
  const { body: device } = await gateway.post('/device/auth', { client_id: 'kubectl', scope: 'openid' })
  const who = person()
  const entry = await who.get(device['verification_uri_complete'] ?? '')
  const confirm = await who.submit(entry, entry.form())
  await pickPerson(who, await who.submit(confirm, confirm.form(), { confirm: 'yes' }), 'bob')
  const grant_type = 'urn:ietf:params:oauth:grant-type:device_code'
  const fields = { grant_type, client_id: 'kubectl', device_code: device['device_code'] ?? '' }
  const answer = await told((await gateway.post('/token', fields)).body['access_token'])
  assert.deepEqual([answer['active'], answer['groups']], [true, ['x-db']])
})

test('a robot’s token is active while the rules give its account something, and names no grant', async () => {
  const token = (await robot()).body['access_token'] ?? ''
  assert.equal(claimsIn(token)['grant_id'], undefined)
  const answer = await toldRobot(token)
  assert.deepEqual({ ...answer }, { ...claimsIn(token), active: true, token_type: 'Bearer' })
  assert.equal(await isActive(token, 'cloud-watcher'), true)
  await gateway.reload(config.replace('groups: [/teams/ci/dev]', 'groups: [/all]'))
  const later = await toldRobot(token)
  await gateway.reload(config)
  assert.deepEqual({ ...later }, { active: false })
})

test('a token for a second target is told to the watcher of that target, not to that of its client’s own', async () => {
  const request = authorization(gateway, 'kubectl', { resource: ARGO })
  const code = (await signIn(person(), request, 'ada')).get('code')
  const fields = { code, verifier: request.verifier, client: 'kubectl' }
  const { body } = await redeem(gateway, fields, { fields: { resource: ARGO } })
  const answer = await told(body['access_token'], 'argo-watcher')
  assert.deepEqual([answer['active'], answer['aud'], answer['groups']], [true, ARGO, ['argo-web']])
  assert.deepEqual({ ...(await told(body['access_token'])) }, { active: false })
})

test('a token that is bound to a key says so', async () => {
  const metadata = { execute: [oidc.allowInsecureRequests] }
  const client = await oidc.discovery(new URL(gateway.issuer), 'kubectl', undefined, oidc.None(), metadata)
  const DPoP = oidc.getDPoPHandle(client, await oidc.randomDPoPKeyPair('ES256'))
  const request = authorization(gateway, 'kubectl', { nonce: '' })
  const url = new URL(`${CALLBACK}?${await signIn(person(), request, 'ada')}`)
  const checks = { pkceCodeVerifier: request.verifier, expectedState: 'client-state' }
  const tokens = await oidc.authorizationCodeGrant(client, url, checks, undefined, { DPoP })
  const answer = await told(tokens.access_token)
  assert.deepEqual([answer['active'], answer['token_type']], [true, 'DPoP'])
  assert.deepEqual(answer['cnf'], { jkt: await DPoP.calculateThumbprint() })
})

test('an opaque token says the same groups as a JWT, and a refresh token is told to its own client alone', async () => {
  const { access, refresh } = await tokensAt('bare')
  const answer = await told(access)
  assert.deepEqual([answer['active'], answer['groups'], answer['client_id']], [true, ['x-web'], 'bare'])
  assert.equal(await isActive(refresh, 'bare'), true)
  assert.equal((await told(refresh, 'bare'))['groups'], undefined)
  assert.deepEqual({ ...(await told(refresh)) }, { active: false })
  const robots = (await robot('bare-robot')).body['access_token'] ?? ''
  const own = await toldRobot(robots, 'bare-robot')
  assert.equal(own['active'], true)
  assert.match(String(own['groups']), /os-ci/)
  assert.equal(await isActive(robots, 'cloud-watcher'), true)
})

test('a client of another audience, and one that may not introspect, hear of no token', async () => {
  const { access } = await tokensAt('web')
  for (const client of ['cloud-watcher', 'argo-watcher', 'bare', 'horizon'])
    assert.deepEqual({ ...(await told(access, client)) }, { active: false }, client)
  const asked = await gateway.post('/token/introspection', { token: access, client_id: 'kubectl' })
  assert.deepEqual({ ...asked.body }, { active: false }, 'a public client')
})

test('a wrong secret, an unknown client and no client at all are refused before anything is said', async () => {
  const { access } = await tokensAt('web')
  const ask = (fields: Record<string, string>, headers: Record<string, string> = {}) =>
    gateway.post('/token/introspection', { token: access, ...fields }, headers)
  const answers = [
    await ask({}, basic('watcher', 'wrong')),
    await ask({ client_id: 'watcher' }),
    await ask({ client_id: 'nobody' }),
    await gateway.post('/token/revocation', { token: access }, basic('web', 'wrong')),
  ]
  for (const { status, body } of answers) assert.deepEqual([status, body['error']], [401, 'invalid_client'])
  const nobody = await ask({})
  assert.deepEqual([nobody.status, nobody.body['active']], [400, undefined])
  const twice = new URLSearchParams([...Array<[string, string]>(2).fill(['token', access])])
  const { status } = await fetch(`${gateway.issuer}/token/introspection`, {
    method: 'POST',
    body: twice,
    headers: as('web'),
  })
  assert.equal(status, 400)
  assert.equal(await isActive(access), true, 'nothing was revoked')
})

/** A compact JWS of somebody else's making. */
function forged(header: object, payload: object): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${encode(header)}.${encode(payload)}`
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return `${text}.${createSign('sha256').update(text).sign({ key, dsaEncoding: 'ieee-p1363' }, 'base64url')}`
}

test('what is no access token of ours is inactive: forged, unsigned, of another kind, of another ring, cut or grown', async () => {
  const { access, id } = await tokensAt('web')
  const [head = '', body = '', tail = ''] = access.split('.')
  const header = JSON.parse(Buffer.from(head, 'base64url').toString('utf8')) as object
  const unsigned = Buffer.from(JSON.stringify({ ...header, alg: 'none' })).toString('base64url')
  // A Keystone's ring signs nothing for a cluster, and the issuer's nothing for a Keystone (law 8).
  const cloud = (await tokensOf(gateway, 'openstack', 'ada')).access_token.split('.')
  const others: Readonly<Record<string, string>> = {
    'another key': forged(header, claimsIn(access)),
    'alg none': `${unsigned}.${body}.`,
    'alg none with a signature': `${unsigned}.${body}.${tail}`,
    'an ID token': id,
    'another payload': `${head}.${cloud[1]}.${tail}`,
    'another ring': `${cloud[0]}.${body}.${cloud[2]}`,
    'no signature': `${head}.${body}.`,
    'one part more': `${access}.x`,
    'five parts': 'a.b.c.d.e',
    grown: `${access}=`,
    padded: ` ${access}`,
    dots: '..',
    'a dot': '.',
  }
  for (const [what, token] of Object.entries(others)) {
    for (const client of ['watcher', 'web', 'cloud-watcher'])
      assert.deepEqual({ ...(await told(token, client)) }, { active: false }, `${what}, ${client}`)
    assert.equal((await revoke(token)).status, 200, what)
  }
  assert.equal(await isActive(access), true)
})
