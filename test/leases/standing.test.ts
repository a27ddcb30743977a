import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import type { Grant } from '../../src/core/decision.ts'
import { openProofShelf, type StoredProof } from '../../src/lifecycle/proofs.ts'
import { type Ground, rules, startGround } from './world.ts'

let ground: Ground
beforeEach(async () => {
  ground = await startGround()
})
afterEach(() => ground.close())

const by = { reference: 'test' }

test('of two sign-ins of one person each gives what its strength allows, and takes it along when it ends', async () => {
  ground.world = {
    ...ground.world,
    decide: (subject, now) => {
      const decision = rules(subject, now)
      return subject.acr === 'high' ? decision : { ...decision, grants: decision.grants.slice(0, 1) }
    },
  }
  const { leases, ends } = await ground.serving()
  await ground.arrive(leases, 'ada', ['db', 'web'], 'one')
  const shelf = openProofShelf(ground.store, () => ground.now)
  const proof = (await shelf.get('one')) as StoredProof
  await shelf.put('one', { ...proof, subject: { ...proof.subject, acr: 'high' } })
  await ground.arrive(leases, 'ada', ['db', 'web'], 'two')
  assert.equal(await ground.state('ada'), 'open db:member web:member')
  await ends.end({ kind: 'proof', id: 'one' }, 'person', by)
  await ground.pass(leases)
  assert.equal(await ground.state('ada'), 'open db:member')
})

test('what a newer sign-in, or a recheck, disproves stands on no older one', async () => {
  const { leases } = await ground.serving()
  await ground.arrive(leases, 'ada', ['db', 'web'], 'one')
  ground.now += 10
  assert.equal(await ground.arrive(leases, 'ada', ['web'], 'two'), 'ready')
  assert.equal(await ground.state('ada'), 'open web:member')
  ground.now += 10
  const shelf = openProofShelf(ground.store, () => ground.now)
  const before = (await shelf.get('one')) as StoredProof
  const after = { ...before, provenAt: ground.now, subject: { ...before.subject, claims: { projects: ['ops'] } } }
  await shelf.put('one', after)
  await leases.renewed(before, after)
  await ground.pass(leases)
  assert.equal(await ground.state('ada'), 'open ops:member')
})

test('what a target refuses to take, as a reserved name is, is never given there, whatever the rules say', async () => {
  const { targets } = ground.world
  const refuse = (grant: Grant) => ('project' in grant && grant.project === 'admin' ? 'reserved' : undefined)
  ground.world = { ...ground.world, targets: new Map([...targets].map(([id, target]) => [id, { ...target, refuse }])) }
  const { leases } = await ground.serving()
  assert.equal(await ground.arrive(leases, 'ada', ['admin', 'web']), 'ready')
  assert.equal(await ground.state('ada'), 'open web:member')
})
