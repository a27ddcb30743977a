import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { kinds } from '../../src/store/kinds.ts'
import { claimsIn, fakeClock, forgetEnds, passTime } from '../support/gateway.ts'
import { person, redeem, refresh, toldAt } from '../support/sign-in.ts'
import { open, present, send } from '../support/wallet.ts'
import { employee, linkOf, startWalletWorld, VCT, via, type WalletWorld, waiting } from './wallet-world.ts'

const PLACE = 7

let world: WalletWorld
/** One for each test: what was read of the last one is kept for a while. */
let list = 0
let clock: ReturnType<typeof fakeClock>
before(async () => {
  world = await startWalletWorld()
})
beforeEach(async () => {
  await forgetEnds(world.gateway)
  world.statuses.set(PLACE, 0)
  world.statuses.fail('no')
  list += 1
  clock = fakeClock()
})
afterEach(() => clock.stop())
after(() => world.close())

/** Ada comes with a credential that has a place in corp's list; the page at which it ends. */
async function come(who = person()) {
  const { corp, ada, gateway, statuses } = world
  const at = await waiting(gateway, 'gaiax', who)
  const read = await open(at.link)
  const held = employee(corp, ada, { status: statuses.reference(PLACE, list) })
  const sent = await send(read, { employee: [present(held, ada, read)] })
  return { ...at, end: await at.who.get(sent.body['redirect_uri'] ?? '') }
}

async function tokens() {
  const { end, verifier } = await come()
  const code = toldAt(end).get('code')
  const { status, body } = await redeem(world.gateway, { code, verifier, client: 'kubectl' })
  assert.equal(status, 200)
  return body
}

const lastLine = (event: string) => world.gateway.events.findLast((each) => each.event === event)

for (const [value, word] of [
  [1, 'revoked'],
  [2, 'suspended'],
] as const)
  test(`a credential that is ${word} signs nobody in, and its person is told so in her language`, async () => {
    world.statuses.set(PLACE, value)
    for (const [language, title] of [
      ['en', 'Your credential is no longer valid'],
      ['de', 'Ihr Nachweis gilt nicht mehr'],
    ] as const) {
      const { end } = await come(person({ 'accept-language': language }))
      assert.equal(end.status, 403)
      assert.ok(end.text.includes(title), end.text)
    }
    const refused = lastLine('login.refused')
    assert.equal(refused?.event === 'login.refused' && refused.code, 'credential_revoked')
    const line = world.gateway.logs.findLast(({ message }) => message === 'sign-in failed at its upstream')
    assert.match(String(line?.fields['detail']), new RegExp(`is ${word} by its issuer`))
  })

test('a credential that is revoked ends the person’s refresh at its next use, and the audit log and the log say why', async () => {
  const first = await tokens()
  clock.advance(60)
  const second = (await refresh(world.gateway, 'kubectl', first['refresh_token'] ?? '')).body
  world.statuses.set(PLACE, 1)
  clock.advance(301)
  const third = await refresh(world.gateway, 'kubectl', second['refresh_token'] ?? '')
  assert.deepEqual([third.status, third.body['error']], [400, 'invalid_grant'])
  await passTime(world.gateway.app, clock, 2)
  const line = world.gateway.logs.findLast(({ message }) => message.includes('does not count any more'))
  assert.match(String(line?.fields['detail']), /employee is revoked by its issuer/)
  const ended = lastLine('session.ended')
  assert.ok(ended?.event === 'session.ended')
  assert.deepEqual([ended.cause, ended.why], ['recheck', `${VCT} is revoked by its issuer`])
  // And not by another sign-in with the same credential either.
  assert.equal((await come()).end.status, 403)
})

test('a credential that stays valid keeps its person signed in, with the time at which she came', async () => {
  const first = await tokens()
  const asked = world.statuses.asked()
  clock.advance(301)
  const second = await refresh(world.gateway, 'kubectl', first['refresh_token'] ?? '')
  assert.equal(second.status, 200)
  assert.ok(world.statuses.asked() > asked)
  const [before, then] = [claimsIn(first['id_token'] ?? ''), claimsIn(second.body['id_token'] ?? '')]
  // And so does what the rules judge.
  const [proof] = (await world.gateway.store.list(kinds.Proof, 1000))
    .map(({ value }) => JSON.parse(value) as { provenAt: number; subject: { authTime: number } })
    .sort((a, b) => b.provenAt - a.provenAt)
  assert.equal(proof?.provenAt, Math.floor(Date.now() / 1000))
  assert.equal(proof?.subject.authTime, before['auth_time'])
  assert.deepEqual(
    [then['auth_time'], then['sub'], then['groups']],
    [before['auth_time'], before['sub'], before['groups']],
  )
})

test('a status that cannot be read signs nobody in', async () => {
  world.statuses.fail('yes')
  assert.equal(toldAt((await come()).end).get('error'), 'temporarily_unavailable')
})

test('a status that cannot be read is tolerated for the configured grace, and then refused without ending the sign-in', async () => {
  const first = await tokens()
  world.statuses.fail('yes')
  clock.advance(400)
  const second = await refresh(world.gateway, 'kubectl', first['refresh_token'] ?? '')
  assert.equal(second.status, 200)
  clock.advance(2000)
  const third = await refresh(world.gateway, 'kubectl', second.body['refresh_token'] ?? '')
  assert.deepEqual([third.status, third.body['error']], [503, 'temporarily_unavailable'])
  world.statuses.fail('no')
  clock.advance(60)
  assert.equal((await refresh(world.gateway, 'kubectl', second.body['refresh_token'] ?? '')).status, 200)
})

test('a revoked credential ends single sign-on, too', async () => {
  const at = await come()
  assert.equal(toldAt(at.end).has('code'), true)
  clock.advance(10)
  assert.equal(toldAt(await at.who.get(via(world.gateway, 'gaiax', { prompt: '' }).url)).has('code'), true)
  world.statuses.set(PLACE, 1)
  clock.advance(301)
  const page = await at.who.get(via(world.gateway, 'gaiax', { prompt: '' }).url)
  assert.ok(linkOf(page), 'she is asked to open her wallet again')
})
