import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { claimsIn, fakeClock, forgetEnds, type TestGateway } from '../support/gateway.ts'
import type { Idp, Person } from '../support/oidc-idp.ts'
import { authorization, person, refresh, signIn, tokensOf, toldAt } from '../support/sign-in.ts'
import { standard } from '../support/standard.ts'

const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code'
const AFTER = 300
const GRACE = 1800
const fresh = (): Person[] =>
  ['ada', 'bob', 'eve'].map((sub) => ({
    sub,
    claims: { preferred_username: sub, groups: ['/teams/web/dev', '/teams/db/dev'], account_status: 'active' },
  }))
/** Who is there at the upstream, changed by tests. */
const there: Person[] = fresh()
/** How the upstream answers at its token endpoint, and how often it was asked to refresh. */
let upstream: 'up' | 'down' | 'slow' = 'up'
let asked = 0
/** Answers that a slow upstream holds back. */
const held: (() => void)[] = []

function intercept(request: IncomingMessage, response: ServerResponse): boolean {
  if (request.method !== 'POST' || request.url !== '/token') return false
  if (upstream === 'up') return false
  asked += 1
  if (upstream === 'slow') held.push(() => response.writeHead(503).end())
  else response.writeHead(503, { 'content-type': 'application/json' }).end('{"error":"server_error"}')
  return true
}

let idp: Idp
let gateway: TestGateway
let config: string
let clock: ReturnType<typeof fakeClock>
before(async () => {
  const configuration = {
    findAccount: async (_ctx: unknown, id: string, token?: { kind?: string }) => {
      if (token?.kind === 'RefreshToken') asked += 1
      const found = there.find(({ sub }) => sub === id)
      return found && { accountId: id, claims: () => ({ sub: id, ...found.claims }) }
    },
  }
  ;({ idp, gateway, config } = await standard({ idp: { people: there, intercept, configuration } }))
})
beforeEach(async () => {
  await forgetEnds(gateway)
  there.splice(0, there.length, ...fresh())
  upstream = 'up'
  asked = 0
  clock = fakeClock()
})
afterEach(() => clock.stop())
after(async () => {
  for (const release of held) release()
  await gateway.close()
  await idp.close()
})

const change = (sub: string, claims: Readonly<Record<string, unknown>>) => {
  const at = there.findIndex((one) => one.sub === sub)
  there[at] = { sub, claims: { ...there[at]?.claims, ...claims } }
}
const remove = (sub: string) =>
  void there.splice(
    there.findIndex((one) => one.sub === sub),
    1,
  )
const groupsOf = (body: Readonly<Record<string, string>>) => claimsIn(body['access_token'] ?? '')['groups']
const outcome = ({ status, body }: { status: number; body: Readonly<Record<string, string>> }) =>
  `${status} ${body['error'] ?? 'tokens'}`
const lastEnd = () => {
  const event = gateway.events.findLast((one) => one.event === 'session.ended')
  return event?.event === 'session.ended' ? event : undefined
}

test('a person who is removed from a group upstream loses the grant at the next refresh', async () => {
  const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
  change('ada', { groups: ['/teams/db/dev'] })
  const soon = await refresh(gateway, 'kubectl', refresh_token)
  assert.deepEqual(groupsOf(soon.body), ['x-db', 'x-web'], 'the proof is younger than recheckAfter')
  assert.equal(asked, 0)
  clock.advance(AFTER)
  const later = await refresh(gateway, 'kubectl', soon.body['refresh_token'] ?? '')
  assert.deepEqual(groupsOf(later.body), ['x-db'])
  assert.equal(asked, 1)
  const again = await refresh(gateway, 'kubectl', later.body['refresh_token'] ?? '')
  assert.equal(outcome(again), '200 tokens')
  assert.equal(asked, 1, 'the renewed proof is fresh')
})

test('a person who is gone upstream loses everything at the next refresh, and the audit log says why', async () => {
  const [mine, hers] = [await tokensOf(gateway, 'kubectl', 'ada'), await tokensOf(gateway, 'kubectl', 'bob')]
  remove('ada')
  clock.advance(AFTER)
  const answer = await refresh(gateway, 'kubectl', mine.refresh_token)
  assert.equal(outcome(answer), '400 invalid_grant')
  assert.deepEqual([lastEnd()?.cause, lastEnd()?.clients], ['recheck', ['kubectl']])
  there.push(...fresh().filter(({ sub }) => sub === 'ada'))
  assert.equal(
    outcome(await refresh(gateway, 'kubectl', mine.refresh_token)),
    '400 invalid_grant',
    'and coming back revives nothing',
  )
  assert.equal(outcome(await refresh(gateway, 'kubectl', hers.refresh_token)), '200 tokens')
})

test('a session whose person is gone upstream asks for a sign-in instead of giving a code', async () => {
  const who = person()
  await signIn(who, authorization(gateway, 'kubectl'), 'ada')
  remove('ada')
  clock.advance(AFTER)
  const silent = await who.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url)
  assert.equal(toldAt(silent).get('error'), 'login_required')
  assert.equal(lastEnd()?.cause, 'recheck')
  const page = await who.get(authorization(gateway, 'openstack').url)
  assert.ok(page.location.href.startsWith(idp.issuer), 'the upstream asks who it is')
})

test('while the upstream is down refreshes go on for the grace, and then say so without using up the token', async () => {
  const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
  upstream = 'down'
  clock.advance(AFTER + GRACE - 1)
  const within = await refresh(gateway, 'kubectl', refresh_token)
  assert.equal(outcome(within), '200 tokens')
  clock.advance(60)
  const beyond = await refresh(gateway, 'kubectl', within.body['refresh_token'] ?? '')
  assert.equal(outcome(beyond), '503 temporarily_unavailable')
  assert.ok(beyond.headers.get('retry-after'))
  assert.ok(!JSON.stringify(beyond.body).includes('server_error'), 'nothing of the upstream is passed on')
  upstream = 'up'
  clock.advance(60)
  const back = await refresh(gateway, 'kubectl', within.body['refresh_token'] ?? '')
  assert.equal(outcome(back), '200 tokens', 'still unused')
})

test('an upstream that is down is asked in growing intervals, not once for each refresh', async () => {
  const tokens = await Promise.all(Array.from({ length: 8 }, () => tokensOf(gateway, 'kubectl', 'ada')))
  upstream = 'down'
  clock.advance(AFTER)
  for (const { refresh_token } of tokens) {
    assert.equal(outcome(await refresh(gateway, 'kubectl', refresh_token)), '200 tokens')
  }
  assert.equal(asked, 1)
  upstream = 'up'
  clock.advance(60)
  await refresh(gateway, 'kubectl', tokens[0]?.refresh_token ?? '')
})

test('twelve parallel refreshes ask the upstream once', async () => {
  const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
  clock.advance(AFTER)
  const answers = await Promise.all(Array.from({ length: 12 }, () => refresh(gateway, 'kubectl', refresh_token)))
  assert.deepEqual(new Set(answers.map(outcome)), new Set(['200 tokens']))
  assert.equal(new Set(answers.map(({ body }) => body['refresh_token'])).size, 1)
  assert.equal(asked, 1)
})

test('two sign-ins of one person with different proofs never mix', async () => {
  const first = await tokensOf(gateway, 'kubectl', 'ada')
  change('ada', { groups: ['/teams/ops/dev'] })
  const second = await tokensOf(gateway, 'kubectl', 'ada')
  const answers = await Promise.all([
    refresh(gateway, 'kubectl', first.refresh_token),
    refresh(gateway, 'kubectl', second.refresh_token),
  ])
  assert.deepEqual(
    answers.map(({ body }) => groupsOf(body)),
    [['x-db', 'x-web'], ['x-ops']],
  )
})

test('a proof that an end takes while the upstream is asked is not renewed', async () => {
  const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
  clock.advance(AFTER)
  const sub = String(claimsIn((await tokensOf(gateway, 'kubectl', 'ada')).id_token)['sub'])
  const [answer] = await Promise.all([
    refresh(gateway, 'kubectl', refresh_token),
    gateway.ends.end({ kind: 'subject', sub }, 'operator', { reference: 'test' }),
  ])
  assert.match(outcome(answer), /^(400 invalid_grant|200 tokens)$/)
  assert.equal(outcome(await refresh(gateway, 'kubectl', refresh_token)), '400 invalid_grant')
})

test('what a rule takes away by recheck acts where the rules say nothing any more: the sign-in ends', async () => {
  const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
  change('ada', { account_status: 'suspended' })
  clock.advance(AFTER)
  assert.equal(outcome(await refresh(gateway, 'kubectl', refresh_token)), '400 invalid_grant')
  assert.equal(lastEnd()?.cause, 'rule')
})

test('while a connector is missing in the configuration its people get nothing, and lose nothing', async () => {
  const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
  await gateway.reload(config.replaceAll('corp', 'other'))
  clock.advance(AFTER)
  assert.match(outcome(await refresh(gateway, 'kubectl', refresh_token)), /^400 /)
  assert.equal(asked, 0)
  await gateway.reload(config)
  assert.equal(outcome(await refresh(gateway, 'kubectl', refresh_token)), '200 tokens', 'nothing ended by that')
})

test('a proof that ran out ends the sign-in, written down once', async () => {
  const { refresh_token, id_token } = await tokensOf(gateway, 'kubectl', 'eve')
  clock.advance(13 * 3600)
  for (let second = 0; second < 30; second++) await gateway.app.end() // two hours of ends are looked at in a second
  const sub = claimsIn(id_token)['sub']
  const ends = gateway.events.filter((e) => e.event === 'session.ended' && e.personal.sub === sub)
  assert.deepEqual(
    ends.map((e) => 'cause' in e && e.cause),
    ['expiry'],
  )
  assert.equal(outcome(await refresh(gateway, 'kubectl', refresh_token)), '400 invalid_grant')
})

test('a code of a terminal that is confirmed while the upstream is down is not lost: the person hears of it, and confirms it later', async () => {
  const who = person()
  await signIn(who, authorization(gateway, 'kubectl'), 'ada')
  upstream = 'down'
  clock.advance(AFTER + GRACE + 1)
  const { body: device } = await gateway.post('/device/auth', { client_id: 'kubectl', scope: 'openid' })
  const confirm = async () => {
    const entry = await who.get(device['verification_uri_complete'] ?? '')
    const page = await who.submit(entry, entry.form())
    return who.submit(page, page.form(), { confirm: 'yes' })
  }
  const poll = async () => {
    const { device_code = '' } = device
    clock.advance(6)
    return outcome(await gateway.post('/token', { grant_type: DEVICE, client_id: 'kubectl', device_code }))
  }
  assert.equal((await confirm()).status, 503)
  assert.equal(await poll(), '400 authorization_pending')
  assert.equal(await poll(), '400 authorization_pending')
  upstream = 'up'
  clock.advance(20)
  assert.equal((await confirm()).status, 200)
  assert.equal(await poll(), '200 tokens')
})
