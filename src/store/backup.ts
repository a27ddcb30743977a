import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import { backup, DatabaseSync } from 'node:sqlite'
import { refuseNewer, versionOf } from './schema.ts'
import { StoreUnavailable } from './store.ts'

/** All pages in one step: the library begins again whenever another process writes between two steps, and a gateway always writes. */
const everyPage = 2_147_483_647

/**
 * Copies the store of a gateway that may be running to another file, as it was at one moment, by SQLite's online backup; writers
 * go on meanwhile. The copy is checked before it gets its name, and is readable by its owner alone.
 * @param out must not exist yet
 * @returns entries in the copy
 * @throws {StoreUnavailable} where one of the files cannot be used
 */
export async function backupEmbedded(path: string, out: string): Promise<number> {
  if (!existsSync(path)) throw new StoreUnavailable(`there is no store at ${path}`)
  if (existsSync(out)) throw new StoreUnavailable(`${out} is there already; name a new file`)
  const part = `${out}.part`
  try {
    closeSync(openSync(part, 'wx', 0o600))
  } catch (cause) {
    throw new StoreUnavailable(`cannot write ${part}: ${(cause as Error).message}`, { cause })
  }
  try {
    await copy(path, part)
    const entries = checked(part)
    renameSync(part, out)
    return entries
  } catch (cause) {
    rmSync(part, { force: true })
    if (cause instanceof StoreUnavailable) throw cause
    throw new StoreUnavailable(`no backup of ${path}: ${(cause as Error).message}`, { cause })
  }
}

async function copy(path: string, part: string): Promise<void> {
  const db = new DatabaseSync(path, { timeout: 1000 })
  try {
    const version = versionOf(db)
    refuseNewer(version)
    if (version === 0) throw new StoreUnavailable(`${path} is empty: no gateway has used it yet`)
    await backup(db, part, { rate: everyPage })
  } finally {
    db.close()
  }
}

function checked(part: string): number {
  const db = new DatabaseSync(part)
  try {
    // one file, without a log beside it, so that it can be moved alone
    db.exec('pragma journal_mode = delete')
    const verdict = db.prepare('pragma integrity_check').get()?.['integrity_check']
    if (verdict !== 'ok') throw new StoreUnavailable(`the copy is damaged: ${verdict}`)
    return Number(db.prepare('select count(*) as n from entry').get()?.['n'])
  } finally {
    db.close()
    const file = openSync(part, 'r+')
    fsyncSync(file)
    closeSync(file)
  }
}
