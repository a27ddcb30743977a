import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Io } from '../../../src/cli/command.ts'
import { main } from '../../../src/cli/index.ts'
import { openFleet } from '../../../src/fleet.ts'
import { openRoot } from '../../../src/keys/root-secret.ts'
import type { Access } from '../../../src/store/redis/connection.ts'
import { openRedis, probeRedis } from '../../../src/store/redis/store.ts'
import { type Kind, StoreUnavailable } from '../../../src/store/store.ts'
import { selfSigned } from '../../support/certificate.ts'
import { freePort } from '../../support/gateway.ts'
import { type Server, startServer } from './servers.ts'
import { until } from './topologies.ts'

/* Who may use a server, over what, and what somebody reads who gets its files. */

const kind: Kind = { name: 'AccessTest', durable: true, lapses: true }
const secret = randomBytes(32)

/** What docs/guides/high-availability.md gives the gateway's user. */
const rights = '~{lotse}:* +@read +@write +@scripting +@connection +wait +role +info +time +config|get'

let server: Server
let port: number
let ca: string
let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lotse-tls-'))
  const { key, cert } = selfSigned()
  ca = cert
  await writeFile(join(folder, 'key.pem'), key)
  await writeFile(join(folder, 'cert.pem'), cert)
  port = await freePort()
  server = await startServer([
    `tls-port ${port}`,
    `tls-cert-file ${folder}/cert.pem`,
    `tls-key-file ${folder}/key.pem`,
    'tls-auth-clients no',
    'appendonly yes',
    'appendfsync always',
    `user lotse on >correct ${rights}`,
  ])
})
after(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

const options = (access: Access, prefix = 'lotse') =>
  ({
    topology: 'standalone',
    servers: [{ host: '127.0.0.1', port: access.tls ? port : server.port }],
    primary: '',
    sentinelAccess: {},
    replicas: 0,
    prefix,
    access,
    derive: () => secret,
    now: () => Math.floor(Date.now() / 1000),
  }) as const

const refused = (pattern: RegExp) => (error: unknown) => error instanceof StoreUnavailable && pattern.test(error.detail)

test('a user with the least rights and a password does everything over TLS', async () => {
  const store = await openRedis(options({ username: 'lotse', password: 'correct', tls: { ca } }))
  await store.put(kind, 'a', 'one', 60, { alias: 'alias', groups: ['group'] })
  assert.equal(await store.swap(kind, 'a', 'one', 'two', 60), true)
  assert.equal(await store.consume(kind, 'a'), 'first')
  assert.equal((await store.find(kind, 'alias'))?.value, 'two')
  assert.equal((await store.members('group')).length, 1)
  assert.equal((await store.list(kind, 10)).length, 1)
  assert.equal(await store.add(kind, 'b', 'one', 60), true)
  assert.equal((await store.take(kind, 'b'))?.value, 'one')
  await store.revoke('group', 60)
  await store.delete(kind, 'b')
  await store.check()
  await store.close()
})

test('a wrong password and a certificate of somebody else are refused at once', async () => {
  await assert.rejects(openRedis(options({ username: 'lotse', password: 'wrong', tls: { ca } })), refused(/WRONGPASS/))
  const other = selfSigned().cert
  const opening = openRedis(options({ username: 'lotse', password: 'correct', tls: { ca: other } }))
  await assert.rejects(opening, refused(/certificate/))
})

test('a user who lacks a right is told of it at once', async () => {
  const needed = ['+@read', '+@scripting', '+role', '+info', '+time'] // one who may not write is met by the first write
  for (const right of needed) {
    const left = rights.split(' ').filter((each) => each !== right)
    await server.call('ACL', 'SETUSER', 'less', 'reset', 'on', '>correct', ...left)
    const began = performance.now()
    await assert.rejects(
      openRedis(options({ username: 'less', password: 'correct' })),
      refused(/NOPERM|can't run this/),
    )
    assert.ok(performance.now() - began < 5000, right)
  }
})

test('keys under another prefix are not for this user', async () => {
  const opening = openRedis(options({ username: 'lotse', password: 'correct', tls: { ca } }, 'other'))
  await assert.rejects(opening, refused(/NOPERM/))
})

test('another root secret is refused, and so is a store of a newer version', async () => {
  const first = await openRedis(options({}, 'secrets'))
  await first.close()
  await assert.rejects(
    openRedis({ ...options({}, 'secrets'), derive: () => randomBytes(32) }),
    refused(/another root secret/),
  )
  await server.call('HSET', '{secrets}:state', 'schema', '2')
  await assert.rejects(openRedis(options({}, 'secrets')), refused(/a newer version/))
})

test('a probe writes nothing', async () => {
  const before = await server.call('DBSIZE')
  const { checks, content } = await probeRedis(options({}, 'untouched'))
  assert.ok(
    checks.every(({ ok }) => ok),
    JSON.stringify(checks),
  )
  assert.equal(content, 'nothing')
  const other = await probeRedis(options({ username: 'lotse', password: 'correct', tls: { ca } }, 'untouched'))
  assert.match(other.checks.find(({ check, ok }) => check === 'content' && !ok)?.found ?? '', /^NOPERM/)
  assert.equal(await server.call('DBSIZE'), before)
})

test('neither the files nor the keys of a server name anybody', async () => {
  const store = await openRedis(options({}))
  const links = { alias: 'AAAA-alias', groups: ['subject:corp-ada@uni.example'] }
  await store.put(kind, 'id-of-ada', '{"email":"ada@uni.example","token":"SECRET"}', 60, links)
  await store.consume(kind, 'id-of-ada')
  await store.revoke('name:corp ada', 60)
  await delay(50)
  const { folder: data } = server
  const files = ((await server.call('CONFIG', 'GET', 'appenddirname')) as readonly string[])[1] ?? ''
  const manifest = await readFile(join(data, files, 'appendonly.aof.manifest'), 'utf8')
  const names = [...manifest.matchAll(/^file (\S+)/gm)].map(([, name = '']) => name)
  const all = (await Promise.all(names.map((name) => readFile(join(data, files, name), 'latin1')))).join('')
  assert.match(all, /AccessTest/, 'this is where it is written')
  for (const word of ['uni.example', 'SECRET', 'AAAA-alias', 'corp-ada', 'id-of-ada', 'corp ada'])
    assert.ok(!all.includes(word), word)
  await store.close()
})

test('over TLS a node of a Cluster is known by the name that it announces, as its certificate has it', async (t) => {
  const named = selfSigned('localhost', [])
  const files = await mkdtemp(join(tmpdir(), 'lotse-tls-'))
  await writeFile(join(files, 'key.pem'), named.key)
  await writeFile(join(files, 'cert.pem'), named.cert)
  const secure = await freePort()
  const node = await startServer([
    `tls-port ${secure}`,
    `tls-cert-file ${files}/cert.pem`,
    `tls-key-file ${files}/key.pem`,
    `tls-ca-cert-file ${files}/cert.pem`,
    'tls-auth-clients no',
    'cluster-enabled yes',
    `cluster-port ${await freePort()}`,
    'tls-cluster yes',
    'cluster-announce-ip 127.0.0.1',
    'cluster-announce-hostname localhost',
  ])
  t.after(() => Promise.all([node.close(), rm(files, { recursive: true })]))
  await node.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  const servers = [{ host: 'localhost', port: secure }]
  const place = { ...options({ tls: { ca: named.cert } }), topology: 'cluster', servers } as const
  await until('the Cluster is whole', async () =>
    String(await node.call('CLUSTER', 'INFO')).includes('cluster_state:ok'),
  )
  const store = await openRedis(place)
  assert.equal(await store.add(kind, 'a', 'one', 60), true)
  await store.close()
})

test('Sentinels that ask for a password of their own get it, and the primary gets its own', async (t) => {
  const primary = await startServer(['requirepass data', 'appendonly yes', 'appendfsync everysec'])
  t.after(() => primary.close())
  const sentinel = await startServer([
    `sentinel monitor lotse 127.0.0.1 ${primary.port} 1`,
    'sentinel auth-pass lotse data',
    'requirepass watch',
  ])
  t.after(() => sentinel.close())
  const servers = [{ host: '127.0.0.1', port: sentinel.port }]
  const behind = { ...options({ password: 'data' }), topology: 'sentinel', servers, primary: 'lotse' } as const
  const store = await openRedis({ ...behind, sentinelAccess: { password: 'watch' } })
  assert.equal(await store.add(kind, 'a', 'one', 60), true)
  await store.close()
  await assert.rejects(openRedis({ ...behind, sentinelAccess: {} }), refused(/NOAUTH/))
})

/** `lotse check --live store`, of a configuration with one server. */
async function checkLive(port: number): Promise<{ readonly code: number; readonly text: string }> {
  const file = join(folder, 'gateway.yaml')
  await writeFile(
    file,
    `issuer: https://login.example\nlisten: { port: 8080 }\nkeys: { dir: ./keys }\nstore: { kind: redis, servers: ['127.0.0.1:${port}'] }\n`,
  )
  const out: string[] = []
  const io: Io = {
    out: (text) => out.push(text),
    send: async () => {},
    err: () => {},
    input: async () => '',
    env: {},
    cwd: folder,
    columns: undefined,
    now: () => Math.floor(Date.now() / 1000),
    stop: new AbortController().signal,
    onHangup: () => {},
  }
  const code = await main(['check', '--live', 'store', '--config', file], io)
  return { code, text: out.join('\n') }
}

test('lotse check --live store says what weakens the promise, and refuses what forgets', async (t) => {
  const weak = await startServer(['save ""', 'maxmemory-policy volatile-lru'])
  t.after(() => weak.close())
  const notes = await checkLive(weak.port)
  assert.equal(notes.code, 0, notes.text)
  assert.match(notes.text, /^ok {4}store {2}version: Redis 7|^ok {4}store {2}version: Valkey/m)
  assert.match(notes.text, /^note {2}store {2}eviction: volatile-lru/m)
  assert.match(notes.text, /^note {2}store {2}persistence: nothing is written to disk/m)
  assert.match(notes.text, /^ok {4}store {2}content: nothing yet$/m)
  await weak.call('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
  const bad = await checkLive(weak.port)
  assert.equal(bad.code, 1)
  assert.match(bad.text, /^bad {3}store {2}eviction: allkeys-lru/m)
  await weak.kill('SIGKILL')
  assert.match((await checkLive(weak.port)).text, /^bad {3}store {2}reached: /m)
})

test('lotse check --live store says who serves, whether they differ, and why nobody can', async (t) => {
  const shared = await startServer(['appendonly yes'])
  t.after(() => shared.close())
  const root = await openRoot(join(folder, 'keys'), { create: 'allowed' })
  const now = () => Math.floor(Date.now() / 1000)
  const servers = [{ host: '127.0.0.1', port: shared.port }]
  const store = await openRedis({ ...options({}), servers, derive: root.derive, now, mode: 'command' })
  t.after(() => store.close())
  const said = async (id: string, configuration: string) =>
    await openFleet({ store, now, id, version: '1' }).announce({ configuration, kids: [] })
  assert.match((await checkLive(shared.port)).text, /^note {2}store {2}processes: nothing serves from this store$/m)
  await said('one', 'x')
  assert.match((await checkLive(shared.port)).text, /^note {2}store {2}processes: 1, all with another configuration/m)
  await said('two', 'y')
  const mixed = await checkLive(shared.port)
  assert.equal(mixed.code, 1)
  assert.match(mixed.text, /^bad {3}store {2}processes: 2 serve and differ/m)
  await rm(join(folder, 'keys'), { recursive: true })
  assert.match(
    (await checkLive(shared.port)).text,
    /^note {2}store {2}processes: cannot be read here: there is no root/m,
  )
  await openRoot(join(folder, 'keys'), { create: 'allowed' })
  assert.match((await checkLive(shared.port)).text, /^bad {3}store {2}processes: .* with another root secret/m)
  await shared.call('HSET', '{lotse}:state', 'importing', 'name 1')
  assert.match((await checkLive(shared.port)).text, /^bad {3}store {2}content: an import into this store did not come/m)
})
