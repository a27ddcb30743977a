import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { kinds } from '../../../src/store/kinds.ts'
import { openRedis, openRedisToMove } from '../../../src/store/redis/store.ts'
import type { Kind } from '../../../src/store/store.ts'
import { root } from '../../support/runner.ts'
import { startTopology, until } from './topologies.ts'

/* What two gateways on one server keep when their clocks differ, or when an operator takes something from the server. */

const token: Kind = { name: 'SteadyToken', durable: true, lapses: true }
const secret = randomBytes(32)

async function onOneServer(t: TestContext) {
  const topology = await startTopology('standalone')
  t.after(() => topology.close())
  const logged: string[] = []
  const open = async (now: () => number) => {
    const store = await openRedis({
      ...topology.place,
      prefix: 'lotse',
      derive: () => secret,
      now,
      log: (_level, message) => void logged.push(message),
    })
    t.after(() => store.close())
    return store
  }
  return { open, server: await topology.primary(), place: topology.place, logged }
}

test('what is revoked by one whose clock is ahead is gone also for one whose clock is behind', async (t) => {
  const { open } = await onOneServer(t)
  const time = 1_800_000_000
  const behind = await open(() => time)
  const ahead = await open(() => time + 30)
  await behind.put(token, 'ends', 'value', 20, { groups: ['grant'] })
  await ahead.put(token, 'later', 'value', 3600, { groups: ['grant'] }) // tidies up what has ended by its clock
  await ahead.revoke('grant', 3600)
  assert.equal(await behind.get(token, 'ends'), undefined)
  assert.equal(await behind.get(token, 'later'), undefined)
})

test('a clock that jumps by a day hides nothing from a revocation', async (t) => {
  const { open } = await onOneServer(t)
  const time = () => Math.floor(Date.now() / 1000)
  for (const jump of [86_400, -86_400]) {
    let apart = 0
    const [one, two] = [await open(time), await open(() => time() + apart)]
    const put = async (store: typeof one, id: string) => store.put(token, id, 'value', 3600, { groups: [`by ${jump}`] })
    await put(one, 'first')
    apart = jump
    await put(two, 'second')
    await put(one, 'third')
    apart = 0
    await one.revoke(`by ${jump}`, 3600)
    for (const id of ['first', 'second', 'third']) assert.equal(await two.get(token, id), undefined, `${id} by ${jump}`)
  }
})

test('an index forgets what has ended, once the server has', async (t) => {
  const { open, server } = await onOneServer(t)
  let time = 1_800_000_000
  const store = await open(() => time)
  const links = { groups: ['grant'] }
  for (const id of ['one', 'two']) await store.put(token, id, 'value', 10, links)
  const [key = ''] = (await server.call('KEYS', '{lotse}:g:*')) as readonly string[]
  time += 100
  await store.put(token, 'three', 'value', 10, links)
  assert.equal(await server.call('ZCARD', key), 3)
  for (const entry of (await server.call('KEYS', '{lotse}:e:SteadyToken:*')) as readonly string[])
    if (Number(await server.call('HGET', entry, 'x')) < time) await server.call('DEL', entry) // as its expiry does
  await store.put(token, 'four', 'value', 10, links)
  assert.equal(await server.call('ZCARD', key), 2)
  assert.equal(await server.call('ZCARD', '{lotse}:k:SteadyToken'), 2)
})

test('a server whose scripts were flushed is looked after as before', async (t) => {
  const { open, server } = await onOneServer(t)
  const store = await open(() => Math.floor(Date.now() / 1000))
  await server.call('SCRIPT', 'FLUSH')
  await until('writes are known again', async () => store.put(token, 'one', 'value', 60))
  const before = Number(await server.call('HGET', '{lotse}:state', 'n'))
  await until('it makes its write once a second', async () => {
    return Number(await server.call('HGET', '{lotse}:state', 'n')) > before + 1
  })
})

test('a revocation takes no entry whose id was used again after the server had forgotten the one before', async (t) => {
  const { open, server } = await onOneServer(t)
  let time = 1_800_000_000
  const store = await open(() => time)
  await store.put(token, 'again', 'old', 10, { groups: ['left'] })
  time += 11
  const [key] = (await server.call('KEYS', '{lotse}:e:SteadyToken:*')) as readonly string[]
  await server.call('DEL', String(key)) // as its expiry does
  await store.put(token, 'again', 'new', 60, { groups: ['other'] })
  await store.revoke('left', 60)
  assert.equal((await store.get(token, 'again'))?.value, 'new')
  await store.revoke('other', 60)
  assert.equal(await store.get(token, 'again'), undefined)
})

test('a gateway that still runs uses nothing while an import is under way', async (t) => {
  const { open, server } = await onOneServer(t)
  const store = await open(() => Math.floor(Date.now() / 1000))
  await server.call('HSET', '{lotse}:state', 'importing', '1')
  const work = [
    () => store.get(token, 'any'),
    () => store.put(token, 'any', 'value', 60),
    () => store.revoke('any', 60),
  ]
  for (const each of work) await assert.rejects(each, { detail: /^an import into this store did not come to its end/ })
  await server.call('HDEL', '{lotse}:state', 'importing')
  await until('it answers again', async () => (await store.get(token, 'any')) === undefined)
})

test('entries with large values are read some at a time: no answer of the server holds them all', async (t) => {
  const { server, place } = await onOneServer(t)
  const now = () => Math.floor(Date.now() / 1000)
  const store = await openRedis({ ...place, prefix: 'lotse', derive: () => secret, now, mode: 'command' })
  const value = 'x'.repeat(131_072) // as much as a block of a federation's metadata
  for (let n = 0; n < 30; n++) await store.put(kinds.Metadata, `block ${n}`, value, 3600)
  await server.call('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 2mb 0 0') // ends who is sent more
  assert.equal((await store.list(kinds.Metadata, 100)).filter((entry) => entry.value === value).length, 30)
  await store.close()
  const mover = await openRedisToMove({ ...place, prefix: 'lotse', derive: () => secret, now })
  t.after(() => mover.close())
  let pieces = 0
  for await (const piece of mover.pieces()) if ('entry' in piece && piece.entry.value === value) pieces++
  assert.equal(pieces, 30)
})

test('an import that is given up leaves an empty store, by the line that the guide has for it', async (t) => {
  const { open, server, place } = await onOneServer(t)
  const now = () => Math.floor(Date.now() / 1000)
  const mover = await openRedisToMove({ ...place, prefix: 'lotse', derive: () => secret, now })
  t.after(() => mover.close())
  const entry = { kind: 'Grant', id: 'one', value: 'value', expiresAt: now() + 3600 }
  let reads = 0
  const breaking = async function* () {
    yield { entry }
    if (++reads === 2) throw new Error('power cut')
  }
  await assert.rejects(mover.fill(breaking), /power cut/)
  await assert.rejects(open(now), { detail: /^an import into this store did not come to its end/ })
  const guide = await readFile(join(root, 'docs/guides/high-availability.md'), 'utf8')
  const line = /^redis-cli .* unlink$/m.exec(guide)?.[0] ?? ''
  await promisify(execFile)('sh', ['-c', line.replaceAll('-h PRIMARY', `-p ${server.port}`)])
  assert.deepEqual(await (await open(now)).list(kinds.Grant, 10), [])
})
