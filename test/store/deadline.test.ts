import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { inTime } from '../../src/store/deadline.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import { kinds } from '../../src/store/kinds.ts'
import { type Store, StoreUnavailable } from '../../src/store/store.ts'

/** Milliseconds. */
const patience = { deadline: 600, longDeadline: 9000, quick: 20, rest: 1000 }

/** What `performance.now` says: time stands still, whatever else the machine does, until `pass`. */
let clock = 0

/** Milliseconds pass, and what they set off happens. */
async function pass(milliseconds: number): Promise<void> {
  clock += milliseconds
  mock.timers.tick(milliseconds)
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
}

describe('a store in time', () => {
  let asked = 0
  let act: () => Promise<undefined> = async () => undefined
  let store: Store
  beforeEach(async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    mock.method(performance, 'now', () => clock)
    asked = 0
    act = async () => undefined
    const beneath = await openEmbedded({ path: ':memory:', now: () => 1_800_000_000 })
    const get = () => {
      asked += 1
      return act()
    }
    const list = async () => (await act()) ?? []
    store = inTime({ ...beneath, get, list }, patience)
  })
  afterEach(() => {
    mock.timers.reset()
    mock.restoreAll()
  })
  const ask = () => store.get(kinds.Session, 'id')
  const down = (how: Promise<unknown>) => assert.rejects(how, StoreUnavailable)
  const hung = () => new Promise<undefined>(() => {})
  const failing = async (): Promise<undefined> => Promise.reject(new StoreUnavailable('down'))

  it('gives an operation that never ends a deadline, and asks no more for a while', async () => {
    act = hung
    let over = false
    const first = down(ask()).then(() => {
      over = true
    })
    await pass(patience.deadline - 1)
    assert.equal(over, false)
    await pass(1)
    await first
    for (let n = 0; n < 100; n += 1) await down(ask())
    await pass(patience.rest - 1)
    await down(ask())
    assert.equal(asked, 1)
  })

  it('lets what reads all that there is take longer, and others go on meanwhile', async () => {
    const answer = Promise.withResolvers<undefined>()
    act = () => answer.promise
    const all = store.list(kinds.Session, 100_000)
    await pass(patience.longDeadline - 1)
    act = async () => undefined
    await ask()
    answer.resolve(undefined)
    assert.deepEqual(await all, [])
    act = hung
    await Promise.all([down(store.list(kinds.Session, 100_000)), pass(patience.longDeadline)])
    await down(ask())
    await pass(patience.rest)
    await Promise.all([down(store.list(kinds.Session, 100_000)), pass(patience.deadline)])
  })

  it('lets one operation try after the pause, while the others fail at once', async () => {
    act = hung
    await Promise.all([down(ask()), pass(patience.deadline)])
    await pass(patience.rest)
    const [first, ...others] = Array.from({ length: 100 }, () => down(ask()))
    await Promise.all(others)
    await Promise.all([first, pass(patience.deadline)])
    assert.equal(asked, 2)
    await pass(patience.rest)
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
    act = () => pass(patience.quick + 1).then(failing)
    await down(ask())
    await down(ask())
    assert.equal(asked, 1)
  })

  it('passes other errors through, and they are no failure of the store', async () => {
    act = () => pass(patience.quick + 1).then(() => Promise.reject(new RangeError('too long')))
    await assert.rejects(ask(), RangeError)
    act = async () => undefined
    await ask()
  })

  it('hears an answer that was there in time, though the process itself stood still', async () => {
    act = () => new Promise((resolve) => setImmediate(resolve, undefined))
    const answer = ask()
    mock.timers.tick(patience.deadline) // before any other turn
    await answer
  })
})
