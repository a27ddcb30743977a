import { closeSync, openSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import type { SignInPorts } from './gateway.ts'
import { fileOf, makeFolder, type Place } from './session.ts'

/** Seconds for which a process waits for another: a person may be signing in there. */
const PATIENCE = 600
/** Seconds between two looks. */
const LOOK = 0.02

/**
 * Does something while no other process of this person does: in 30 parallel kubectl one asks the gateway. The lock is one of the
 * operating system, on a file beside the session, so it ends with its process however that ends, and none is ever stale.
 * @param peek what another process may have brought meanwhile; then nothing is done
 * @throws where the folder cannot be written, or the other takes longer than a person's patience
 */
export async function underLock<T>(
  place: Place,
  sleep: SignInPorts['sleep'],
  peek: () => T | undefined,
  work: () => Promise<T>,
): Promise<T> {
  makeFolder(place.folder)
  const file = fileOf(place).replace(/\.json$/, '.lock')
  closeSync(openSync(file, 'a', 0o600))
  const { DatabaseSync } = await import('node:sqlite') // what is held already needs no lock, and not this
  const db = new DatabaseSync(file, { timeout: 0 })
  try {
    for (let waited = 0; !taken(db); waited += LOOK) {
      const brought = peek()
      if (brought !== undefined) return brought
      if (waited > PATIENCE) throw new Error('another process has been signing in for ten minutes; end it')
      await sleep(LOOK)
    }
    return peek() ?? (await work())
  } finally {
    db.close()
  }
}

const BUSY = 5

function taken(db: DatabaseSync): boolean {
  try {
    db.exec('pragma journal_mode = memory; begin exclusive')
    return true
  } catch (error) {
    if ((error as { errcode?: number }).errcode === BUSY) return false
    throw error
  }
}
