import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { refresh } from '../../support/sign-in.ts'
import { byCredential, enter, grantByHand, hold, look, settled, until, userOf } from './holding.ts'
import { atEachReconciled, type Reconciled, subOf } from './reconciled.ts'
import { exchange, scope } from './websso.ts'

const crowd = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6']
const people = ['ada', 'bob', 'eve', 'mia', ...crowd]

/** Everything that somebody has at Keystone; `undefined` where she has no user. */
async function has(world: Reconciled, person: string): Promise<readonly string[] | undefined> {
  const user = await userOf(world, person)
  return user && (await world.cloud.assignments(user.id))
}

atEachReconciled({ people, reconcile: 'atOnce: { accounts: 4, percent: 10 }' }, (world, kind) => {
  before(() => world().upstream.says('ada', ['/teams/web/dev', '/teams/db/dev', '/circles/friends']))

  test('whoever signs in first finds project, group and role ready', async (t) => {
    const tokens = await enter(world(), 'openstack', 'ada')
    const login = await exchange(world(), tokens.access_token)
    assert.equal(login.status, 201, JSON.stringify(login.body))
    const scoped = await scope(world(), login.token, { name: 'web', domain: 'corp' })
    const late = world().serving().err().includes('a sign-in waits no longer')
    t.diagnostic(
      late ? 'this machine was too slow for the two seconds that a sign-in waits' : 'ready within the sign-in',
    )
    assert.ok(late || scoped.status === 201, JSON.stringify(scoped.body))
    await settled(world())
    assert.deepEqual(await has(world(), 'ada'), ['group friends', 'project db: member', 'project web: member'])
    assert.equal(
      login.body.token.user.id,
      (await userOf(world(), 'ada'))?.id,
      'the sign-in lands on the user that was made',
    )
  })

  test('a group that is gone upstream is a role that is gone at the next refresh, with the tokens and the credential that stand on it', async () => {
    const db = await hold(world(), 'ada', 'db')
    const web = await hold(world(), 'ada', 'web')
    await grantByHand(world(), db.user)
    world().upstream.says('ada', ['/teams/web/dev'])
    await until(
      'the recheck is due',
      async () => Date.now() / 1000,
      () => true,
    )
    await new Promise((resolve) => setTimeout(resolve, 2500))
    assert.equal((await refresh(world().gateway, 'openstack', web.refreshToken)).status, 200)
    await until(
      'the token for db is dead',
      () => look(world(), db.scoped),
      (status) => status >= 400,
    )
    await until(
      'the credential for db is dead',
      async () => (await byCredential(world(), db.credential)).status,
      (status) => status >= 400,
    )
    assert.ok((await look(world(), db.made)) >= 400)
    await settled(world())
    assert.deepEqual(await has(world(), 'ada'), ['project hand: reader', 'project web: member'])
    // Who leaves a group at Keystone loses all of her tokens there; what stands on other roles goes on.
    assert.equal((await byCredential(world(), web.credential)).status, 201)
  })

  test('who is gone upstream is disabled and refused, and keeps her id, her projects and her credentials for a return', async () => {
    const web = await hold(world(), 'ada', 'web')
    const credentials = async () =>
      (await world().cloud.api('GET', `/users/${web.user}/application_credentials`)).body.application_credentials.length
    const before = await credentials()
    world().upstream.says('ada', 'gone')
    await new Promise((resolve) => setTimeout(resolve, 2500))
    const refused = await refresh(world().gateway, 'openstack', web.refreshToken)
    assert.deepEqual([refused.status, refused.body['error']], [400, 'invalid_grant'])
    for (const token of [web.unscoped, web.scoped, web.made])
      await until(
        'her tokens are dead',
        () => look(world(), token),
        (status) => status >= 400,
      )
    assert.ok((await byCredential(world(), web.credential)).status >= 400)
    await settled(world())
    const user = await userOf(world(), 'ada')
    assert.deepEqual([user?.id, user?.enabled], [web.user, false])
    assert.deepEqual(await has(world(), 'ada'), ['project hand: reader'], 'what an administrator gave stays')
    assert.equal(await credentials(), before, 'her application credentials are still there')
    assert.equal((await world().cloud.api('GET', '/projects?name=web')).body.projects.length, 1)
    await assert.rejects(enter(world(), 'openstack', 'ada'), 'the gateway lets her in no more')

    world().upstream.says('ada', ['/teams/web/dev'])
    const back = await hold(world(), 'ada', 'web')
    assert.equal(back.user, web.user)
    assert.equal((await userOf(world(), 'ada'))?.enabled, true)
    assert.ok((await look(world(), web.scoped)) >= 400, 'what was dead stays dead')
    assert.deepEqual(await has(world(), 'ada'), ['project hand: reader', 'project web: member'])
  })

  test('an operator reconciles beside the gateway: each thing is written once, and nothing goes to and fro', async (t) => {
    for (const person of crowd) world().upstream.says(person, ['/teams/web/dev', '/teams/crowd/reader'])
    const since = await world().mark()
    await Promise.all(crowd.map((person) => enter(world(), 'argo', person)))
    const said = await Promise.all([world().lotse('reconcile'), world().lotse('reconcile cloud')])
    await settled(world())
    const writes = await world().writes(since)
    const grants = writes.filter((line) => line.startsWith('PUT '))
    assert.equal(grants.length, crowd.length * 2, grants.join('\n'))
    assert.equal(new Set(grants).size, grants.length, 'no grant is written twice')
    assert.deepEqual(
      writes.filter((line) => line.startsWith('DELETE ')),
      [],
    )
    for (const person of crowd)
      assert.deepEqual(await has(world(), person), ['project crowd: reader', 'project web: member'])
    t.diagnostic(
      `${writes.length} writes for ${crowd.length} people by three processes (exits ${said.map(({ code }) => code)})`,
    )
    const after = await world().mark()
    assert.equal((await world().lotse('reconcile')).code, 0)
    assert.deepEqual(await world().writes(after), [], 'and a further one has nothing to do')
  })

  test('rules that would take from many at once take from nobody, until an operator says so', async () => {
    const since = await world().mark()
    const { length } = await world().audit()
    await world().at.change('ranks: { dev: member, reader: reader }', 'ranks: { dev: member }')
    await until(
      'the gateway says what it holds back',
      async () => (await world().audit()).slice(length),
      (events) => events.some(({ event }) => event === 'reconcile.held'),
    )
    const byHand = await world().lotse('reconcile cloud')
    assert.equal(byHand.code, 1, byHand.err.join('\n'))
    assert.match(byHand.err.join('\n'), /take from 6 accounts at once/)
    assert.deepEqual(await world().writes(since), [])
    const done = await world().lotse('reconcile cloud --yes')
    assert.equal(done.code, 0, done.err.join('\n'))
    assert.equal((await world().writes(since)).length, crowd.length)
    for (const person of crowd) assert.deepEqual(await has(world(), person), ['project web: member'])
    await settled(world())
    assert.equal((await world().writes(since)).length, crowd.length, 'and the gateway finds nothing to do')
  })

  test('a user of another identity provider comes over with her id and her application credential', async () => {
    const { cloud, lotse, upstream } = world()
    const domain_id = await cloud.domain('corp')
    for (const [method, path, body] of [
      [
        'PUT',
        '/OS-FEDERATION/identity_providers/keycloak',
        { identity_provider: { domain_id, remote_ids: ['https://keycloak.example'] } },
      ],
      ['PUT', '/OS-FEDERATION/identity_providers/keycloak/protocols/openid', { protocol: { mapping_id: 'lotse' } }],
    ] as const)
      assert.equal((await cloud.api(method, path, body)).status, 201, path)
    const federated = [{ idp_id: 'keycloak', protocols: [{ protocol_id: 'openid', unique_id: 'f%3A1%3Aeve' }] }]
    const { body } = await cloud.api('POST', '/users', {
      user: { name: 'eve@old', domain_id, enabled: true, federated },
    })
    assert.ok(body.user?.id, JSON.stringify(body))
    const csv = join(world().at.folder, 'people.csv')
    await writeFile(csv, 'f:1:eve,corp,eve\nf:1:nobody,corp,mia\n')
    const looked = await lotse(`subjects adopt cloud --csv ${csv} --idp keycloak`)
    assert.equal(looked.code, 1)
    assert.match(looked.out.join('\n'), /ready +corp\/eve[\s\S]*absent +corp\/mia/)
    await writeFile(csv, 'f:1:eve,corp,eve\n')
    const moved = await lotse(`subjects adopt cloud --csv ${csv} --idp keycloak --yes`)
    assert.equal(moved.code, 0, moved.err.join('\n'))
    upstream.says('eve', ['/teams/web/dev'])
    const held = await hold(world(), 'eve', 'web')
    assert.equal(held.user, body.user.id)
    assert.equal((await userOf(world(), 'eve'))?.id, body.user.id)
    assert.equal(
      (await lotse(`subjects adopt cloud --csv ${csv} --idp keycloak`)).code,
      0,
      'a second look finds it done',
    )
    assert.equal(subOf('eve').length, 43)
    assert.ok(kind.label)
  })
})
