import type { DatabaseSync } from 'node:sqlite'
import { StoreUnavailable } from './store.ts'

/** Marks a database as ours in its header ("Lots"), so that a wrong path never writes into somebody else's file. */
const applicationId = 0x4c6f7473

/**
 * Each step leads from the version of its index to the next; a step that was released is never changed. Keys and times stand
 * before `value`, which may spill to further pages. A rowid table takes 700 byte rows faster than one without (the key tree stays small).
 */
export const steps: readonly string[] = [
  `create table entry(n integer primary key, kind text not null, id text not null, exp real not null, consumed integer,
     alias text, g1 text, g2 text, g3 text, g4 text, value text not null, unique(kind, id));
   create unique index entry_alias on entry(kind, alias) where alias is not null;
   create index entry_exp on entry(exp);
   create index entry_g1 on entry(g1) where g1 is not null;
   create index entry_g2 on entry(g2) where g2 is not null;
   create index entry_g3 on entry(g3) where g3 is not null;
   create index entry_g4 on entry(g4) where g4 is not null;
   create table revoked(n integer primary key autoincrement, grp text not null unique, until real not null);
   create index revoked_until on revoked(until);
   create table meta(name text primary key, value text not null);`,
  // a proof is found by itself, its person, its connector, the upstream's session and the minute in which it ends
  `alter table entry add column g5 text;
   create index entry_g5 on entry(g5) where g5 is not null;`,
]

/**
 * The version of a database: 0 for an empty one.
 * @throws {StoreUnavailable} where the file belongs to another program
 */
export function versionOf(db: DatabaseSync): number {
  const pragma = (name: string) => Object.values(db.prepare(`pragma ${name}`).get() ?? {})[0] as number // always one integer
  if (pragma('application_id') === applicationId) return pragma('user_version')
  const tables = (db.prepare('select count(*) as n from sqlite_schema').get() as { n: number }).n
  if (tables === 0) return 0
  throw new StoreUnavailable('this file is a database of another program; store.path must name a file of its own')
}

/**
 * Brings a database to the newest version: all steps or none.
 * @throws {StoreUnavailable} where the database is newer than this program, or belongs to another one
 */
export function migrate(db: DatabaseSync, to: readonly string[] = steps): void {
  db.exec('begin immediate')
  try {
    const from = versionOf(db)
    refuseNewer(from, to)
    for (const step of to.slice(from)) db.exec(step)
    db.exec(`pragma application_id = ${applicationId}; pragma user_version = ${to.length}; commit`)
  } catch (error) {
    if (db.isTransaction) db.exec('rollback')
    throw error
  }
}

/** @throws {StoreUnavailable} where a newer program has changed the database: going back needs a backup from before. */
export function refuseNewer(version: number, known: readonly string[] = steps): void {
  if (version <= known.length) return
  throw new StoreUnavailable(
    `the store has version ${version} and this program knows up to ${known.length}: a newer version wrote it; use that, or a backup from before`,
  )
}
