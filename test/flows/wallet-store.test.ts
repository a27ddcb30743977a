import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Store, StoreUnavailable } from '../../src/store/store.ts'
import { toldAt } from '../support/sign-in.ts'
import { fetchRequest, open, send } from '../support/wallet.ts'
import { answerFor, startWalletWorld, type WalletWorld, waiting } from './wallet-world.ts'

let down = false
/** Reads take so long that everybody has read before anybody writes. */
let slow = false
const failing = (store: Store): Store =>
  Object.fromEntries(
    Object.entries(store).map(([name, verb]) => [
      name,
      async (...all: unknown[]) => {
        if (down) throw new StoreUnavailable('down')
        const answer = await (verb as (...all: unknown[]) => unknown)(...all)
        if (slow && name === 'get') await delay(150)
        return answer
      },
    ]),
  ) as unknown as Store // the same verbs, in the way of the moment

let world: WalletWorld
before(async () => {
  world = await startWalletWorld({ store: failing })
})
after(() => world.close())

async function whileDown<T>(work: () => Promise<T>): Promise<T> {
  down = true
  try {
    return await work()
  } finally {
    down = false
  }
}

test('a store that is down is an outage to a wallet, never a request that is not there, and the wallet can try again', async () => {
  const at = await waiting(world.gateway)
  const fetched = await whileDown(() => fetchRequest(at.link))
  assert.deepEqual(
    [fetched.status, ((await fetched.json()) as { error: string }).error],
    [503, 'temporarily_unavailable'],
  )
  assert.ok(fetched.headers.get('retry-after'))
  const { read, vpToken } = await answerFor(world, at.link)
  const sent = await whileDown(() => send(read, vpToken))
  assert.deepEqual([sent.status, sent.body['error']], [503, 'temporarily_unavailable'])
  const again = await send(read, vpToken)
  assert.equal(toldAt(await at.who.get(again.body['redirect_uri'] ?? '')).has('code'), true)
})

test('a page that waits is told of an outage as one, and waits on', async () => {
  const at = await waiting(world.gateway)
  const ask = () => at.who.send(at.page.location, { headers: { accept: 'application/json' } })
  assert.equal((await whileDown(ask)).status, 503)
  assert.deepEqual(JSON.parse((await ask()).text), { state: 'waiting' })
  await open(at.link)
})

test('of twenty that have all seen a request one fetches it, and of twenty that answer one is taken', async () => {
  const at = await waiting(world.gateway)
  slow = true
  try {
    const twenty = <T>(work: () => Promise<T>) => Promise.all(Array.from({ length: 20 }, work))
    const fetched = await twenty(() => fetchRequest(at.link))
    assert.equal(fetched.filter(({ status }) => status === 200).length, 1)
    const other = await waiting(world.gateway)
    const { read, vpToken } = await answerFor(world, other.link)
    const sent = await twenty(() => send(read, vpToken))
    assert.equal(sent.filter(({ status }) => status === 200).length, 1)
  } finally {
    slow = false
  }
})
