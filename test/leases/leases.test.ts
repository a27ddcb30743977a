import assert from 'node:assert/strict'
import { syncBuiltinESMExports } from 'node:module'
import { afterEach, beforeEach, type TestContext, test } from 'node:test'
import { openLedger } from '../../src/leases/ledger.ts'
import { openProofShelf, type StoredProof } from '../../src/lifecycle/proofs.ts'
import { kinds } from '../../src/store/kinds.ts'
import { down, fakeTarget, hanging } from './fake-target.ts'
import { type Ground, startGround, subOf } from './world.ts'

let ground: Ground
beforeEach(async () => {
  ground = await startGround()
})
afterEach(() => ground.close())

const by = { reference: 'test' }
const names = () => ground.events.map(({ event }) => event)

test('whoever signs in finds what the rules give, and the ledger names exactly that', async () => {
  const { leases } = await ground.serving()
  assert.equal(await ground.arrive(leases, 'ada', ['web', 'db']), 'ready')
  assert.equal(await ground.state('ada'), 'open db:member web:member')
  assert.deepEqual(await ground.ledger('ada'), ['db:member', 'web:member'])
  assert.deepEqual(ground.events, [
    {
      event: 'lease.given',
      target: 'cloud',
      leases: ['give db:member', 'give web:member'],
      personal: { sub: subOf('ada') },
    },
  ])
})

test('nobody gets an account at a target that gives her nothing', async () => {
  const { leases } = await ground.serving()
  assert.equal(await ground.arrive(leases, 'ada', []), 'ready')
  await ground.pass(leases)
  assert.equal(await ground.state('ada'), 'nobody')
  assert.equal(ground.target.counts.reads, 0)
})

test('what others gave is never touched, and never becomes a lease', async () => {
  const { leases, ends } = await ground.serving()
  ground.target.people.set(subOf('ada'), { enabled: true, has: new Set(['web:member', 'ops:reader']) })
  await ground.arrive(leases, 'ada', ['web', 'db'])
  assert.deepEqual(await ground.ledger('ada'), ['db:member'])
  await ends.end({ kind: 'subject', sub: subOf('ada') }, 'operator', by)
  await ground.pass(leases)
  assert.equal(await ground.state('ada'), 'locked ops:reader web:member')
  assert.deepEqual(await ground.ledger('ada'), ['locked'])
})

test('no lease outlives its proof: after an end the account is locked and empty within a second, and opened again for whoever comes back', async () => {
  const { leases, ends } = await ground.serving()
  await ground.arrive(leases, 'ada', ['web'])
  await ends.end({ kind: 'proof', id: 'ada' }, 'upstream', by)
  await ground.pass(leases)
  assert.equal(await ground.state('ada'), 'locked')
  assert.deepEqual(await ground.ledger('ada'), ['locked'])
  assert.equal(await ground.arrive(leases, 'ada', ['web'], 'again'), 'ready')
  assert.equal(await ground.state('ada'), 'open web:member')
  assert.deepEqual(await ground.ledger('ada'), ['web:member'])
  assert.deepEqual(names(), [
    'lease.given',
    'session.ended',
    'account.locked',
    'lease.taken',
    'lease.given',
    'account.unlocked',
  ])
})

test('who was locked by somebody else stays locked', async () => {
  const { leases } = await ground.serving()
  await ground.arrive(leases, 'ada', ['web'])
  const person = ground.target.people.get(subOf('ada'))
  assert.ok(person)
  person.enabled = false
  await ground.arrive(leases, 'ada', ['web', 'db'])
  await ground.pass(leases)
  assert.equal(await ground.state('ada'), 'locked web:member')
})

test('what the rules end at a moment is taken at that moment, although the proof holds', async () => {
  const { leases } = await ground.serving()
  const sub = await ground.signIn('ada', 'ada', ['web'])
  const shelf = openProofShelf(ground.store, () => ground.now)
  const proof = (await shelf.get('ada')) as StoredProof
  const claims = { ...proof.subject.claims, admit: ['yes'], until: [String(ground.now + 100)] }
  await shelf.put('ada', { ...proof, subject: { ...proof.subject, claims } })
  await leases.arrived(sub, ['cloud'], 'r')
  assert.equal(await ground.state('ada'), 'open web:member')
  await ground.pass(leases, 98)
  assert.equal(await ground.state('ada'), 'open web:member')
  await ground.pass(leases, 3)
  assert.equal(await ground.state('ada'), 'open', 'she may still come in, and has nothing there')
})

test('a recheck with other claims is acted upon, one with the same claims writes nothing', async () => {
  const { leases } = await ground.serving()
  await ground.arrive(leases, 'ada', ['web', 'db'])
  const shelf = openProofShelf(ground.store, () => ground.now)
  const before = (await shelf.get('ada')) as StoredProof
  await leases.renewed(before, { ...before, provenAt: ground.now + 5 })
  assert.equal((await ground.store.list(kinds.Due, 10)).length, 0)
  const after = { ...before, subject: { ...before.subject, claims: { projects: ['web'] } } }
  await shelf.put('ada', after)
  await leases.renewed(before, after)
  await ground.pass(leases)
  assert.equal(await ground.state('ada'), 'open web:member')
})

test('a pass over ten thousand accounts that are as they should be writes nothing, to the store or the target', async (t) => {
  await ground.close()
  ground = await startGround(fakeTarget({ atOnce: { accounts: 20_000, percent: 100 } }))
  const count = 10_000
  const ledger = openLedger(ground.store)
  await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const sub = await ground.signIn(`p${n}`, `person-${n}`, ['web'])
      await ledger.change('cloud', sub, (account) => ({ ...account, leases: { 'web:member': 'give web:member' } }))
      ground.target.people.set(sub, { enabled: true, has: new Set(['web:member']) })
    }),
  )
  const writes: string[] = []
  const reading = new Proxy(ground.store, {
    get: (target, name: keyof typeof ground.store) => {
      if (['put', 'add', 'swap', 'take', 'consume', 'delete', 'revoke'].includes(name)) writes.push(name)
      return target[name]
    },
  })
  const before = { ...ground.target.counts }
  const began = performance.now()
  const { leases } = ground.process(reading)
  await leases.passes()
  await leases.idle()
  const took = performance.now() - began
  assert.deepEqual(writes, [])
  assert.equal(ground.target.counts.writes, before.writes)
  assert.equal(ground.target.counts.reads - before.reads, 1, 'everybody at once')
  t.diagnostic(`a pass over ${count} unchanged accounts: 0 writes, ${Math.round(took)} ms beside the target's answers`)
})

test('a tenant whose file is broken takes nothing from its people before their proofs end', async () => {
  const { leases, ends } = await ground.serving()
  await ground.arrive(leases, 'ada', ['web'])
  ground.world = {
    ...ground.world,
    connectors: new Set(),
    decide: () => ({
      allowed: false,
      identity: { username: '' },
      grants: [],
      until: Number.POSITIVE_INFINITY,
      because: [],
    }),
  }
  leases.reloaded()
  await leases.mark(subOf('ada'), 0)
  await ground.pass(leases, 5)
  assert.equal(await ground.state('ada'), 'open web:member')
  await ends.end({ kind: 'proof', id: 'ada' }, 'expiry', by)
  await ground.pass(leases, 1)
  assert.equal(await ground.state('ada'), 'locked')
})

test('a service has its leases for as long as the configuration names it', async () => {
  const { leases } = await ground.serving()
  const service = { connector: 'corp', id: 'robot', claims: { projects: ['ci'] }, records: {}, authTime: 0 }
  const sub = subOf('robot')
  ground.world = { ...ground.world, services: [sub], service: (asked) => (asked === sub ? service : undefined) }
  assert.equal(await leases.served(sub, 'cloud', 'r'), 'ready')
  assert.equal(await ground.state('robot'), 'open ci:member')
  const { reads } = ground.target.counts
  assert.equal(await leases.served(sub, 'cloud', 'r'), 'ready')
  assert.equal(ground.target.counts.reads, reads, 'a token every second asks nothing')
  ground.world = { ...ground.world, services: [], service: () => undefined }
  leases.reloaded()
  await ground.pass(leases)
  assert.equal(await ground.state('robot'), 'locked')
})

test('a target that is down holds up nobody who may go on, and gets everything when it is back', async () => {
  const { leases, ends } = await ground.serving()
  await ground.arrive(leases, 'bob', ['web'])
  ground.target.before = down
  assert.equal(await ground.arrive(leases, 'ada', ['web']), 'later')
  await ends.end({ kind: 'subject', sub: subOf('bob') }, 'operator', by)
  await ground.pass(leases, 60)
  assert.equal(await ground.state('ada'), 'nobody')
  ground.target.before = () => {}
  await ground.pass(leases, 20)
  assert.equal(await ground.state('ada'), 'open web:member')
  assert.equal(await ground.state('bob'), 'locked')
  assert.equal((await ground.store.list(kinds.Due, 10)).length, 0, 'the queue is empty')
  assert.ok(ground.logs.filter(({ message }) => message.startsWith('a target does not answer')).length === 1)
})

test('a target that is down refuses whoever must not go on without it', async () => {
  await ground.close()
  ground = await startGround(fakeTarget({ ifUnreachable: 'refuse' }))
  const { leases } = await ground.serving()
  ground.target.before = down
  assert.equal(await ground.arrive(leases, 'ada', ['web']), 'refused')
  assert.equal(await leases.arrived(subOf('ada'), [], 'r'), 'ready', 'on the way elsewhere it does not matter')
})

test('a target that never answers is waited for two seconds and no more', async (t) => {
  const { leases } = await ground.serving()
  const { go, there, wait } = hanging()
  ground.target.before = wait
  const tick = mockTimers(t)
  let told: string | undefined
  const arriving = ground.arrive(leases, 'ada', ['web']).then((how) => {
    told = how
  })
  await there
  await tick(1999)
  assert.equal(told, undefined)
  await tick(1)
  await arriving
  assert.equal(told, 'later')
  ground.target.before = () => {}
  go()
  await ground.pass(leases, 3)
  assert.equal(await ground.state('ada'), 'open web:member', 'and the work goes on')
})

/** Timers of this process, `node:timers/promises` too, stand still; the returned function lets so many milliseconds pass, and what they set off. */
function mockTimers(t: TestContext): (milliseconds: number) => Promise<void> {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  syncBuiltinESMExports() // else whoever has imported the function by its name has the real one
  t.after(() => {
    t.mock.timers.reset()
    syncBuiltinESMExports()
  })
  return async (milliseconds) => {
    t.mock.timers.tick(milliseconds)
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  }
}

test('a full audit log gives nobody anything, and keeps nobody in', async () => {
  const { leases, ends } = await ground.serving()
  await ground.arrive(leases, 'bob', ['web'])
  ground.audit = 'full'
  assert.equal(await ground.arrive(leases, 'ada', ['web']), 'later')
  assert.equal(await ground.state('ada'), 'open')
  await ends.end({ kind: 'subject', sub: subOf('bob') }, 'operator', by).catch(() => {})
  await ground.pass(leases, 2)
  assert.equal(await ground.state('bob'), 'locked')
  ground.audit = 'takes'
  await ground.pass(leases, 10)
  await ends.resume()
  assert.equal(await ground.state('ada'), 'open web:member')
  assert.deepEqual(names().sort(), ['account.locked', 'lease.given', 'lease.given', 'lease.taken', 'session.ended'])
})

test('a mark that comes while somebody is worked on is not lost with the one that is struck off', async () => {
  const { leases, ends } = await ground.serving()
  await ground.signIn('ada', 'ada', ['web'])
  await leases.mark(subOf('ada'), 0)
  let once = true
  ground.target.after = async () => {
    if (!once || ground.target.counts.writes < 2) return
    once = false
    await ends.end({ kind: 'proof', id: 'ada' }, 'person', by) // in the very moment in which the role is given
  }
  await ground.pass(leases, 2)
  assert.equal(await ground.state('ada'), 'locked')
  assert.deepEqual(await ground.ledger('ada'), ['locked'])
})

test('two processes at one account do each thing once, and end where one would', async () => {
  const [one, other] = [await ground.serving(), await ground.serving()]
  const sub = await ground.signIn('ada', 'ada', ['web', 'db'])
  const arrivals = await Promise.all([
    one.leases.arrived(sub, ['cloud'], 'a'),
    other.leases.arrived(sub, ['cloud'], 'b'),
  ])
  assert.deepEqual(arrivals, ['ready', 'ready'])
  assert.equal(ground.target.counts.writes, 3)
  assert.equal(await ground.state('ada'), 'open db:member web:member')
})
