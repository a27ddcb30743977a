import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, describe, it } from 'node:test'
import { openEmbedded } from '../../src/store/embedded.ts'
import { kinds } from '../../src/store/kinds.ts'
import { migrate, steps, versionOf } from '../../src/store/schema.ts'
import { StoreUnavailable } from '../../src/store/store.ts'

let time = 1_800_000_000
const now = () => time

/** What the store says went wrong, for the log. */
const saying = (words: RegExp) => (error: unknown) => {
  assert.ok(error instanceof StoreUnavailable)
  assert.match(error.detail, words)
  return true
}

describe('the file of the embedded store', () => {
  const folders: string[] = []
  const freshPath = async (name = 'lotse.db') => {
    const folder = await mkdtemp(join(tmpdir(), 'lotse-file-'))
    folders.push(folder)
    return join(folder, name)
  }
  after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))))

  it('serves one process, lets commands in beside it, and can be served again after a close', async () => {
    const path = await freshPath()
    const first = await openEmbedded({ path, now })
    await assert.rejects(openEmbedded({ path, now }), saying(/another process serves from/))
    const command = await openEmbedded({ path, now, mode: 'command' })
    await command.put(kinds.Session, 'a', 'by a command', 10)
    assert.equal((await first.get(kinds.Session, 'a'))?.value, 'by a command')
    await first.close()
    await (await openEmbedded({ path, now })).close()
    await command.close()
  })

  it('is readable by its owner alone, in a directory that is made where it is missing', async () => {
    const path = await freshPath('data/deep/lotse.db')
    const store = await openEmbedded({ path, now })
    await store.put(kinds.Session, 'a', 'secret', 10)
    for (const name of ['lotse.db', 'lotse.db-wal', 'lotse.db-shm']) {
      assert.equal((await stat(join(path, '..', name))).mode & 0o077, 0, name)
    }
    await store.close()
    assert.deepEqual(await readdir(join(path, '..')), ['lotse.db', 'lotse.db.serve'])
  })

  it('keeps durable kinds over a restart, and lets volatile ones go', async () => {
    const path = await freshPath()
    const first = await openEmbedded({ path, now })
    await first.put(kinds.RefreshToken, 'a', 'kept', 10, { groups: ['grant:1'] })
    await first.consume(kinds.RefreshToken, 'a')
    await first.put(kinds.AuthorizationCode, 'b', 'gone', 10)
    await first.revoke('grant:2', 10)
    await first.close()
    const second = await openEmbedded({ path, now })
    assert.deepEqual(await second.get(kinds.RefreshToken, 'a'), {
      id: 'a',
      value: 'kept',
      expiresAt: now() + 10,
      consumedAt: now(),
    })
    assert.equal(await second.get(kinds.AuthorizationCode, 'b'), undefined)
    assert.equal(await second.put(kinds.RefreshToken, 'c', 'late', 10, { groups: ['grant:2'] }), false)
    await second.close()
  })

  it('acknowledges what was written before a close in the same turn, and refuses what comes after', async () => {
    const path = await freshPath()
    const store = await openEmbedded({ path, now })
    const before = store.put(kinds.Session, 'a', 'before', 10)
    const closed = store.close()
    await assert.rejects(store.put(kinds.Session, 'a', 'after', 10), StoreUnavailable)
    assert.equal(await before, true)
    await closed
    const again = await openEmbedded({ path, now })
    assert.equal((await again.get(kinds.Session, 'a'))?.value, 'before')
    await again.close()
  })

  it('refuses a database of a newer version, of another program, or no database at all', async () => {
    const path = await freshPath()
    await (await openEmbedded({ path, now })).close()
    const db = new DatabaseSync(path)
    db.exec(`pragma user_version = ${steps.length + 1}`)
    db.close()
    for (const mode of ['serve', 'command'] as const) {
      await assert.rejects(openEmbedded({ path, now, mode }), saying(/a newer version wrote it/))
    }

    const foreign = await freshPath()
    const theirs = new DatabaseSync(foreign)
    theirs.exec('create table people(name text)')
    theirs.close()
    await assert.rejects(openEmbedded({ path: foreign, now }), saying(/another program/))

    const text = await freshPath()
    await writeFile(text, 'not a database, but long enough to be read as the header of one'.repeat(20))
    await assert.rejects(openEmbedded({ path: text, now }), saying(/not a database/))
    await assert.rejects(openEmbedded({ path: join(text, 'below-a-file'), now }), saying(/cannot open/))
  })

  it('migrates forward by all missing steps or none, and never beneath a gateway that serves', async () => {
    const path = await freshPath()
    const db = new DatabaseSync(path)
    migrate(db, ['create table one(a)'])
    assert.throws(() => migrate(db, ['never run again', 'create table two(b)', 'nonsense']), /nonsense/)
    assert.equal(versionOf(db), 1)
    assert.equal(db.prepare("select count(*) as n from sqlite_schema where name = 'two'").get()?.['n'], 0)
    migrate(db, ['never run again', 'create table two(b)', 'create table three(c)'])
    assert.equal(versionOf(db), 3)
    db.close()

    const old = await freshPath()
    const serving = await openEmbedded({ path: old, now })
    const older = new DatabaseSync(old)
    older.exec('pragma user_version = 0')
    older.close()
    await assert.rejects(openEmbedded({ path: old, now, mode: 'command' }), saying(/another process serves from/))
    await serving.close()
  })
})

describe('the embedded store over time', () => {
  it('removes expired entries a little at a time, soon again while there are more', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lotse-sweep-'))
    const path = join(folder, 'lotse.db')
    const pauses: number[] = []
    let round = () => {}
    const later = (work: () => void, milliseconds: number) => {
      pauses.push(milliseconds)
      round = work
      return () => {}
    }
    const store = await openEmbedded({ path, now, later })
    await Promise.all(Array.from({ length: 350 }, (_, n) => store.put(kinds.Session, `short ${n}`, 'v', 5)))
    await store.put(kinds.Session, 'long', 'v', 50)
    await store.revoke('grant:1', 5)
    const db = new DatabaseSync(path)
    const left = (table: string) => db.prepare(`select count(*) as n from ${table}`).get()?.['n']
    const swept = async () => {
      round()
      await store.check() // in the same transaction as the sweep, so after it
    }
    await swept()
    assert.equal(left('entry'), 351)
    time += 6
    await swept()
    assert.equal(left('entry'), 151)
    await swept()
    assert.equal(left('entry'), 1)
    assert.equal(left('revoked'), 1)
    time += 66
    await swept()
    assert.deepEqual([left('entry'), left('revoked')], [0, 0])
    assert.deepEqual(pauses, [1000, 1000, 100, 1000, 1000])
    db.close()
    await store.close()
    await rm(folder, { recursive: true })
  })

  it('keeps volatile kinds within their bounds, the newest first, and one kind away from another', async () => {
    const store = await openEmbedded({ path: ':memory:', now, bounds: { entries: 3, characters: 100 } })
    await store.put(kinds.Interaction, 'i', 'v', 10)
    for (const id of ['a', 'b', 'c', 'd']) await store.put(kinds.Pending, id, 'v', 10, { alias: `alias ${id}` })
    const ids = async () => (await store.list(kinds.Pending, 10)).map((entry) => entry.id)
    assert.deepEqual(await ids(), ['b', 'c', 'd'])
    assert.equal(await store.find(kinds.Pending, 'alias a'), undefined)
    await store.put(kinds.Pending, 'e', 'v'.repeat(97), 10)
    assert.deepEqual(await ids(), ['d', 'e'])
    assert.equal((await store.get(kinds.Interaction, 'i'))?.value, 'v')
    await store.close()
  })
})
