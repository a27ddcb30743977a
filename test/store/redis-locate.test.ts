import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { openLocator } from '../../src/store/redis/locate.ts'
import { StoreUnavailable } from '../../src/store/store.ts'

/** Answers everything as a Sentinel says where the primary is, and counts who came. */
async function startSentinel(t: TestContext) {
  const fields = ['ip', '10.0.0.7', 'port', '6379', 'config-epoch', '3']
  const answer = `*${fields.length}\r\n${fields.map((text) => `$${text.length}\r\n${text}\r\n`).join('')}`
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}))
    socket.on('data', (data) => socket.write(answer.repeat(String(data).split('SENTINEL').length - 1)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { sockets, port: (server.address() as AddressInfo).port }
}

/** Closed with the test, however that ends: a connection that stays keeps the process. */
function locatorOf(t: TestContext, port: number) {
  const locator = openLocator({
    topology: 'sentinel',
    servers: [{ host: '127.0.0.1', port }],
    primary: 'lotse',
    sentinelAccess: {},
    access: {},
    key: '{lotse}:state',
  })
  t.after(() => locator.close())
  return locator
}

test('a Sentinel that is asked from two sides at once is connected to once', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] }) // nobody's patience is over, however busy the machine is
  const { sockets, port } = await startSentinel(t)
  const locator = locatorOf(t, port)
  const both = await Promise.all([locator.locate(), locator.locate()])
  assert.deepEqual(both, Array(2).fill({ host: '10.0.0.7', port: 6379 }))
  assert.equal(sockets.length, 1)
  locator.close()
  await once(sockets[0] as Socket, 'close')
})

test('a locator that was closed leaves no connection behind, also where it was being asked', async (t) => {
  const { sockets, port } = await startSentinel(t)
  const locator = locatorOf(t, port)
  const asked = assert.rejects(locator.locate(), StoreUnavailable)
  locator.close()
  await asked
  await assert.rejects(locator.locate(), StoreUnavailable)
  await Promise.all(sockets.map((socket) => socket.closed || once(socket, 'close')))
})
