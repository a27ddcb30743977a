import type { DatabaseSync } from 'node:sqlite'
import type { Clock } from '../core/ports.ts'
import { kinds } from './kinds.ts'
import { CHANGED, isRevoked, type Moved, type Mover, type Piece } from './move.ts'
import { entryOf } from './shelf.ts'
import { StoreUnavailable } from './store.ts'

interface Row {
  readonly kind: string
  readonly id: string
  readonly value: string
  readonly exp: number
  readonly consumed: number | null
  readonly alias: string | null
  readonly groups: string
}

const groupColumns = ['g1', 'g2', 'g3', 'g4', 'g5']
const read = `select kind, id, value, exp, consumed, alias, json_array(${groupColumns.join(', ')}) as groups
  from entry where exp > ? and kind <> '${kinds.Process.name}' order by n`
const insert = `insert into entry(kind, id, value, exp, consumed, alias, ${groupColumns.join(', ')})
  values(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

/**
 * The file of an embedded store as a whole.
 * @param db opened with the right to serve, so that no gateway is at it
 * @param close gives that right back
 */
export function moverOf(db: DatabaseSync, now: Clock, close: () => void): Mover {
  return {
    async *pieces() {
      const version = db.prepare('pragma data_version') // of what others wrote
      const before = version.get()?.['data_version']
      for (const row of db.prepare(read).iterate(now()) as Iterable<unknown>) yield { entry: entryIn(row as Row) } // the columns of `read`
      const buried = db.prepare('select grp, until from revoked where until > ? order by n')
      for (const row of buried.iterate(now())) yield { revoked: String(row['grp']), until: Number(row['until']) }
      if (version.get()?.['data_version'] !== before) throw new StoreUnavailable(CHANGED)
    },
    async fill(pieces) {
      db.exec('begin exclusive')
      try {
        const there = db.prepare('select (select count(*) from entry) + (select count(*) from revoked) as n').get()
        if (there?.['n'] !== 0) throw new StoreUnavailable('something is in this store already; name a new file')
        const revoked = new Set<string>()
        for await (const piece of pieces()) if ('revoked' in piece) revoked.add(piece.revoked)
        const put = writer(db)
        for await (const piece of pieces()) if (!isRevoked(piece, revoked)) put(piece)
        db.exec('commit')
      } catch (error) {
        if (db.isTransaction) db.exec('rollback')
        throw error
      }
    },
    async close() {
      close()
    },
  }
}

function entryIn({ kind, id, value, exp, consumed, alias, groups }: Row): Moved {
  const some = (JSON.parse(groups) as (string | null)[]).filter((group) => group !== null)
  return {
    kind,
    ...entryOf(id, value, exp, consumed ?? undefined),
    ...(alias === null ? {} : { alias }),
    ...(some.length === 0 ? {} : { groups: some }),
  }
}

function writer(db: DatabaseSync): (piece: Piece) => void {
  const entries = db.prepare(insert)
  const revoked = db.prepare('insert into revoked(grp, until) values(?, ?)')
  return (piece) => {
    if ('revoked' in piece) return void revoked.run(piece.revoked, piece.until)
    const { kind, id, value, expiresAt, consumedAt = null, alias = null, groups = [] } = piece.entry
    const all = groupColumns.map((_, index) => groups[index] ?? null)
    entries.run(kind, id, value, expiresAt, consumedAt, alias, ...all)
  }
}
