import type { ClientConfig } from './config/clients.ts'
import type { GatewayConfig, TargetConfig } from './config/gateway.ts'
import type { Clock, Log } from './core/ports.ts'
import { accountId } from './core/subject.ts'
import { createFetcher } from './fetcher.ts'
import { serviceSubject } from './http/account.ts'
import type { LiveTarget, World } from './leases/world.ts'
import { targetTypes } from './targets/index.ts'
import type { KeystoneConfig } from './targets/keystone/options.ts'
import type { Live } from './targets/live.ts'
import type { Target } from './targets/target.ts'

/** Bytes of one answer: a list of everything at a large target; and milliseconds that it may take. A sign-in waits for less. */
const ANSWER_LIMIT = 64 * 1024 * 1024
const PATIENCE_MS = 15_000

/** Opens the sides of targets into which the gateway writes; one whose configuration is unchanged lives on over a reload, with its token. */
export function livePool(ports: { readonly now: Clock; readonly log: Log }) {
  const open = new Map<string, { readonly made: string; readonly live: Live }>()
  return async (
    configs: readonly TargetConfig[],
    targets: ReadonlyMap<string, Target>,
  ): Promise<ReadonlyMap<string, LiveTarget>> => {
    const found = new Map<string, LiveTarget>()
    for (const config of configs) {
      const made = JSON.stringify(config)
      const before = open.get(config.id)
      const live = before?.made === made ? before.live : await openLive(config, ports)
      const target = targets.get(config.id)
      if (live === undefined || target === undefined) continue
      open.set(config.id, { made, live })
      found.set(config.id, { id: config.id, live, refuse: (grant) => target.refuse(grant) })
    }
    return found
  }
}

/** Undefined where the configuration does not let the gateway write there. The code that writes is loaded here. */
async function openLive(target: TargetConfig, { now, log }: { now: Clock; log: Log }): Promise<Live | undefined> {
  const type = targetTypes[target.type as keyof typeof targetTypes]
  if (!('live' in type) || target['reconcile'] === undefined) return undefined
  const config = target as unknown as KeystoneConfig // its type's own schema has read it
  const { openLiveKeystone } = await type.live()
  return openLiveKeystone(config, { now, log, fetch: liveFetch(config) })
}

/** The way to a target into which the gateway writes. */
export function liveFetch({ ca }: Pick<KeystoneConfig, 'ca'>): typeof globalThis.fetch {
  const trust = ca === undefined ? {} : { ca }
  return createFetcher({ reach: 'configured', timeoutMs: PATIENCE_MS, maxBytes: ANSWER_LIMIT, ...trust })
}

/** What the leases see of a configuration. */
export function leaseWorld(
  config: GatewayConfig,
  targets: ReadonlyMap<string, LiveTarget>,
  decide: World['decide'],
): World {
  const services = new Map<string, ClientConfig>()
  for (const client of config.clients) {
    const subject = serviceSubject(client, 0)
    if (subject) services.set(accountId(subject), client)
  }
  return {
    targets,
    decide,
    connectors: new Set(config.connectors.map(({ id }) => id)),
    services: [...services.keys()],
    service: (sub, now) => {
      const client = services.get(sub)
      return client && serviceSubject(client, now)
    },
  }
}
