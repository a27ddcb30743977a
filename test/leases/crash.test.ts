import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Leases } from '../../src/leases/leases.ts'
import type { Ends } from '../../src/lifecycle/end.ts'
import { openProofShelf, type StoredProof } from '../../src/lifecycle/proofs.ts'
import { type Store, StoreUnavailable } from '../../src/store/store.ts'
import { TargetUnavailable } from '../../src/targets/live.ts'
import { type Ground, startGround, subOf } from './world.ts'

/** A process that dies at an operation of its store or its target: nothing that it does afterwards has any effect. */
function mortal(ground: Ground) {
  const life = { left: Number.POSITIVE_INFINITY, died: false }
  const step = (): boolean => {
    if (life.left-- > 0) return true
    life.died = true
    return false
  }
  const store: Store = new Proxy(ground.store, {
    get: (target, name: keyof Store) => {
      const method = target[name] as (...args: unknown[]) => Promise<unknown>
      return (...args: unknown[]) => (step() ? method(...args) : Promise.reject(new StoreUnavailable(`${name}: dead`)))
    },
  })
  const touch = () => {
    if (!step()) throw new TargetUnavailable('down', 'dead')
  }
  ground.target.before = touch
  ground.target.after = touch // it acted, and nobody heard the answer
  return { life, store }
}

/** What happens to one person and to a second one, through one process. */
async function story(ground: Ground, { leases, ends }: { leases: Leases; ends: Ends }): Promise<void> {
  const shelf = openProofShelf(ground.store, () => ground.now)
  const by = { reference: 'test' }
  await leases.arrived(await ground.signIn('ada', 'ada', ['web', 'db']), ['cloud'], 'r')
  await leases.arrived(await ground.signIn('bob', 'bob', ['web']), ['cloud'], 'r')
  const before = (await shelf.get('ada')) as StoredProof
  const after = { ...before, subject: { ...before.subject, claims: { projects: ['db', 'ops'] } } }
  await shelf.put('ada', after)
  await leases.renewed(before, after)
  await ground.pass(leases)
  await ends.end({ kind: 'subject', sub: subOf('bob') }, 'operator', by)
  await ground.pass(leases)
  await ends.end({ kind: 'proof', id: 'ada' }, 'upstream', by)
  await ground.pass(leases)
  await leases.arrived(await ground.signIn('ada-2', 'ada', ['web']), ['cloud'], 'r')
}

/** What stands at the target and in the ledger when all is quiet, from the proofs alone. */
async function expected(
  ground: Ground,
  id: string,
  proofs: readonly string[],
): Promise<[state: string[], ledger: string[]]> {
  const shelf = openProofShelf(ground.store, () => ground.now)
  const live = (await Promise.all(proofs.map((each) => shelf.get(each)))).flatMap((proof) => proof ?? [])
  const [latest] = live.toSorted((one, other) => other.signedInAt - one.signedInAt || other.provenAt - one.provenAt)
  const leases = (latest?.subject.claims['projects'] ?? []).map((each) => `${each}:member`)
  const known = (await ground.state(id)) !== 'nobody'
  const manual = id === 'ada' ? ['ops:reader'] : []
  if (live.length > 0) return [['open', ...leases, ...manual].sort(), leases.sort()]
  return known ? [['locked', ...manual].sort(), ['locked']] : [['nobody'], []]
}

async function dieAt(n: number): Promise<{ died: boolean }> {
  const ground = await startGround()
  ground.target.people.set(subOf('ada'), { enabled: true, has: new Set(['ops:reader']) })
  const { life, store } = mortal(ground)
  life.left = n
  await story(ground, ground.process(store)).catch((error: unknown) => {
    if (!life.died) throw error
  })
  const { died } = life
  life.left = Number.POSITIVE_INFINITY
  // The next process; what the dead one had claimed runs out.
  const { leases, ends } = ground.process()
  ground.now += 31
  for (let second = 0; second < 5; second++) {
    await ground.pass(leases)
    await ends.resume()
  }
  for (const [id, proofs] of [
    ['ada', ['ada', 'ada-2']],
    ['bob', ['bob']],
  ] as const) {
    const [state, ledger] = await expected(ground, id, proofs)
    // Of whom no step was noted yet, nothing is known but what others gave.
    const untouched = ledger.length === 1 && ledger[0] === 'locked' && (await ground.ledger(id)).length === 0
    if (untouched) assert.equal(await ground.state(id), 'open ops:reader', `${id}, who was never touched, at ${n}`)
    else {
      assert.deepEqual(
        (await ground.state(id)).split(' ').sort(),
        state,
        `${id} at the target, after a death at operation ${n}`,
      )
      assert.deepEqual(await ground.ledger(id), ledger, `${id} in the ledger, after a death at operation ${n}`)
    }
  }
  const { writes } = ground.target.counts
  await ground.pass(leases, 5)
  leases.reloaded()
  await ground.pass(leases)
  assert.equal(ground.target.counts.writes, writes, `nothing is left to do, after a death at operation ${n}`)
  await ground.close()
  return { died }
}

test('a process that dies at any operation leaves a store from which the next one makes the target right, and the ledger exact', async (t) => {
  let points = 0
  for (let n = 0; (await dieAt(n)).died; n++) points++
  assert.ok(points > 100, `${points} points`)
  t.diagnostic(`${points} points at which a process died`)
})
