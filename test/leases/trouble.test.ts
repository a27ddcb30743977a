import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { kinds } from '../../src/store/kinds.ts'
import { type Store, StoreUnavailable } from '../../src/store/store.ts'
import { hanging, refused } from './fake-target.ts'
import { type Ground, startGround, subOf } from './world.ts'

let ground: Ground
beforeEach(async () => {
  ground = await startGround()
})
afterEach(() => ground.close())

const by = { reference: 'test' }
const ada = subOf('ada')
const names = () => ground.events.map(({ event }) => event)

test('what was given after its claim had run out is in the ledger, and taken back', async () => {
  const [slow, other] = [await ground.serving(), await ground.serving()]
  const { go, there, wait } = hanging()
  let first = true
  ground.target.step = ({ kind }) => {
    if (kind !== 'give' || !first) return
    first = false
    return wait()
  }
  await ground.signIn('p', 'ada', ['web', 'db'])
  const arriving = slow.leases.arrived(ada, ['cloud'], 'r')
  await there
  ground.now += 31
  await other.ends.end({ kind: 'subject', sub: ada }, 'operator', by)
  await ground.pass(other.leases, 3)
  assert.equal(await ground.state('ada'), 'locked')
  go()
  await arriving
  assert.equal(await ground.state('ada'), 'locked db:member', 'the target did it all the same')
  assert.deepEqual(await ground.ledger('ada'), ['locked', 'db:member'])
  await ground.pass(other.leases, 3)
  assert.equal(await ground.state('ada'), 'locked')
  assert.deepEqual(await ground.ledger('ada'), ['locked'])
})

test('a step that is not answered is waited for no longer than its claim holds, and noted when it comes after all', async () => {
  const { leases, ends } = await ground.serving()
  const { go, there, wait } = hanging()
  ground.target.step = ({ kind }) => (kind === 'give' ? wait() : undefined)
  await ground.signIn('p', 'ada', ['web'])
  await leases.mark(ada, 0)
  mock.timers.enable({ apis: ['setTimeout'] })
  await leases.tick()
  await there
  mock.timers.tick(25_000)
  await leases.idle()
  mock.timers.reset()
  assert.ok(ground.logs.some(({ message }) => message.startsWith('a target does not answer')))
  await ends.end({ kind: 'subject', sub: ada }, 'operator', by)
  await ground.pass(leases, 20)
  assert.deepEqual([await ground.state('ada'), ...(await ground.ledger('ada'))], ['locked', 'locked'])
  go()
  while ((await ground.ledger('ada')).length < 2) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(
    [await ground.state('ada'), ...(await ground.ledger('ada'))],
    ['locked web:member', 'locked', 'web:member'],
  )
  leases.reloaded()
  await ground.pass(leases)
  assert.equal(await ground.state('ada'), 'locked')
})

test('a take that is refused holds up no other take, and no give', async () => {
  const { leases } = await ground.serving()
  await ground.signIn('p', 'ada', ['a', 'web', 'db'])
  await leases.arrived(ada, ['cloud'], 'r')
  ground.target.step = ({ kind, lease }) => {
    if (kind === 'take' && lease === 'a:member') refused()
  }
  await ground.signIn('p', 'ada', ['x'])
  await leases.mark(ada, 0)
  await ground.pass(leases)
  assert.equal(await ground.state('ada'), 'open a:member x:member')
  assert.deepEqual(await ground.ledger('ada'), ['a:member', 'x:member'])
  assert.ok(ground.logs.some(({ level, message }) => level === 'error' && message.startsWith('a target refuses')))
})

test('a lock that is refused holds up no take', async () => {
  const { leases, ends } = await ground.serving()
  await ground.signIn('p', 'ada', ['web', 'db'])
  await leases.arrived(ada, ['cloud'], 'r')
  ground.target.step = ({ kind }) => {
    if (kind === 'lock') refused()
  }
  await ends.end({ kind: 'subject', sub: ada }, 'operator', by)
  await ground.pass(leases)
  assert.equal(await ground.state('ada'), 'open')
  ground.target.step = () => {}
  await ground.pass(leases, 120)
  assert.equal(await ground.state('ada'), 'locked')
})

test('a give that is refused keeps nobody locked', async () => {
  const { leases, ends } = await ground.serving()
  await ground.signIn('p', 'ada', ['web'])
  await leases.arrived(ada, ['cloud'], 'r')
  await ends.end({ kind: 'subject', sub: ada }, 'operator', by)
  await ground.pass(leases)
  ground.target.step = ({ kind, lease }) => {
    if (kind === 'give' && lease === 'db:member') refused()
  }
  await ground.signIn('q', 'ada', ['db', 'web'])
  await leases.arrived(ada, ['cloud'], 'r')
  assert.equal(await ground.state('ada'), 'open web:member')
})

test('a full audit log keeps nobody in whose new rights cannot be written down', async () => {
  const { leases } = await ground.serving()
  await ground.signIn('p', 'ada', ['web'])
  await leases.arrived(ada, ['cloud'], 'r')
  ground.audit = 'full'
  // More than are done at once, and what is taken stands behind them.
  const projects = Array.from({ length: 30 }, (_, n) => `p${n}`)
  const { plan } = ground.target.live
  const lastFirst = { ...ground.target.live, plan: (...args: Parameters<typeof plan>) => plan(...args).toReversed() }
  ground.world = {
    ...ground.world,
    targets: new Map([['cloud', { id: 'cloud', live: lastFirst, refuse: () => undefined }]]),
  }
  await ground.signIn('p', 'ada', projects)
  await leases.mark(ada, 0)
  await ground.pass(leases)
  assert.equal(await ground.state('ada'), 'open')
})

test('a line about what a command takes is written once, when it is taken', async () => {
  const [command, serving] = [await ground.serving(), await ground.serving()]
  await ground.signIn('p', 'ada', ['web'])
  await command.leases.arrived(ada, ['cloud'], 'r')
  await command.ends.end({ kind: 'subject', sub: ada }, 'operator', by)
  const { go, there, wait } = hanging()
  ground.target.step = ({ kind }) => (kind === 'lock' ? wait() : undefined)
  ground.events.length = 0
  const target = ground.world.targets.get('cloud')
  assert.ok(target)
  const passing = command.leases.pass(target, { how: 'all', reference: 'command' })
  await there
  ground.now += 4
  await serving.ends.resume()
  assert.deepEqual(names(), [], 'nothing was taken yet')
  go()
  await passing
  ground.now += 120
  await serving.ends.resume()
  assert.deepEqual(names(), ['account.locked', 'lease.taken'])
})

test('what was taken is written down although the store failed right after it', async () => {
  let works = true
  const failing = new Proxy(ground.store, {
    get: (store, name: keyof Store) => {
      if (works) return store[name]
      return () => Promise.reject(new StoreUnavailable(`${name}: no answer`))
    },
  })
  const { leases, ends } = ground.process(failing)
  await ground.signIn('p', 'ada', ['web'])
  await leases.arrived(ada, ['cloud'], 'r')
  await ends.end({ kind: 'subject', sub: ada }, 'operator', by)
  ground.target.step = ({ kind }) => {
    works = kind !== 'take'
  }
  ground.now += 1
  await leases.tick()
  await leases.idle()
  works = true
  ground.now += 120
  await ends.resume()
  assert.ok(names().includes('account.locked') && names().includes('lease.taken'), names().join())
  assert.equal((await ground.store.list(kinds.EndLine, 10)).length, 0)
})

test('who has at the target already what the rules give is known from then on, and locked when she is gone', async () => {
  for (const many of [1, 30]) {
    const { leases, ends } = await ground.serving()
    const ids = Array.from({ length: many }, (_, n) => `adopted-${many}-${n}`)
    for (const id of ids) {
      ground.target.people.set(subOf(id), { enabled: true, has: new Set(['web:member']) })
      await ground.signIn(id, id, ['web'])
      if (many === 1) await leases.arrived(subOf(id), ['cloud'], 'r')
    }
    leases.reloaded()
    await ground.pass(leases)
    for (const id of ids) await ends.end({ kind: 'subject', sub: subOf(id) }, 'operator', by)
    await ground.pass(leases, 3)
    for (const id of ids) assert.equal(await ground.state(id), 'locked web:member', 'the role was given by others')
  }
})

test('rules that name hundreds of places for one person make none of them', async () => {
  const { leases } = await ground.serving()
  const places = Array.from({ length: 101 }, (_, n) => ({ kind: 'prepare', says: `project ${n}`, does: {} }) as const)
  const { plan } = ground.target.live
  const wide = { ...ground.target.live, plan: (...args: Parameters<typeof plan>) => [...plan(...args), ...places] }
  ground.world = {
    ...ground.world,
    targets: new Map([['cloud', { id: 'cloud', live: wide, refuse: () => undefined }]]),
  }
  await ground.signIn('p', 'ada', ['web'])
  await leases.mark(ada, 0)
  await ground.pass(leases)
  assert.equal(ground.target.counts.writes, 0)
  assert.ok(ground.logs.some(({ level, message }) => level === 'error' && message.startsWith('a target refuses')))
})

test('a process that is told to stop begins with nobody else, and says whom it did not come to', async () => {
  const stopping = new AbortController()
  ground.stop = stopping.signal
  const ids = Array.from({ length: 50 }, (_, n) => `person-${n}`)
  const { leases } = ground.process()
  for (const id of ids) await ground.signIn(id, id, ['web'])
  ground.target.step = () => stopping.abort()
  const target = ground.world.targets.get('cloud')
  assert.ok(target)
  const { left } = await leases.pass(target, { how: 'guarded', reference: 'command' })
  assert.equal(left.size, 30)
  await ground.pass(leases)
  assert.equal(ground.target.people.size, 20, 'neither does the next pass')
  for (const id of ids) await leases.mark(subOf(id), 0)
  await leases.tick()
  await leases.idle()
  assert.equal(ground.target.people.size, 20, 'nor the queue')
  assert.equal((await ground.store.list(kinds.Due, 100)).length, 50, 'which waits for the next process')
})
