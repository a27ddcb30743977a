import type { ConnectorConfig } from './config/gateway.ts'
import { type Connector, type ConnectorPorts, urlsFor } from './connectors/connector.ts'
import { connectorTypes } from './connectors/index.ts'
import type { Clock, Log } from './core/ports.ts'
import { createFetcher } from './fetcher.ts'
import type { ConnectorEntry } from './http/parts.ts'
import type { Root } from './keys/root.ts'

/** What connectors get of the process. */
export interface UpstreamPorts {
  readonly now: Clock
  readonly log: Log
  readonly root: Pick<Root, 'seal' | 'open'>
}

/** Bytes of an upstream's answer, and milliseconds that it may take. */
const ANSWER_LIMIT = 1024 * 1024
const PATIENCE_MS = 5000

/** Opens connectors lazily and once; one whose configuration is unchanged lives on over a reload, with what it discovered. */
export function connectorPool(ports: UpstreamPorts, issuer: URL) {
  const open = new Map<string, { readonly made: string; readonly entry: ConnectorEntry }>()
  return (configs: readonly ConnectorConfig[]): ReadonlyMap<string, ConnectorEntry> => {
    const entries = configs.map((config): [string, ConnectorEntry] => {
      const made = JSON.stringify(config)
      const before = open.get(config.id)
      if (before?.made === made) return [config.id, before.entry]
      const entry = connectorEntry(config, ports, issuer)
      open.set(config.id, { made, entry })
      return [config.id, entry]
    })
    return new Map(entries)
  }
}

/** What a connector of the configuration may use of the world. */
export function connectorPorts(
  config: ConnectorConfig,
  { now, log, root }: UpstreamPorts,
  issuer: URL,
): ConnectorPorts {
  const type = connectorTypes[config.type as keyof typeof connectorTypes]
  return {
    now,
    fetch: createFetcher({
      // What a customer's file names comes from outside: it reaches no machine of the operator's own network (law 10).
      reach: config.tenant === undefined ? 'configured' : 'public',
      timeoutMs: PATIENCE_MS,
      maxBytes: ANSWER_LIMIT,
      ...type.outgoing(config as never), // each type's own options were checked by its own schema
    }),
    ...urlsFor(issuer, config.id),
    seal: (plaintext, context) => root.seal(plaintext, context),
    open: (sealed, context) => root.open(sealed, context),
    log,
  }
}

/** Opens a connector of the configuration; see the table of connector types. */
export function openConnector(config: ConnectorConfig, own: ConnectorPorts): Promise<Connector> {
  const type = connectorTypes[config.type as keyof typeof connectorTypes]
  return type.open(config as never, own)
}

function connectorEntry(config: ConnectorConfig, ports: UpstreamPorts, issuer: URL): ConnectorEntry {
  const own = connectorPorts(config, ports, issuer)
  let opened: Promise<Connector> | undefined
  return {
    id: config.id,
    label: config.label,
    ...(config.hint === undefined ? {} : { hint: config.hint }),
    unlisted: config.unlisted,
    emailDomains: config.emailDomains,
    recheckAfter: config.recheckAfter,
    recheckGrace: config.recheckGrace,
    ...(config.sessionIdle === undefined ? {} : { sessionIdle: config.sessionIdle }),
    ...(config.sessionMax === undefined ? {} : { sessionMax: config.sessionMax }),
    open() {
      opened ??= openConnector(config, own).catch((error: unknown) => {
        opened = undefined
        throw error
      })
      return opened
    },
  }
}
