import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Root } from '../../src/keys/root.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import { openRedis, type RedisOptions } from '../../src/store/redis/store.ts'
import type { Store } from '../../src/store/store.ts'

/** Where the servers of a Redis store are. */
export type Place = Pick<RedisOptions, 'topology' | 'servers' | 'primary' | 'replicas' | 'access' | 'sentinelAccess'>

/** By this variable the interop group `redis` puts the gateways of the flow tests on its servers: a `Place` as JSON. */
export const PLACE = 'LOTSE_TEST_REDIS'

/** The servers of this run; undefined on the embedded store. */
export const remote: Place | undefined = process.env[PLACE] === undefined ? undefined : JSON.parse(process.env[PLACE])

export interface TestStore {
  readonly store: Store
  /** What the configuration of a gateway on it says under `store`. */
  readonly yaml: string
}

/** An empty store of its own for one gateway. */
export async function openTestStore(folder: string, root: Root, now: () => number): Promise<TestStore> {
  if (!remote)
    return {
      store: await openEmbedded({ path: join(folder, 'lotse.db'), now }),
      yaml: '{ kind: embedded, path: ./lotse.db }',
    }
  const prefix = `flow-${randomBytes(6).toString('hex')}`
  const { topology, primary, replicas } = remote
  const servers = remote.servers.map(({ host, port }) => `${host}:${port}`)
  return {
    store: await openRedis({ ...remote, prefix, derive: root.derive, now }),
    yaml: JSON.stringify({ kind: 'redis', topology, servers, primary, replicas, prefix }),
  }
}
