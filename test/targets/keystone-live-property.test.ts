import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Grant } from '../../src/core/decision.ts'
import { mergeGrants } from '../../src/core/grants.ts'
import type { Wanted } from '../../src/targets/live.ts'
import { addUser, assign, changeUser, unassign } from '../support/keystone/state.ts'
import type { KeystoneStandIn } from '../support/keystone-stand-in.ts'
import { federated, type LiveWorld, ledgers, startLive } from './keystone-live-world.ts'
import { chance } from './world.ts'

const roles = ['member', 'reader', 'manager']

/** What somebody is to have, in the words of `access`. */
const wordsOf = ({ grants }: Wanted) =>
  grants.flatMap((grant) => {
    if ('project' in grant) return grant.roles.map((role) => `${role} in project ${grant.project} (corp)`)
    if ('group' in grant) return [`in group ${grant.group} (corp)`]
    return 'domain' in grant ? grant.roles.map((role) => `${role} in domain ${grant.domain}`) : []
  })

const identityOf = (sub: string) => ({ username: `u-${sub}`, domain: 'corp' })

function someWish(sub: string, { below, pick }: ReturnType<typeof chance>): Wanted | 'gone' {
  if (below(6) === 0) return 'gone'
  const target = 'cloud'
  const grants = Array.from({ length: below(5) }, (): Grant => {
    const kind = below(5)
    if (kind === 0) return { target, domain: 'corp', roles: [pick(roles)] }
    if (kind === 1) return { target, group: `g${below(4)}` }
    return { target, project: `p${below(5)}`, roles: [pick(roles)] }
  })
  return { identity: identityOf(sub), grants: mergeGrants(grants) }
}

/** An administrator gives or takes something by hand. @returns what she left there of her own */
function byHand({ keystone }: LiveWorld, sub: string, { below, pick }: ReturnType<typeof chance>) {
  const user = keystone.user(sub)
  if (user === undefined || below(2) === 0) return
  const project = keystone.project(`p${below(5)}`, 'corp')
  const assignment = `project:${project}:user:${user}:${keystone.role(pick(roles))}`
  if (below(3) === 0) unassign(keystone.state, assignment)
  else assign(keystone.state, assignment)
}

function faults({ keystone }: LiveWorld, { below, pick }: ReturnType<typeof chance>) {
  for (let n = below(3); n > 0; n--)
    keystone.fail({
      method: pick(['PUT', 'POST', 'DELETE', 'PATCH', 'GET']),
      answer: pick([500, 'hang-up', 503, 429]),
      work: pick(['done', 'not']),
    })
}

/** Every change of access by hand since the gateway last looked: what is there and in no ledger. */
function handmade(keystone: KeystoneStandIn, sub: string, words: readonly string[]): readonly string[] {
  return keystone.access(sub).filter((each) => !words.includes(each))
}

for (const [people, how] of [
  [6, 'few, each by questions of her own'],
  [30, 'many, by lists'],
] as const)
  test(`what is there at the end is what rules give and what hands gave, whatever fails on the way: ${how}`, async (t) => {
    const world = await startLive()
    const { keystone, live } = world
    t.after(() => keystone.close())
    for (const role of [...roles, keystone.domain('corp')].slice(0, roles.length)) keystone.role(role)
    const random = chance(people)
    const book = ledgers()
    let failed = 0
    for (let turn = 0; turn < 12; turn++) {
      const wishes = new Map<string, Wanted | 'gone'>()
      const hands = new Map<string, readonly string[]>()
      for (let n = 0; n < people; n++) {
        const sub = `s${n}`
        byHand(world, sub, random)
        hands.set(sub, handmade(keystone, sub, Object.values(book.of(sub).leases)))
        wishes.set(sub, someWish(sub, random))
      }
      faults(world, random)
      failed += await book.settle(live, wishes)
      for (const [sub, wish] of wishes) {
        const wanted = wish === 'gone' ? [] : wordsOf(wish)
        const byOthers = hands.get(sub) ?? []
        assert.deepEqual(keystone.access(sub), [...new Set([...wanted, ...byOthers])].sort(), `${turn} ${sub}`)
        const ours = wanted.filter((each) => !byOthers.includes(each)).sort()
        assert.deepEqual(Object.values(book.of(sub).leases).sort(), ours, `the ledger of ${sub}`)
        const user = keystone.state.users.get(keystone.user(sub) ?? '')
        // Who is to have nothing here stays as she is: an own lock is opened for those alone to whom something is given.
        if (user && wanted.length > 0) assert.equal(user.enabled, true)
        if (user && wish === 'gone') assert.equal(user.enabled, false)
      }
      keystone.forget()
      assert.equal(await book.settle(live, wishes), 0)
      assert.equal(keystone.count.writes, 0)
    }
    t.diagnostic(`${failed} failures on the way`)
    assert.ok(failed > 3)
  })

test('a list tells nobody’s user from another’s: who has become somebody else since is neither locked nor given anything', async (t) => {
  const { keystone, live } = await startLive()
  t.after(() => keystone.close())
  keystone.domain('corp')
  const book = ledgers()
  const wish = (sub: string): Wanted => ({
    identity: identityOf(sub),
    grants: [{ target: 'cloud', project: 'web', roles: ['member'] }],
  })
  const wishes = new Map<string, Wanted | 'gone'>(Array.from({ length: 25 }, (_, n) => [`s${n}`, wish(`s${n}`)]))
  await book.settle(live, wishes)
  const user = keystone.state.users.get(keystone.user('s3') ?? '')
  assert.ok(user)
  changeUser(keystone.state, user, { federated: federated('somebody-else') })
  await book.settle(live, wishes.set('s3', 'gone'))
  assert.deepEqual([user.enabled, keystone.access('somebody-else')], [true, []])
  assert.deepEqual([book.of('s3').locked, book.of('s3').leases], [false, {}])
})

test('a user whom somebody deleted is made anew, and what the old one had is struck off', async (t) => {
  const { keystone, live } = await startLive()
  t.after(() => keystone.close())
  keystone.domain('corp')
  const book = ledgers()
  const wishes = new Map([
    ['s', { identity: identityOf('s'), grants: [{ target: 'cloud', project: 'web', roles: ['member'] }] }],
  ])
  await book.settle(live, wishes)
  const [old] = Object.keys(book.of('s').leases)
  const id = keystone.user('s') ?? ''
  keystone.state.identities.clear()
  keystone.state.assignments.delete(id)
  keystone.state.users.delete(id)
  keystone.state.locals.clear()
  await book.settle(live, wishes)
  assert.deepEqual(keystone.access('s'), ['member in project web (corp)'])
  assert.equal(Object.keys(book.of('s').leases).length, 1)
  assert.notEqual(Object.keys(book.of('s').leases)[0], old)
})

test('another identity provider’s user of the same id is nobody of ours', async (t) => {
  const { keystone, live } = await startLive()
  t.after(() => keystone.close())
  const corp = keystone.domain('corp')
  const other = [{ idp_id: 'keycloak', protocols: [{ protocol_id: 'openid', unique_id: 's' }] }]
  const stranger = addUser(keystone.state, { name: 'u-s', domain_id: corp, federated: other })
  const book = ledgers()
  const grants = [{ target: 'cloud', project: 'web', roles: ['member'] }]
  await book.settle(live, new Map([['s', { identity: identityOf('s'), grants }]]))
  assert.notEqual(keystone.user('s'), stranger.id)
  assert.equal(keystone.state.assignments.get(stranger.id), undefined)
})
