import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openEmbedded, openEmbeddedToMove } from '../../../src/store/embedded.ts'
import { kinds } from '../../../src/store/kinds.ts'
import type { Mover, Piece } from '../../../src/store/move.ts'
import { lookText, scripts } from '../../../src/store/redis/scripts.ts'
import { openRedis, openRedisToMove } from '../../../src/store/redis/store.ts'
import { type Store, StoreUnavailable } from '../../../src/store/store.ts'
import { startTopology, type Topology } from './topologies.ts'

/* Everything of a store moves to one of another kind and back, or nothing does. */

const start = 1_800_000_000
const time = start
const now = () => time
const secret = randomBytes(32)
let topology: Topology
let folder = ''
let prefixes = 0
before(async () => {
  topology = await startTopology('standalone')
  folder = await mkdtemp(join(tmpdir(), 'lotse-move-'))
})
after(async () => {
  await topology.close()
  await rm(folder, { recursive: true })
})

const options = (prefix: string) => ({ ...topology.place, prefix, derive: () => secret, now })

async function fill(store: Store): Promise<void> {
  await store.put(kinds.RefreshToken, 'used', 'ü 🛟', 1000, { groups: ['grant:1', 'session:1'] })
  await store.consume(kinds.RefreshToken, 'used')
  await store.put(kinds.Session, 'alice', 'x', 1000, { alias: 'uid' })
  await store.put(kinds.Ring, 'issuer', 'sealed', Infinity)
  for (let n = 0; n < 450; n++) await store.put(kinds.Grant, `grant ${n}`, 'x', 1000, { groups: ['client:portal'] })
  await store.revoke('grant:2', 1000)
}

async function assertFilled(store: Store): Promise<void> {
  assert.deepEqual(await store.get(kinds.RefreshToken, 'used'), {
    ...{ id: 'used', value: 'ü 🛟', expiresAt: start + 1000, consumedAt: start },
  })
  assert.deepEqual(await store.members('session:1'), [{ kind: 'RefreshToken', id: 'used' }])
  assert.equal((await store.find(kinds.Session, 'uid'))?.id, 'alice')
  assert.equal((await store.get(kinds.Ring, 'issuer'))?.expiresAt, Infinity)
  assert.equal((await store.members('client:portal')).length, 450)
  assert.equal(await store.put(kinds.Grant, 'late', 'x', 10, { groups: ['grant:2'] }), false)
}

async function all(mover: Mover): Promise<readonly Piece[]> {
  const found: Piece[] = []
  for await (const piece of mover.pieces()) found.push(piece)
  return found
}

async function* each(pieces: readonly Piece[]): AsyncIterable<Piece> {
  yield* pieces
}

test('from the embedded store to Redis and back, with links, ends and uses', async () => {
  const [from, back] = [join(folder, 'from.db'), join(folder, 'back.db')]
  const embedded = await openEmbedded({ path: from, now })
  await fill(embedded)
  await embedded.close()
  const source = await openEmbeddedToMove(from, now)
  const pieces = await all(source)
  await source.close()
  const prefix = `move-${prefixes++}`
  const into = await openRedisToMove(options(prefix))
  await into.fill(() => each(pieces))
  await into.close()
  const redis = await openRedis({ ...options(prefix), mode: 'command' })
  await assertFilled(redis)
  await redis.close()
  const out = await openRedisToMove(options(prefix))
  const again = await all(out)
  await out.close()
  const target = await openEmbeddedToMove(back, now)
  await target.fill(() => each(again))
  await target.close()
  const store = await openEmbedded({ path: back, now })
  await assertFilled(store)
  await store.close()
})

test('an import that breaks off keeps gateways away, and is done again from its beginning', async () => {
  const embedded = join(folder, 'broken.db')
  const filled = await openEmbedded({ path: embedded, now })
  await fill(filled)
  await filled.close()
  const source = await openEmbeddedToMove(embedded, now)
  const pieces = await all(source)
  await source.close()
  const prefix = `move-${prefixes++}`
  const into = await openRedisToMove(options(prefix))
  let reads = 0
  const breaking = async function* () {
    reads++
    for (const [index, piece] of pieces.entries()) {
      if (reads === 2 && index === 300) throw new Error('power cut')
      yield piece
    }
  }
  await assert.rejects(into.fill(breaking), /power cut/)
  await into.close()
  await assert.rejects(openRedis(options(prefix)), { detail: /an import into this store did not come to its end/ })
  const second = await openRedisToMove(options(prefix))
  await second.fill(() => each(pieces))
  await second.close()
  const redis = await openRedis({ ...options(prefix), mode: 'command' })
  await assertFilled(redis)
  await redis.close()
})

const grant = (id: string, ...groups: string[]): Piece => ({
  entry: { kind: 'Grant', id, value: 'x', expiresAt: start + 100, groups },
})
/** As many as are written in one go: what is read next is read when all of them are there. */
const batch = Array.from({ length: 200 }, (_, n) => grant(`grant ${n}`))

/** Pieces for `fill`, which reads them twice, and something that happens between the last of them and the end. */
function then(what: () => Promise<void>): () => AsyncIterable<Piece> {
  let reads = 0
  return async function* () {
    yield* batch
    if (++reads === 2) await what()
  }
}

const idsIn = async (mover: Mover): Promise<readonly string[]> =>
  (await all(mover)).map((piece) => ('entry' in piece ? piece.entry.id : piece.revoked))

test('of two imports at once the one that began later is there whole, and the other one fails', async () => {
  const into = options(`move-${prefixes++}`)
  const [first, second] = [await openRedisToMove(into), await openRedisToMove(into)]
  const [under, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let later: Promise<void> | undefined
  const taken = then(async () => {
    const waiting = then(async () => {
      under.resolve()
      await over.promise
    })
    later = second.fill(waiting)
    await under.promise
  })
  await assert.rejects(first.fill(taken), { detail: /^another import into this store has begun/ })
  over.resolve()
  await later
  assert.equal((await idsIn(second)).length, 200)
  await Promise.all([first.close(), second.close()])
})

test('an import in whose time another one began and ended fails, and changes nothing there', async () => {
  const into = options(`move-${prefixes++}`)
  const [first, second] = [await openRedisToMove(into), await openRedisToMove(into)]
  const taken = then(() => second.fill(() => each([grant('second'), { revoked: 'a', until: start + 9 }])))
  await assert.rejects(first.fill(taken), { detail: /another import has ended/ })
  assert.deepEqual(await idsIn(second), ['second', 'a'])
  await Promise.all([first.close(), second.close()])
})

test('two imports at once into a store that was used leave it as it was', async () => {
  const prefix = `move-${prefixes++}`
  const redis = await openRedis({ ...options(prefix), mode: 'command' })
  await redis.put(kinds.Account, 'alice', 'x', 1000)
  const movers = [await openRedisToMove(options(prefix)), await openRedisToMove(options(prefix))]
  for (let n = 0; n < 10; n++) {
    const tries = await Promise.allSettled(movers.map((mover) => mover.fill(() => each(batch))))
    for (const tried of tries)
      assert.match(String((tried as PromiseRejectedResult).reason.detail), /^something is in this store already/)
    assert.equal((await redis.get(kinds.Account, 'alice'))?.value, 'x')
  }
  await Promise.all([redis, ...movers].map((each) => each.close()))
})

test('what is written between the look and the import keeps it off', async () => {
  const prefix = `move-${prefixes++}`
  const redis = await openRedis({ ...options(prefix), mode: 'command' })
  const [server] = topology.nodes
  const at = String(await server?.call('HGET', `{${prefix}}:state`, 'n'))
  await redis.put(kinds.Account, 'alice', 'x', 1000)
  const { sha } = scripts.importing
  const run = String(await server?.call('HGET', `{${prefix}}:state`, 'k'))
  const args = [`{${prefix}}:state`, `{${prefix}}:nothing`, `{${prefix}}:`, run, String(time), 'name', at]
  await assert.rejects(
    async () => server?.call('EVALSHA', sha, '2', ...args),
    /^Error: USED|USED something was written/,
  )
  assert.equal((await redis.get(kinds.Account, 'alice'))?.value, 'x')
  await redis.close()
})

test('an import ends where its server was started anew, and says that it is to be run again', async (t) => {
  const own = await startTopology('standalone')
  t.after(() => own.close())
  const into = { ...own.place, prefix: 'moved', derive: () => secret, now }
  const mover = await openRedisToMove(into)
  const server = await own.primary()
  const anew = then(async () => {
    await server.kill('SIGKILL')
    await server.start()
  })
  await assert.rejects(mover.fill(anew), { detail: /run lotse store import again$/ })
  await assert.rejects(openRedis(into), { detail: /^an import into this store did not come to its end/ })
  await mover.fill(() => each(batch))
  assert.equal((await idsIn(mover)).length, 200)
  await mover.close()
})

test('an import whose end is not confirmed says so, and what to do', async (t) => {
  const own = await startTopology('standalone')
  t.after(() => own.close())
  const mover = await openRedisToMove({ ...own.place, prefix: 'moved', derive: () => secret, now })
  const server = await own.primary()
  const slow = then(async () => {
    server.pause()
    setTimeout(server.resume, 1500)
  })
  await assert.rejects(mover.fill(slow), {
    detail: /^everything was written, but the server did not confirm the end of it/,
  })
  await mover.close()
  await delay(1500)
  const store = await openRedis({ ...own.place, prefix: 'moved', derive: () => secret, now, mode: 'command' })
  assert.equal((await store.get(kinds.Grant, 'grant 199'))?.value, 'x')
  await store.close()
})

test('what a file says is revoked is not alive after the import, in either store', async () => {
  const source = await openEmbeddedToMove(join(folder, 'revoked.db'), now)
  const pieces = [grant('ended', 'grant:1'), grant('kept', 'grant:2'), { revoked: 'grant:1', until: Infinity }]
  await source.fill(() => each(pieces))
  assert.deepEqual(await idsIn(source), ['kept', 'grant:1'])
  await source.close()
  const target = await openRedisToMove(options(`move-${prefixes++}`))
  await target.fill(() => each(pieces))
  assert.deepEqual(await all(target), pieces.slice(1))
  await target.close()
})

test('an export beside which something is written fails, from either store', async () => {
  const path = join(folder, 'beside.db')
  const into = options(`move-${prefixes++}`)
  const stores = [
    [await openEmbeddedToMove(path, now), await openEmbedded({ path, now, mode: 'command' })],
    [await openRedisToMove(into), await openRedis({ ...into, mode: 'command' })],
  ] as const
  for (const [mover, store] of stores) {
    await store.put(kinds.Grant, 'one', 'x', 1000, { groups: ['grant:1'] })
    const meanwhile = async () => {
      for await (const _ of mover.pieces()) await store.revoke('grant:1', 1000)
    }
    await assert.rejects(meanwhile, { detail: /^something was written into this store while it was read/ })
    assert.deepEqual(await idsIn(mover), ['grant:1'])
    await store.close()
    await mover.close()
  }
})

test('an import that is refused before all was read ends with the refusal', async () => {
  const into = options(`move-${prefixes++}`)
  const [first, second] = [await openRedisToMove(into), await openRedisToMove(into)]
  let reads = 0
  const slow = async function* () {
    yield grant('first')
    if (++reads === 1) return
    await second.fill(() => each([grant('second')]))
    yield grant('late')
    await delay(300) // as a disk that is slow
    yield grant('last')
  }
  await assert.rejects(first.fill(slow), { detail: /another import has ended/ })
  assert.deepEqual(await idsIn(second), ['second'])
  await Promise.all([first.close(), second.close()])
})

test('an alias goes with the entry that has it, and not with one that had it before', async () => {
  const prefix = `move-${prefixes++}`
  const redis = await openRedis({ ...options(prefix), mode: 'command' })
  await redis.put(kinds.Session, 'before', 'x', 1000, { alias: 'uid' })
  await redis.put(kinds.Session, 'now', 'x', 100, { alias: 'uid' }) // ends first, so it is read first
  await redis.close()
  const out = await openRedisToMove(options(prefix))
  const pieces = await all(out)
  await out.close()
  const path = join(folder, 'alias.db')
  const target = await openEmbeddedToMove(path, now)
  await target.fill(() => each(pieces))
  await target.close()
  const store = await openEmbedded({ path, now })
  assert.equal((await store.find(kinds.Session, 'uid'))?.id, 'now')
  await store.close()
})

test('nothing is moved while a process serves, into a store that was used, or of a kind that nobody knows', async () => {
  const prefix = `move-${prefixes++}`
  const redis = await openRedis({ ...options(prefix), mode: 'command' })
  await redis.put(kinds.Process, 'host:443-abc', '{}', 20)
  const mover = await openRedisToMove(options(prefix))
  await assert.rejects(all(mover), { detail: /a gateway serves from this store: stop host:443-abc/ })
  await assert.rejects(
    mover.fill(() => each([])),
    { detail: /something is in this store already/ },
  )
  await redis.delete(kinds.Process, 'host:443-abc')
  await redis.put(kinds.Session, 'alice', 'x', 100)
  await assert.rejects(
    mover.fill(() => each([])),
    { detail: /something is in this store already/ },
  )
  assert.equal((await redis.get(kinds.Session, 'alice'))?.value, 'x')
  await redis.delete(kinds.Session, 'alice')
  const unknown: Piece = { entry: { kind: 'Tomorrow', id: 'a', value: 'x', expiresAt: start + 100 } }
  await assert.rejects(
    mover.fill(() => each([unknown])),
    { detail: /a kind "Tomorrow" that this program does not know/ },
  )
  await redis.put(kinds.Session, 'bob', 'x', 100)
  assert.equal((await redis.get(kinds.Session, 'bob'))?.value, 'x', 'a refused import leaves no mark')
  await mover.close()
  await redis.close()
})

test('a newer version brings the store forward in one step, and an older one is refused from then on, also where it runs', async () => {
  const prefix = `move-${prefixes++}`
  const old = await openRedis({ ...options(prefix), mode: 'command' })
  await old.put(kinds.Session, 'alice', 'x', 100)
  const [server] = topology.nodes
  const run = /run_id:(\S+)/.exec(String(await server?.call('INFO', 'server')))?.[1] ?? ''
  const root = String(await server?.call('HGET', `{${prefix}}:state`, 'root'))
  const newer = ["redis.call('SET', P .. 'x:step', S)"]
  const look = async () =>
    await server?.call(
      'EVAL',
      lookText(newer),
      '2',
      `{${prefix}}:state`,
      `{${prefix}}:runs`,
      run,
      '0',
      '0',
      '1',
      root,
      '2',
      '0',
    )
  const [first] = (await look()) as number[]
  assert.equal(await server?.call('GET', `{${prefix}}:x:step`), `{${prefix}}:state`)
  assert.equal(await server?.call('HGET', `{${prefix}}:state`, 'schema'), '2')
  await server?.call('DEL', `{${prefix}}:x:step`)
  assert.deepEqual([((await look()) as number[])[0], await server?.call('GET', `{${prefix}}:x:step`)], [first, null])
  await assert.rejects(old.put(kinds.Session, 'bob', 'x', 100), StoreUnavailable)
  await assert.rejects(openRedis(options(prefix)), { detail: /a newer version wrote this store/ })
  await old.close()
})
