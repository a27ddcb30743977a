import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Question } from '../../src/targets/live.ts'
import { ledgers, startLive } from './keystone-live-world.ts'

const question: Question = {
  account: { sub: 's', leases: {}, locked: false },
  wanted: {
    identity: { username: 'ada', domain: 'corp' },
    grants: [{ target: 'cloud', project: 'web', roles: ['member'] }],
  },
}

test('one sign-in serves until shortly before its end, and all that ask at once', async (t) => {
  let clock = Math.floor(Date.now() / 1000)
  const { keystone, live } = await startLive({ now: () => clock })
  t.after(() => keystone.close())
  await Promise.all([live.observe([question]), live.observe([question]), live.observe([question])])
  assert.equal(keystone.count.signIns, 1)
  clock += 3500
  await live.observe([question])
  assert.equal(keystone.count.signIns, 1)
  clock += 60
  await live.observe([question])
  assert.ok(keystone.count.signIns > 1)
})

test('a token that Keystone does not know any more is replaced once, in the middle of the work', async (t) => {
  const { keystone, live } = await startLive()
  t.after(() => keystone.close())
  await live.observe([question])
  keystone.forgetTokens()
  await live.observe([question])
  assert.equal(keystone.count.signIns, 2)
})

test('an outage is down, a no is refused, and neither says a secret or a token', async (t) => {
  const { keystone, live } = await startLive()
  t.after(() => keystone.close())
  await live.observe([question])
  const secrets = new RegExp(`${keystone.admin.password}|gAAAA`)
  const kinds: string[] = []
  for (const answer of [500, 502, 503, 429, 'hang-up', 400, 403, 418, 302] as const) {
    keystone.down(answer)
    await assert.rejects(live.observe([question]), (error: Error & { kind: string }) => {
      assert.equal(error.name, 'TargetUnavailable')
      assert.doesNotMatch(`${error.message} ${error.stack} ${String(error.cause)}`, secrets)
      kinds.push(error.kind)
      return true
    })
    keystone.up()
  }
  assert.deepEqual(kinds, ['down', 'down', 'down', 'down', 'down', 'refused', 'refused', 'refused', 'refused'])
})

test('a wrong password is refused with what Keystone says, and asked for once', async (t) => {
  const { keystone, live } = await startLive()
  t.after(() => keystone.close())
  for (const user of keystone.state.users.values()) if (user.password) user.password = 'changed meanwhile'
  await assert.rejects(live.observe([question]), {
    kind: 'refused',
    message: /401 to sign in .*requires authentication/,
  })
})

test('lists that come in pages are read to their end', async (t) => {
  const { keystone, live } = await startLive({ keystone: { pageSize: 3 } })
  t.after(() => keystone.close())
  keystone.domain('corp')
  const book = ledgers()
  const wishes = new Map(
    Array.from({ length: 23 }, (_, n) => [
      `s${n}`,
      {
        identity: { username: `u${n}`, domain: 'corp' },
        grants: [
          { target: 'cloud', project: `p${n}`, roles: ['member'] },
          { target: 'cloud', group: 'all' },
        ],
      },
    ]),
  )
  await book.settle(live, wishes)
  for (let n = 0; n < 23; n++)
    assert.deepEqual(keystone.access(`s${n}`), ['in group all (corp)', `member in project p${n} (corp)`])
})

for (const [what, body] of [
  ['a page of something else', '<h1>Welcome</h1>'],
  ['no body', ''],
  ['a list of another name', '{"things":[]}'],
  ['no list', '{"users":{},"domains":{},"roles":{}}'],
] as const)
  test(`${what} with status 200 is not taken for an empty list`, async (t) => {
    const { keystone, live } = await startLive({
      fetch: (through) => async (input, init) =>
        String(input).endsWith('/auth/tokens') ? await through(input, init) : new Response(body, { status: 200 }),
    })
    t.after(() => keystone.close())
    await assert.rejects(live.observe([question]), { name: 'TargetUnavailable', kind: 'refused' })
  })

test('where a question about one identity is answered with several users, none of them is taken for her', async (t) => {
  const { keystone, live } = await startLive({
    fetch: (through) => (input, init) => through(String(input).replace(/\/users\?.*$/, '/users'), init),
  })
  t.after(() => keystone.close())
  keystone.login('somebody')
  const gone: Question = { account: { sub: 's', leases: {}, locked: false }, wanted: 'gone' }
  await assert.rejects(live.observe([gone]), { kind: 'refused', message: /several users/ })
})

test('a conflict is no lock that was closed, and nothing that was taken', async (t) => {
  const { keystone, live } = await startLive()
  t.after(() => keystone.close())
  keystone.domain('corp')
  keystone.role('member')
  const book = ledgers()
  await book.settle(live, new Map([['s', question.wanted]]))
  const gone: Question = { account: book.of('s'), wanted: 'gone' }
  const [lock, take] = live.plan(gone, await live.observe([gone]))
  for (const [step, method] of [
    [lock, 'PATCH'],
    [take, 'DELETE'],
  ] as const) {
    assert.ok(step)
    keystone.fail({ method, answer: 409 })
    await assert.rejects(live.apply(step), { kind: 'refused', message: /409/ })
    await live.apply(step)
    await live.apply(step)
  }
})

test('a domain’s manager writes inside her domain, and what lies outside hinders nothing else', async (t) => {
  const { keystone, live, logs } = await startLive({ scope: { domain: 'corp' } })
  t.after(() => keystone.close())
  const corp = keystone.domain('corp')
  keystone.project('theirs', 'other')
  keystone.role('member')
  const [admin] = keystone.state.users.values()
  assert.ok(admin)
  keystone.state.assignments.delete(admin.id)
  keystone.grant('manager', 'domain', corp, admin.id)
  const book = ledgers()
  const grants = [
    { target: 'cloud', project: 'web', roles: ['member'] },
    { target: 'cloud', project: 'theirs', domain: 'other', roles: ['member'] },
    { target: 'cloud', domain: 'corp', roles: ['reader'] },
    { target: 'cloud', group: 'dev' },
  ]
  const wish = { identity: { username: 'ada', domain: 'corp' }, grants }
  await book.settle(live, new Map([['s', wish]]))
  const had = ['in group dev (corp)', 'member in project web (corp)', 'reader in domain corp']
  assert.deepEqual(keystone.access('s'), had)
  assert.match(logs.join(), /domain other/)
  await book.settle(live, new Map([['s', 'gone' as const]]))
  assert.deepEqual(keystone.access('s'), [])
})

test('what Keystone refuses to make is told, and hinders nothing else', async (t) => {
  const { keystone, live, logs } = await startLive()
  t.after(() => keystone.close())
  keystone.domain('corp')
  keystone.role('member')
  const grants = ['one', 'two'].map((project) => ({ target: 'cloud', project, roles: ['member'] }))
  keystone.fail({ method: 'POST', path: '/projects', answer: 403 })
  const book = ledgers()
  await book.settle(live, new Map([['s', { identity: { username: 'ada', domain: 'corp' }, grants }]]))
  assert.deepEqual(keystone.access('s'), ['member in project two (corp)'])
  assert.match(logs.join(), /project one \(corp\).*403/)
})
