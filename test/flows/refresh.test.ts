import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { claimsIn, fakeClock, type TestGateway } from '../support/gateway.ts'
import type { Idp, Person } from '../support/oidc-idp.ts'
import { authorization, basic, person, redeem, refresh, signIn, tokensOf, toldAt } from '../support/sign-in.ts'
import { people, standard, standardEnv } from '../support/standard.ts'

const HOUR = 3600
/** When eve's contract ends: her only rule gives her nothing after it. */
const contractEnd = Math.floor(Date.now() / 1000) + 400
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
  ;({ idp, gateway, config } = await standard({ rules, idp: { people: [...people, eve] } }))
})
beforeEach(() => {
  clock = fakeClock()
})
afterEach(() => clock.stop())
after(async () => {
  await gateway.close()
  await idp.close()
})

const refused = ({ status, body }: { status: number; body: Readonly<Record<string, string>> }) =>
  `${status} ${body['error'] ?? 'tokens'}`
const expOf = (jwt: string | undefined) => Number(claimsIn(jwt ?? '')['exp'])
const now = () => Math.floor(Date.now() / 1000)

test('a refresh gives new tokens and a new refresh token; the old one gives the same again within ten seconds', async () => {
  const tokens = await tokensOf(gateway, 'kubectl', 'ada')
  const first = await refresh(gateway, 'kubectl', tokens.refresh_token)
  assert.equal(first.status, 200)
  assert.notEqual(first.body['refresh_token'], tokens.refresh_token)
  assert.notEqual(first.body['access_token'], tokens.access_token)
  assert.equal(claimsIn(first.body['id_token'] ?? '')['sid'], claimsIn(tokens.id_token)['sid'])
  clock.advance(5)
  const second = await refresh(gateway, 'kubectl', tokens.refresh_token)
  assert.equal(second.body['refresh_token'], first.body['refresh_token'])
})

test('twelve parallel refreshes by one token get one successor, and it works', async () => {
  const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
  const answers = await Promise.all(Array.from({ length: 12 }, () => refresh(gateway, 'kubectl', refresh_token)))
  assert.deepEqual(new Set(answers.map(refused)), new Set(['200 tokens']))
  const successors = new Set(answers.map(({ body }) => body['refresh_token']))
  assert.equal(successors.size, 1)
  assert.equal((await refresh(gateway, 'kubectl', [...successors][0] ?? '')).status, 200)
})

test('a refresh token that is used again after its window ends the whole family, and the audit log says so', async () => {
  const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
  const { body } = await refresh(gateway, 'kubectl', refresh_token)
  clock.advance(11)
  assert.equal(refused(await refresh(gateway, 'kubectl', refresh_token)), '400 invalid_grant')
  const event = gateway.events.findLast((e) => e.event === 'family.revoked')
  assert.ok(event?.event === 'family.revoked')
  assert.deepEqual([event.client, event.cause, event.personal.upstreamId], ['kubectl', 'theft', 'ada'])
  assert.equal(refused(await refresh(gateway, 'kubectl', body['refresh_token'] ?? '')), '400 invalid_grant')
})

test('a refresh token that is used again after its successor was used ends the family at once', async () => {
  const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
  const { body } = await refresh(gateway, 'kubectl', refresh_token)
  const third = await refresh(gateway, 'kubectl', body['refresh_token'] ?? '')
  assert.equal(refused(await refresh(gateway, 'kubectl', refresh_token)), '400 invalid_grant')
  assert.equal(refused(await refresh(gateway, 'kubectl', third.body['refresh_token'] ?? '')), '400 invalid_grant')
})

test('the end of one family leaves another sign-in of the same person alone', async () => {
  const [one, two] = [await tokensOf(gateway, 'kubectl', 'ada'), await tokensOf(gateway, 'kubectl', 'ada')]
  await refresh(gateway, 'kubectl', one.refresh_token)
  clock.advance(11)
  await refresh(gateway, 'kubectl', one.refresh_token)
  assert.equal((await refresh(gateway, 'kubectl', two.refresh_token)).status, 200)
})

test('a refresh token of one client is nothing to another', async () => {
  const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
  assert.equal(refused(await refresh(gateway, 'openstack', refresh_token)), '400 invalid_grant')
  const headers = basic('argocd', standardEnv.HORIZON_SECRET)
  const answer = await gateway.post('/token', { grant_type: 'refresh_token', refresh_token }, headers)
  assert.equal(refused(answer), '400 invalid_grant')
})

test('a rule that changes while the gateway runs acts at the next refresh', async () => {
  const { refresh_token } = await tokensOf(gateway, 'kubectl', 'ada')
  await gateway.reload(config.replace("group: 'x-<team>'", "group: 'y-<team>'"))
  const changed = await refresh(gateway, 'kubectl', refresh_token)
  assert.deepEqual(claimsIn(changed.body['access_token'] ?? '')['groups'], ['y-web'])
  await gateway.reload(config.replace('is: active', 'is: retired'))
  const gone = await refresh(gateway, 'kubectl', changed.body['refresh_token'] ?? '')
  assert.match(refused(gone), /^400 (invalid_grant|access_denied)$/)
  await gateway.reload(config)
  const back = await refresh(gateway, 'kubectl', changed.body['refresh_token'] ?? '')
  assert.equal(refused(back), '400 invalid_grant', 'a rule that comes back revives nothing')
  const ended = gateway.events.findLast((e) => e.event === 'session.ended')
  assert.ok(ended?.event === 'session.ended' && ended.cause === 'rule')
})

test('a rule that changes acts under single sign-on, too', async () => {
  const who = person()
  await signIn(who, authorization(gateway, 'kubectl'), 'ada')
  await gateway.reload(config.replace('is: active', 'is: retired'))
  const told = toldAt(await who.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url))
  await gateway.reload(config)
  assert.match(told.get('error') ?? '', /^(access_denied|login_required)$/)
})

test('nothing outlives the proof: refresh token, tokens and session end with it', async () => {
  const proofAge = 1200
  await gateway.reload(
    config.replace(
      'emailDomains: [corp.example]',
      `maxProofAge: ${proofAge}s, recheckAfter: ${proofAge}s, emailDomains: [corp.example]`,
    ),
  )
  const who = person()
  const request = authorization(gateway, 'kubectl')
  const end = now() + proofAge
  const told = await signIn(who, request, 'ada')
  const fields = { code: told.get('code'), verifier: request.verifier, client: 'kubectl' }
  let { body } = await redeem(gateway, fields)
  clock.advance(900)
  body = (await refresh(gateway, 'kubectl', body['refresh_token'] ?? '')).body
  assert.ok(expOf(body['access_token']) <= end, `access token ${expOf(body['access_token']) - end} s too long`)
  assert.ok(expOf(body['id_token']) <= end, `ID token ${expOf(body['id_token']) - end} s too long`)
  assert.ok(Number(body['expires_in']) <= 300)
  assert.ok(toldAt(await who.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url)).get('code'))
  clock.advance(301)
  assert.equal(refused(await refresh(gateway, 'kubectl', body['refresh_token'] ?? '')), '400 invalid_grant')
  const silent = await who.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url)
  assert.equal(toldAt(silent).get('error'), 'login_required')
  await gateway.reload(config)
})

test('a session ends an hour after its last use, and twelve hours after the sign-in whatever happens', async () => {
  await gateway.reload(
    config.replace('emailDomains: [corp.example]', 'maxProofAge: 48h, recheckAfter: 48h, emailDomains: [corp.example]'),
  )
  const silent = async (who: ReturnType<typeof person>) =>
    toldAt(await who.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url)).has('code')
  const who = person()
  await signIn(who, authorization(gateway, 'kubectl'), 'ada')
  for (let hours = 0; hours < 11; hours += 0.75) {
    clock.advance(0.75 * HOUR)
    assert.equal(await silent(who), true, `after ${hours + 0.75} h`)
  }
  clock.advance(0.75 * HOUR + 10)
  assert.equal(await silent(who), false)
  const idle = person()
  await signIn(idle, authorization(gateway, 'kubectl'), 'ada')
  clock.advance(HOUR + 1)
  assert.equal(await silent(idle), false)
  await gateway.reload(config)
})

test('the end that a rule sets cuts every token short and ends refreshes and session', async () => {
  const who = person()
  const request = authorization(gateway, 'kubectl')
  const told = await signIn(who, request, 'eve')
  const { body } = await redeem(gateway, { code: told.get('code'), verifier: request.verifier, client: 'kubectl' })
  assert.equal(expOf(body['access_token']), contractEnd)
  assert.equal(expOf(body['id_token']), contractEnd)
  assert.deepEqual(claimsIn(body['id_token'] ?? '')['groups'], ['x-contractors'])
  clock.advance(contractEnd - now())
  assert.match(refused(await refresh(gateway, 'kubectl', body['refresh_token'] ?? '')), /^400 /)
  const silent = toldAt(await who.get(authorization(gateway, 'kubectl', { prompt: 'none' }).url))
  assert.match(silent.get('error') ?? '', /^(login_required|access_denied)$/)
})

test('a person with two browsers keeps what the one has when the other signs out', async () => {
  const [one, two] = [await tokensOf(gateway, 'kubectl', 'ada'), await tokensOf(gateway, 'openstack', 'ada')]
  assert.notEqual(claimsIn(one.id_token)['sid'], claimsIn(two.id_token)['sid'])
  const revoked = await gateway.post('/token/revocation', { client_id: 'kubectl', token: one.refresh_token })
  assert.equal(revoked.status, 200)
  assert.equal(refused(await refresh(gateway, 'kubectl', one.refresh_token)), '400 invalid_grant')
  assert.equal((await refresh(gateway, 'openstack', two.refresh_token)).status, 200)
})

test('max_age asks the upstream again once the sign-in is older, and never silently', async () => {
  const who = person()
  await signIn(who, authorization(gateway, 'kubectl'), 'ada')
  clock.advance(120)
  const asked = idp.asked.length
  const young = await who.get(authorization(gateway, 'kubectl', { max_age: '3600' }).url)
  assert.ok(toldAt(young).get('code'))
  assert.equal(idp.asked.length, asked)
  const silent = await who.get(authorization(gateway, 'kubectl', { max_age: '60', prompt: 'none' }).url)
  assert.equal(toldAt(silent).get('error'), 'login_required')
  const request = authorization(gateway, 'kubectl', { max_age: '60' })
  const page = await who.get(request.url)
  assert.equal(page.location.origin, idp.issuer)
  assert.equal(idp.asked.at(-1)?.get('max_age'), '60')
  const told = toldAt(await who.submit(page, page.form('ada')))
  const { body } = await redeem(gateway, { code: told.get('code'), verifier: request.verifier, client: 'kubectl' })
  assert.ok(now() - Number(claimsIn(body['id_token'] ?? '')['auth_time']) < 60)
})

test('a new sign-in in a session leaves the proof of the one before where it was', async () => {
  const who = person()
  const first = authorization(gateway, 'kubectl')
  const told = await signIn(who, first, 'ada')
  const old = await redeem(gateway, { code: told.get('code'), verifier: first.verifier, client: 'kubectl' })
  const oldTime = claimsIn(old.body['id_token'] ?? '')['auth_time']
  clock.advance(600)
  const second = authorization(gateway, 'kubectl', { prompt: 'login' })
  const again = await signIn(who, second, 'ada')
  const renewed = await redeem(gateway, { code: again.get('code'), verifier: second.verifier, client: 'kubectl' })
  assert.ok(Number(claimsIn(renewed.body['id_token'] ?? '')['auth_time']) >= Number(oldTime) + 600)
  const kept = await refresh(gateway, 'kubectl', old.body['refresh_token'] ?? '')
  assert.equal(claimsIn(kept.body['id_token'] ?? '')['auth_time'], oldTime)
})
