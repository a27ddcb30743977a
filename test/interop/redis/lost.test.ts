import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openRedis } from '../../../src/store/redis/store.ts'
import { type Kind, type Store, StoreUnavailable } from '../../../src/store/store.ts'
import { startServer } from './servers.ts'
import { startTopology, type Topology, type TopologyName, until } from './topologies.ts'

/* What a store does that finds that acknowledged writes are missing: what they may have used or revoked is believed no more. */

const token: Kind = { name: 'LostToken', durable: true, lapses: true }
const mark: Kind = { name: 'LostMark', durable: true }
const secret = randomBytes(32)

interface Opened {
  readonly store: Store
  /** How often it said that acknowledged writes are missing. */
  readonly losses: () => number
}

async function open({ place }: Topology, mode: 'serve' | 'command' = 'serve'): Promise<Opened> {
  const messages: string[] = []
  const store = await openRedis({
    ...place,
    mode,
    replicas: 0,
    prefix: 'lotse',
    derive: () => secret,
    now: () => Math.floor(Date.now() / 1000),
    log: (_level, message) => void messages.push(message),
  })
  return { store, losses: () => messages.filter((text) => text.includes('lost acknowledged writes')).length }
}

const answers = (store: Store) =>
  until('the store answers', async () => {
    await store.check()
    return true
  })

/** What can be done again: on a busy machine the server may be too slow for an answer within half a second. */
async function sure<T>(work: () => Promise<T>): Promise<T> {
  for (let left = 5; ; left--) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || left === 0) throw error
    }
  }
}

/** Two gateways that wait for no replica, on servers that end with the test. */
async function pair(t: TestContext, name: TopologyName) {
  const topology = await startTopology(name)
  t.after(() => topology.close())
  const [one, two] = [await open(topology), await open(topology)]
  t.after(() => Promise.all([one.store.close(), two.store.close()]))
  return { topology, one, two }
}

test('a server that is killed and started again has what was acknowledged, and nobody has to sign in again', async (t) => {
  const { topology, one, two } = await pair(t, 'standalone')
  await one.store.put(token, 'kept', 'value', 3600)
  await one.store.put(token, 'used', 'value', 3600)
  await one.store.consume(token, 'used')
  const server = await topology.primary()
  await server.kill('SIGKILL')
  await server.start()
  await answers(one.store)
  await answers(two.store)
  assert.equal((await one.store.get(token, 'kept'))?.value, 'value')
  assert.equal(typeof (await two.store.consume(token, 'used')), 'number')
  assert.equal(one.losses() + two.losses(), 0)
})

test('a server that comes back with older data revives no token that was used since, and new ones stay good', async (t) => {
  const { topology, one, two } = await pair(t, 'standalone')
  const { store } = one
  await store.put(token, 'used', 'value', 3600, { groups: ['grant'] })
  await store.put(mark, 'mark', 'value', 3600)
  await delay(1500) // the file gets what was written once a second
  const server = await topology.primary()
  const [files, copy] = [join(server.folder, 'appendonlydir'), join(server.folder, 'copy')]
  await cp(files, copy, { recursive: true })
  assert.equal(await store.consume(token, 'used'), 'first')
  await server.kill('SIGKILL')
  await rm(files, { recursive: true })
  await cp(copy, files, { recursive: true })
  await server.start()
  await answers(store)
  assert.equal(one.losses() + two.losses(), 1, 'one of both ends the epoch, and the other hears of it')
  assert.equal(await store.consume(token, 'used'), undefined)
  assert.equal(await two.store.get(token, 'used'), undefined)
  assert.deepEqual(await store.members('grant'), [])
  assert.equal((await store.get(mark, 'mark'))?.value, 'value', 'what lets nobody in stays')
  await store.put(token, 'new', 'value', 3600)
  await delay(2500) // both have looked at the server since
  assert.equal(one.losses() + two.losses(), 1)
  assert.equal((await two.store.get(token, 'new'))?.value, 'value')
})

test('what was written and told to nobody is no loss to a gateway that came after it', async (t) => {
  const { topology, one, two } = await pair(t, 'standalone')
  await one.store.put(token, 'kept', 'value', 3600)
  await one.store.close()
  await two.store.close()
  await delay(1500) // the file gets what was written once a second
  const server = await topology.primary()
  const [files, copy] = [join(server.folder, 'appendonlydir'), join(server.folder, 'copy')]
  await cp(files, copy, { recursive: true })
  await server.call('HINCRBY', '{lotse}:state', 'n', '1') // as a write whose answer nobody got
  const late = await open(topology, 'command')
  t.after(() => late.store.close())
  await server.kill('SIGKILL')
  await rm(files, { recursive: true })
  await cp(copy, files, { recursive: true })
  await server.start()
  await answers(late.store)
  assert.equal((await late.store.get(token, 'kept'))?.value, 'value')
  assert.equal(late.losses(), 0)
})

test('a server that was emptied is noticed within seconds', async (t) => {
  const { topology, one, two } = await pair(t, 'standalone')
  await one.store.put(token, 'gone', 'value', 3600)
  await (await topology.primary()).call('FLUSHALL')
  await until('one of both has noticed', async () => one.losses() + two.losses() > 0)
  await delay(2500)
  assert.equal(one.losses() + two.losses(), 1)
  assert.equal(await sure(() => one.store.get(token, 'gone')), undefined)
  await sure(() => one.store.put(token, 'new', 'value', 3600))
  assert.equal((await sure(() => two.store.get(token, 'new')))?.value, 'value')
})

test('a replica that was behind when it was promoted revives nothing', async (t) => {
  const { topology, one, two } = await pair(t, 'sentinel')
  await one.store.put(token, 'used', 'value', 3600)
  const primary = await topology.primary()
  await until('the replicas have it', async () => (await primary.call('WAIT', '2', '500')) === 2)
  const others = topology.nodes.filter((node) => node !== primary)
  await primary.call('CONFIG', 'SET', 'min-replicas-to-write', '0') // which would have refused the write
  for (const node of others) await node.kill('SIGKILL')
  assert.equal(await one.store.consume(token, 'used'), 'first')
  await primary.kill('SIGKILL')
  for (const node of others) await node.start()
  await answers(one.store)
  await answers(two.store)
  assert.equal(one.losses() + two.losses(), 1)
  assert.equal(await two.store.consume(token, 'used'), undefined)
})

/** Commands, which look at a server only when they connect to it. */
async function lookers(t: TestContext) {
  const topology = await startTopology('standalone')
  t.after(() => topology.close())
  const [one, two] = [await open(topology, 'command'), await open(topology, 'command')]
  t.after(() => Promise.all([one.store.close(), two.store.close()]))
  await one.store.put(token, 'used', 'value', 3600)
  return { server: await topology.primary(), one, two }
}

/** The second one is the first to look, and writes more than was lost, before the one that used the token looks. */
async function assertNoticed({ one, two }: { readonly one: Opened; readonly two: Opened }): Promise<void> {
  await answers(two.store)
  for (let n = 0; n < 20; n++) await two.store.put(mark, `mark ${n}`, 'value', 3600)
  await answers(one.store)
  assert.equal(one.losses() + two.losses(), 1)
  assert.equal(await one.store.consume(token, 'used'), undefined)
}

test('a server that is lost twice, and with it that it was looked at in between, revives nothing', async (t) => {
  const { server, one, two } = await lookers(t)
  await delay(1500) // the file gets what was written once a second
  const [files, copy] = [join(server.folder, 'appendonlydir'), join(server.folder, 'copy')]
  await cp(files, copy, { recursive: true })
  await server.kill('SIGKILL')
  await server.start()
  await answers(one.store)
  assert.equal(await one.store.consume(token, 'used'), 'first')
  await server.kill('SIGKILL')
  await rm(files, { recursive: true })
  await cp(copy, files, { recursive: true })
  await server.start()
  await assertNoticed({ one, two })
})

test('a server that goes on after it was a replica of one that was behind revives nothing', async (t) => {
  const { server, one, two } = await lookers(t)
  const behind = await startServer([`replicaof 127.0.0.1 ${server.port}`, 'repl-diskless-sync-delay 0'])
  t.after(() => behind.close())
  await until('the other one follows', async () => (await server.call('WAIT', '1', '500')) === 1)
  await behind.call('REPLICAOF', 'NO', 'ONE')
  assert.equal(await one.store.consume(token, 'used'), 'first')
  await server.call('REPLICAOF', '127.0.0.1', String(behind.port))
  await until('it has what the other one has', async () =>
    String(await server.call('INFO', 'replication')).includes('master_link_status:up'),
  )
  await server.call('REPLICAOF', 'NO', 'ONE')
  await server.call('CLIENT', 'KILL', 'TYPE', 'normal') // as a Sentinel does
  await assertNoticed({ one, two })
})
