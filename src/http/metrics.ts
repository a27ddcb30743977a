import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Standing } from '../connectors/connector.ts'
import { errorCodes } from '../core/errors.ts'

/** The names that may stand in a label: all of them configured or written in the code, none taken from a request. */
export interface KnownNames {
  readonly connectors: ReadonlySet<string>
  readonly targets: ReadonlySet<string>
  readonly routes: ReadonlySet<string>
}

/** What the gateway counts. No person, and no label that a client can make grow: an unknown name is counted as `other`. */
export interface Metrics {
  /** @param outcome `success` or an error code */
  login(connector: string, outcome: string): void
  token(grantType: string, target: string): void
  /** @param seconds from the first byte of the request to the end of the answer */
  request(route: string, status: number, seconds: number): void
  storeError(): void
  /** @param at Unix seconds */
  configLoaded(at: number): void
  upstream(connector: string, state: 'up' | 'down'): void
  /** What a connector knows of its upstreams by their metadata. */
  metadata(connector: string, standing: Standing): void
  /** Whether a target into which the gateway writes answers. */
  target(target: string, state: 'up' | 'down'): void
  /** A pass looked at everybody at a target and did what was to be done. @param at Unix seconds */
  passed(target: string, at: number): void
  /** Accounts at a target from which nothing is taken before an operator says so. */
  held(target: string, accounts: number): void
  /** People who wait to be looked at. */
  due(count: number): void
  /** Processes that serve from the store, this one included: on its configuration, and on another one. */
  processes(counts: { readonly same: number; readonly other: number }): void
  /** Prometheus' text format. */
  text(): Promise<{ readonly type: string; readonly body: string }>
}

const outcomes = new Set<string>(['success', ...errorCodes])
const grantTypes = new Set([
  'authorization_code',
  'implicit',
  'refresh_token',
  'client_credentials',
  'urn:ietf:params:oauth:grant-type:device_code',
  'urn:ietf:params:oauth:grant-type:token-exchange',
])

const among = (names: ReadonlySet<string>, name: string) => (names.has(name) ? name : 'other')

function statusClass(status: number): string {
  return status >= 100 && status < 600 ? `${Math.floor(status / 100)}xx` : 'other'
}

function instruments(registry: Registry) {
  const registers = [registry]
  return {
    logins: new Counter({
      name: 'lotse_logins_total',
      help: 'Sign-ins that ended, by connector and outcome.',
      labelNames: ['connector', 'outcome'],
      registers,
    }),
    tokens: new Counter({
      name: 'lotse_tokens_total',
      help: 'Answers of the token endpoint with a token, by grant type and target.',
      labelNames: ['grant_type', 'target'],
      registers,
    }),
    requests: new Counter({
      name: 'lotse_http_requests_total',
      help: 'Requests answered, by route and status class.',
      labelNames: ['route', 'status'],
      registers,
    }),
    seconds: new Histogram({
      name: 'lotse_http_request_seconds',
      help: 'Time to answer, by route.',
      labelNames: ['route'],
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    }),
    storeErrors: new Counter({
      name: 'lotse_store_errors_total',
      help: 'Answers with status 503: the store, the audit log, an upstream or a target was needed and did not answer.',
      registers,
    }),
    due: new Gauge({
      name: 'lotse_leases_due',
      help: 'People who wait to be looked at, at targets into which the gateway writes.',
      registers,
    }),
    processes: new Gauge({
      name: 'lotse_processes',
      help: 'Processes that serve from the same store, by whether they use the same configuration as this one.',
      labelNames: ['configuration'],
      registers,
    }),
    configLoaded: new Gauge({
      name: 'lotse_config_loaded_timestamp_seconds',
      help: 'When the configuration in use was loaded.',
      registers,
    }),
  }
}

interface Shown {
  readonly name: string
  readonly help: string
  readonly label: 'connector' | 'target'
  /** The configured names: one that was taken out disappears at the next scrape. */
  readonly known: () => ReadonlySet<string>
}

/** A gauge with one value for each connector, or target, of the configuration in use. */
function configuredGauge(registry: Registry, { name, help, label, known }: Shown): Map<string, number> {
  const values = new Map<string, number>()
  new Gauge({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset()
      for (const [id, value] of values) {
        if (known().has(id)) this.set({ [label]: id }, value)
        else values.delete(id)
      }
    },
  })
  return values
}

const upstreamUp = 'Whether the upstream of a connector answered when it was last asked.'
const targetUp = 'Whether a target into which the gateway writes answered when it was last asked.'
const passedAt = 'When everybody was last looked at, and everything done, at a target.'
const heldCount =
  'Accounts from which changed rules would take, or bindings that would go, and which wait for an operator.'

const metadataRead = "When a connector's metadata was last read and found good, of the oldest source."
const metadataUntil = "When the first of a connector's metadata comes to its end."
const metadataIdps = 'Identity providers that a connector knows by metadata.'

function configured(registry: Registry, known: () => KnownNames) {
  const connectors = { label: 'connector', known: () => known().connectors } as const
  const targets = { label: 'target', known: () => known().targets } as const
  const gauge = (shown: Shown) => configuredGauge(registry, shown)
  return {
    upstreams: gauge({ name: 'lotse_upstream_up', help: upstreamUp, ...connectors }),
    metadataRead: gauge({ name: 'lotse_metadata_read_timestamp_seconds', help: metadataRead, ...connectors }),
    metadataUntil: gauge({ name: 'lotse_metadata_valid_until_timestamp_seconds', help: metadataUntil, ...connectors }),
    metadataIdps: gauge({ name: 'lotse_metadata_identity_providers', help: metadataIdps, ...connectors }),
    targets: gauge({ name: 'lotse_target_up', help: targetUp, ...targets }),
    passes: gauge({ name: 'lotse_reconcile_success_timestamp_seconds', help: passedAt, ...targets }),
    held: gauge({ name: 'lotse_reconcile_held_accounts', help: heldCount, ...targets }),
  }
}

/**
 * The metrics of one process, in a registry of their own, with prom-client's process and event-loop metrics.
 * Counters go on over a reload of the configuration.
 * @param known asked at every count, since a reload changes the configured names
 */
export function createMetrics(known: () => KnownNames): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const all = instruments(registry)
  const shown = configured(registry, known)
  return {
    login: (connector, outcome) =>
      all.logins.inc({ connector: among(known().connectors, connector), outcome: among(outcomes, outcome) }),
    token: (grantType, target) =>
      all.tokens.inc({ grant_type: among(grantTypes, grantType), target: among(known().targets, target) }),
    request(name, status, seconds) {
      const route = among(known().routes, name)
      all.requests.inc({ route, status: statusClass(status) })
      all.seconds.observe({ route }, seconds)
    },
    storeError: () => all.storeErrors.inc(),
    configLoaded: (at) => all.configLoaded.set(at),
    upstream: (connector, state) => void shown.upstreams.set(connector, state === 'up' ? 1 : 0),
    metadata(connector, { readAt, validUntil, idps }) {
      if (readAt !== undefined) shown.metadataRead.set(connector, readAt)
      if (validUntil !== undefined) shown.metadataUntil.set(connector, validUntil)
      else shown.metadataUntil.delete(connector)
      shown.metadataIdps.set(connector, idps)
    },
    target: (target, state) => void shown.targets.set(target, state === 'up' ? 1 : 0),
    passed: (target, at) => void shown.passes.set(target, at),
    held: (target, accounts) => void shown.held.set(target, accounts),
    due: (count) => all.due.set(count),
    processes({ same, other }) {
      all.processes.set({ configuration: 'same' }, same)
      all.processes.set({ configuration: 'other' }, other)
    },
    text: async () => ({ type: registry.contentType, body: await registry.metrics() }),
  }
}
