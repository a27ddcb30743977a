import type { RedisConfig } from '../config/store.ts'
import type { Check } from '../core/ports.ts'
import { areMixed, openFleet } from '../fleet.ts'
import { openRoot } from '../keys/root-secret.ts'
import { StoreUnavailable } from '../store/store.ts'
import type { Io } from './command.ts'
import { openStore, redisOptions } from './open-store.ts'

export interface Asked {
  readonly store: RedisConfig
  /** Where the root secret is. */
  readonly keys: string
  /** Of the configuration that names the store. */
  readonly digest: string
}

/** Asks the servers that a configuration names, and, where something is in the store, who serves from it. Writes nothing into an unused one. */
export async function askStore(asked: Asked, io: Io): Promise<readonly Check[]> {
  const { probeRedis } = await import('../store/redis/store.ts')
  try {
    const { checks, content } = await probeRedis({ ...redisOptions(asked.store), now: io.now })
    return content === 'used' ? [...checks, await askProcesses(asked, io)] : checks
  } catch (error) {
    return [{ check: 'reached', ok: false, found: detailOf(error) }]
  }
}

async function askProcesses({ store: config, keys, digest }: Asked, io: Io): Promise<Check> {
  const check = 'processes'
  // A machine that only checks configurations has none.
  const root = await openRoot(keys, { create: 'refused' }).catch((error: unknown) => error as Error)
  if (root instanceof Error) return { check, ok: true, note: true, found: `cannot be read here: ${root.message}` }
  try {
    const store = await openStore(config, { root: async () => root, now: io.now, mode: 'command' })
    const live = await openFleet({ store, now: io.now, id: 'command', version: '' }).live().finally(store.close)
    const members = [...live.values()]
    if (live.size === 0) return { check, ok: true, note: true, found: 'nothing serves from this store' }
    if (areMixed(members))
      return {
        check,
        ok: false,
        found: `${live.size} serve and differ in version or configuration: lotse processes lists them`,
      }
    return members[0]?.configuration === digest
      ? { check, ok: true, found: `${live.size} with this configuration` }
      : { check, ok: true, note: true, found: `${live.size}, all with another configuration than this one` }
  } catch (error) {
    return { check, ok: false, found: detailOf(error) }
  }
}

const detailOf = (error: unknown) => (error instanceof StoreUnavailable ? error.detail : String(error))
