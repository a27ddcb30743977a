import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import type { Browser } from '../support/browser.ts'
import { claimsIn, fakeClock, type TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { authorization, person, redeem, refresh, signIn, tokensOf, toldAt } from '../support/sign-in.ts'
import { standard } from '../support/standard.ts'

const MINUTE = 60
const HOUR = 3600
const one = (id: string, more: string) =>
  `  - { id: ${id}, target: prod, native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh], offlineAccess: true, ${more} }`
const clients = [
  one('idle', 'refreshIdle: 10m'),
  one('short', 'refreshLifetime: 1h'),
  one('long', 'refreshLifetime: 30d'),
  one('strict', 'maxAge: 10m'),
].join('\n')

/** An upstream that overlooks `prompt` and `max_age` and answers from its old session. */
let lax = false
function intercept(request: IncomingMessage): boolean {
  const url = new URL(request.url ?? '/', 'http://upstream')
  if (!lax || url.pathname !== '/auth') return false
  for (const name of ['prompt', 'max_age']) url.searchParams.delete(name)
  request.url = url.pathname + url.search
  return false
}

let idp: Idp
let gateway: TestGateway
/** Proofs last, so that nothing but the limits ends anything. */
let config: string
let clock: ReturnType<typeof fakeClock>
before(async () => {
  const ttl = { Session: 48 * HOUR, Grant: 48 * HOUR, AccessToken: 600, AuthorizationCode: 60, IdToken: 600 }
  const configuration = { ttl: { ...ttl, Interaction: 600, RefreshToken: 48 * HOUR } }
  const started = await standard({ extra: () => ({ clients }), idp: { intercept, configuration } })
  ;({ idp, gateway } = started)
  config = started.config.replace('domain: corp,', 'domain: corp, maxProofAge: 30d, recheckAfter: 30d,')
})
beforeEach(async () => {
  clock = fakeClock()
  lax = false
  await gateway.reload(config)
})
afterEach(() => clock.stop())
after(async () => {
  await gateway.close()
  await idp.close()
})

const outcome = ({ status, body }: { status: number; body: Readonly<Record<string, string>> }) =>
  `${status} ${body['error'] ?? 'tokens'}`
const silent = async (who: Browser, client = 'kubectl', more: Record<string, string> = {}) => {
  const told = toldAt(await who.get(authorization(gateway, client, { prompt: 'none', ...more }).url))
  return told.get('error') ?? (told.has('code') ? 'code' : 'nothing')
}
const withSessions = (sessions: string) => gateway.reload(`sessions: ${sessions}\n${config}`)
const ofCorp = (more: string) => config.replace('domain: corp,', `domain: corp, ${more},`)

/** Signs in, and gives what the client got. */
async function enter(who: Browser, client: string, more: Record<string, string> = {}, sub = 'ada') {
  const request = authorization(gateway, client, more)
  const told = await signIn(who, request, sub)
  const { body } = await redeem(gateway, { code: told.get('code'), verifier: request.verifier, client })
  return { refresh: body['refresh_token'] ?? '', id: claimsIn(body['id_token'] ?? '') }
}

test('a third sign-in of a person who may have two ends her oldest one, and nobody else’s', async () => {
  await withSessions('{ perPerson: 2 }')
  const bob = await tokensOf(gateway, 'kubectl', 'bob')
  const mine: string[] = []
  for (const client of ['kubectl', 'openstack', 'kubectl']) {
    clock.advance(1)
    mine.push((await tokensOf(gateway, client, 'ada')).refresh_token)
  }
  const [first = '', second = '', third = ''] = mine
  assert.deepEqual(
    [
      outcome(await refresh(gateway, 'kubectl', first)),
      outcome(await refresh(gateway, 'openstack', second)),
      outcome(await refresh(gateway, 'kubectl', third)),
      outcome(await refresh(gateway, 'kubectl', bob.refresh_token)),
    ],
    ['400 invalid_grant', '200 tokens', '200 tokens', '200 tokens'],
  )
  const ended = gateway.events.filter((e) => e.event === 'session.ended' && e.cause === 'limit')
  assert.equal(ended.length, 1)
  assert.ok(ended[0]?.event === 'session.ended' && ended[0].personal.upstreamId === 'ada')
  assert.deepEqual(ended[0].clients, ['kubectl'])
})

test('of sign-ins within one second the newest stays', async () => {
  await withSessions('{ perPerson: 1 }')
  for (let round = 0; round < 5; round += 1) {
    const { refresh_token } = await tokensOf(gateway, 'kubectl', 'bob')
    assert.equal(outcome(await refresh(gateway, 'kubectl', refresh_token)), '200 tokens')
  }
})

test('a further sign-in in the same browser takes the place of the one before, where one is all that there may be', async () => {
  await withSessions('{ perPerson: 1 }')
  const who = person()
  const old = await enter(who, 'kubectl')
  clock.advance(MINUTE)
  const renewed = await enter(who, 'kubectl', { prompt: 'login' })
  assert.equal(outcome(await refresh(gateway, 'kubectl', old.refresh)), '400 invalid_grant')
  assert.equal(outcome(await refresh(gateway, 'kubectl', renewed.refresh)), '200 tokens')
  assert.equal(await silent(who), 'code')
})

test('a refresh token that is not used for its idle time ends, one that is used goes on', async () => {
  const [used, unused] = [await tokensOf(gateway, 'idle', 'ada'), await tokensOf(gateway, 'idle', 'ada')]
  let token = used.refresh_token
  for (let minutes = 9; minutes <= 45; minutes += 9) {
    clock.advance(9 * MINUTE)
    const { status, body } = await refresh(gateway, 'idle', token)
    assert.equal(status, 200, `after ${minutes} minutes`)
    token = body['refresh_token'] ?? ''
    if (minutes === 9) continue
    assert.equal(outcome(await refresh(gateway, 'idle', unused.refresh_token)), '400 invalid_grant')
  }
  clock.advance(10 * MINUTE)
  assert.equal(outcome(await refresh(gateway, 'idle', token)), '400 invalid_grant')
})

/** Refreshes at 50 and at 70 minutes after a sign-in. */
async function twice(client: string) {
  const { refresh_token } = await tokensOf(gateway, client, 'ada')
  clock.advance(50 * MINUTE)
  const first = await refresh(gateway, client, refresh_token)
  clock.advance(20 * MINUTE)
  return [outcome(first), outcome(await refresh(gateway, client, first.body['refresh_token'] ?? ''))]
}

test('the lifetime of refreshes counts from the sign-in and does not slide', async () => {
  assert.deepEqual(await twice('short'), ['200 tokens', '400 invalid_grant'])
  await withSessions('{ refresh: 1h }')
  assert.deepEqual(await twice('kubectl'), ['200 tokens', '400 invalid_grant'])
  assert.deepEqual(await twice('long'), ['200 tokens', '200 tokens'], 'a client’s own lifetime goes before')
})

test('the lifetime of refreshes counts from the sign-in, not from the code of a session that is older', async () => {
  const who = person()
  await enter(who, 'kubectl')
  clock.advance(40 * MINUTE)
  const request = authorization(gateway, 'short')
  const code = toldAt(await who.get(request.url)).get('code')
  const { body } = await redeem(gateway, { code, verifier: request.verifier, client: 'short' })
  clock.advance(19 * MINUTE)
  const next = await refresh(gateway, 'short', body['refresh_token'] ?? '')
  assert.equal(outcome(next), '200 tokens')
  clock.advance(2 * MINUTE)
  assert.equal(outcome(await refresh(gateway, 'short', next.body['refresh_token'] ?? '')), '400 invalid_grant')
})

test('a lifetime of refreshes beyond half a day holds, as far as the proof does', async () => {
  const { refresh_token } = await tokensOf(gateway, 'long', 'ada')
  const { refresh_token: usual } = await tokensOf(gateway, 'kubectl', 'ada')
  clock.advance(13 * HOUR)
  const first = await refresh(gateway, 'long', refresh_token)
  assert.equal(outcome(first), '200 tokens')
  assert.equal(outcome(await refresh(gateway, 'kubectl', usual)), '400 invalid_grant')
  clock.advance(28 * 24 * HOUR)
  const second = await refresh(gateway, 'long', first.body['refresh_token'] ?? '')
  assert.equal(outcome(second), '200 tokens')
  clock.advance(2 * 24 * HOUR)
  assert.equal(outcome(await refresh(gateway, 'long', second.body['refresh_token'] ?? '')), '400 invalid_grant')
})

test('a client that takes young sign-ins only gets a new one where the session is older, and never silently', async () => {
  const who = person()
  await enter(who, 'kubectl')
  clock.advance(9 * MINUTE)
  assert.equal(await silent(who, 'strict'), 'code')
  clock.advance(2 * MINUTE)
  assert.equal(await silent(who, 'strict'), 'login_required')
  assert.equal(await silent(who, 'kubectl'), 'code', 'other clients are not concerned')
  const { id } = await enter(who, 'strict')
  assert.equal(idp.asked.at(-1)?.get('max_age'), '600')
  assert.equal(id['auth_time'], Math.floor(Date.now() / 1000))
  assert.equal(await silent(who, 'strict'), 'code')
})

test('a client’s own max_age goes before the configured one', async () => {
  const who = person()
  await enter(who, 'kubectl')
  clock.advance(11 * MINUTE)
  assert.equal(await silent(who, 'strict', { max_age: '3600' }), 'code')
  assert.equal(await silent(who, 'strict', { max_age: '60' }), 'login_required')
})

test('a connector’s own session times hold for its people, shorter or longer than the gateway’s', async () => {
  await gateway.reload(ofCorp('sessionIdle: 10m, sessionMax: 30m'))
  const [used, unused] = [person(), person()]
  for (const who of [used, unused]) await enter(who, 'kubectl')
  for (let minutes = 9; minutes < 30; minutes += 9) {
    clock.advance(9 * MINUTE)
    assert.equal(await silent(used), 'code', `after ${minutes} minutes`)
  }
  assert.equal(await silent(unused), 'login_required')
  clock.advance(3 * MINUTE)
  assert.equal(await silent(used), 'login_required')
  await gateway.reload(ofCorp('sessionIdle: 20h, sessionMax: 20h'))
  const long = person()
  await enter(long, 'kubectl')
  clock.advance(19 * HOUR)
  assert.equal(await silent(long), 'code')
  clock.advance(2 * HOUR)
  assert.equal(await silent(long), 'login_required')
})

test('a limit that was made shorter, or was over before a client came, is not put off by use', async () => {
  await gateway.reload(ofCorp('sessionIdle: 20h, sessionMax: 20h'))
  const who = person()
  await enter(who, 'kubectl')
  clock.advance(2 * HOUR)
  const request = authorization(gateway, 'short')
  const code = toldAt(await who.get(request.url)).get('code')
  const { body } = await redeem(gateway, { code, verifier: request.verifier, client: 'short' })
  assert.equal(outcome(await refresh(gateway, 'short', body['refresh_token'] ?? '')), '400 invalid_grant')
  await gateway.reload(ofCorp('sessionIdle: 20h, sessionMax: 1h'))
  assert.equal(await silent(who), 'login_required')
})

test('no page that is visited keeps a session beyond its longest time', async () => {
  for (const path of ['/device', '/logout']) {
    const who = person()
    await enter(who, 'kubectl')
    for (let minutes = 45; minutes < 12 * 60; minutes += 45) {
      clock.advance(45 * MINUTE)
      assert.equal((await who.get(new URL(path, gateway.issuer))).status, 200)
    }
    assert.equal(await silent(who), 'code', `${path} is use, and keeps a session from idling`)
    clock.advance(45 * MINUTE)
    await who.get(new URL(path, gateway.issuer))
    assert.equal(await silent(who), 'login_required', path)
  }
})

for (const [what, more] of [
  ['max_age', { max_age: '60' }],
  ['prompt=login', { prompt: 'login' }],
] as const) {
  test(`${what} of a client makes a session sign in anew, and an upstream that answers from its old one is refused`, async () => {
    const who = person()
    await enter(who, 'kubectl')
    clock.advance(5 * MINUTE)
    const { id } = await enter(who, 'kubectl', more)
    assert.equal(id['auth_time'], Math.floor(Date.now() / 1000))
    clock.advance(5 * MINUTE)
    lax = true
    const told = toldAt(await who.get(authorization(gateway, 'kubectl', more).url))
    assert.equal(told.get('error'), 'access_denied')
    const why = gateway.logs.findLast(({ message }) => message === 'sign-in failed at its upstream')
    assert.match(String(why?.fields['detail']), /older than was asked for/)
    const reference = String(why?.fields['id'])
    assert.match(told.get('error_description') ?? '', new RegExp(`reference ${reference}$`), 'it leads to the cause')
    assert.equal(await silent(who), 'code', 'the session is what it was')
  })
}
