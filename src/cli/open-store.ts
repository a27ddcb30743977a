import type { RedisConfig, StoreConfig } from '../config/store.ts'
import type { Clock, Log } from '../core/ports.ts'
import type { Root } from '../keys/root.ts'
import type { Mover } from '../store/move.ts'
import type { Address } from '../store/redis/connection.ts'
import type { RedisOptions } from '../store/redis/store.ts'
import type { Store } from '../store/store.ts'

export interface StorePorts {
  /** Opens the root secret; asked for by a store that others can read, and only by that. */
  readonly root: () => Promise<Root>
  readonly now: Clock
  /** `serve`: a process that answers requests. `command`: an operator's command beside it. */
  readonly mode: 'serve' | 'command'
  readonly log?: Log
}

/**
 * Opens the store that a configuration names.
 * @throws {StoreUnavailable} where it cannot be used
 */
export async function openStore(config: StoreConfig, { root, ...ports }: StorePorts): Promise<Store> {
  if (config.kind === 'embedded') {
    const { openEmbedded } = await import('../store/embedded.ts')
    return await openEmbedded({ path: config.path, ...ports })
  }
  const { openRedis } = await import('../store/redis/store.ts')
  return await openRedis({ ...redisOptions(config), derive: (await root()).derive, ...ports })
}

/**
 * The store that a configuration names, as a whole, while no gateway serves from it.
 * @throws {StoreUnavailable} where it cannot be used, or a gateway serves from it
 */
export async function openMover(config: StoreConfig, { root, now }: Pick<StorePorts, 'root' | 'now'>): Promise<Mover> {
  if (config.kind === 'embedded') {
    const { openEmbeddedToMove } = await import('../store/embedded.ts')
    return await openEmbeddedToMove(config.path, now)
  }
  const { openRedisToMove } = await import('../store/redis/store.ts')
  return await openRedisToMove({ ...redisOptions(config), derive: (await root()).derive, now })
}

/** What the store needs of its options. */
export function redisOptions(config: RedisConfig): Omit<RedisOptions, 'derive' | 'now' | 'log' | 'mode'> {
  const { topology, servers, primary, prefix, tls, sentinel, username, password, database } = config
  return {
    topology,
    servers: servers.map(addressOf),
    primary,
    prefix,
    replicas: config.replicas ?? (topology === 'standalone' ? 0 : 1),
    access: { username, password, tls, ...(database === 0 ? {} : { database }) },
    sentinelAccess: { ...sentinel, tls },
  }
}

function addressOf(text: string): Address {
  const at = text.lastIndexOf(':')
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) }
}
