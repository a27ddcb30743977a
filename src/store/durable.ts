import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import { entryOf, type Shelf, type Write } from './shelf.ts'
import type { Entry } from './store.ts'

/** What only the durable half knows: which groups are revoked, and what other processes revoked meanwhile. */
export interface Tombstones {
  isRevoked(groups: readonly string[], now: number): boolean
  /** Refuses new members until a moment; never shortens what was said before. */
  bury(group: string, until: number): void
  /** Groups that were revoked since this was last asked; cheap where no other process wrote. */
  news(): readonly string[]
  /** What this process revoked itself, and has committed, is no news to it: told again later it would take what was written since. */
  heard(): void
  /** Forgets tombstones whose time is over. */
  sweepTombstones(now: number): void
  /** A write that changes nothing that anybody reads. */
  probe(now: number): void
}

interface Row {
  readonly id: string
  readonly value: string
  readonly exp: number
  readonly consumed: number | null
}

/** SQLITE_CONSTRAINT_UNIQUE: the only unique thing beside the key is the alias. */
const uniqueViolated = 2067

/** Tombstones stay this many seconds longer than asked, so that a process that asks for news once a second misses none. */
const graveRest = 60

const columns = 'kind, id, exp, alias, g1, g2, g3, g4, value, g5'
const update =
  'value = excluded.value, exp = excluded.exp, alias = excluded.alias, g1 = excluded.g1, g2 = excluded.g2, g3 = excluded.g3, g4 = excluded.g4, g5 = excluded.g5'
const inGroup = '(g1 = ?1 or g2 = ?1 or g3 = ?1 or g4 = ?1 or g5 = ?1)'
const sql = {
  get: 'select id, value, exp, consumed from entry where kind = ? and id = ? and exp > ?',
  find: 'select id, value, exp, consumed from entry where kind = ? and alias = ? and exp > ?',
  put: `insert into entry(${columns}) values(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) on conflict(kind, id) do update
    set ${update}, consumed = case when entry.exp > ?11 then entry.consumed end`,
  add: `insert into entry(${columns}) values(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) on conflict(kind, id) do update
    set ${update}, consumed = null where entry.exp <= ?11`,
  release: 'update entry set alias = null where kind = ? and alias = ? and id <> ?',
  replace: 'update entry set value = ?, exp = ? where kind = ? and id = ? and value = ? and exp > ?',
  take: 'delete from entry where kind = ? and id = ? and exp > ? returning id, value, exp, consumed',
  consume: 'update entry set consumed = ?1 where kind = ?2 and id = ?3 and consumed is null and exp > ?1',
  consumed: 'select consumed from entry where kind = ? and id = ? and exp > ?',
  delete: 'delete from entry where kind = ? and id = ?',
  members: `select kind, id from entry where ${inGroup} and exp > ?2`,
  list: 'select id, value, exp, consumed from entry where kind = ? and exp > ? limit ?',
  drop: `delete from entry where ${inGroup}`,
  sweep: 'delete from entry where n in (select n from entry where exp <= ? limit ?)',
  revoked: 'select 1 from revoked where grp in (?, ?, ?, ?, ?) and until > ? limit 1',
  bury: 'insert or replace into revoked(grp, until) values(?1, max(?2, coalesce((select until from revoked where grp = ?1), 0)))',
  version: 'pragma data_version',
  news: 'select n, grp from revoked where n > ? order by n',
  last: 'select coalesce(max(n), 0) as n from revoked',
  sweepRevoked: 'delete from revoked where n in (select n from revoked where until <= ? limit 200)',
  probe: "insert into meta(name, value) values('checked', ?) on conflict(name) do update set value = excluded.value",
} as const

/**
 * Entries that survive a crash, by prepared statements on one connection. Writes belong inside a transaction of the caller.
 * The first row that `news` tells about is the first after this call.
 */
export function durableShelf(db: DatabaseSync): Shelf & Tombstones {
  const s = prepareAll(db)
  const rows = (...args: SQLInputValue[]) => s.list.all(...args) as unknown as Row[] // the columns of `sql.list`
  const one = (name: 'get' | 'find' | 'take', ...args: SQLInputValue[]): Entry | undefined =>
    entry(s[name].get(...args) as Row | undefined) // the columns of `sql`

  const write = (name: 'put' | 'add', w: Write, now: number): boolean => {
    const [g1 = null, g2 = null, g3 = null, g4 = null, g5 = null] = w.groups
    const run = () =>
      s[name].run(w.kind, w.id, w.expiresAt, w.alias ?? null, g1, g2, g3, g4, w.value, g5, now).changes === 1
    try {
      return run()
    } catch (error) {
      if (w.alias === undefined || (error as { errcode?: unknown }).errcode !== uniqueViolated) throw error
      s.release.run(w.kind, w.alias, w.id)
      return run()
    }
  }

  let seen = (s.last.get() as { n: number }).n
  let version = -1

  return {
    get: (kind, id, now) => one('get', kind, id, now),
    find: (kind, alias, now) => one('find', kind, alias, now),
    put: (w, now) => void write('put', w, now),
    add: (w, now) => write('add', w, now),
    replace: (w, from, now) => s.replace.run(w.value, w.expiresAt, w.kind, w.id, from, now).changes === 1,
    take: (kind, id, now) => one('take', kind, id, now),
    consume(kind, id, now) {
      if (s.consume.run(now, kind, id).changes === 1) return 'first'
      return (s.consumed.get(kind, id, now) as { consumed: number } | undefined)?.consumed
    },
    delete: (kind, id) => void s.delete.run(kind, id),
    members: (group, now) =>
      (s.members.all(group, now) as { kind: string; id: string }[]).map(({ kind, id }) => ({ kind, id })),
    list: (kind, limit, now) => rows(kind, now, limit).map((row) => entry(row)!),
    drop: (group) => void s.drop.run(group),
    sweep: (limit, now) => Number(s.sweep.run(now, limit).changes),
    isRevoked([g1 = null, g2 = null, g3 = null, g4 = null, g5 = null], now) {
      return s.revoked.get(g1, g2, g3, g4, g5, now) !== undefined
    },
    bury: (group, until) => void s.bury.run(group, until),
    news() {
      const current = (s.version.get() as { data_version: number }).data_version
      if (current === version) return []
      version = current
      const fresh = s.news.all(seen) as { n: number; grp: string }[]
      seen = fresh.at(-1)?.n ?? seen
      return fresh.map((row) => row.grp)
    },
    heard() {
      const last = (s.last.get() as { n: number }).n
      // Where another process wrote meanwhile the rows may be its own: all of them are news at the next read, which is at once.
      if ((s.version.get() as { data_version: number }).data_version === version) seen = Math.max(seen, last)
    },
    sweepTombstones: (now) => void s.sweepRevoked.run(now - graveRest),
    probe: (now) => void s.probe.run(String(now)),
  }
}

function prepareAll(db: DatabaseSync) {
  type Statements = Record<keyof typeof sql, ReturnType<DatabaseSync['prepare']>>
  return Object.fromEntries(Object.entries(sql).map(([name, text]) => [name, db.prepare(text)])) as Statements
}

function entry(row: Row | undefined): Entry | undefined {
  return row && entryOf(row.id, row.value, row.exp, row.consumed ?? undefined)
}
