import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { type KeystoneStandIn, startKeystoneStandIn } from './keystone-stand-in.ts'

const json = { 'content-type': 'application/json' }

async function tokenOf({ url, admin }: KeystoneStandIn): Promise<string> {
  const user = { name: admin.name, password: admin.password, domain: { name: 'Default' } }
  const scope = { project: { name: 'admin', domain: { name: 'Default' } } }
  const body = JSON.stringify({ auth: { identity: { methods: ['password'], password: { user } }, scope } })
  const answer = await fetch(`${url}/auth/tokens`, { method: 'POST', headers: json, body })
  assert.equal(answer.status, 201)
  return answer.headers.get('x-subject-token') ?? ''
}

describe('the Keystone that stands in for real ones', async () => {
  const keystone = await startKeystoneStandIn()
  after(() => keystone.close())
  const token = await tokenOf(keystone)
  const api = async (method: string, path: string, body?: unknown) => {
    const headers = { ...json, 'x-auth-token': token }
    const answer = await fetch(`${keystone.url}${path}`, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    return { status: answer.status, body: text === '' ? undefined : (JSON.parse(text) as Record<string, never>) }
  }
  const federated = (sub: string) => [{ idp_id: 'lotse', protocols: [{ protocol_id: 'openid', unique_id: sub }] }]

  it('lets a person who was made beforehand in on the same id, and kills her tokens as Keystone does', async () => {
    const made = await api('POST', '/users', {
      user: { name: 'alice', domain_id: 'default', federated: federated('s1') },
    })
    assert.equal(made.status, 201)
    const id = keystone.user('s1') ?? ''
    const [web, ops, member] = [keystone.project('web'), keystone.project('ops'), keystone.role('member')]
    const dev = keystone.group('dev')
    for (const path of [
      `/projects/${web}/users/${id}/roles/${member}`,
      `/projects/${ops}/users/${id}/roles/${member}`,
      `/groups/${dev}/users/${id}`,
    ])
      assert.equal((await api('PUT', path)).status, 204)
    const login = keystone.login('s1')
    const [inWeb, inOps] = [keystone.scope(login, web) ?? '', keystone.scope(login, ops) ?? '']
    assert.deepEqual(keystone.access('s1'), [
      'in group dev (Default)',
      'member in project ops (Default)',
      'member in project web (Default)',
    ])

    await api('DELETE', `/projects/${web}/users/${id}/roles/${member}`)
    assert.deepEqual([login, inWeb, inOps].map(keystone.valid), [true, false, true])
    await api('DELETE', `/groups/${dev}/users/${id}`)
    assert.deepEqual([login, inWeb, inOps].map(keystone.valid), [false, false, false])
    const later = keystone.login('s1')
    await api('PATCH', `/users/${id}`, { user: { enabled: false } })
    await api('PATCH', `/users/${id}`, { user: { enabled: true } })
    assert.equal(keystone.valid(later), false)
    assert.equal(keystone.user('s1'), id)
  })

  it('leaves what a refused change did behind, as Keystone does without transactions', async () => {
    await api('POST', '/users', { user: { name: 'b', domain_id: 'default', federated: federated('s2') } })
    await api('POST', '/users', { user: { name: 'c', domain_id: 'default', federated: federated('s3') } })
    const id = keystone.user('s2')
    assert.equal((await api('PATCH', `/users/${id}`, { user: { federated: federated('s3') } })).status, 409)
    assert.equal(keystone.user('s2'), undefined)
  })

  it('fails as it is told to, and counts', async () => {
    keystone.forget()
    keystone.down()
    assert.equal((await api('GET', '/roles')).status, 503)
    keystone.up()
    keystone.fail({ method: 'POST', path: '/projects', answer: 500, work: 'done' })
    assert.equal((await api('POST', '/projects', { project: { name: 'lost', domain_id: 'default' } })).status, 500)
    assert.equal((await api('POST', '/projects', { project: { name: 'lost', domain_id: 'default' } })).status, 409)
    assert.deepEqual(keystone.count, { reads: 1, writes: 2, signIns: 0 })
  })
})
