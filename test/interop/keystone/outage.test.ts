import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openEmbedded } from '../../../src/store/embedded.ts'
import { kinds } from '../../../src/store/kinds.ts'
import { rounds } from '../../support/rounds.ts'
import { authorization, person, pickPerson } from '../../support/sign-in.ts'
import { enter, settled, until, userOf } from './holding.ts'
import { atEachReconciled, type Reconciled } from './reconciled.ts'

/** Seconds without a Keystone. */
const DOWN = rounds(8, 60)

/** How many marks wait in the durable queue. */
async function waiting({ at }: Reconciled): Promise<number> {
  const now = () => Math.floor(Date.now() / 1000)
  const store = await openEmbedded({ path: join(at.folder, 'lotse.db'), now, mode: 'command' })
  try {
    return (await store.list(kinds.Due, 1000)).length
  } finally {
    await store.close()
  }
}

/** Changes the configuration, and waits until the gateway uses it. */
async function configure(world: Reconciled, from: string, to: string): Promise<void> {
  const { length } = await world.audit()
  await world.at.change(from, to)
  const loaded = async () => (await world.audit()).slice(length).some(({ event }) => event === 'config.loaded')
  await until('the configuration is in use', loaded, Boolean)
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1000
}

atEachReconciled({ people: ['ada', 'bob', 'eve'], reconcile: 'ifUnreachable: go-on' }, (world) => {
  before(() => {
    for (const each of ['ada', 'bob', 'eve']) world().upstream.says(each, ['/teams/web/dev', '/teams/db/reader'])
  })

  test(`a Keystone that is down for ${DOWN} s: people sign in as configured, and it has everything soon afterwards`, async (t) => {
    const { gateway, upstream, cloud } = world()
    await enter(world(), 'openstack', 'bob')
    await settled(world())
    await world().down()
    const end = Date.now() + DOWN * 1000
    const first = await timed(() => enter(world(), 'openstack', 'ada'))
    const again = await timed(() => enter(world(), 'openstack', 'ada'))
    assert.ok(first < 6, `the first who comes waits ${first} s`)
    const told = await gateway.post('/logout/back/corp', { logout_token: await upstream.logoutToken('bob') })
    assert.equal(told.status, 200, 'an end needs no Keystone')

    await configure(world(), 'ifUnreachable: go-on', 'ifUnreachable: refuse')
    const who = person()
    const page = await who.get(authorization(gateway, 'openstack', { connector: 'corp' }).url)
    assert.equal((await pickPerson(who, page, 'eve')).status, 503)
    await enter(world(), 'argo', 'eve') // on the way elsewhere it does not matter
    await configure(world(), 'ifUnreachable: refuse', 'ifUnreachable: go-on')

    assert.ok((await waiting(world())) >= 2)
    await delay(Math.max(0, end - Date.now()))
    await world().up()
    const began = Date.now()
    const right = async () => [
      (await userOf(world(), 'bob'))?.enabled,
      await cloud.assignments((await userOf(world(), 'ada'))?.id ?? 'nobody').catch(() => []),
      await waiting(world()),
    ]
    const isSo = [false, ['project db: reader', 'project web: member'], 0]
    await until('everything is right', right, (seen) => JSON.stringify(seen) === JSON.stringify(isSo), 60)
    const drained = (Date.now() - began) / 1000
    await settled(world())
    t.diagnostic(
      `signed in within ${first.toFixed(1)} s, and ${again.toFixed(1)} s once it was known to be down; the queue was empty ${drained.toFixed(1)} s after Keystone answered again`,
    )
    assert.ok(drained < 90)
  })
})
