import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { browser } from '../../support/browser.ts'
import { people } from '../../support/standard.ts'
import { secondsUntil } from '../upstreams/world.ts'
import { atEach } from './both.ts'
import { enter, entrances, posted, projectsOf, rolesOf, scope, signInAt } from './websso.ts'
import { DASHBOARD } from './world.ts'

atEach({ people }, (world, kind) => {
  const mapped = kind.schema === '3.0'
  before(async () => {
    // Where the mapping knows groups alone, the operator says what a group may.
    if (!mapped)
      for (const [name, role] of [
        ['web', 'member'],
        ['db', 'reader'],
      ] as const)
        await world().cloud.team('corp', name, role)
  })

  for (const [name, path] of Object.entries(entrances))
    test(`a person comes from the dashboard by the ${name} address, and back with a token of her own`, async () => {
      const who = browser()
      const page = await enter(world(), who, { path })
      const { to, token } = posted(await who.submit(page, page.form('ada')))
      assert.equal(to, DASHBOARD)
      const scoped = await scope(world(), token, { name: 'web', domain: 'corp' })
      assert.equal(scoped.status, 201, JSON.stringify(scoped.body))
      // Keystone adds what a role implies.
      assert.deepEqual(rolesOf(scoped), ['member', 'reader'])
      assert.equal(scoped.body.token.user.name, 'corp:ada')
      assert.deepEqual(await projectsOf(world(), token), ['web'])
    })

  test('the roles are those of the rules, and no more', async () => {
    const token = await signInAt(world(), browser(), 'bob')
    const scoped = await scope(world(), token, { name: 'db', domain: 'corp' })
    const implied = mapped ? ['manager', 'member', 'reader'] : ['reader']
    assert.deepEqual(rolesOf(scoped), implied)
    const other = await scope(world(), token, { name: 'web', domain: 'corp' })
    assert.ok([401, 403].includes(other.status), `${other.status}`)
  })

  test('a person to whom no rule gives anything comes back without a token', async () => {
    const who = browser()
    const page = await enter(world(), who)
    const refused = await who.submit(page, page.form('carol'))
    assert.ok(refused.status >= 400, `${refused.status}`)
    assert.ok(!refused.text.includes('name="token"'))
  })

  test('no token is posted to a page that is not a dashboard of this cloud', async () => {
    const who = browser()
    const page = await enter(world(), who, { origin: 'https://thief.example/auth/websso/' })
    const answer = page.forms.some(({ name }) => name === 'ada') ? await who.submit(page, page.form('ada')) : page
    assert.equal(answer.status, 401)
    assert.ok(!answer.text.includes('name="token"'))
  })

  test('a sign-out at the gateway ends the session of Apache: the next visit asks the gateway again', async () => {
    const who = browser()
    await signInAt(world(), who, 'ada')
    const again = await enter(world(), who)
    assert.equal(again.visited.length, 1, 'Apache answers from its own session')
    assert.ok(posted(again).token)
    const { issuer } = world().gateway
    const asked = await who.get(`${issuer}/logout`)
    await who.submit(asked, asked.form(), { logout: 'yes' })
    const look = async () => (await enter(world(), who)).visited.map(({ origin }) => origin)
    const seconds = await secondsUntil(Date.now(), 10, look, (origins) => origins.includes(issuer))
    assert.ok(seconds < 10)
  })
})
