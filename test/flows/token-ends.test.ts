import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { configurationReader } from '../../src/configuration.ts'
import { openRoot } from '../../src/keys/root-secret.ts'
import { openKeys, openTargets } from '../../src/signing.ts'
import { as, asking, askingClients } from '../support/asking.ts'
import { claimsIn, fakeClock, forgetEnds, type TestGateway } from '../support/gateway.ts'
import type { Idp, Person } from '../support/oidc-idp.ts'
import { person } from '../support/sign-in.ts'
import { people, standard, standardEnv } from '../support/standard.ts'

const now = () => Math.floor(Date.now() / 1000)
/** When eve's contract ends: her only rule gives her nothing after it. */
const contractEnd = now() + 400
const eve: Person = { sub: 'eve', claims: { preferred_username: 'eve', contract_end: contractEnd } }
const rules = `
  - name: contractors
    from: [corp]
    if: [{ claim: contract_end, present: true }]
    give: [{ target: prod, group: 'x-contractors' }]
    until: { at: contract_end }
`

let idp: Idp
let gateway: TestGateway
let config: string
let clock: ReturnType<typeof fakeClock>
before(async () => {
  ;({ idp, gateway, config } = await standard({
    rules,
    extra: () => ({ clients: askingClients }),
    idp: { people: [...people, eve] },
  }))
})
beforeEach(async () => {
  await forgetEnds(gateway)
  clock = fakeClock()
})
afterEach(() => clock.stop())
after(async () => {
  await gateway.close()
  await idp.close()
})

const { told, tokensAt, isActive, robot, toldRobot, revoke } = asking(() => gateway)

test('a token is inactive from the moment in which its client gives it back; its refresh token goes on', async () => {
  const { access, refresh } = await tokensAt('web')
  const before = gateway.events.length
  const { status, body } = await revoke(access)
  assert.deepEqual([status, body['text']], [200, ''])
  assert.deepEqual({ ...(await told(access)) }, { active: false })
  assert.equal(await isActive(access, 'web'), false)
  const [event] = gateway.events.slice(before)
  assert.ok(event?.event === 'token.revoked' && event.client === 'web')
  assert.deepEqual([event.personal.sub, event.jti], [claimsIn(access)['sub'], claimsIn(access)['jti']])
  assert.equal((await revoke(access)).status, 200, 'once more is no error')
  const fields = { grant_type: 'refresh_token', refresh_token: refresh }
  const renewed = await gateway.post('/token', fields, as('web'))
  assert.equal(renewed.status, 200)
  assert.equal(await isActive(renewed.body['access_token']), true)
})

test('a robot gives its token back', async () => {
  const token = (await robot()).body['access_token'] ?? ''
  const credentials = { client_id: 'robot', client_secret: standardEnv.ROBOT_SECRET }
  assert.equal((await gateway.post('/token/revocation', { token, ...credentials })).status, 200)
  assert.equal((await toldRobot(token))['active'], false)
})

test('an operator ends what a robot holds, and not what it gets afterwards', async () => {
  for (const client of ['robot', 'bare-robot']) {
    const token = (await robot(client)).body['access_token'] ?? ''
    assert.equal(await isActive(token, 'cloud-watcher'), true)
    await gateway.ends.end({ kind: 'client', id: client }, 'operator', { reference: 'test' })
    assert.equal(await isActive(token, 'cloud-watcher'), false)
    clock.advance(1)
    assert.equal(await isActive((await robot(client)).body['access_token'], 'cloud-watcher'), true)
  }
})

test('a stranger’s revocation is answered as any other, changes nothing and is not written down', async () => {
  const { access, refresh } = await tokensAt('web')
  const before = gateway.events.length
  for (const token of [access, refresh, `${access}x`, 'a.b.c', 'nonsense'])
    for (const client of ['watcher', 'cloud-watcher', 'bare']) assert.equal((await revoke(token, client)).status, 200)
  await gateway.post('/token/revocation', { token: access, client_id: 'kubectl' })
  assert.equal(gateway.events.length, before)
  assert.equal(await isActive(access), true)
  assert.equal(await isActive(refresh, 'web'), true)
})

test('a revoked refresh token takes the JWTs of its sign-in along', async () => {
  const { access, refresh } = await tokensAt('web')
  const other = await tokensAt('web')
  await revoke(refresh)
  assert.deepEqual({ ...(await told(access)) }, { active: false })
  assert.equal(await isActive(other.access), true, 'another sign-in of the same person goes on')
})

test('after a logout the tokens of that session are inactive', async () => {
  const who = person()
  const { access, id } = await tokensAt('web', 'ada', who)
  assert.equal(await isActive(access), true)
  const page = await who.get(`${gateway.issuer}/logout?id_token_hint=${id}`)
  await who.submit(page, page.form(), { logout: 'yes' })
  assert.deepEqual({ ...(await told(access)) }, { active: false })
})

test('a token is inactive from its end on', async () => {
  const { access } = await tokensAt('web')
  const left = Number(claimsIn(access)['exp']) - now()
  clock.advance(left - 1)
  assert.equal(await isActive(access), true)
  clock.advance(1)
  assert.deepEqual({ ...(await told(access)) }, { active: false })
})

test('no token outlives the proof behind it or the rule that gives it', async () => {
  const { access } = await tokensAt('web', 'eve')
  assert.deepEqual((await told(access))['groups'], ['x-contractors'])
  assert.equal(claimsIn(access)['exp'], contractEnd)
  clock.advance(contractEnd - now())
  assert.deepEqual({ ...(await told(access)) }, { active: false })
})

test('a proof that is gone from the store takes its tokens along', async () => {
  const [jwt, opaque] = [(await tokensAt('web', 'bob')).access, (await tokensAt('bare', 'bob')).access]
  for (const { id } of await gateway.store.list({ name: 'Proof', durable: true }, 100))
    await gateway.store.delete({ name: 'Proof', durable: true }, id)
  for (const token of [jwt, opaque]) assert.deepEqual({ ...(await told(token)) }, { active: false })
})

test('a changed rule acts at the next introspection, for JWTs and opaque tokens alike', async () => {
  const jwt = (await tokensAt('web')).access
  const { access: opaque, refresh } = await tokensAt('bare')
  try {
    await gateway.reload(config.replace("group: 'x-<team>'", "group: 'z-<team>'"))
    for (const token of [jwt, opaque]) assert.deepEqual((await told(token))['groups'], ['z-web'])
    await gateway.reload(config.replace(/ {6}- \{ target: prod, group: 'x-<team>' \}\n/, ''))
    for (const token of [jwt, opaque]) assert.deepEqual({ ...(await told(token)) }, { active: false })
    assert.equal(await isActive(refresh, 'bare'), false)
    await gateway.reload(config.replace(/ {2}- \{ id: web,.*\n/, ''))
    assert.deepEqual({ ...(await told(jwt)) }, { active: false }, 'its client is configured no more')
  } finally {
    await gateway.reload(config)
  }
  assert.deepEqual((await told(jwt))['groups'], ['x-web'])
})

test('a token is good after a rotation, and dead at once where its key had to go', async () => {
  const file = join(gateway.folder, 'operator.yaml')
  await writeFile(
    file,
    `issuer: ${gateway.issuer}\nlisten: { port: 0 }\nstore: { kind: embedded, path: ./lotse.db }\nkeys: { rsaBits: 2048 }\n${config}`,
  )
  const read = await configurationReader({ env: standardEnv, now })(file)
  await rm(file)
  assert.ok(read.ok)
  const root = await openRoot(join(gateway.folder, 'keys'), { create: 'refused' })
  const ports = { store: gateway.store, root, audit: async () => {}, now, mode: 'command' as const }
  const operator = await openKeys(ports, read.config, openTargets(read.config))
  const { access } = await tokensAt('web')
  await operator.rotate('issuer', 'ES256', 'now')
  await gateway.app.tick()
  assert.equal(await isActive(access), true)
  await operator.rotate('issuer', 'ES256', 'emergency')
  await gateway.app.tick()
  assert.deepEqual({ ...(await told(access)) }, { active: false })
  assert.equal(await isActive((await tokensAt('web')).access), true)
})
