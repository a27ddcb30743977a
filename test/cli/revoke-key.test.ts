import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type { Key, Operator } from '../support/lotse.ts'
import { type Operated, startOperated } from '../support/operated.ts'

let world: Operated
let at: Operator
let lotse: Operator['lotse']
let lines = 0
before(async () => {
  world = await startOperated()
  at = world.at
  lotse = at.lotse
})
beforeEach(async () => {
  await world.clear()
  lines = (await at.audit()).length
})
after(() => world.close())

test("a Keystone's key goes with what clients of that Keystone hold, and with nothing else", async () => {
  const [cloud, prod] = [await world.enter('ada', 'openstack'), await world.enter('bob', 'kubectl')]
  const kid = await at.kidOf('keystone-cloud')
  const { code, out } = await lotse(`revoke --key ${kid}`)
  assert.equal(code, 0)
  const [, successor] =
    /^every key of ring keystone-cloud for ES256 was dropped; ([\w-]{43}) signs now$/.exec(out.at(-2) ?? '') ?? []
  assert.equal(successor, await at.kidOf('keystone-cloud'))
  assert.equal(out.at(-1), '1 set of tokens at 1 client ended')
  assert.deepEqual(await world.live(cloud, prod), [false, true])
  await world.aSecond()
  const published = await (await fetch(`${world.gateway.issuer}/jwks/keystone-cloud`)).text()
  assert.deepEqual([published.includes(kid), published.includes(successor ?? '-')], [false, true])
  const events = (await at.audit()).slice(lines).map(({ event, how, cause }) => [event, how ?? cause])
  assert.deepEqual(events, [
    ['key.rotated', 'emergency'],
    ['family.revoked', 'operator'],
  ])
  assert.equal((await lotse(`revoke --key ${kid}`)).code, 1, 'it is gone')
})

test('the key of ID tokens goes with what every client holds, and people sign in again under the new one', async () => {
  const [cloud, prod] = [await world.enter('ada', 'openstack'), await world.enter('bob', 'portal')]
  const kid = await at.kidOf('issuer')
  const said = await at.json<{ ended: boolean; key: Key & { readonly successor: string } }>(`revoke --key ${kid}`)
  assert.deepEqual([said.ended, said.key.ring, said.key.alg], [true, 'issuer', 'ES256'])
  assert.deepEqual(await world.live(cloud, prod), [false, false])
  await world.aSecond()
  assert.ok(!(await (await fetch(`${world.gateway.issuer}/jwks`)).text()).includes(kid))
  assert.equal((await world.live(await world.enter('ada')))[0], true)
})

test('with a key that has signed nothing yet nothing ends, and the command that takes it away is named', async () => {
  const ada = await world.enter('ada')
  await lotse('keys rotate keystone-cloud')
  const next = (await at.keysOf('keystone-cloud')).find(({ state }) => state === 'next')?.kid
  const { code, out, err } = await lotse(`revoke --key ${next}`)
  assert.deepEqual([code, out], [1, []])
  assert.match(err.join(), /nothing has been signed .*'lotse keys rotate keystone-cloud --alg ES256 --emergency'/)
  assert.equal((await world.live(ada))[0], true)
})
