import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ClientConfig } from './config/clients.ts'
import type { GatewayConfig, TargetConfig } from './config/gateway.ts'
import type { Grant } from './core/decision.ts'
import type { Clock, Log } from './core/ports.ts'
import { accountId } from './core/subject.ts'
import { createFetcher, type FetcherOptions } from './fetcher/fetcher.ts'
import { serviceSubject } from './http/account.ts'
import type { BoundTarget, LiveTarget, World } from './leases/world.ts'
import type { Bindings } from './targets/bindings.ts'
import { targetTypes } from './targets/index.ts'
import type { KeystoneConfig } from './targets/keystone/options.ts'
import type { ClusterAccess } from './targets/kubernetes/access.ts'
import { readKubeconfig } from './targets/kubernetes/kubeconfig.ts'
import type { KubernetesConfig } from './targets/kubernetes/target.ts'
import { type Live, TargetUnavailable } from './targets/live.ts'
import type { Target } from './targets/target.ts'

/** Bytes of one answer: a list of everything at a large target; and milliseconds that it may take. A sign-in waits for less. */
const ANSWER_LIMIT = 64 * 1024 * 1024
const PATIENCE_MS = 15_000

/** Opens the sides of targets into which the gateway writes; one whose configuration is unchanged lives on over a reload, with its token. */
function livePool(ports: { readonly now: Clock; readonly log: Log }) {
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

/** Opens everything into which the gateway writes; what is unchanged lives on over a reload. */
export function writablePool(ports: { readonly now: Clock; readonly log: Log }) {
  const [liveOf, boundOf] = [livePool(ports), boundPool()]
  /** @param always what rules give at a target whoever comes */
  return async (
    { targets: configs }: Pick<GatewayConfig, 'targets'>,
    targets: ReadonlyMap<string, Target>,
    always: (target: Target) => readonly Grant[],
  ): Promise<Pick<World, 'targets' | 'bound'>> => ({
    targets: await liveOf(configs, targets),
    bound: await boundOf(configs, targets, always),
  })
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

/** Opens the sides of targets at which the gateway keeps bindings; one whose configuration is unchanged lives on over a reload. */
function boundPool() {
  const open = new Map<string, { readonly made: string; readonly bindings: Bindings }>()
  return async (
    configs: readonly TargetConfig[],
    targets: ReadonlyMap<string, Target>,
    always: (target: Target) => readonly Grant[],
  ): Promise<ReadonlyMap<string, BoundTarget>> => {
    const found = new Map<string, BoundTarget>()
    for (const config of configs) {
      const cluster = keptCluster(config)
      const target = targets.get(config.id)
      if (cluster === undefined || target === undefined) continue
      const made = JSON.stringify(config)
      const before = open.get(config.id)
      const { openBindings } = await targetTypes.kubernetes.bindings()
      const bindings = before?.made === made ? before.bindings : openBindings(cluster, clusterAccess(cluster))
      open.set(config.id, { made, bindings })
      found.set(config.id, { id: config.id, bindings, always: always(target), refuse: (grant) => target.refuse(grant) })
    }
    return found
  }
}

/** A cluster at which the gateway has an account; undefined for every other target. */
export function keptCluster(target: TargetConfig): KubernetesConfig | undefined {
  if (target.type !== 'kubernetes' || target['apply'] === undefined) return undefined
  return target as unknown as KubernetesConfig // its type's own schema has read it
}

/** Where Kubernetes puts a pod's own account, and by which name pods reach their cluster. */
const POD = { folder: '/var/run/secrets/kubernetes.io/serviceaccount', server: 'https://kubernetes.default.svc' }

/**
 * The way to a cluster as the gateway's own account.
 * @param pod where the account of the pod is, and its cluster
 * @throws {Error} where the configuration has no `apply`
 */
export function clusterAccess({ id, apply }: KubernetesConfig, pod = POD): ClusterAccess {
  if (apply === undefined) throw new Error(`target ${id} has no apply`)
  if (apply.kubeconfig === 'in-cluster') return podAccess(pod)
  const account = readKubeconfig(apply.kubeconfig)
  if (typeof account === 'string') throw new Error(account) // it was read when the configuration was
  const { server, token, ca, identity } = account
  return { server, fetch: clusterFetch({ ca, identity }), token: async () => token }
}

const clusterFetch = ({
  ca,
  identity,
}: {
  ca?: string | undefined
  identity?: FetcherOptions['identity'] | undefined
}) =>
  createFetcher({
    reach: 'configured',
    timeoutMs: PATIENCE_MS,
    maxBytes: ANSWER_LIMIT,
    ...(ca !== undefined && { ca }),
    ...(identity && { identity }),
  })

/** A pod's token is written anew before it ends, and its cluster's certificates may change: both are read whenever they are needed. */
function podAccess({ folder, server }: typeof POD): ClusterAccess {
  const read = (name: string) =>
    readFile(join(folder, name), 'utf8').catch((cause) => {
      throw new TargetUnavailable(
        'refused',
        'apply is in-cluster, and the gateway is in no pod with a service account',
        { cause },
      )
    })
  let last: { readonly ca: string; readonly fetch: typeof globalThis.fetch } | undefined
  return {
    server,
    token: async () => (await read('token')).trim(),
    async fetch(...request) {
      const ca = await read('ca.crt')
      if (last?.ca !== ca) last = { ca, fetch: clusterFetch({ ca }) }
      return last.fetch(...request)
    },
  }
}

/** What the leases see of a configuration. */
export function leaseWorld(
  config: GatewayConfig,
  { targets, bound }: Pick<World, 'targets' | 'bound'>,
  decide: World['decide'],
): World {
  const services = new Map<string, ClientConfig>()
  for (const client of config.clients) {
    const subject = serviceSubject(client, 0)
    if (subject) services.set(accountId(subject), client)
  }
  return {
    targets,
    bound,
    decide,
    connectors: new Set(config.connectors.map(({ id }) => id)),
    services: [...services.keys()],
    service: (sub, now) => {
      const client = services.get(sub)
      return client && serviceSubject(client, now)
    },
  }
}
