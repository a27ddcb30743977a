import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { kinds } from '../../../src/store/kinds.ts'
import { openRedis } from '../../../src/store/redis/store.ts'
import { type Store, StoreUnavailable } from '../../../src/store/store.ts'
import type { Server } from './servers.ts'
import { startTopology, type Topology, until } from './topologies.ts'

/* A Cluster that moves the gateway's slot to another node, as `redis-cli --cluster rebalance` does: key by key. */

interface Move {
  /** Some of its keys, or all. */
  carry(most: number): Promise<void>
  end(): Promise<void>
}

const idOf = async (node: Server) => String(await node.call('CLUSTER', 'MYID'))

async function beginMove(topology: Topology): Promise<Move> {
  const from = await topology.primary()
  const roles = await Promise.all(topology.nodes.map(async (node) => ({ node, said: await node.call('ROLE') })))
  const to = roles.find(({ node, said }) => node !== from && (said as readonly unknown[])[0] === 'master')?.node
  assert.ok(to)
  const slot = String(await from.call('CLUSTER', 'KEYSLOT', '{lotse}:state'))
  const there = await idOf(to)
  await to.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', await idOf(from))
  await from.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', there)
  return {
    async carry(most) {
      const keys = (await from.call('CLUSTER', 'GETKEYSINSLOT', slot, String(most))) as readonly string[]
      if (keys.length > 0) await from.call('MIGRATE', '127.0.0.1', String(to.port), '', '0', '5000', 'KEYS', ...keys)
    },
    async end() {
      for (const node of [to, from]) await node.call('CLUSTER', 'SETSLOT', slot, 'NODE', there)
    },
  }
}

/** Each of them is refused. */
async function assertRefused(store: Store): Promise<void> {
  const links = { alias: 'uid', groups: ['session:1'] }
  const writes = [
    () => store.put(kinds.Account, 'alice', 'new', Infinity),
    () => store.put(kinds.Session, 'alice', 'new', 1000, links),
    () => store.add(kinds.Session, 'bob', 'new', 1000, links),
    () => store.swap(kinds.Session, 'alice', 'x', 'new', 1000),
    () => store.take(kinds.RefreshToken, 'token'),
    () => store.consume(kinds.RefreshToken, 'token'),
    () => store.delete(kinds.Account, 'alice'),
    () => store.revoke('session:1', 1000),
    () => store.get(kinds.Account, 'alice'),
  ]
  for (const write of writes) await assert.rejects(write, StoreUnavailable)
}

test('while the slot moves to another node everything is refused, and nothing of it is done by half', async (t) => {
  const topology = await startTopology('cluster')
  t.after(() => topology.close())
  const now = () => Math.floor(Date.now() / 1000)
  const secret = randomBytes(32)
  const store = await openRedis({ ...topology.place, prefix: 'lotse', derive: () => secret, now, mode: 'command' })
  t.after(() => store.close())
  await store.put(kinds.Account, 'alice', 'x', Infinity)
  await store.put(kinds.Session, 'alice', 'x', 1000, { alias: 'uid', groups: ['session:1'] })
  await store.put(kinds.RefreshToken, 'token', 'x', 1000, { groups: ['grant:1'] })
  const move = await beginMove(topology)
  await assertRefused(store)
  await move.carry(3)
  await assertRefused(store)
  await move.carry(1000)
  await move.end()
  await until('the store is there again', async () => (await store.list(kinds.Account, 1)).length >= 0)
  assert.equal((await store.get(kinds.Account, 'alice'))?.value, 'x')
  assert.equal((await store.find(kinds.Session, 'uid'))?.value, 'x')
  assert.deepEqual(await store.members('session:1'), [{ kind: 'Session', id: 'alice' }])
  assert.equal(await store.get(kinds.Session, 'bob'), undefined)
  assert.equal(await store.consume(kinds.RefreshToken, 'token'), 'first')
})
