import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openEmbedded } from '../../src/store/embedded.ts'
import { kinds } from '../../src/store/kinds.ts'
import { type Store, StoreUnavailable } from '../../src/store/store.ts'
import { rounds } from '../support/rounds.ts'
import { milliseconds } from '../support/turns.ts'

const writer = fileURLToPath(new URL('crash-writer.ts', import.meta.url))
const kills = rounds(5, 20)
const now = () => 1_800_000_000

describe('the embedded store under faults', () => {
  const folders: string[] = []
  const freshPath = async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lotse-crash-'))
    folders.push(folder)
    return join(folder, 'lotse.db')
  }
  after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))))

  it(`loses no acknowledged write and revives nothing in ${kills} kills under load`, async () => {
    const path = await freshPath()
    let acknowledged = 0
    for (let round = 0; round < kills; round++) {
      const lines = await killedAfter(400 + round * 37, path, `round${round}`)
      const store = await openEmbedded({ path, now })
      acknowledged += await verify(store, lines)
      await store.close()
    }
    assert.ok(acknowledged > kills * 200, `only ${acknowledged} writes were checked`)
    const db = new DatabaseSync(path)
    assert.deepEqual({ ...db.prepare('pragma integrity_check').get() }, { integrity_check: 'ok' })
    db.close()
  })

  it('has one winner for every race of two processes', async () => {
    const path = await freshPath()
    const store = await openEmbedded({ path, now })
    const ids = Array.from({ length: 100 }, (_, n) => `race-${n}`)
    for (const id of ids) {
      await store.put(kinds.RefreshToken, id, 'token', 1000)
      await store.put(kinds.Session, id, 'from', 1000)
      await store.put(kinds.DeviceCode, id, 'code', 1000)
    }
    const racers = ['one', 'two'].map((name) => start(path, 'race', name))
    await Promise.all(racers.map((racer) => racer.firstLine))
    for (const { child } of racers) child.stdin?.write('go\n')
    const lines = (await Promise.all(racers.map((racer) => racer.ended))).flat()
    const wins = lines.filter((line) => line.startsWith('won ')).sort()
    const expected = ids.flatMap((id) => ['add', 'consume', 'swap', 'take'].map((verb) => `won ${verb} ${id}`)).sort()
    assert.deepEqual(wins, expected)
    await store.close()
  })

  it('fails within a second, and recovers, where another process holds the database', async () => {
    const path = await freshPath()
    const store = await openEmbedded({ path, now })
    await store.put(kinds.Session, 'a', 'before', 1000)
    const holder = new DatabaseSync(path)
    holder.exec('begin immediate')
    const failing = () => [
      store.put(kinds.Session, 'a', 'during', 1000),
      store.consume(kinds.Session, 'a'),
      store.check(),
    ]
    const took = await milliseconds(async () => {
      for (const outcome of await Promise.allSettled(failing())) {
        assert.equal(outcome.status, 'rejected')
        assert.ok(outcome.status === 'rejected' && outcome.reason instanceof StoreUnavailable)
      }
    })
    assert.ok(took < 1000, `it took ${took} ms`)
    assert.equal((await store.get(kinds.Session, 'a'))?.value, 'before')
    const waiting = store.put(kinds.Session, 'a', 'after', 1000)
    setImmediate(() => holder.exec('rollback'))
    assert.equal(await waiting, true)
    holder.close()
    assert.deepEqual(await store.get(kinds.Session, 'a'), { id: 'a', value: 'after', expiresAt: now() + 1000 })
    await store.close()
  })

  it('acknowledges nothing of a transaction that could not be committed', async () => {
    const path = await freshPath()
    const store = await openEmbedded({ path, now })
    const holder = new DatabaseSync(path)
    // a trigger that ends the whole transaction, as a full disk does
    holder.exec(`create trigger full before insert on entry when new.id = 'last drop'
      begin select raise(rollback, 'database or disk is full'); end`)
    const writes = ['before', 'last drop', 'after'].map((id) => store.put(kinds.Session, id, 'value', 1000))
    const outcomes = await Promise.allSettled(writes)
    assert.deepEqual(
      outcomes.map((outcome) => outcome.status),
      ['rejected', 'rejected', 'rejected'],
    )
    for (const id of ['before', 'after']) assert.equal(await store.get(kinds.Session, id), undefined)
    assert.equal(await store.put(kinds.Session, 'after', 'value', 1000), true)
    holder.close()
    await store.close()
  })

  it('lets a failing statement fail its own caller alone', async () => {
    const path = await freshPath()
    const store = await openEmbedded({ path, now })
    const holder = new DatabaseSync(path)
    holder.exec(
      `create trigger wrong before insert on entry when new.id = 'wrong' begin select raise(abort, 'wrong'); end`,
    )
    const writes = ['before', 'wrong', 'after'].map((id) => store.put(kinds.Session, id, 'value', 1000))
    const outcomes = await Promise.allSettled(writes)
    assert.deepEqual(
      outcomes.map((outcome) => outcome.status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    for (const id of ['before', 'after']) assert.equal((await store.get(kinds.Session, id))?.value, 'value')
    holder.close()
    await store.close()
  })
})

interface Running {
  readonly child: ChildProcess
  readonly firstLine: Promise<void>
  /** Whole lines; the last one may have been cut by the kill. */
  readonly ended: Promise<readonly string[]>
}

function start(path: string, mode: string, name: string): Running {
  const child = spawn(process.execPath, [writer, path, mode, name], { stdio: ['pipe', 'pipe', 'inherit'] })
  let output = ''
  let first = () => {}
  const firstLine = new Promise<void>((resolve) => {
    first = resolve
  })
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk
    first()
  })
  return { child, firstLine, ended: once(child, 'close').then(() => output.split('\n').slice(0, -1)) }
}

async function killedAfter(milliseconds: number, path: string, name: string): Promise<readonly string[]> {
  const { child, firstLine, ended } = start(path, 'load', name)
  await firstLine
  setTimeout(() => child.kill('SIGKILL'), milliseconds)
  return ended
}

/** Holds every acknowledged line against the store that was opened after the kill; how many lines it was. */
async function verify(store: Store, lines: readonly string[]): Promise<number> {
  const revoked = new Set(lines.filter((line) => line.startsWith('revoked ')).map((line) => line.slice(8)))
  const workersLast = new Map(
    lines.filter((line) => line.startsWith('put ')).map((line) => [line.split('-')[1], line.slice(4)]),
  )
  for (const line of lines) {
    const [what, , id = line.slice(4)] = line.split(' ')
    if (what === 'put' && !revoked.has(id)) {
      const entry = await store.get(kinds.RefreshToken, id)
      // the newest of each worker may have been revoked without having told
      if (![...workersLast.values()].includes(id)) assert.equal(entry?.value, `value ${id}`, line)
    }
    if (what === 'consumed' && (await store.get(kinds.RefreshToken, id))) {
      assert.notEqual(await store.consume(kinds.RefreshToken, id), 'first', line)
    }
  }
  for (const id of revoked) {
    assert.equal(await store.get(kinds.RefreshToken, id), undefined, `revoked ${id}`)
    assert.equal(await store.put(kinds.RefreshToken, id, 'late', 1000, { groups: [`grant:${id}`] }), false)
  }
  return lines.length
}
