import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import type { Connector } from '../../src/connectors/connector.ts'
import type { Proof } from '../../src/core/subject.ts'
import { openProofShelf, type StoredProof } from '../../src/lifecycle/proofs.ts'
import { type Ground, startGround } from '../leases/world.ts'

/* Several processes and one upstream, whose refresh tokens may be good once: two questions at once would end the person's sign-in there. */

let ground: Ground
/** Questions that the upstream has yet to answer, in the order in which they came. */
let asked: PromiseWithResolvers<Proof>[]
beforeEach(async () => {
  ground = await startGround()
  asked = []
  const recheck: Connector['recheck'] = () => {
    const question = Promise.withResolvers<Proof>()
    asked.push(question)
    return question.promise
  }
  const open = async () => ({ id: 'corp', recheck }) as Connector
  ground.upstream = { recheckAfter: 100, recheckGrace: 1000, open }
})
afterEach(() => ground.close())

const shelf = () => openProofShelf(ground.store, () => ground.now)
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Another process, which asks about what was proven long ago; until it asks, or finds that another one does. */
async function asking(proof: StoredProof): Promise<Promise<StoredProof | undefined>[]> {
  const found = ground.process().rechecks.fresh('p', proof)
  for (let n = 0; n < 20; n++) await turn()
  return [found]
}

async function old(): Promise<StoredProof> {
  await ground.signIn('p', 'ada', ['web'])
  ground.now += 200
  return (await shelf().get('p')) as StoredProof
}

test('an upstream that takes long is asked once by all processes', async () => {
  const proof = await old()
  const [first] = await asking(proof)
  ground.now += 20 // it takes five seconds for each of four answers
  const [second] = await asking(proof)
  assert.equal(asked.length, 1)
  asked[0]?.resolve({ ...proof, provenAt: ground.now })
  assert.equal((await first)?.provenAt, ground.now)
  assert.equal((await second)?.provenAt, ground.now)
  assert.equal(asked.length, 1)
})

test('who was too slow does not let a third ask beside the second', async () => {
  const proof = await old()
  const [first] = await asking(proof)
  ground.now += 100 // longer than anybody is waited for
  const [second] = await asking(proof)
  assert.equal(asked.length, 2)
  asked[0]?.reject(new Error('the connection was lost'))
  await assert.rejects(async () => first)
  const [third] = await asking(proof)
  assert.equal(asked.length, 2)
  asked[1]?.resolve({ ...proof, provenAt: ground.now })
  assert.equal((await second)?.provenAt, ground.now)
  assert.equal((await third)?.provenAt, ground.now)
})

test('what was proven while the clock was a day ahead is asked about when it is put back, and once', async () => {
  ground.now += 86_400
  await ground.signIn('p', 'ada', ['web'])
  const proof = (await shelf().get('p')) as StoredProof
  ground.now -= 86_400
  const [found] = await asking(proof)
  assert.equal(asked.length, 1)
  asked[0]?.resolve({ ...proof, provenAt: ground.now })
  assert.equal((await found)?.provenAt, ground.now)
  await asking((await shelf().get('p')) as StoredProof)
  ground.now -= 30 // as far as clocks of processes differ
  await asking((await shelf().get('p')) as StoredProof)
  assert.equal(asked.length, 1)
})
