import type { ConnectorConfig, GatewayConfig } from './config/gateway.ts'
import { type Connector, type ConnectorPorts, type Kept, urlsFor } from './connectors/connector.ts'
import { connectorTypes } from './connectors/index.ts'
import type { ServiceProvider, SpAbout } from './connectors/saml/side.ts'
import type { Clock, Log } from './core/ports.ts'
import { createDownloader, createFetcher } from './fetcher/fetcher.ts'
import type { ConnectorEntry } from './http/parts.ts'
import type { Root } from './keys/root.ts'
import { re2 } from './regex.ts'
import { collection, kinds } from './store/collection.ts'
import type { Store } from './store/store.ts'

/** What connectors get of the process. */
export interface UpstreamPorts {
  readonly now: Clock
  readonly log: Log
  readonly root: Pick<Root, 'seal' | 'open'>
  readonly sp: ServiceProvider
  /** Absent in commands that keep nothing. */
  readonly store?: Store
  /** Once aborted no document is waited for. */
  readonly stop?: AbortSignal
}

/** The entityID of the gateway as a SAML service provider: the same for all upstreams, and where its metadata is. */
export function entityIdOf(issuer: URL): string {
  return new URL('/saml/metadata', issuer).href
}

/** What the gateway says of itself in its metadata; what is not said for SAML is taken from the brand. */
export function spAbout({ saml, brand }: Pick<GatewayConfig, 'saml' | 'brand'>): SpAbout {
  const { name = brand.name, privacy = brand.privacy, ...rest } = saml
  const given = Object.entries({ ...rest, privacy }).filter(([, value]) => value !== undefined)
  return { name, ...Object.fromEntries(given) } as SpAbout // optional options that are absent are left out, and nothing else changes
}

/** Bytes of an upstream's answer, and milliseconds that it may take. */
const ANSWER_LIMIT = 1024 * 1024
const PATIENCE_MS = 5000
/** The same for a document that is read while it comes: a federation's metadata. */
const DOCUMENT_LIMIT = 256 * 1024 * 1024
const DOCUMENT_PATIENCE_MS = 120_000

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
  { now, log, root, sp, store, stop }: UpstreamPorts,
  issuer: URL,
): ConnectorPorts {
  const type = connectorTypes[config.type as keyof typeof connectorTypes]
  // Each type's own options were checked by its own schema.
  const { privateNetworks = [], ...outgoing } = type.outgoing(config as never)
  const way = {
    // What a customer's file names comes from outside: it reaches no machine of the operator's own network (law 10).
    reach: config.tenant === undefined ? 'configured' : 'public',
    privateNetworks: config.tenant === undefined ? privateNetworks : [],
    ...outgoing,
  } as const
  return {
    now,
    fetch: createFetcher({ ...way, timeoutMs: PATIENCE_MS, maxBytes: ANSWER_LIMIT }),
    download: createDownloader({ ...way, timeoutMs: DOCUMENT_PATIENCE_MS, maxBytes: DOCUMENT_LIMIT }, stop),
    kept: store ? shelfOf(store, config.id) : nothingKept,
    ...urlsFor(issuer, config.id),
    sp,
    regex: re2,
    seal: (plaintext, context) => root.seal(plaintext, context),
    open: (sealed, context) => root.open(sealed, context),
    log,
  }
}

/** What one connector keeps over restarts. */
function shelfOf(store: Store, connector: string): Kept {
  const texts = collection<string>(store, kinds.Metadata)
  const id = (name: string) => `${connector}\n${name}`
  return {
    get: (name) => texts.get(id(name)),
    put: async (name, text, seconds) => void (await texts.put(id(name), text, seconds)),
    delete: (name) => texts.delete(id(name)),
  }
}

const nothingKept: Kept = { get: async () => undefined, put: async () => {}, delete: async () => {} }

/** Opens a connector of the configuration; see the table of connector types. */
export function openConnector(config: ConnectorConfig, own: ConnectorPorts): Promise<Connector> {
  const type = connectorTypes[config.type as keyof typeof connectorTypes]
  return type.open(config as never, own)
}

function connectorEntry(config: ConnectorConfig, ports: UpstreamPorts, issuer: URL): ConnectorEntry {
  const own = connectorPorts(config, ports, issuer)
  const { tended } = connectorTypes[config.type as keyof typeof connectorTypes]
  let opened: Promise<Connector> | undefined
  let connector: Connector | undefined
  const open = () => {
    opened ??= openConnector(config, own).then(
      (made) => {
        connector = made
        return made
      },
      (error: unknown) => {
        opened = undefined
        throw error
      },
    )
    return opened
  }
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
    ...restartOf(config),
    open,
    tend() {
      // One that cannot be opened says why to whoever signs in by it.
      if (tended && !opened) open().catch(() => undefined)
      connector?.tend?.()
    },
    standing: () => connector?.standing?.(),
  }
}

/** Where a type of connector takes answers that nobody asked for, its option says where their browsers go. */
function restartOf({ idpInitiated: option }: ConnectorConfig): Pick<ConnectorEntry, 'restartAt'> {
  const restartAt =
    typeof option === 'object' && option !== null && 'restartAt' in option ? option.restartAt : undefined
  return typeof restartAt === 'string' ? { restartAt } : {}
}

/** The metadata of the gateway for its SAML upstreams; unlisted connectors and those of tenants stand in their own alone. */
export function samlMetadataOf(configs: readonly ConnectorConfig[], sp: ServiceProvider, issuer: URL) {
  // A signature is a hundred times the work of an answer, and anybody may ask.
  const made = new Map<string, { readonly keys: string; readonly text: string }>()
  return async (only: string | undefined): Promise<string | undefined> => {
    const shown = ({ id, unlisted, tenant }: ConnectorConfig) =>
      only === undefined ? !unlisted && tenant === undefined : id === only
    const ids = configs.filter((one) => one.type === 'saml' && shown(one)).map(({ id }) => id)
    if (ids.length === 0) return undefined
    const keys = sp
      .keys()
      .map(({ kid, state }) => `${kid} ${state}`)
      .join()
    const before = made.get(only ?? '')
    if (before?.keys === keys) return before.text
    const { spMetadata } = await import('./connectors/saml/sp-metadata.ts')
    const endpoints = ids.map((id) => urlsFor(issuer, id))
    const logout = only === undefined ? new URL('/logout/saml', issuer) : urlsFor(issuer, only).logout.saml
    const text = spMetadata(sp, endpoints, logout)
    made.set(only ?? '', { keys, text })
    return text
  }
}
