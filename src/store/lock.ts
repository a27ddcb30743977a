import { DatabaseSync } from 'node:sqlite'
import { StoreUnavailable } from './store.ts'

/**
 * Takes the right to serve from a database file: one process at a time, because the volatile half lives in its memory. The lock
 * is a lock of the operating system on a file beside the database, so it ends with its process however that ends.
 * @returns gives the right back; may be called again
 * @throws {StoreUnavailable} where another process has it, or the file cannot be written
 */
export function takeServeLock(path: string): () => void {
  const db = openLockFile(`${path}.serve`)
  try {
    db.exec('pragma journal_mode = memory; begin exclusive')
  } catch (cause) {
    db.close()
    const advice = 'an embedded store has one serving process: end the other, or name another file in store.path'
    throw new StoreUnavailable(`another process serves from ${path}; ${advice}`, { cause })
  }
  return () => {
    if (db.isOpen) db.close()
  }
}

function openLockFile(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: 0 })
  } catch (cause) {
    throw new StoreUnavailable(`cannot open ${path}: ${(cause as Error).message}`, { cause })
  }
}
