import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { mergeGrants } from '../../src/core/grants.ts'
import type { Question, Wanted } from '../../src/targets/live.ts'
import { addUser, changeUser } from '../support/keystone/state.ts'
import { ada, federated, group, ledger, project, startLive, wanted } from './keystone-live-world.ts'
import { chance } from './world.ts'

describe('a Keystone into which the gateway writes', async () => {
  const { keystone, live, logs } = await startLive()
  after(() => keystone.close())
  keystone.domain('corp')
  for (const role of ['member', 'reader', 'manager']) keystone.role(role)

  it('finds project, group, user and roles ready before her first sign-in, which lands on that user', async () => {
    const book = ledger('s-ready')
    await book.settle(live, wanted(project('web', ['member', 'reader']), group('dev')))
    const had = ['in group dev (corp)', 'member in project web (corp)', 'reader in project web (corp)']
    assert.deepEqual(keystone.access('s-ready'), had)
    assert.deepEqual(Object.values(book.account().leases).sort(), had)
    const id = keystone.user('s-ready')
    keystone.login('s-ready', { name: 'ada@corp.example', domain: 'corp' })
    assert.equal(keystone.user('s-ready'), id)
    assert.equal(await book.settle(live, wanted(project('web', ['member', 'reader']), group('dev'))), 0)
  })

  it('leaves what an administrator granted, also where rules give and take the same', async () => {
    const book = ledger('s-hand')
    await book.settle(live, wanted(project('web'), project('db')))
    const id = keystone.user('s-hand') ?? ''
    keystone.grant('reader', 'project', keystone.project('web', 'corp'), id)
    keystone.grant('member', 'project', keystone.project('ops', 'corp'), id)
    await book.settle(live, wanted(project('web', ['member', 'reader']), project('ops')))
    assert.equal(Object.keys(book.account().leases).length, 1)
    await book.settle(live, wanted())
    assert.deepEqual(keystone.access('s-hand'), ['member in project ops (corp)', 'reader in project web (corp)'])
    assert.deepEqual(book.account().leases, {})
  })

  it('locks who is gone, keeps her id, and opens its own lock when she comes back', async () => {
    const book = ledger('s-gone')
    await book.settle(live, wanted(project('web')))
    const id = keystone.user('s-gone')
    const token = keystone.login('s-gone', { name: 'ada@corp.example', domain: 'corp' })
    const scoped = keystone.scope(token, keystone.project('web', 'corp')) ?? ''
    assert.equal(keystone.valid(scoped), true)
    await book.settle(live, 'gone')
    assert.deepEqual([keystone.valid(token), keystone.valid(scoped), keystone.access('s-gone')], [false, false, []])
    assert.deepEqual([book.account().locked, keystone.user('s-gone')], [true, id])
    await book.settle(live, wanted(project('web')))
    assert.deepEqual([book.account().locked, keystone.user('s-gone')], [false, id])
    assert.equal(keystone.state.users.get(id ?? '')?.enabled, true)
  })

  it('never opens a lock that an administrator closed, and gives nothing behind it', async () => {
    const book = ledger('s-locked')
    await book.settle(live, wanted(project('web'), project('db')))
    const user = keystone.state.users.get(keystone.user('s-locked') ?? '')
    assert.ok(user)
    Object.assign(user, { enabled: false })
    await book.settle(live, wanted(project('db'), project('ops')))
    assert.deepEqual([user.enabled, keystone.access('s-locked')], [false, ['member in project db (corp)']])
    await book.settle(live, 'gone')
    assert.equal(book.account().locked, false)
    await book.settle(live, wanted(project('db')))
    assert.equal(user.enabled, false)
  })

  it('follows a project that was renamed: the lease on it is taken back all the same', async () => {
    const book = ledger('s-renamed')
    await book.settle(live, wanted(project('old')))
    const row = keystone.state.projects.get(keystone.project('old', 'corp'))
    assert.ok(row)
    Object.assign(row, { name: 'new' })
    await book.settle(live, wanted(group('dev')))
    assert.deepEqual(keystone.access('s-renamed'), ['in group dev (corp)'])
  })

  it('makes no role, and tells the operator of one that is not there', async () => {
    const book = ledger('s-role')
    await book.settle(live, wanted(project('web', ['member', 'wizard'])))
    assert.deepEqual(keystone.access('s-role'), ['member in project web (corp)'])
    assert.equal(logs.filter((line) => line.includes('wizard')).length, 1)
  })

  it('keeps name and address as the claims have them', async () => {
    const book = ledger('s-name')
    await book.settle(live, wanted(project('web')))
    const named = () => keystone.state.users.get(keystone.user('s-name') ?? '')
    const id = named()?.id
    const identity = { ...ada, username: 'ada.l@corp.example', email: 'ada.l@corp.example' }
    assert.equal(await book.settle(live, { identity, grants: [project('web')] }), 2)
    assert.deepEqual([named()?.localName, named()?.extra['email']], ['ada.l@corp.example', 'ada.l@corp.example'])
    assert.equal(named()?.id, id)
    assert.equal(await book.settle(live, { identity, grants: [project('web')] }), 0)
  })

  it('gives a name that somebody has to nobody else, and tells the two apart by a piece of the sub', async () => {
    const taken = { ...ada, username: 'bob', email: 'bob@corp.example' }
    addUser(keystone.state, { name: 'bob', domain_id: keystone.domain('corp') })
    const book = ledger('s-namesake-1')
    await book.settle(live, { identity: taken, grants: [project('web')] })
    assert.equal(keystone.state.users.get(keystone.user('s-namesake-1') ?? '')?.localName, 'bob~s-namesa')
    assert.equal(await book.settle(live, { identity: taken, grants: [project('web')] }), 0)
  })

  it('finds her again by her leases where Keystone lost her identity halfway through a change of her name', async () => {
    const book = ledger('s-lost')
    await book.settle(live, { identity: { ...ada, username: 'carol' }, grants: [project('web')] })
    const id = keystone.user('s-lost') ?? ''
    keystone.fail({ method: 'PATCH', answer: 'hang-up' })
    addUser(keystone.state, { name: 'gone-soon', domain_id: keystone.domain('corp'), federated: federated('other') })
    const user = keystone.state.users.get(id)
    assert.ok(user)
    // What a Keystone leaves that dies between taking the old identity away and writing the new one.
    assert.throws(() => changeUser(keystone.state, user, { federated: federated('other') }))
    assert.equal(keystone.user('s-lost'), undefined)
    await assert.rejects(book.settle(live, { identity: { ...ada, username: 'carol' }, grants: [project('web')] }))
    await book.settle(live, { identity: { ...ada, username: 'carol' }, grants: [project('web')] })
    assert.deepEqual([keystone.user('s-lost'), keystone.access('s-lost')], [id, ['member in project web (corp)']])
  })

  it('takes back what it gave to a user whom somebody else has become since', async () => {
    const book = ledger('s-moved')
    await book.settle(live, { identity: { ...ada, username: 'dora' }, grants: [project('web')] })
    const user = keystone.state.users.get(keystone.user('s-moved') ?? '')
    assert.ok(user)
    changeUser(keystone.state, user, { federated: federated('s-moved-to') })
    await book.settle(live, 'gone')
    assert.deepEqual([keystone.access('s-moved-to'), user.enabled, book.account().locked], [[], true, false])
  })

  it('is not told by anything in front of Keystone that something is not there', async () => {
    const { live: proxied, keystone: behind } = await startLive({
      fetch: (through) => async (input, init) =>
        String(input).endsWith('/auth/tokens')
          ? await through(input, init)
          : new Response('<h1>Not Found</h1>', { status: 404 }),
    })
    after(() => behind.close())
    const question = { account: { sub: 's', leases: { 'project:p:r:u': 'x' }, locked: false }, wanted: 'gone' as const }
    await assert.rejects(proxied.observe([question]), { name: 'TargetUnavailable' })
    const [step] = live.plan(question, { of: { users: new Map(), lane: 'few' } })
    assert.ok(step)
    await assert.rejects(proxied.apply(step), { name: 'TargetUnavailable' })
  })

  it('falls over one name, and makes the rest for everybody', async () => {
    const book = ledger('s-fell')
    keystone.fail({ method: 'POST', path: '/projects', answer: 500 })
    keystone.forget()
    await book.settle(live, wanted(project('fell'), project('web')))
    assert.deepEqual(keystone.access('s-fell'), ['member in project web (corp)'])
    assert.ok(logs.some((line) => line.includes('project fell (corp)') && line.includes('500')))
    const tries = keystone.seen.filter(
      ({ method, path, status }) => method === 'POST' && path === '/projects' && status === 500,
    )
    assert.equal(tries.length, 1)
  })

  it('makes nobody who would get nothing', async () => {
    await ledger('s-none').settle(live, wanted(project('web', ['wizard'])))
    assert.equal(keystone.user('s-none'), undefined)
  })

  it('gives nothing in a domain that it may not make', async () => {
    await ledger('s-far').settle(live, wanted(project('web', ['member'], 'far')))
    assert.deepEqual(keystone.access('s-far'), [])
  })
})

it('a name that the database takes for another is nobody’s way into it', async () => {
  const { keystone, live, logs } = await startLive({ keystone: { names: 'folded' } })
  try {
    keystone.domain('corp')
    keystone.role('member')
    keystone.project('web', 'corp')
    const book = ledger('s-fold')
    await book.settle(live, wanted(project('WEB'), project('db')))
    assert.deepEqual(keystone.access('s-fold'), ['member in project db (corp)'])
    assert.ok(logs.some((line) => line.includes('another writing')))
  } finally {
    await keystone.close()
  }
})

it('a plan that is killed before any of its steps ends like one that was not', async (t) => {
  const { keystone, live } = await startLive()
  try {
    keystone.domain('corp')
    for (const role of ['member', 'reader', 'manager']) keystone.role(role)
    const random = chance(5)
    let kills = 0
    for (let round = 0; round < 40; round++) {
      const sub = `k${round}`
      const book = ledger(sub)
      const some = () =>
        wanted(
          ...[0, 1, 2].map(() =>
            random.below(3)
              ? project(`p${random.below(4)}`, [random.pick(['member', 'reader'])])
              : group(`g${random.below(3)}`),
          ),
        )
      const manual = random.below(2) === 1
      let byHand = false
      for (let turn = 0; turn < 3; turn++) {
        const next = random.below(4) === 0 ? 'gone' : some()
        for (let stop = random.below(3); ; stop += 1 + random.below(2)) {
          const outcome = await book.settle(live, next, stop).catch((error: Error) => error)
          if (typeof outcome === 'number') break
          assert.equal(outcome.message, 'killed')
          kills++
        }
        const id = keystone.user(sub)
        if (manual && id !== undefined) {
          keystone.grant('manager', 'project', keystone.project('hand', 'corp'), id)
          byHand = true
        }
        const expected = next === 'gone' ? [] : seen(next)
        const hand: readonly string[] = byHand ? ['manager in project hand (corp)'] : []
        assert.deepEqual(keystone.access(sub), [...expected, ...hand].sort())
        assert.deepEqual(Object.values(book.account().leases).sort(), expected)
        assert.equal(await book.settle(live, next), 0)
      }
    }
    t.diagnostic(`${kills} kills`)
    assert.ok(kills > 40)
  } finally {
    await keystone.close()
  }
})

const seen = ({ grants }: Wanted) =>
  grants
    .flatMap((grant) =>
      'project' in grant
        ? grant.roles.map((role) => `${role} in project ${grant.project} (corp)`)
        : 'group' in grant
          ? [`in group ${grant.group} (corp)`]
          : [],
    )
    .sort()

it('ten thousand accounts that have what they are to have cost no write and at most a read for a hundred', async (t) => {
  const { keystone, live } = await startLive()
  try {
    keystone.domain('corp')
    keystone.role('member')
    const questions: Question[] = []
    const [member, groups] = [keystone.role('member'), [0, 1, 2, 3, 4].map((n) => keystone.group(`g${n}`, 'corp'))]
    for (let n = 0; n < 10_000; n++) {
      const sub = `many${n}`
      const identity = { username: `u${n}`, domain: 'corp' }
      const place = keystone.project(`p${n % 100}`, 'corp')
      const federated = [{ idp_id: 'lotse', protocols: [{ protocol_id: 'openid', unique_id: sub }] }]
      const row = { name: `u${n}`, domain_id: keystone.domain('corp'), federated }
      const { id: user } = addUser(keystone.state, row)
      keystone.grant('member', 'project', place, user)
      const gid = groups[n % 5] ?? ''
      keystone.state.members.set(gid, (keystone.state.members.get(gid) ?? new Set()).add(user))
      const leases = { [`project:${place}:${member}:${user}`]: '', [`group:${gid}:${user}`]: '' }
      const grants = mergeGrants([project(`p${n % 100}`), group(`g${n % 5}`)])
      questions.push({ account: { sub, leases, locked: false }, wanted: { identity, grants } })
    }
    keystone.forget()
    const observed = await live.observe(questions)
    assert.deepEqual(
      questions.flatMap((question) => live.plan(question, observed)),
      [],
    )
    const { reads, writes } = keystone.count
    t.diagnostic(`${reads} reads, ${writes} writes`)
    assert.ok(reads <= 100 && writes === 0)
  } finally {
    await keystone.close()
  }
})
