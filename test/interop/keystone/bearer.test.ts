import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { browser } from '../../support/browser.ts'
import type { Person } from '../../support/oidc-idp.ts'
import { authorization, basic, person, redeem, signIn, tokensOf } from '../../support/sign-in.ts'
import { atEach } from './both.ts'
import type { Json } from './cloud.ts'
import { exchange, groupsOf, projectsOf, rolesOf, scope, signInAt } from './websso.ts'
import { env, type World } from './world.ts'

/** Group names that Keystone, Apache and what lies between them take apart, read as JSON, or garble. */
const hard = [
  'namespace-admins',
  'a;b',
  'größe',
  'x,y',
  '{0}',
  'JSON:{"name":"ops"}',
  'it\'s "so"',
  '漢字 Ž',
  "['ops']",
]
/** Groups that exist and that nobody here is in: what a name above would become where it is taken apart. */
const decoys = ['a', 'b', 'x', 'y', 'ops', 'admins', 'name', 'grÃ¶Ã\u009fe', 'gr']

const anna = { preferred_username: 'anna', email: 'anna@corp.example', groups: ['/teams/web/dev'] }
/** Her claims change in the tests. */
const eve = { preferred_username: 'eve', groups: ['/teams/web/lead', '/teams/db/reader'] }
const people: readonly Person[] = [
  { sub: 'anna', claims: anna },
  { sub: 'eve', claims: eve },
  { sub: 'nora', claims: { preferred_username: 'nora', plain: hard } },
  {
    sub: 'max',
    claims: { preferred_username: 'max', plain: Array.from({ length: 300 }, (_, at) => `group-number-${at}`) },
  },
]

const token = async ({ gateway }: World, who: string) => (await tokensOf(gateway, 'openstack', who)).access_token

atEach({ people }, (world, kind) => {
  const mapped = kind.schema === '3.0'
  before(async () => {
    const { cloud } = world()
    for (const name of [...hard, ...decoys]) await cloud.group('corp', name)
    for (const name of ['web', 'db']) await (mapped ? cloud.group('corp', name) : cloud.team('corp', name, 'member'))
  })

  test('an access token of the command line becomes a token for exactly the projects and roles of the rules', async () => {
    const told = await exchange(world(), await token(world(), 'anna'))
    assert.equal(told.status, 201, JSON.stringify(told.body))
    assert.deepEqual(await projectsOf(world(), told.token), ['web'])
    const scoped = await scope(world(), told.token, { name: 'web', domain: 'corp' })
    assert.deepEqual(rolesOf(scoped), ['member', 'reader'])
    const { user } = told.body.token
    assert.equal(user.name, 'corp:anna')
    const direct = (await world().cloud.assignments(user.id)).filter((each) => each.startsWith('project'))
    assert.deepEqual(direct, mapped ? ['project web: member'] : [])
  })

  test('groups whose names Apache and Keystone would take apart arrive as exactly themselves', async () => {
    const told = await exchange(world(), await token(world(), 'nora'))
    assert.equal(told.status, 201, JSON.stringify(told.body))
    assert.deepEqual(await groupsOf(world(), told), [...hard].sort())
  })

  test('who has more groups than a token may carry gets none, and the answer says why', async () => {
    const request = authorization(world().gateway, 'openstack')
    const code = (await signIn(person(), request, 'max')).get('code')
    const { status, body } = await redeem(world().gateway, { code, verifier: request.verifier, client: 'openstack' })
    assert.equal(status, 400, JSON.stringify(body))
    assert.match(body['error_description'] ?? '', /grants_too_large/)
  })

  test('by browser and by command line she is one person, and neither sign-in ends the other', async () => {
    const byBrowser = await signInAt(world(), browser(), 'anna')
    await delay(1100) // revocations count in whole seconds
    const told = await exchange(world(), await token(world(), 'anna'))
    await delay(1100)
    assert.deepEqual(await projectsOf(world(), byBrowser), ['web'])
    const looked = await scope(world(), byBrowser, { name: 'web', domain: 'corp' })
    assert.equal(looked.body.token.user.id, told.body.token.user.id)
  })

  test('what the rules give no longer is gone with the next sign-in', async () => {
    const first = await exchange(world(), await token(world(), 'eve'))
    assert.deepEqual(await projectsOf(world(), first.token), ['db', 'web'])
    eve.groups = ['/teams/db/reader']
    await delay(1100)
    const second = await exchange(world(), await token(world(), 'eve'))
    assert.equal(second.body.token.user.id, first.body.token.user.id)
    assert.deepEqual(await groupsOf(world(), second), ['db'])
    const scoped = await scope(world(), second.token, { name: 'web', domain: 'corp' })
    if (mapped) {
      assert.deepEqual(await projectsOf(world(), second.token), ['db'])
      assert.ok([401, 403].includes(scoped.status), `${scoped.status}`)
    } else {
      // A Keystone this old keeps a lost membership for default_authorization_ttl, as the printed file says.
      const { groups } = (await world().cloud.api('GET', `/users/${second.body.token.user.id}/groups`)).body
      const lost = groups.find(({ name }: Json) => name === 'web')
      assert.ok(Date.parse(`${lost.membership_expires_at}`) - Date.now() < 3_600_000, JSON.stringify(lost))
    }
    eve.groups = ['/teams/web/lead', '/teams/db/reader']
  })

  test('a program signs in by its own secret and has what the rules give it', async () => {
    const form = { grant_type: 'client_credentials', scope: 'openid profile' }
    const { body } = await world().gateway.post('/token', form, basic('robot', env.SERVICE_SECRET))
    const told = await exchange(world(), body['access_token'] ?? '')
    assert.equal(told.status, 201, JSON.stringify(told.body))
    assert.deepEqual(await projectsOf(world(), told.token), ['web'])
  })
})
