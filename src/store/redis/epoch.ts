import type { Log } from '../../core/ports.ts'
import { StoreUnavailable } from '../store.ts'
import type { Connection } from './connection.ts'
import { SCHEMA, scripts } from './scripts.ts'

/**
 * How a gateway knows that a primary has lost writes that were acknowledged to it, although every server says of itself that all is
 * well: Redis replicates after it answered, and a server that was started anew has what it had on disk.
 *
 * Writes are numbered in the store (`n`). Whoever first meets a server as the primary, or one that was started anew since, notes
 * down as a new run the number from which it goes on (`base`), before anything is written there; scripts refuse to work for whom has
 * not looked since. Each gateway remembers the run it knows and the last write that was acknowledged to it: where a later run
 * began below that, or the store knows nothing of its run, acknowledged writes are missing.
 *
 * What is missing may be that a token was used, or that it was revoked. Nobody can tell which, so the epoch ends: all entries
 * of kinds that lapse (kinds.ts) which were written before are believed no more, and people sign in again.
 *
 * Not seen: a loss that no running gateway lived through, such as a restore from a backup while all were stopped.
 */
export interface Memory {
  /** A write of a run was acknowledged, and must not be missing later. */
  acknowledge(run: number, write: number): void
  /**
   * Looks at a server before it is used, and from time to time.
   * @returns the number of the run that it is in
   * @throws {StoreUnavailable} where it is no primary, or the store there is not one of this installation and version
   */
  look(connection: Connection): Promise<number>
}

export interface MemoryOptions {
  readonly prefix: string
  /** A text that only this installation's root secret makes. */
  readonly root: string
  readonly log: Log
  /** To go on with an import that did not come to its end. */
  readonly importing?: true
}

export function openMemory({ prefix, root, log, importing }: MemoryOptions): Memory {
  let known = { run: 0, server: '', acknowledged: 0, epoch: 1 }
  return {
    acknowledge(run, write) {
      if (run === known.run && write > known.acknowledged) known = { ...known, acknowledged: write }
    },
    async look(connection) {
      const server = await identityOf(connection)
      const { run, acknowledged, epoch } = known
      const args = [
        server,
        String(run),
        String(acknowledged),
        String(epoch),
        root,
        String(SCHEMA),
        importing ? '1' : '0',
        known.server,
      ]
      const reply = await connection
        // Not by its name: a server that was told to forget its scripts would be looked at no more.
        .call('EVAL', scripts.look.text, '2', `${prefix}state`, `${prefix}runs`, ...args)
        .catch(refused)
      const [number, current, missing] = reply as readonly [number, number, number]
      if (missing === 1)
        log('error', 'the store has lost acknowledged writes: everybody has to sign in again', { epoch: current })
      // What the store has beyond that may not have been told to anybody yet, and is no loss. After an epoch there is nothing to miss.
      const last = current === epoch ? Math.max(known.acknowledged, acknowledged) : 0
      known = { run: number, server, acknowledged: last, epoch: current }
      return number
    },
  }
}

/** @returns an id that is another for every server, for each start of it, and each time it becomes the primary */
async function identityOf(connection: Connection): Promise<string> {
  const [role] = (await connection.call('ROLE')) as readonly [string]
  // In the words of a replica that is asked to write, by which its connections are given up (session.ts).
  if (role !== 'master') throw new Error('READONLY this server is a replica')
  const said = String(await connection.call('INFO', 'server', 'replication'))
  const [run, data] = [/^run_id:(\S+)/m, /^master_replid:(\S+)/m].map((field) => field.exec(said)?.[1])
  if (run === undefined || data === undefined)
    throw new StoreUnavailable('redis: the server does not say which run it is (INFO server)')
  return `${run}:${data}`
}

/** What is said where the mark of an import stands. */
export const UNFINISHED =
  'an import into this store did not come to its end: where none is under way, run lotse store import again, or name another prefix'

const REFUSALS: Readonly<Record<string, string>> = {
  ROOT: 'what is under this prefix was written with another root secret; give each installation its own store.prefix, or this one its old secret',
  SCHEMA: 'a newer version wrote this store; use that, or a backup from before',
  IMPORT: UNFINISHED,
  TAKEN: 'another import into this store has begun: wait for it, and where it fails run this one again',
  GONE: 'the server was started anew since this import began, or another import has ended: start a gateway, and where it refuses run lotse store import again',
  USED: 'something was written into this store since it was looked at: run this again',
}

/** What a person is told where a script refuses by one of our own codes. */
export function refusal(error: unknown): StoreUnavailable | undefined {
  const reason = REFUSALS[/^[A-Z]+/.exec((error as Error).message)?.[0] ?? '']
  return reason === undefined ? undefined : new StoreUnavailable(reason, { cause: error })
}

function refused(error: unknown): never {
  throw refusal(error) ?? error
}
