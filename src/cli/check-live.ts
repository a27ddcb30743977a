import type { ConnectorConfig, GatewayConfig, TargetConfig } from '../config/gateway.ts'
import type { Loaded } from '../config/load.ts'
import type { Check } from '../core/ports.ts'
import { possibleGrants } from '../core/possible.ts'
import { createFetcher } from '../fetcher/fetcher.ts'
import { clusterAccess, keptCluster } from '../live-targets.ts'
import { targetTypes } from '../targets/index.ts'
import type { KeystoneConfig } from '../targets/keystone/options.ts'
import { openConnector } from '../upstreams.ts'
import { GATEWAY, probeGateway } from './check-gateway.ts'
import { askStore } from './check-store.ts'
import { exit, type Io, UsageError } from './command.ts'
import { portsAlone } from './connector-alone.ts'
import { printable } from './table.ts'

/** By which name the store is asked, where it is one that can be. */
const STORE = 'store'

/** Bytes of a target's answer, and milliseconds that it may take: the first answer of a Keystone that was just started is slow. */
const ANSWER_LIMIT = 4 * 1024 * 1024
const PATIENCE_MS = 15_000

/**
 * Asks the gateway from outside, its store, and the upstreams and targets of a configuration, all at once, and prints what each said, in the order
 * of the file.
 * @param only the id of one connector or target, or of one of both, `gateway` or `store`; all where absent
 * @returns whether something is wrong, as an exit code
 * @throws {UsageError} where there is no such one
 */
export async function checkLive(loaded: Loaded, only: string | undefined, io: Io): Promise<number> {
  const { config, digest } = loaded
  const keys = config.keys.dir
  const named = ({ id }: { readonly id: string }) => only === undefined || id === only
  const connectors = config.connectors.filter(named)
  // A target that cannot be asked is passed over, and said to be so where it was named.
  const targets = config.targets.filter(
    (target) => named(target) && (only !== undefined || probeOf(target) || keptCluster(target)),
  )
  const itself = [{ id: GATEWAY }].filter(named)
  const stores = config.store.kind === 'redis' ? [{ id: STORE, store: config.store }].filter(named) : []
  if (itself.length + stores.length + connectors.length + targets.length === 0) {
    const known = [
      { id: GATEWAY },
      ...(config.store.kind === 'redis' ? [{ id: STORE }] : []),
      ...config.connectors,
      ...config.targets,
    ]
      .map(({ id }) => id)
      .join(', ')
    throw new UsageError(
      `no connector or target ${JSON.stringify(only)}; there is ${known}. With --live the file is named by --config`,
    )
  }
  const found = await Promise.all([
    ...itself.map(async ({ id }) => ({ id, checks: await askGateway(config, io) })),
    ...stores.map(async ({ id, store }) => ({ id, checks: await askStore({ store, keys, digest }, io) })),
    ...connectors.map(async (each) => ({ id: each.id, checks: await askConnector(each, config, io) })),
    ...targets.map(async (each) => ({ id: each.id, checks: await askTarget(each, loaded, io) })),
  ])
  for (const { id, checks } of found) for (const check of checks) io.out(line(id, check))
  return found.some(({ checks }) => checks.some(({ ok }) => !ok)) ? exit.refused : exit.ok
}

/**
 * Looks at what connectors name in files, without asking anybody, and prints what was found.
 * @returns whether something is wrong, as an exit code
 */
export async function reviewOffline({ config }: Loaded, io: Io): Promise<number> {
  let code: number = exit.ok
  for (const one of config.connectors.filter(({ type }) => type === 'saml' || type === 'wallet')) {
    for (const check of await reviewed(one, config, io)) {
      io.out(line(one.id, check))
      if (!check.ok) code = exit.refused
    }
  }
  return code
}

async function reviewed(one: ConnectorConfig, config: GatewayConfig, io: Io): Promise<readonly Check[]> {
  try {
    const connector = await openConnector(one, portsAlone(one, config, io))
    return (await connector.review?.()) ?? []
  } catch (error) {
    return [notOpened(error)]
  }
}

const notOpened = (error: unknown): Check => ({
  check: 'opened',
  ok: false,
  found: error instanceof Error ? error.message : String(error),
})

const nothingToAsk: Check = { check: 'probe', ok: true, note: true, found: 'cannot be asked anything' }

async function askConnector(one: ConnectorConfig, config: GatewayConfig, io: Io): Promise<readonly Check[]> {
  try {
    const connector = await openConnector(one, portsAlone(one, config, io))
    return (await connector.probe?.()) ?? [nothingToAsk]
  } catch (error) {
    return [notOpened(error)]
  }
}

const askGateway = ({ issuer }: GatewayConfig, io: Io): Promise<readonly Check[]> =>
  probeGateway(new URL(issuer), { fetch: fetcher(undefined), now: io.now() })

/** @param ca PEM text of the certificates to trust instead of the system's */
const fetcher = (ca: string | undefined) =>
  createFetcher({
    reach: 'configured',
    timeoutMs: PATIENCE_MS,
    maxBytes: ANSWER_LIMIT,
    ...(ca === undefined ? {} : { ca }),
  })

function probeOf({ type: name }: TargetConfig) {
  const type = targetTypes[name as keyof typeof targetTypes]
  return 'probe' in type ? type.probe : undefined
}

async function askTarget(
  target: TargetConfig,
  { config: { issuer, clients }, policy }: Loaded,
  io: Io,
): Promise<readonly Check[]> {
  const cluster = keptCluster(target)
  if (cluster) {
    const { checkAccount } = await targetTypes.kubernetes.ask()
    const possible = possibleGrants(policy, targetTypes.kubernetes.open(cluster), [])
    return await checkAccount(cluster, possible, clusterAccess(cluster))
  }
  const load = probeOf(target)
  if (load === undefined) return [nothingToAsk]
  const config = target as unknown as KeystoneConfig // its type's own schema has read it
  const { probeKeystone } = await load()
  return await probeKeystone(
    config,
    { issuer: new URL(issuer), clients },
    {
      now: io.now,
      log: () => {},
      fetch: fetcher(config.ca),
    },
  )
}

/** One finding as a line. */
export function line(id: string, { check, ok, found, note }: Check): string {
  const mark = ok ? (note ? 'note' : 'ok') : 'bad'
  return `${mark.padEnd(4)}  ${id}  ${check}${found === undefined ? '' : `: ${printable(found)}`}`
}
