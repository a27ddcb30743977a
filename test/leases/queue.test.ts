import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { openDue } from '../../src/leases/due.ts'
import { openProofShelf, type StoredProof } from '../../src/lifecycle/proofs.ts'
import { kinds } from '../../src/store/kinds.ts'
import { type Store, StoreUnavailable } from '../../src/store/store.ts'
import { down, fakeTarget, hanging, refused } from './fake-target.ts'
import { type Ground, startGround, subOf } from './world.ts'

let ground: Ground
beforeEach(async () => {
  ground = await startGround()
})
afterEach(() => ground.close())

const by = { reference: 'test' }
const ada = subOf('ada')

/** A second target, at which everybody is to have the same. */
function another(): ReturnType<typeof fakeTarget> {
  const other = fakeTarget()
  const { decide, targets } = ground.world
  const both = (grants: ReturnType<typeof decide>['grants']) => [
    ...grants,
    ...grants.map((grant) => ({ ...grant, target: 'other' })),
  ]
  ground.world = {
    ...ground.world,
    targets: new Map([...targets, ['other', { id: 'other', live: other.live, refuse: () => undefined }]]),
    decide: (subject, now) => ({ ...decide(subject, now), grants: both(decide(subject, now).grants) }),
  }
  return other
}

test('a target that is slow holds up nobody at another one', async () => {
  const other = another()
  const { leases, ends } = await ground.serving()
  await ground.signIn('p', 'ada', ['web'])
  await leases.arrived(ada, ['cloud', 'other'], 'r')
  const { go, there, wait } = hanging()
  other.before = wait
  await ground.signIn('q', 'bob', ['web'])
  await leases.mark(subOf('bob'), 0)
  await leases.tick()
  await there
  await ends.end({ kind: 'subject', sub: ada }, 'operator', by)
  await until(async () => {
    ground.now += 1
    await leases.tick()
    return (await ground.state('ada')) === 'locked'
  })
  leases.reloaded()
  await ground.signIn('r', 'eve', ['web'])
  await leases.passes()
  await until(async () => (await ground.state('eve')) === 'open web:member')
  go()
  await leases.idle()
})

/** Turns of the event loop until something is so. */
async function until(is: () => Promise<boolean>): Promise<void> {
  for (let n = 0; n < 2000; n++) {
    if (await is()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.fail('it never came')
}

test('somebody with many grants holds up nobody who loses all', async () => {
  const { leases, ends } = await ground.serving()
  await ground.signIn('p', 'ada', ['web'])
  await leases.arrived(ada, ['cloud'], 'r')
  const projects = Array.from({ length: 300 }, (_, n) => `p${n}`)
  await ground.signIn('q', 'eve', projects)
  await leases.mark(subOf('eve'), 0)
  ground.target.step = async ({ lease }) => {
    if (lease === 'p1:member') await ends.end({ kind: 'subject', sub: ada }, 'operator', by)
  }
  const second = async () => {
    ground.now += 1
    await leases.tick()
    await leases.idle()
  }
  await second()
  await second()
  assert.equal(await ground.state('ada'), 'locked')
  assert.ok((ground.target.people.get(subOf('eve'))?.has.size ?? 0) < 100)
  for (let n = 0; n < 20; n++) await second()
  assert.equal((await ground.ledger('eve')).length, 300)
})

test('many who are revoked are locked although whole lists are too slow to be read, and none are asked for under a claim', async () => {
  const { leases, ends } = await ground.serving()
  const ids = Array.from({ length: 150 }, (_, n) => `person-${n}`)
  for (const id of ids) {
    await ground.signIn(id, id, ['web'])
    await leases.arrived(subOf(id), ['cloud'], 'r')
  }
  ground.target.list = down
  ground.target.counts.lists = 0
  await ends.end({ kind: 'connector', id: 'corp' }, 'operator', by)
  for (let n = 0; n < 5; n++) {
    ground.now += 1
    await leases.tick()
    await leases.idle()
  }
  for (const id of ids) assert.equal(await ground.state(id), 'locked')
  assert.equal(ground.target.counts.lists, 0)
})

test('many who are marked are settled few by few where whole lists cannot be read', async () => {
  const { leases } = await ground.serving()
  const ids = Array.from({ length: 150 }, (_, n) => `person-${n}`)
  for (const id of ids) {
    await ground.signIn(id, id, ['web'])
    await leases.mark(subOf(id), 0)
  }
  ground.target.list = down
  for (let n = 0; n < 10; n++) {
    ground.now += 1
    await leases.tick()
    await leases.idle()
  }
  for (const id of ids) assert.equal(await ground.state(id), 'open web:member')
  assert.equal(ground.target.counts.lists, 1)
})

test('what ends at a moment that a recheck names ends then for many, too, and not only with the next pass', async () => {
  await ground.close()
  ground = await startGround(fakeTarget({ atOnce: { accounts: 1000, percent: 100 } }))
  const { leases } = await ground.serving()
  const shelf = openProofShelf(ground.store, () => ground.now)
  const ids = Array.from({ length: 120 }, (_, n) => `person-${n}`)
  for (const id of ids) await leases.arrived(await ground.signIn(id, id, ['web']), ['cloud'], 'r')
  const until = [String(ground.now + 300)]
  for (const id of ids) {
    const before = (await shelf.get(id)) as StoredProof
    const claims = { ...before.subject.claims, until }
    const after = { ...before, subject: { ...before.subject, claims } }
    await shelf.put(id, after)
    await leases.renewed(before, after)
  }
  await ground.pass(leases, 15) // also through the minutes before it began
  assert.equal(await ground.state('person-0'), 'open web:member')
  ground.now += 285
  await ground.pass(leases, 5)
  for (const id of ids) assert.equal(await ground.state(id), 'locked', id)
})

test('one whose change fails is tried less and less often, and holds up nobody for long', async () => {
  const { leases } = await ground.serving()
  let tries = 0
  ground.target.step = ({ kind }, sub) => {
    if (sub !== subOf('bad') || kind !== 'give') return
    tries++
    down()
  }
  await ground.signIn('bad', 'bad', ['emoji'])
  await leases.mark(subOf('bad'), 0)
  let ready = 0
  for (let n = 0; n < 60; n++) {
    await ground.pass(leases)
    await ground.signIn(`p${n}`, `person-${n}`, ['web'])
    if ((await leases.arrived(subOf(`person-${n}`), ['cloud'], 'r')) === 'ready') ready++
  }
  assert.ok(tries < 10, `${tries} tries`)
  assert.ok(ready > 45, `${ready} of 60`)
})

test('what a target refuses to be asked about one person holds up no other one', async () => {
  const { leases } = await ground.serving()
  const { observe } = ground.target.live
  const strict = {
    ...ground.target.live,
    observe: (questions: Parameters<typeof observe>[0]) =>
      questions.some(({ account }) => account.sub === subOf('bad')) ? refused() : observe(questions),
  }
  ground.world = {
    ...ground.world,
    targets: new Map([['cloud', { id: 'cloud', live: strict, refuse: () => undefined }]]),
  }
  for (const id of ['bad', 'bob', 'eve']) {
    await ground.signIn(id, id, ['web'])
    await leases.mark(subOf(id), 0)
  }
  ground.now += 1
  await leases.tick()
  await leases.idle()
  assert.equal(await ground.state('bob'), 'open web:member')
  assert.equal(await ground.state('eve'), 'open web:member')
})

test('marks about one person are one, however many they are', async () => {
  const { leases } = await ground.serving()
  await ground.signIn('p', 'ada', ['web'])
  for (let n = 0; n < 50; n++) await leases.mark(ada, 0)
  ground.target.before = down
  for (let n = 0; n < 50; n++) await leases.arrived(ada, ['cloud'], 'r')
  assert.equal((await ground.store.list(kinds.Due, 1000)).length, 1)
})

test('a mark for later is not struck off with one for now', async () => {
  const { leases } = await ground.serving()
  await ground.signIn('p', 'ada', ['web'])
  await leases.mark(ada, 0)
  await leases.mark(ada, 10)
  await ground.pass(leases, 3)
  ground.target.people.delete(ada)
  await ground.pass(leases, 10)
  assert.equal(await ground.state('ada'), 'open web:member')
})

test('a mark by who knows no targets is heard at all of them', async () => {
  const other = another()
  const { leases } = await ground.serving()
  await ground.signIn('p', 'ada', ['web'])
  const due = openDue(
    ground.store,
    () => ground.now,
    () => 'version',
  )
  await due.mark(ada, 0)
  await ground.pass(leases)
  assert.equal(await ground.state('ada'), 'open web:member')
  assert.equal(other.people.get(ada)?.has.size, 1)
  assert.equal((await due.read([])).marks, 0)
})

test('what was written into a target that was renamed is told of at once, with the way to take it back', async () => {
  const { leases } = await ground.serving()
  await ground.signIn('p', 'ada', ['web'])
  await leases.arrived(ada, ['cloud'], 'r')
  await ground.pass(leases)
  const left = () =>
    ground.logs.filter(({ message }) => message.startsWith('the gateway wrote into a target that')).length
  assert.equal(left(), 0)
  ground.world = { ...ground.world, targets: new Map() }
  leases.reloaded()
  await ground.pass(leases, 2)
  assert.equal(left(), 1)
  await ground.pass(ground.process().leases)
  assert.equal(left(), 2, 'and at the next start')
})

test('a store that fails at the start does not hide what was left behind', async () => {
  const { leases } = await ground.serving()
  await ground.signIn('p', 'ada', ['web'])
  await leases.arrived(ada, ['cloud'], 'r')
  ground.world = { ...ground.world, targets: new Map() }
  let works = false
  const list: Store['list'] = (...args) =>
    works ? ground.store.list(...args) : Promise.reject(new StoreUnavailable('no answer'))
  const next = ground.process({ ...ground.store, list }).leases
  await assert.rejects(next.passes(), StoreUnavailable)
  works = true
  await next.passes()
  assert.ok(ground.logs.some(({ message }) => message.startsWith('the gateway wrote into a target that')))
})

test('sign-ins that nobody waits for any longer do not pile up at a slow target', async () => {
  const { leases } = await ground.serving()
  const { go, wait } = hanging()
  ground.target.before = wait
  const arrivals = []
  for (let n = 0; n < 150; n++) {
    await ground.signIn(`p${n}`, `person-${n}`, ['web'])
    arrivals.push(leases.arrived(subOf(`person-${n}`), ['cloud'], 'r'))
  }
  const first = await Promise.race(arrivals.slice(100))
  assert.equal(first, 'later', 'the last ones are told at once')
  assert.equal((await ground.store.list(kinds.Settling, 1000)).length, 100)
  go()
  await Promise.all(arrivals)
  ground.target.before = () => {}
  for (let n = 0; n < 150; n++) await leases.arrived(subOf(`person-${n}`), ['cloud'], 'r')
  await ground.pass(leases, 5)
  assert.equal(await ground.state('person-149'), 'open web:member')
})

test('whoever is settled too slowly again and again is told of, once it happens often', async () => {
  const { leases } = await ground.serving()
  await ground.signIn('p', 'ada', ['web', 'db'])
  ground.target.step = ({ kind }) => {
    if (kind === 'give') ground.now += 31
  }
  const told = () => ground.logs.filter(({ message }) => message.includes('answers too slowly')).length
  await leases.mark(ada, 0)
  for (let n = 0; n < 40; n++) {
    ground.target.people.get(ada)?.has.clear()
    ground.now += 1
    await leases.tick()
    await leases.idle()
  }
  assert.equal(told(), 1)
})

test('a clock that was a day ahead for a moment puts off no pass by a day', async () => {
  ground.now += 86_400
  const { leases } = await ground.serving()
  ground.now -= 86_400
  await ground.arrive(leases, 'ada', ['web'])
  ground.target.people.get(ada)?.has.delete('web:member')
  await ground.pass(leases, 20)
  assert.equal(await ground.state('ada'), 'open web:member')
})
