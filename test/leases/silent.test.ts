import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import type { Connector } from '../../src/connectors/connector.ts'
import { LoginError } from '../../src/core/errors.ts'
import { openProofShelf, type StoredProof } from '../../src/lifecycle/proofs.ts'
import { type Ground, startGround, subOf } from './world.ts'

let ground: Ground
let answers: Connector['recheck']
beforeEach(async () => {
  ground = await startGround()
  ground.upstream = {
    recheckAfter: 100,
    recheckGrace: 200,
    open: async () => ({ id: 'corp', recheck: (proof) => answers?.(proof) ?? 'unknown' }) as Connector,
  }
})
afterEach(() => ground.close())

const ada = subOf('ada')
const silent: Connector['recheck'] = async () => {
  throw new LoginError('upstream_unavailable', 'nobody answers')
}
const renewed: Connector['recheck'] = async (proof) => ({ ...proof, provenAt: ground.now })
const state = () => ground.state('ada')

/** Ada with `web`, and a pass after so many seconds. */
async function after(seconds: number) {
  const process = ground.process()
  await ground.signIn('p', 'ada', ['web'])
  const shelf = openProofShelf(ground.store, () => ground.now)
  const proof = (await shelf.get('p')) as StoredProof
  await shelf.put('p', { ...proof, goodUntil: ground.now + 100_000 })
  await process.leases.arrived(ada, ['cloud'], 'r')
  ground.now += seconds
  process.leases.reloaded()
  await ground.pass(process.leases)
  return { ...process, proof: async () => (await shelf.get('p')) as StoredProof }
}

test('an upstream that does not answer changes nothing before the grace is over', async () => {
  answers = silent
  await after(250)
  assert.equal(await state(), 'open web:member')
})

test('when it is over the leases end, and settling agrees with the pass', async () => {
  answers = silent
  const { leases } = await after(350)
  assert.equal(await state(), 'locked')
  await leases.mark(ada, 0)
  await ground.pass(leases)
  assert.equal(await state(), 'locked')
  assert.equal(await leases.arrived(ada, ['cloud'], 'r'), 'ready')
  assert.equal(await state(), 'locked')
})

test('when it answers again everything is given back: by a token that is asked for at once, else by a pass', async () => {
  answers = silent
  const { leases, rechecks, proof } = await after(350)
  answers = renewed
  ground.now += 20 // until the upstream is tried again
  await rechecks.fresh('p', await proof())
  await ground.pass(leases)
  assert.equal(await state(), 'open web:member')
  answers = silent
  ground.now += 400
  leases.reloaded()
  await ground.pass(leases)
  assert.equal(await state(), 'locked')
  answers = renewed
  ground.now += 20
  leases.reloaded()
  await ground.pass(leases, 2)
  assert.equal(await state(), 'open web:member')
})

test('a proof about which its upstream cannot be asked lives until its end, and through an outage', async () => {
  answers = undefined
  const { leases } = await after(5000)
  assert.equal(await state(), 'open web:member')
  answers = silent // about others, as the gate to it is closed for all
  leases.reloaded()
  await ground.pass(leases)
  assert.equal(await state(), 'open web:member')
})

test('where it was never found out that it cannot be asked the leases end with the grace, and come back', async () => {
  answers = silent
  const { leases } = await after(350)
  assert.equal(await state(), 'locked')
  answers = undefined
  ground.now += 20
  leases.reloaded()
  await ground.pass(leases, 2)
  assert.equal(await state(), 'open web:member')
})

test('an upstream that names somebody else in its answer has taken the person back', async () => {
  answers = async (proof) => ({ ...proof, provenAt: ground.now, subject: { ...proof.subject, id: 'eve' } })
  const { proof } = await after(150)
  assert.equal(await proof(), undefined)
  assert.deepEqual([await state(), await ground.state('eve')], ['locked', 'nobody'])
})

test('what a recheck learns that is news about a person is asked about her other sign-ins, too, however new they are', async () => {
  const { rechecks, proof } = await after(0)
  ground.now += 101
  await ground.signIn('q', 'ada', ['web'])
  answers = async (asked) => ({
    ...asked,
    provenAt: ground.now,
    subject: { ...asked.subject, claims: { projects: ['db'] } },
  })
  await rechecks.fresh('p', await proof())
  const shelf = openProofShelf(ground.store, () => ground.now)
  for (let turns = 0; turns < 100; turns++) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual((await shelf.get('q'))?.subject.claims, { projects: ['db'] })
})
