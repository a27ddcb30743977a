import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import type { Loaded } from '../../src/config/load.ts'
import { configurationReader } from '../../src/configuration.ts'
import type { Rings } from '../../src/keys/rings.ts'
import { openRoot } from '../../src/keys/root-secret.ts'
import { openKeys, openTargets } from '../../src/signing.ts'
import type { Store } from '../../src/store/store.ts'
import { claimsIn, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { authorization, person, pickPerson, redeem, refresh, signIn, tokensOf, toldAt } from '../support/sign-in.ts'
import { standard, standardEnv } from '../support/standard.ts'

const now = () => Math.floor(Date.now() / 1000)

let idp: Idp
let gateway: TestGateway
let config: string
let operator: Rings
/** Holds the next reading of the keys until it is let go. */
let hold: Promise<void> | undefined
const slowKeys = (store: Store): Store => ({
  ...store,
  async get(kind, id) {
    const entry = await store.get(kind, id)
    const held = kind.name === 'Ring' ? hold : undefined
    if (held) hold = undefined
    await held
    return entry
  },
})
before(async () => {
  ;({ idp, gateway, config } = await standard({ store: slowKeys }))
  operator = await openOperator()
})
after(async () => {
  await gateway.close()
  await idp.close()
})

/** The rings as a second process beside the gateway sees them, such as `lotse keys rotate`. */
async function openOperator(): Promise<Rings> {
  const file = join(gateway.folder, 'operator.yaml')
  const head = `issuer: ${gateway.issuer}\nlisten: { port: 0 }\nstore: { kind: embedded, path: ./lotse.db }\nkeys: { rsaBits: 2048 }\n`
  await writeFile(file, head + config)
  const read = await configurationReader({ env: standardEnv, now })(file)
  await rm(file)
  assert.ok(read.ok)
  const loaded: Loaded = read
  const root = await openRoot(join(gateway.folder, 'keys'), { create: 'refused' })
  const ports = { store: gateway.store, root, audit: async () => {}, now, mode: 'command' as const }
  return openKeys(ports, loaded.config, openTargets(loaded.config))
}

async function published(path = '/jwks'): Promise<JSONWebKeySet> {
  return (await (await fetch(gateway.issuer + path)).json()) as JSONWebKeySet
}

async function rotate(ring = 'issuer', how: 'now' | 'emergency' = 'now'): Promise<void> {
  await operator.tick()
  assert.equal(await operator.rotate(ring, 'ES256', how), 'promoted')
  await gateway.app.tick()
}

test('after a rotation sessions and refresh tokens go on, and tokens of the old key still verify', async () => {
  const who = person()
  const request = authorization(gateway, 'kubectl')
  const told = await signIn(who, request, 'ada')
  const { body: old } = await redeem(gateway, { code: told.get('code'), verifier: request.verifier, client: 'kubectl' })
  await rotate()
  const keys = await published()
  const verify = (jwt: string | undefined) => jwtVerify(jwt ?? '', createLocalJWKSet(keys), { issuer: gateway.issuer })
  await Promise.all([verify(old['access_token']), verify(old['id_token'])])
  const { status, body } = await refresh(gateway, 'kubectl', old['refresh_token'] ?? '')
  assert.equal(status, 200)
  await Promise.all([verify(body['access_token']), verify(body['id_token'])])
  const kid = (jwt: string | undefined) => decodeProtectedHeader(jwt ?? '').kid
  assert.notEqual(kid(body['id_token']), kid(old['id_token']))
  assert.notEqual(kid(body['access_token']), kid(old['access_token']))
  assert.ok(toldAt(await who.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url)).get('code'))
})

test('an ID token of the old key is still a hint for a logout', async () => {
  const { id_token } = await tokensOf(gateway, 'kubectl', 'ada')
  await rotate()
  const page = await person().get(`${gateway.issuer}/logout?id_token_hint=${id_token}`)
  assert.equal(page.status, 200)
})

test('a Keystone’s ring rotates by itself: the issuer’s keys stay as they are', async () => {
  const before = { issuer: await published(), own: await published('/jwks/keystone-cloud') }
  await rotate('keystone-cloud')
  assert.deepEqual(await published(), before.issuer)
  const own = await published('/jwks/keystone-cloud')
  assert.equal(own.keys.length, before.own.keys.length + 1)
  const { access_token } = await tokensOf(gateway, 'openstack', 'ada')
  await jwtVerify(access_token, createLocalJWKSet(own), { issuer: gateway.issuer, audience: 'keystone' })
  assert.ok(!before.own.keys.some(({ kid }) => kid === decodeProtectedHeader(access_token).kid))
})

test('an emergency rotation takes the old key out of what is published', async () => {
  const { id_token } = await tokensOf(gateway, 'kubectl', 'ada')
  await rotate('issuer', 'emergency')
  const keys = createLocalJWKSet(await published())
  await assert.rejects(jwtVerify(id_token, keys))
  await jwtVerify((await tokensOf(gateway, 'kubectl', 'ada')).id_token, keys)
})

test('a sign-in and a device flow that began before a rotation end well after it', async () => {
  const who = person()
  const request = authorization(gateway, 'kubectl')
  const page = await who.get(request.url)
  const { body: device } = await gateway.post('/device/auth', { client_id: 'openstack', scope: 'openid' })
  const poll = () =>
    gateway.post('/token', {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      client_id: 'openstack',
      device_code: device['device_code'] ?? '',
    })
  const entry = await who.get(device['verification_uri_complete'] ?? '')
  assert.equal((await poll()).body['error'], 'authorization_pending')
  await rotate()
  assert.equal((await poll()).body['error'], 'authorization_pending')
  const told = toldAt(await pickPerson(who, page, 'ada'))
  const { status } = await redeem(gateway, { code: told.get('code'), verifier: request.verifier, client: 'kubectl' })
  assert.equal(status, 200)
  const confirm = await who.submit(entry, entry.form())
  await who.submit(confirm, confirm.form(), { confirm: 'yes' })
  await rotate()
  const answer = await poll()
  assert.equal(answer.status, 200)
  assert.equal(claimsIn(answer.body['access_token'] ?? '')['aud'], 'keystone')
})

test('a configuration that is reloaded under a sign-in in flight lets it end, by the new rules', async () => {
  const who = person()
  const request = authorization(gateway, 'kubectl')
  const page = await who.get(request.url)
  await gateway.reload(config.replace("group: 'x-<team>'", "group: 'z-<team>'"))
  const told = toldAt(await pickPerson(who, page, 'ada'))
  await gateway.reload(config)
  const { body } = await redeem(gateway, { code: told.get('code'), verifier: request.verifier, client: 'kubectl' })
  assert.deepEqual(claimsIn(body['id_token'] ?? '')['groups'], ['x-web'], 'decided again at the token endpoint')
})

test('a rotation that is seen during a reload does not bring the old rules back', async () => {
  await operator.tick()
  await operator.rotate('issuer', 'ES256', 'now')
  const { promise, resolve } = Promise.withResolvers<void>()
  hold = promise
  const ticked = gateway.app.tick()
  await gateway.reload(config.replace("group: 'x-<team>'", "group: 'new-<team>'"))
  resolve()
  await ticked
  const { id_token } = await tokensOf(gateway, 'kubectl', 'ada')
  await gateway.reload(config)
  assert.deepEqual(claimsIn(id_token)['groups'], ['new-web'])
})

test('a client that the new configuration no longer has ends cleanly in the middle of its flow', async () => {
  const who = person()
  const request = authorization(gateway, 'argocd')
  const page = await who.get(request.url)
  await gateway.reload(config.replace(/ {2}- \{ id: argocd.*\n/, ''))
  const answer = await pickPerson(who, page, 'ada')
  await gateway.reload(config)
  assert.ok(answer.status === 400 || answer.status === 404 || answer.status === 303, `${answer.status}`)
  assert.ok(!answer.headers.get('location')?.includes('code='))
})

test('twenty rotations under traffic fail no request, and no key is published twice', async () => {
  let running = true
  const outcomes: string[] = []
  const work = async (sub: string) => {
    let { refresh_token } = await tokensOf(gateway, 'kubectl', sub)
    while (running) {
      const { status, body } = await refresh(gateway, 'kubectl', refresh_token)
      outcomes.push(`${status} ${body['error'] ?? ''}`)
      refresh_token = body['refresh_token'] ?? refresh_token
      const silent = await fetch(`${gateway.issuer}/jwks`)
      outcomes.push(`${silent.status} ${await silent.text().then((text) => (text.includes('"d"') ? text : ''))}`)
    }
  }
  const workers = [work('ada'), work('bob')]
  for (let round = 0; round < 20; round += 1) {
    while (outcomes.length < round * 6) await setImmediate()
    await rotate()
  }
  running = false
  await Promise.all(workers)
  assert.deepEqual([...new Set(outcomes)], ['200 '])
  assert.ok(outcomes.length > 100, `${outcomes.length} requests`)
  const kids = (await published()).keys.map(({ kid }) => kid)
  assert.equal(new Set(kids).size, kids.length)
})

test('the keys of a store are of no use without its root secret', async () => {
  const folder = join(gateway.folder, 'other')
  const root = await openRoot(folder, { create: 'allowed' })
  const file = join(gateway.folder, `${randomBytes(4).toString('hex')}.yaml`)
  await writeFile(
    file,
    `issuer: ${gateway.issuer}\nlisten: { port: 0 }\nstore: { kind: embedded, path: ./lotse.db }\n${config}`,
  )
  const read = await configurationReader({ env: standardEnv, now })(file)
  assert.ok(read.ok)
  const ports = { store: gateway.store, root, audit: async () => {}, now }
  await assert.rejects(openKeys(ports, read.config, openTargets(read.config)))
})
