import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { inTime } from '../../src/store/deadline.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import { kinds } from '../../src/store/kinds.ts'
import { type Store, StoreUnavailable } from '../../src/store/store.ts'

/** Milliseconds. */
const patience = { deadline: 60, quick: 20, rest: 60 }

describe('a store in time', () => {
  let asked = 0
  let act: () => Promise<undefined> = async () => undefined
  let store: Store
  beforeEach(async () => {
    asked = 0
    act = async () => undefined
    const beneath = await openEmbedded({ path: ':memory:', now: () => 1_800_000_000 })
    const get = () => {
      asked += 1
      return act()
    }
    store = inTime({ ...beneath, get }, patience)
  })
  const ask = () => store.get(kinds.Session, 'id')
  const down = (how: Promise<unknown>) => assert.rejects(how, StoreUnavailable)
  const hung = () => new Promise<undefined>(() => {})
  const failing = async (): Promise<undefined> => Promise.reject(new StoreUnavailable('down'))

  it('gives an operation that never ends a deadline, and asks no more for a while', async () => {
    act = hung
    const started = performance.now()
    await down(ask())
    for (let n = 0; n < 100; n += 1) await down(ask())
    assert.ok(performance.now() - started < 2 * patience.deadline)
    assert.equal(asked, 1)
  })

  it('lets one operation try after the pause, while the others fail at once', async () => {
    act = hung
    await down(ask())
    await delay(patience.rest + 10)
    await Promise.all(Array.from({ length: 100 }, () => down(ask())))
    assert.equal(asked, 2)
    await delay(patience.rest + 10)
    act = async () => undefined
    await ask()
    await Promise.all(Array.from({ length: 100 }, ask))
    assert.equal(asked, 103)
  })

  it('asks on where failures come quickly: they cost no time, and one may be of one caller alone', async () => {
    act = failing
    for (let n = 0; n < 10; n += 1) await down(ask())
    assert.equal(asked, 10)
    act = async () => undefined
    await ask()
  })

  it('pauses after a failure of the store itself that took long, as with a lock that another process holds', async () => {
    act = () => delay(patience.quick + 10).then(failing)
    await down(ask())
    await down(ask())
    assert.equal(asked, 1)
  })

  it('passes other errors through, and they are no failure of the store', async () => {
    act = () => delay(patience.quick + 10).then(() => Promise.reject(new RangeError('too long')))
    await assert.rejects(ask(), RangeError)
    act = async () => undefined
    await ask()
  })

  it('hears an answer that was there in time, though the process itself stood still', async () => {
    act = () => new Promise((resolve) => setImmediate(resolve, undefined))
    const answer = ask()
    const until = performance.now() + patience.deadline + 20
    while (performance.now() < until);
    await answer
  })
})
