import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { openRedis } from '../../../src/store/redis/store.ts'
import type { Kind } from '../../../src/store/store.ts'
import { startServer } from './servers.ts'
import { until } from './topologies.ts'

/* One server behind a name, which an operator or a platform gives to another one. */

const token: Kind = { name: 'RenamedToken', durable: true, lapses: true }
const secret = randomBytes(32)

/** A name: connections that are made from now on lead to another port, and those that there are stay. */
async function startName(t: TestContext, first: number) {
  let to = first
  const open = new Set<Socket>()
  const server = createServer((client) => {
    const onward = connect(to, '127.0.0.1')
    for (const socket of [client, onward]) open.add(socket.on('error', () => {}))
    client.pipe(onward).pipe(client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  const { port } = server.address() as { port: number }
  return {
    port,
    lead(port: number) {
      to = port
    },
  }
}

test('a server that was made a replica is left, so that its name may lead to the one that took its place', async (t) => {
  const lines = ['appendonly yes', 'repl-diskless-sync-delay 0']
  const first = await startServer(lines)
  const second = await startServer([...lines, `replicaof 127.0.0.1 ${first.port}`])
  t.after(() => Promise.all([first.close(), second.close()]))
  await until('the second one follows', async () => (await first.call('WAIT', '1', '500')) === 1)
  const name = await startName(t, first.port)
  const store = await openRedis({
    ...{ topology: 'standalone', servers: [{ host: '127.0.0.1', port: name.port }], primary: '', replicas: 1 },
    ...{ access: {}, sentinelAccess: {}, prefix: 'lotse', derive: () => secret },
    now: () => Math.floor(Date.now() / 1000),
  })
  t.after(() => store.close())
  await until('a write is told of', async () => store.put(token, 'kept', 'value', 3600))
  await second.call('REPLICAOF', 'NO', 'ONE')
  name.lead(second.port)
  await first.call('REPLICAOF', '127.0.0.1', String(second.port))
  await until('the other one is used', async () => store.put(token, 'new', 'value', 3600))
  assert.equal((await store.get(token, 'kept'))?.value, 'value')
  assert.equal(await second.call('EXISTS', '{lotse}:k:RenamedToken'), 1)
})
