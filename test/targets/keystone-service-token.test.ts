import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Grant } from '../../src/core/decision.ts'
import { decision, keystone } from './world.ts'

const project = (name: string, roles: readonly string[], domain?: string): Grant => ({
  target: 'cloud',
  project: name,
  roles,
  ...(domain === undefined ? {} : { domain }),
})

/** What an introspection answer has beside the claims of every form. */
function forServices(grants: readonly Grant[], options = {}, identity = {}): Record<string, unknown> {
  const { claims } = keystone(options)
  const given = decision(grants, identity)
  const common = Object.keys(claims(given, 'access_token'))
  return Object.fromEntries(Object.entries(claims(given, 'introspection')).filter(([name]) => !common.includes(name)))
}

test('a service reads the one project, its roles joined by commas, and ids that look like a Keystone’s', () => {
  const said = forServices([project('web', ['reader', 'member'], 'corp')])
  assert.deepEqual(said, {
    openstack_user_domain_id: 'default',
    openstack_project_id: said['openstack_project_id'],
    openstack_project_name: 'web',
    openstack_project_domain_id: said['openstack_project_domain_id'],
    openstack_project_domain: 'corp',
    openstack_roles: 'member,reader',
  })
  for (const id of [said['openstack_project_id'], said['openstack_project_domain_id']])
    assert.match(String(id), /^[0-9a-f]{32}$/)
})

test('a project that is called as another one’s id has another id all the same', () => {
  const id = String(forServices([project('web', ['member'])])['openstack_project_id'])
  assert.notEqual(forServices([project(id, ['member'])])['openstack_project_id'], id)
  assert.notEqual(forServices([project('web', ['member'], 'corp')])['openstack_project_id'], id)
})

test('of several projects none is said: a token is for one', () => {
  const several = forServices([project('web', ['member']), project('db', ['member'])])
  assert.deepEqual(several, {})
  assert.deepEqual(forServices([]), {})
})

test('a role with a comma in its name is said to no service, which would make two of it', () => {
  const said = forServices([project('web', ['member', 'x,admin'])])
  assert.deepEqual(said, {})
})

test('the domain of the person has its own id, also where the gateway writes grants itself', () => {
  const reconcile = { user: { name: 'l', password: { env: 'P' }, scope: { system: true } } }
  const said = forServices([project('web', ['member'])], { reconcile }, { domain: 'corp' })
  assert.match(String(said['openstack_user_domain_id']), /^[0-9a-f]{32}$/)
  assert.equal(said['openstack_roles'], 'member')
})
