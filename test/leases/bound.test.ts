import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import type { Connector } from '../../src/connectors/connector.ts'
import { LoginError } from '../../src/core/errors.ts'
import { openProofShelf, type StoredProof } from '../../src/lifecycle/proofs.ts'
import type { Bindings } from '../../src/targets/bindings.ts'
import { TargetUnavailable } from '../../src/targets/live.ts'
import { type Ground, startGround, subOf } from './world.ts'

/** A cluster in memory: bindings by key, and what was asked and done. */
const cluster = { there: new Set<string>(), asked: 0, done: [] as string[], before: async () => {} }

/** `at` gives `edit` in each namespace that the claim `projects` names. */
const bindings: Bindings = {
  every: 900,
  atOnce: { bindings: 2, percent: 10 },
  bindingsOf: (grants) =>
    grants.flatMap((grant) => ('namespace' in grant ? [{ key: grant.namespace, says: grant.namespace }] : [])),
  async observe() {
    cluster.asked++
    await cluster.before()
    return { of: new Set(cluster.there) }
  },
  plan(wanted, { of }) {
    const keys = bindings.bindingsOf(wanted).map(({ key }) => key)
    const seen = of as ReadonlySet<string>
    const make = keys
      .filter((key) => !seen.has(key))
      .map((key) => ({ key, says: key, kind: 'make' as const, does: key }))
    const gone = [...seen].filter((key) => !keys.includes(key))
    const remove = gone.map((key) => ({ key, says: key, kind: 'remove' as const, does: key }))
    return { steps: [...make, ...remove], inPlace: keys.filter((key) => seen.has(key)), kept: seen.size }
  },
  async apply({ kind, key }, how) {
    await cluster.before()
    if (how === 'try') return 'done'
    cluster.done.push(`${kind} ${key}`)
    if (kind === 'make') cluster.there.add(key)
    else cluster.there.delete(key)
    return 'done'
  },
}

let ground: Ground
beforeEach(async () => {
  Object.assign(cluster, { there: new Set(), asked: 0, done: [], before: async () => {} })
  ground = await startGround()
  const { decide, ...world } = ground.world
  ground.world = {
    ...world,
    bound: new Map([['at', { id: 'at', bindings, always: [], refuse: () => undefined }]]),
    decide(subject, now) {
      const decision = decide(subject, now)
      const places = subject.claims['projects'] ?? []
      const grants = places.map((namespace) => ({ target: 'at', namespace, roles: ['edit'] }))
      return { ...decision, grants: [...decision.grants, ...grants] }
    },
  }
})
afterEach(() => ground.close())

/** A serving process that has looked at everything once. */
const serving = async () => (await ground.serving()).leases

test('of a hundred who come at once with the same grant one makes its binding', async () => {
  const leases = await serving()
  cluster.asked = 0
  const people = Array.from({ length: 100 }, (_, n) => `person-${n}`)
  const subs = await Promise.all(people.map((id) => ground.signIn(id, id, ['web'])))
  await Promise.all(subs.map((sub) => leases.arrived(sub, ['at'], 'r')))
  assert.deepEqual([cluster.asked, cluster.done], [1, ['make web']])
})

test('one person asks for a hundred at once, and the next look makes the rest', async () => {
  const leases = await serving()
  const many = Array.from({ length: 130 }, (_, n) => `n${n}`)
  await ground.arrive(leases, 'ada', many)
  await leases.idle()
  assert.equal(cluster.there.size, 100)
  ground.now += 900
  await ground.pass(leases)
  assert.equal(cluster.there.size, 130)
})

test('a client that stands for itself has its bindings with its first token', async () => {
  const leases = await serving()
  const service = { connector: 'corp', id: 'robot', claims: { projects: ['ci'] }, records: {}, authTime: 0 }
  const sub = subOf('robot')
  ground.world = { ...ground.world, services: [sub], service: (asked) => (asked === sub ? service : undefined) }
  await leases.served(sub, 'at', 'r')
  assert.deepEqual(cluster.done, ['make ci'])
})

test('what stands on a proof whose upstream has not answered for too long is needed by nobody', async () => {
  const answers: Connector['recheck'] = async () => {
    throw new LoginError('upstream_unavailable', 'nobody answers')
  }
  ground.upstream = {
    recheckAfter: 100,
    recheckGrace: 200,
    open: async () => ({ id: 'corp', recheck: answers }) as unknown as Connector,
  }
  const leases = await serving()
  const sub = await ground.signIn('p', 'ada', ['web'])
  const shelf = openProofShelf(ground.store, () => ground.now)
  const proof = (await shelf.get('p')) as StoredProof
  await shelf.put('p', { ...proof, goodUntil: ground.now + 100_000 })
  await leases.arrived(sub, ['at', 'cloud'], 'r')
  assert.ok(cluster.there.has('web'))
  ground.now += 350
  leases.reloaded()
  await ground.pass(leases) // this one finds out
  leases.reloaded()
  await ground.pass(leases)
  assert.deepEqual([...cluster.there], [])
})

test('a target that refuses is told once for all bindings, and is not asked again by each sign-in', async () => {
  const leases = await serving()
  const refuse = new TargetUnavailable('refused', '403: you may not')
  bindings.apply = async () => Promise.reject(refuse)
  try {
    await ground.arrive(leases, 'ada', ['web'])
    cluster.asked = 0
    await ground.arrive(leases, 'ada', ['web'], 'another')
    assert.equal(cluster.asked, 0)
    assert.equal(ground.logs.filter(({ message }) => message.startsWith('a target refuses bindings')).length, 1)
  } finally {
    bindings.apply = apply
  }
})
const { apply } = bindings

test('after a look that failed nothing is taken for being there: who comes next finds out herself', async () => {
  const leases = await serving()
  await ground.arrive(leases, 'ada', ['web'])
  cluster.there.delete('web') // as a hand does
  cluster.before = () => Promise.reject(new TargetUnavailable('down', 'nobody answers'))
  ground.now += 900
  await ground.pass(leases)
  cluster.before = async () => {}
  ground.now += 5
  await ground.arrive(leases, 'bob', ['web'])
  await leases.idle()
  assert.ok(cluster.there.has('web'))
})

test('a store that fails is no reason to take anything away', async () => {
  const leases = await serving()
  await ground.arrive(leases, 'ada', ['web'])
  const broken = { ...ground.store, members: () => Promise.reject(new Error('the store is down')) }
  const other = ground.process(broken).leases
  await other.passes()
  await other.idle()
  assert.ok(ground.logs.some(({ message }) => message.includes('not what they are to be yet')))
  assert.ok(cluster.there.has('web'))
})

test('a clock that was a day ahead for a moment puts off no look by a day', async () => {
  ground.now += 86_400
  const leases = await serving()
  ground.now -= 86_400
  await ground.arrive(leases, 'ada', ['web'])
  cluster.there.delete('web')
  await ground.pass(leases, 20)
  assert.ok(cluster.there.has('web'))
})
