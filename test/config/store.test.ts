import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redisOptions } from '../../src/cli/open-store.ts'
import { loadMain, problemsOf } from './files.ts'

const main = (store: string) => `issuer: https://login.cloud.example\nlisten: { port: 8080 }\nstore: ${store}\n`

test('one server needs its address alone, and waits for no replica', async () => {
  const loaded = await loadMain(main('{ kind: redis, servers: [redis.internal:6379] }'))
  assert.ok(loaded.ok && loaded.config.store.kind === 'redis')
  const { servers, replicas, topology, access, prefix } = redisOptions(loaded.config.store)
  assert.deepEqual(servers, [{ host: 'redis.internal', port: 6379 }])
  assert.deepEqual([topology, replicas, prefix], ['standalone', 0, 'lotse'])
  assert.equal(access.tls, undefined)
})

test('Sentinels have a password of their own, share the TLS, and make the gateway wait for a replica', async () => {
  const store = `
  kind: redis
  topology: sentinel
  servers: ['[2001:db8::1]:26379', '10.0.0.2:26379']
  password: { env: DATA }
  sentinel: { username: watch, password: { env: SENTINEL } }
  tls: {}`
  const loaded = await loadMain(main(store), { env: { DATA: 'one', SENTINEL: 'two' } })
  assert.ok(loaded.ok && loaded.config.store.kind === 'redis')
  const { servers, replicas, access, sentinelAccess, primary } = redisOptions(loaded.config.store)
  assert.deepEqual(servers[0], { host: '2001:db8::1', port: 26_379 })
  assert.deepEqual([replicas, primary], [1, 'mymaster'])
  assert.deepEqual([access.password, sentinelAccess.username, sentinelAccess.password], ['one', 'watch', 'two'])
  assert.deepEqual([access.tls, sentinelAccess.tls], [{}, {}])
})

const mistakes: readonly (readonly [string, string, RegExp])[] = [
  ['a URL for a server', '{ kind: redis, servers: [redis://h:6379] }', /not a server; write its host and port/],
  ['no server', '{ kind: redis, servers: [] }', /store\.servers/],
  ['a password that is written down', '{ kind: redis, servers: [h:1], password: x }', /never written into this file/],
  ['two servers of no topology', '{ kind: redis, servers: [a:1, b:1] }', /one server has one address/],
  ['a database of a Cluster', '{ kind: redis, topology: cluster, servers: [a:1], database: 1 }', /only the database 0/],
  [
    'a Cluster that waits for nobody',
    '{ kind: redis, topology: cluster, servers: [a:1], replicas: 0 }',
    /write 1 or more/,
  ],
  ['a key without its certificate', '{ kind: redis, servers: [a:1], tls: { key: { env: K } } }', /needs its key/],
  ['a path', '{ kind: redis, servers: [a:1], path: x }', /path/],
]
for (const [what, store, pattern] of mistakes)
  test(`${what} is a mistake`, async () => {
    const problems = await problemsOf(main(store), { env: { K: 'x' } })
    assert.ok(
      problems.some((problem) => pattern.test(problem)),
      problems.join('\n'),
    )
  })
