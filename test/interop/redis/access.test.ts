import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Access } from '../../../src/store/redis/connection.ts'
import { openRedis, probeRedis } from '../../../src/store/redis/store.ts'
import { type Kind, StoreUnavailable } from '../../../src/store/store.ts'
import { selfSigned } from '../../support/certificate.ts'
import { freePort } from '../../support/gateway.ts'
import { type Server, startServer } from './servers.ts'

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
  const checks = await probeRedis(options({ username: 'lotse', password: 'correct', tls: { ca } }, 'untouched'))
  assert.ok(
    checks.every(({ ok }) => ok),
    JSON.stringify(checks),
  )
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
