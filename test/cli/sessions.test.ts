import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { accountId } from '../../src/core/subject.ts'
import { fakeClock, type TestGateway } from '../support/gateway.ts'
import { type Operator, operator } from '../support/lotse.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { authorization, person, redeem, signIn, toldAt } from '../support/sign-in.ts'
import { standard } from '../support/standard.ts'

const DAY = 86_400
let idp: Idp
let gateway: TestGateway
let config: string
let at: Operator
let clock: ReturnType<typeof fakeClock>
before(async () => {
  ;({ idp, gateway, config } = await standard())
  at = await operator(gateway, config)
})
beforeEach(async () => {
  clock = fakeClock()
  await at.configure(config)
  await at.lotse('revoke --connector corp --yes')
})
afterEach(() => clock.stop())
after(async () => {
  await gateway.close()
  await idp.close()
})

interface Listed {
  readonly proof: string
  readonly sub: string
  readonly since: number
  readonly provenAt: number
  readonly goodUntil: number
  readonly clients: readonly string[]
  readonly sessions: readonly string[]
  readonly decision?: { readonly allowed: boolean; readonly grants: readonly object[] }
}

/** Signs somebody in by a browser, which may have been at other clients before. */
async function enter(sub: string, client = 'kubectl', who = person()) {
  const request = authorization(gateway, client)
  const page = await who.get(request.url)
  const told = page.headers.get('location') ? toldAt(page) : await signIn(who, request, sub)
  await redeem(gateway, { code: told.get('code'), verifier: request.verifier, client })
  return who
}

test('a line for each sign-in says since when, from where, at which clients, and what the rules give now', async () => {
  const who = await enter('ada')
  const began = new Date().toISOString().slice(0, 19)
  clock.advance(60)
  await enter('ada', 'openstack', who)
  await enter('ada', 'openstack')
  await enter('bob')
  const { code, out } = await at.lotse('sessions --subject corp/ada')
  assert.equal(code, 0)
  assert.match(out[0] ?? '', /^PERSON +SINCE +LAST PROVEN +GOOD UNTIL +CAME FROM +CLIENTS +GETS +PROOF$/)
  const cells = out.slice(1, -1).map((line) => line.split(/ {2,}/))
  assert.deepEqual(
    cells.map(([who, , , , from, clients, gets]) => [who, from, clients, gets]),
    [
      ['corp/ada', 'kubectl at 127.0.0.1', 'kubectl, openstack', 'argo: 1 grant, cloud: 1 grant, prod: 1 grant'],
      ['corp/ada', 'openstack at 127.0.0.1', 'openstack', 'argo: 1 grant, cloud: 1 grant, prod: 1 grant'],
    ],
  )
  assert.equal(cells[0]?.[1], `${began}Z`)
  assert.equal(out.at(-1), '2 sign-ins')
})

test('programs get times, sessions and the whole decision, no claims and nothing sealed', async () => {
  await enter('ada')
  const [one, ...more] = await at.json<Listed[]>(`sessions --subject ${accountId({ connector: 'corp', id: 'ada' })}`)
  assert.deepEqual(more, [])
  const now = Math.floor(Date.now() / 1000)
  assert.deepEqual([one?.since, one?.provenAt], [now, now])
  assert.ok((one?.goodUntil ?? 0) > now)
  assert.deepEqual([one?.clients, one?.sessions.length], [['kubectl'], 1])
  assert.deepEqual(one?.decision?.grants, [
    { target: 'argo', group: 'argo-web' },
    { target: 'cloud', group: 'os-web' },
    { target: 'prod', group: 'x-web' },
  ])
  assert.doesNotMatch(JSON.stringify(one), /sealed|account_status|corp_secret/i)
})

test('what the rules give is what the file says now, not what it said at the sign-in', async () => {
  await enter('ada')
  await enter('bob')
  await at.configure(config.replace('account_status, is: active', 'account_status, is: gone'))
  const { out } = await at.lotse('sessions --connector corp')
  assert.deepEqual(
    out.slice(1, -1).map((line) => line.split(/ {2,}/)[6]),
    ['nothing', 'nothing'],
  )
})

test('a configuration that does not load costs the decisions alone, and says so', async () => {
  await enter('ada')
  await at.configure(config.replace('each: { claim: groups', 'each: { clame: groups'))
  const { code, out, err } = await at.lotse('sessions --subject corp/ada')
  assert.equal(code, 0)
  assert.equal(out[1]?.split(/ {2,}/)[6], '?')
  assert.match(
    err.join(),
    /without what the rules give, since the configuration does not load: .*gateway\.yaml:\d+:\d+/,
  )
  const [one] = await at.json<Listed[]>('sessions --subject corp/ada')
  assert.ok(one?.proof && !('decision' in one))
})

test('who is not signed in, or whose proof ran out, is not listed', async () => {
  await enter('ada')
  const [one] = await at.json<Listed[]>('sessions --connector corp')
  assert.equal((await at.lotse('sessions --subject corp/bob')).code, 1)
  clock.advance((one?.goodUntil ?? DAY) - Math.floor(Date.now() / 1000))
  const { code, out, err } = await at.lotse('sessions --connector corp')
  assert.deepEqual([code, out, err], [1, [], ['lotse sessions: nobody is signed in by connector corp']])
  assert.deepEqual(await at.json<Listed[]>('sessions --connector corp'), [])
})

test('a look writes nothing down', async () => {
  await enter('ada')
  const lines = (await at.audit()).length
  await at.lotse('sessions --connector corp')
  assert.equal((await at.audit()).length, lines)
})

for (const words of ['', 'corp/ada', '--subject ada', '--subject corp/ada --connector corp', '--client kubectl'])
  test(`is not understood as: sessions ${words}`, async () => {
    assert.equal((await at.lotse(`sessions ${words}`)).code, 2)
  })
