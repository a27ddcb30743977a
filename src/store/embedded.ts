import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Clock, Log } from '../core/ports.ts'
import { groupCommit, unavailable } from './commit.ts'
import { durableShelf } from './durable.ts'
import { moverOf } from './embedded-move.ts'
import { checkEntry, checkedTtl, checkKey, isKey } from './limits.ts'
import { takeServeLock } from './lock.ts'
import type { Mover } from './move.ts'
import { migrate, refuseNewer, steps, versionOf } from './schema.ts'
import type { Shelf, Write } from './shelf.ts'
import { type Kind, type Links, type Store, StoreUnavailable } from './store.ts'
import { type Bounds, defaultBounds, volatileShelf } from './volatile.ts'

/** Calls `work` once after some milliseconds; the returned function calls that off. */
export type Later = (work: () => void, milliseconds: number) => () => void

export interface EmbeddedOptions {
  /** The database file; missing directories are made. `:memory:` for a store that nobody else can open and nothing survives in. */
  readonly path: string
  readonly now: Clock
  /** `serve`: the one process that answers requests, also cleans up. `command`: an operator's command beside it. `serve` if absent. */
  readonly mode?: 'serve' | 'command'
  readonly log?: Log
  /** What each volatile kind may hold. */
  readonly bounds?: Bounds
  /** An unref'd `setTimeout` if absent. */
  readonly later?: Later
}

/** A little at a time: 200 rows take 2 to 5 ms; where more is due, the next round comes soon. */
const sweepLimit = 200
const sweepPause = 1000
const sweepAgain = 100

/**
 * The store in one file, by SQLite: durable kinds in WAL mode with `synchronous=FULL`, all writes of one turn of the event loop in
 * one transaction; volatile kinds in this process's memory. What a `command` revokes, this process sees at its next read.
 * A disk that hangs inside fsync holds up the process: that is the price of writing on the main thread.
 * @throws {StoreUnavailable} where the file cannot be used, is of a newer version, or another process serves from it
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<Store> {
  const { db, release } = openFile(options.path, options.mode ?? 'serve')
  const store = storeOn(db, options)
  const stop = options.mode === 'command' ? () => {} : keepClean(store, options)
  return {
    ...store,
    async close() {
      stop()
      await store.close()
      release()
    },
  }
}

/**
 * The file as a whole, for an export or an import, while no gateway serves from it.
 * @throws {StoreUnavailable} as `openEmbedded`
 */
export async function openEmbeddedToMove(path: string, now: Clock): Promise<Mover> {
  const { db, release } = openFile(path, 'serve')
  return moverOf(db, now, () => {
    db.close()
    release()
  })
}

type Swept = Store & { sweep(): Promise<number> }

function storeOn(db: DatabaseSync, { now, bounds = defaultBounds }: EmbeddedOptions): Swept {
  const durable = durableShelf(db)
  const memory = volatileShelf(bounds)
  const commits = groupCommit(db)

  /**
   * The volatile half, after forgetting what other processes revoked: asked about at every use, for about four microseconds. Once a turn of
   * the event loop were too seldom: what is read in its last phase would stand until after the requests of the next one.
   */
  const current = (): Shelf => {
    for (const group of durable.news()) memory.drop(group)
    return memory
  }
  const read = async <T>(kind: Kind, work: (shelf: Shelf, now: number) => T): Promise<T> =>
    attempt(() => work(kind.durable ? durable : current(), now()))
  const write = <T>(kind: Kind, work: (shelf: Shelf, now: number) => T): Promise<T> =>
    kind.durable ? commits.write(() => work(durable, now())) : read(kind, work)

  const admits = (groups: readonly string[], at: number): boolean =>
    groups.length === 0 || !durable.isRevoked(groups, at)

  return {
    get: async (kind, id) => (isKey(id) ? read(kind, (shelf, at) => shelf.get(kind.name, id, at)) : undefined),
    find: async (kind, alias) =>
      isKey(alias) ? read(kind, (shelf, at) => shelf.find(kind.name, alias, at)) : undefined,
    async put(kind, id, value, ttl, links) {
      const row = rowOf(kind, id, value, now() + checkedTtl(ttl), links)
      return write(kind, (shelf, at) => {
        if (!admits(row.groups, at)) return false
        shelf.put(row, at)
        return true
      })
    },
    async add(kind, id, value, ttl, links) {
      const row = rowOf(kind, id, value, now() + checkedTtl(ttl), links)
      return write(kind, (shelf, at) => admits(row.groups, at) && shelf.add(row, at))
    },
    async swap(kind, id, from, to, ttl) {
      const row = rowOf(kind, id, to, now() + checkedTtl(ttl))
      return write(kind, (shelf, at) => (from === undefined ? shelf.add(row, at) : shelf.replace(row, from, at)))
    },
    take: async (kind, id) => (isKey(id) ? write(kind, (shelf, at) => shelf.take(kind.name, id, at)) : undefined),
    consume: async (kind, id) => (isKey(id) ? write(kind, (shelf, at) => shelf.consume(kind.name, id, at)) : undefined),
    delete: async (kind, id) => (isKey(id) ? write(kind, (shelf) => shelf.delete(kind.name, id)) : undefined),
    members: async (group) =>
      attempt(() => {
        // Where another process revokes something in between, both halves are read again: a revocation takes all of it or nothing.
        for (;;) {
          const found = durable.members(group, now())
          const news = durable.news()
          for (const revoked of news) memory.drop(revoked)
          if (news.length === 0) return [...found, ...memory.members(group, now())]
        }
      }),
    list: (kind, limit) => read(kind, (shelf, at) => shelf.list(kind.name, limit, at)),
    async revoke(group, ttl) {
      checkKey(group)
      const until = now() + checkedTtl(ttl)
      await commits.write(() => {
        durable.bury(group, until)
        durable.drop(group)
      })
      memory.drop(group)
      durable.heard()
    },
    check: () => commits.write(() => durable.probe(now())),
    sweep: () =>
      commits.write(() => {
        current().sweep(sweepLimit, now())
        durable.sweepTombstones(now())
        return durable.sweep(sweepLimit, now())
      }),
    async close() {
      commits.close()
      if (db.isOpen) db.close()
    },
  }
}

function openFile(path: string, mode: 'serve' | 'command'): { db: DatabaseSync; release: () => void } {
  if (path === ':memory:') return { db: prepared(new DatabaseSync(path)), release: () => {} }
  let release = () => {}
  let db: DatabaseSync | undefined
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    // it holds refresh tokens: nobody else may read it; SQLite gives its other files the same mode
    closeSync(openSync(path, 'a', 0o600))
    if (mode === 'serve') release = takeServeLock(path)
    db = new DatabaseSync(path, { timeout: 1000 })
    if (mode === 'command') upgradeWhileNobodyServes(db, path)
    return { db: prepared(db), release }
  } catch (cause) {
    db?.close()
    release()
    if (cause instanceof StoreUnavailable) throw cause
    throw new StoreUnavailable(`cannot open ${path}: ${(cause as Error).message}`, { cause })
  }
}

/** A running gateway of an older version must not have its tables changed beneath it. */
function upgradeWhileNobodyServes(db: DatabaseSync, path: string): void {
  const version = versionOf(db)
  refuseNewer(version)
  if (version === steps.length) return
  const release = takeServeLock(path)
  try {
    migrate(db)
  } finally {
    release()
  }
}

function prepared(db: DatabaseSync): DatabaseSync {
  refuseNewer(versionOf(db))
  db.exec('pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -16000')
  // fewer, larger checkpoints; the log shrinks again after a long reader (a backup) let it grow
  db.exec('pragma wal_autocheckpoint = 4000; pragma journal_size_limit = 67108864')
  if (versionOf(db) !== steps.length) migrate(db)
  // from here on a lock is waited for between turns of the event loop
  db.exec('pragma busy_timeout = 10')
  return db
}

function keepClean(store: Swept, { log, later = laterByTimer }: EmbeddedOptions): () => void {
  let cancel = () => {}
  let stopped = false
  const plan = (milliseconds: number) => {
    if (!stopped) cancel = later(() => void round(), milliseconds)
  }
  const round = async () => {
    try {
      plan((await store.sweep()) < sweepLimit ? sweepPause : sweepAgain)
    } catch (error) {
      if (!stopped) log?.('warn', 'expired entries could not be removed', { error: String(error) })
      plan(sweepPause)
    }
  }
  plan(sweepPause)
  return () => {
    stopped = true
    cancel()
  }
}

const laterByTimer: Later = (work, milliseconds) => {
  const timer = setTimeout(work, milliseconds).unref()
  return () => clearTimeout(timer)
}

function rowOf(kind: Kind, id: string, value: string, expiresAt: number, links: Links = {}): Write {
  checkEntry(kind, id, value, links)
  return { kind: kind.name, id, value, expiresAt, alias: links.alias, groups: links.groups ?? [] }
}

function attempt<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw unavailable(error)
  }
}
