import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Store, StoreUnavailable } from '../../../src/store/store.ts'
import { refresh, tokensOf } from '../../support/sign-in.ts'
import { strangeToken } from './traffic.ts'
import { atEach } from './world.ts'

const KINDS = ['stock', 'structured'] as const

let down = false

/** The same verbs, as long as it is not down. */
const failing = (store: Store): Store =>
  Object.fromEntries(
    Object.entries(store).map(([name, verb]) => [
      name,
      (...args: unknown[]) =>
        down ? Promise.reject(new StoreUnavailable('down')) : (verb as (...all: unknown[]) => unknown)(...args),
    ]),
  ) as unknown as Store

atEach(
  KINDS,
  (world) => {
    after(() => {
      down = false
    })

    test('the store is down: clusters get the keys, also one that starts now, and take tokens that were given; nobody gets a new one', async () => {
      const { gateway } = world()
      const given = await tokensOf(gateway, 'kubectl', 'ada', { resource: 'urn:lotse:target:stock' })
      const tokens = { stock: given.access_token, structured: await world().accessToken('structured', 'ada') }
      const keys = async () => (await fetch(`${gateway.issuer}/jwks`)).text()
      const before = await keys()
      down = true
      assert.equal((await fetch(`${gateway.issuer}/readyz`)).status, 503)
      assert.equal(await keys(), before, 'byte for byte')
      await world().restart('stock') // which has no keys now
      await world().cluster('structured').whoami(strangeToken(gateway.issuer, 'k8s-structured')) // which asks again
      for (const kind of KINDS) {
        const until = Date.now() + 15_000 // a cluster asks for an issuer every ten seconds
        while ((await world().cluster(kind).whoami(tokens[kind])).status !== 201) {
          assert.ok(Date.now() < until, `${kind} takes no token`)
          await delay(200)
        }
      }
      const { status, body } = await refresh(gateway, 'kubectl', given.refresh_token)
      assert.equal(status, 503, JSON.stringify(body))
      down = false
      assert.equal((await refresh(gateway, 'kubectl', given.refresh_token)).status, 200, 'the session is as it was')
    })
  },
  { store: failing },
)
