import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { openGuard } from '../../src/leases/guard.ts'
import { openProofShelf, type StoredProof } from '../../src/lifecycle/proofs.ts'
import type { Store } from '../../src/store/store.ts'
import { hanging } from './fake-target.ts'
import { type Ground, rules, startGround, subOf } from './world.ts'

let ground: Ground
beforeEach(async () => {
  ground = await startGround()
})
afterEach(() => ground.close())

const people = (count: number) => Array.from({ length: count }, (_, n) => `person-${n}`)

/** As many people with `web` each. */
async function crowd(count: number, process = ground.process()) {
  for (const id of people(count)) await ground.signIn(id, id, ['web'])
  await ground.pass(process.leases)
  return process
}

/** How many of them have something at the target. */
const having = () =>
  [...ground.target.people.values()].filter(({ enabled, has }) => enabled && has.has('web:member')).length

/** Rules that call the project by another name. */
function change(): void {
  ground.world = {
    ...ground.world,
    decide: (subject, now) => {
      const decision = rules(subject, now)
      return { ...decision, grants: decision.grants.map((grant) => ({ ...grant, project: 'other' })) }
    },
  }
}

const held = () => ground.events.flatMap((event) => (event.event === 'reconcile.held' ? [event.accounts] : []))

test('changed rules that would take from too many at once take from nobody, and give all the same', async () => {
  const { leases } = await crowd(30)
  change()
  leases.reloaded()
  await ground.pass(leases)
  assert.equal(having(), 30)
  assert.equal(await ground.state('person-0'), 'open other:member web:member')
  assert.deepEqual(held(), [30])
  assert.ok(ground.logs.some(({ level, message }) => level === 'error' && message.startsWith('changed rules')))
  leases.reloaded()
  await ground.pass(leases)
  assert.equal(having(), 30)
  assert.deepEqual(held(), [30], 'told once')
})

test('whoever signs in meanwhile keeps what is held, too', async () => {
  const { leases } = await crowd(30)
  change()
  leases.reloaded()
  await ground.pass(leases)
  assert.equal(await leases.arrived(subOf('person-3'), ['cloud'], 'r'), 'ready')
  await leases.mark(subOf('person-4'), 0)
  await ground.pass(leases)
  assert.equal(having(), 30)
})

test('an operator who says so has it carried out, beside the process that serves', async () => {
  const { leases } = await crowd(30)
  change()
  leases.reloaded()
  await ground.pass(leases)
  const target = ground.world.targets.get('cloud')
  assert.ok(target)
  const command = ground.process().leases
  const look = await command.pass(target, { how: 'look', reference: 'command' })
  assert.equal(look.held.size, 30)
  assert.equal(having(), 30, 'a look changes nothing')
  const done = await command.pass(target, { how: 'all', reference: 'command' })
  assert.equal(done.plans.length, 30)
  assert.equal(having(), 0)
  assert.deepEqual(await ground.ledger('person-0'), ['other:member'])
  leases.reloaded()
  await ground.pass(leases)
  assert.deepEqual(held(), [30])
  assert.deepEqual((await command.pass(target, { how: 'look', reference: 'command' })).plans, [])
})

test('several processes share what may be taken between two passes', () => {
  const limits = () => ({ every: 900, atOnce: { accounts: 20, percent: 0 } })
  const taken = (among: number) => {
    const guards = Array.from({ length: among }, () =>
      openGuard(
        () => 0,
        limits,
        () => among,
      ),
    )
    const asked = people(50).map((sub, n) => guards[n % among]?.one({ sub, connector: 'corp' }))
    return asked.filter(Boolean).length
  }
  assert.deepEqual([taken(1), taken(2), taken(4)], [20, 20, 20])
})

test('twenty at once are taken from unasked', async () => {
  const { leases } = await crowd(20)
  change()
  leases.reloaded()
  await ground.pass(leases)
  assert.equal(having(), 0)
})

test('ends are never held, however many there are', async () => {
  const { leases, ends } = await crowd(60)
  await ends.end({ kind: 'connector', id: 'corp' }, 'operator', { reference: 'test' })
  await ground.pass(leases, 3)
  assert.equal(having(), 0)
  assert.deepEqual(held(), [])
})

test('an upstream that answers everybody with no groups takes from twenty, and then from nobody any more', async () => {
  const { leases } = await crowd(60)
  const shelf = openProofShelf(ground.store, () => ground.now)
  for (const id of people(60)) {
    const before = (await shelf.get(id)) as StoredProof
    const after = { ...before, subject: { ...before.subject, claims: { admit: ['yes'] } } }
    await shelf.put(id, after)
    await leases.renewed(before, after)
  }
  await ground.pass(leases, 5)
  assert.equal(having(), 40)
  assert.deepEqual(held(), [40])
})

test('few at a time are taken from, as the time goes by', async () => {
  const { leases } = await crowd(40)
  const shelf = openProofShelf(ground.store, () => ground.now)
  const lose = async (ids: readonly string[]) => {
    for (const id of ids) {
      const before = (await shelf.get(id)) as StoredProof
      const after = {
        ...before,
        goodUntil: ground.now + 100_000,
        subject: { ...before.subject, claims: { admit: ['yes'] } },
      }
      await shelf.put(id, after)
      await leases.renewed(before, after)
    }
    await ground.pass(leases, 2)
  }
  await lose(people(40).slice(0, 20))
  assert.equal(having(), 20)
  ground.now += 901
  await lose(people(40).slice(20))
  assert.equal(having(), 0)
})

test('whoever steers the claims of one upstream holds up nothing for people of another', async () => {
  ground.world = { ...ground.world, connectors: new Set(['corp', 'acme']) }
  const { leases } = await crowd(60)
  const shelf = openProofShelf(ground.store, () => ground.now)
  const change = async (proof: string, id: string, connector: string, projects: readonly string[]) => {
    const subject = { connector, id, claims: { projects, admit: ['yes'] }, records: {}, authTime: ground.now }
    const via = { client: 'cli', address: '::1' }
    const times = { provenAt: ground.now, goodUntil: ground.now + 90_000, signedInAt: ground.now }
    await shelf.put(proof, { subject, ...times, via })
    await leases.mark(subOf(id, connector), 0)
  }
  await change('bob', 'bob', 'acme', ['secret', 'x'])
  await ground.pass(leases)
  for (const id of people(60)) await change(id, id, 'corp', [])
  await ground.pass(leases, 60)
  assert.equal(having(), 40)
  await change('bob', 'bob', 'acme', ['x'])
  await ground.pass(leases)
  assert.deepEqual([...(ground.target.people.get(subOf('bob', 'acme'))?.has ?? [])], ['x:member'])
})

test('a look writes nothing anywhere, and asks no upstream', async () => {
  await crowd(3)
  const shelf = openProofShelf(ground.store, () => ground.now)
  const proof = (await shelf.get('person-0')) as StoredProof
  const claims = { ...proof.subject.claims, until: [String(ground.now + 100)] }
  await shelf.put('person-0', { ...proof, subject: { ...proof.subject, claims } })
  change()
  ground.upstream = { recheckAfter: 0, recheckGrace: 0, open: () => assert.fail('the upstream is asked') }
  const written: string[] = []
  const reading = new Proxy(ground.store, {
    get: (store, name: keyof Store) => {
      if (!['get', 'find', 'members', 'list', 'check'].includes(name)) written.push(name)
      return store[name]
    },
  })
  const target = ground.world.targets.get('cloud')
  assert.ok(target)
  const { plans } = await ground.process(reading).leases.pass(target, { how: 'look', reference: 'command' })
  assert.equal(plans.length, 3)
  assert.deepEqual([written, having()], [[], 3])
})

test('rules that change while a pass looks at everybody are looked at by another one at once', async () => {
  const { leases } = await crowd(3)
  const { go, there, wait } = hanging()
  ground.target.after = wait
  leases.reloaded()
  await leases.passes()
  await there
  change()
  leases.reloaded()
  go()
  await leases.idle()
  ground.target.after = () => {}
  await ground.pass(leases)
  assert.equal(having(), 0)
})
