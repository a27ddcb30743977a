import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { mergeGrants } from '../../src/core/grants.ts'
import type { Question, Step, Wanted } from '../../src/targets/live.ts'
import { changeUser, removeUser } from '../support/keystone/state.ts'
import { ada, federated, group, ledger, project, startLive, wanted } from './keystone-live-world.ts'
import { chance } from './world.ts'

describe('whose lock it is stands at Keystone', async () => {
  const { keystone, live } = await startLive()
  after(() => keystone.close())
  keystone.domain('corp')
  for (const role of ['member', 'reader', 'manager']) keystone.role(role)
  const userOf = (sub: string) => {
    const user = keystone.state.users.get(keystone.user(sub) ?? '')
    assert.ok(user)
    return user
  }

  it('a lock that was noted and never done is not taken for an administrator’s that came after', async () => {
    const book = ledger('s-noted')
    await book.settle(live, wanted(project('web')))
    await assert.rejects(book.settle(live, 'gone', 0), { message: 'killed' })
    Object.assign(userOf('s-noted'), { enabled: false })
    await book.settle(live, 'gone')
    await book.settle(live, wanted(project('web')))
    assert.deepEqual([userOf('s-noted').enabled, keystone.access('s-noted')], [false, []])
  })

  it('a lock of ours whose answer was lost is opened all the same', async () => {
    const book = ledger('s-lost-answer')
    await book.settle(live, wanted(project('web')))
    keystone.fail({ method: 'PATCH', answer: 'hang-up', work: 'done' })
    await assert.rejects(book.settle(live, 'gone'), { name: 'TargetUnavailable' })
    assert.equal(userOf('s-lost-answer').enabled, false)
    await book.settle(live, wanted(project('web')))
    assert.deepEqual([userOf('s-lost-answer').enabled, keystone.access('s-lost-answer').length], [true, 1])
  })

  it('who comes back without anything at this Keystone stays locked', async () => {
    const book = ledger('s-nothing')
    await book.settle(live, wanted(project('web')))
    await book.settle(live, 'gone')
    await book.settle(live, wanted())
    assert.equal(userOf('s-nothing').enabled, false)
    await book.settle(live, wanted(project('web', ['wizard'])))
    assert.equal(userOf('s-nothing').enabled, false)
    await book.settle(live, wanted(project('web')))
    assert.equal(userOf('s-nothing').enabled, true)
  })

  it('a lock of ours that an administrator opened leaves no mark by which her own would be opened', async () => {
    const book = ledger('s-opened')
    await book.settle(live, wanted(project('web')))
    await book.settle(live, 'gone')
    changeUser(keystone.state, userOf('s-opened'), { enabled: true })
    await book.settle(live, wanted(project('web')))
    changeUser(keystone.state, userOf('s-opened'), { enabled: false })
    await book.settle(live, wanted(project('web')))
    assert.equal(userOf('s-opened').enabled, false)
  })

  it('is locked by one request, and opened by one', async () => {
    const book = ledger('s-one')
    await book.settle(live, wanted(project('web')))
    keystone.forget()
    await book.settle(live, 'gone')
    assert.equal(keystone.count.writes, 2)
    await book.settle(live, wanted(project('web')))
    assert.equal(keystone.count.writes, 4)
  })
})

/** Users, leases and wishes of every kind that there is, at one Keystone. */
async function crowd(seed: number) {
  const world = await startLive()
  const { keystone, live } = world
  for (const role of ['member', 'reader', 'manager']) keystone.role(role)
  keystone.domain('corp')
  const random = chance(seed)
  const some = (): Wanted => ({
    identity: { ...ada, username: 'u', email: random.pick(['u@corp.example', 'v@corp.example']) },
    grants: mergeGrants(
      Array.from({ length: random.below(3) }, () =>
        random.below(3)
          ? project(`p${random.below(4)}`, [random.pick(['member', 'reader'])])
          : group(`g${random.below(3)}`),
      ),
    ),
  })
  const questions: Question[] = []
  for (let n = 0; n < 45; n++) {
    const sub = `${seed}-${n}`
    const book = ledger(sub)
    const identity = { ...ada, username: sub }
    const named = (one: Wanted): Wanted => ({ ...one, identity: { ...one.identity, username: sub } })
    if (random.below(5)) await book.settle(live, named(some()))
    const wish = random.below(5) < 2 ? 'gone' : random.below(4) ? named(some()) : { identity, grants: [] }
    if (random.below(3) === 0) await book.settle(live, 'gone')
    else if (wish !== 'gone' && random.below(2)) await book.settle(live, wish)
    const user = keystone.state.users.get(keystone.user(sub) ?? '')
    if (user) disturb(world, sub, random.below(9))
    else if (random.below(2)) keystone.login(sub, { name: sub, domain: 'corp' })
    // The ledger's own opinion of locks is worth nothing.
    questions.push({ account: { ...book.account(), locked: random.below(2) === 1 }, wanted: wish })
  }
  return { ...world, questions }
}

/** What others do to a user of ours. */
function disturb({ keystone }: Awaited<ReturnType<typeof startLive>>, sub: string, how: number) {
  const user = keystone.state.users.get(keystone.user(sub) ?? '')
  assert.ok(user)
  if (how === 0) changeUser(keystone.state, user, { enabled: false })
  if (how === 1) changeUser(keystone.state, user, { enabled: true })
  if (how === 2) removeUser(keystone.state, user)
  if (how === 3) keystone.grant('manager', 'project', keystone.project('hand', 'corp'), user.id)
  if (how === 4) keystone.state.assignments.delete(user.id)
  if (how === 5) changeUser(keystone.state, user, { email: 'other@corp.example' })
  // What a Keystone leaves that dies halfway through a change of a name.
  if (how === 6) {
    keystone.login(`${sub}-taken`, { name: 'x', domain: 'corp' })
    assert.throws(() => changeUser(keystone.state, user, { federated: federated(`${sub}-taken`) }))
  }
}

it('few are told the same as many, whatever stands at Keystone', async (t) => {
  let steps = 0
  const kinds = new Set<string>()
  for (const seed of [1, 2]) {
    const { keystone, live, questions } = await crowd(seed)
    try {
      const all = await live.observe(questions)
      for (const question of questions) {
        const alone = live.plan(question, await live.observe([question]))
        const among = live.plan(question, all)
        assert.deepEqual(among.map(told), alone.map(told), JSON.stringify(question))
        steps += alone.length
        for (const { kind } of alone) kinds.add(kind)
      }
    } finally {
      await keystone.close()
    }
  }
  t.diagnostic(`${steps} steps: ${[...kinds].sort()}`)
  assert.equal(kinds.size, 6)
})

/** A step without the lane in which it waits. */
const told = ({ does, ...step }: Step) => ({ ...step, op: (does as { readonly op: unknown }).op })

it('many who are gone and locked cost no question each', async () => {
  const { keystone, live } = await startLive()
  try {
    const gone = Array.from({ length: 60 }, (_, n): Question => {
      const sub = `left${n}`
      keystone.login(sub, { name: sub })
      const user = keystone.state.users.get(keystone.user(sub) ?? '')
      if (user && n > 0) changeUser(keystone.state, user, { enabled: false, lotse_locked: true })
      return { account: { sub, leases: {}, locked: true }, wanted: 'gone' }
    })
    keystone.forget()
    const observed = await live.observe(gone)
    assert.ok(keystone.count.reads < 12, `${keystone.count.reads}`)
    assert.deepEqual(
      gone.map((question) => live.plan(question, observed).length),
      [1, ...Array.from({ length: 59 }, () => 0)],
    )
  } finally {
    await keystone.close()
  }
})
