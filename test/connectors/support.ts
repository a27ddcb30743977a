import { connectorFields } from '../../src/config/schema.ts'
import { type Connector, type ConnectorPorts, urlsFor } from '../../src/connectors/connector.ts'
import { openOidc } from '../../src/connectors/oidc/connector.ts'
import { type OidcConfig, oidcOptions } from '../../src/connectors/oidc/options.ts'
import type { ServiceProvider } from '../../src/connectors/saml/side.ts'
import { createDownloader, createFetcher } from '../../src/fetcher/fetcher.ts'
import { re2 } from '../../src/regex.ts'

/** Stands for the root secret: reversible, and bound to its context like the real one. */
export const sealing = {
  seal: (text: string, context: string) => Buffer.from(JSON.stringify([context, text])).toString('base64'),
  open: (sealed: string, context: string): string => {
    const [bound, text] = JSON.parse(Buffer.from(sealed, 'base64').toString())
    if (bound !== context) throw new Error('sealed for another context')
    return text
  },
}

/** The gateway as a SAML service provider without keys, for connectors that ask for none. */
export const keyless: ServiceProvider = {
  entityId: 'https://gateway.test/saml/metadata',
  keys: () => [],
  about: () => ({ name: 'Lotse', contacts: [], categories: [], attributes: [] }),
}

/** Keeps nothing. */
export const forgetful: ConnectorPorts['kept'] = {
  get: async () => undefined,
  put: async () => {},
  delete: async () => {},
}

/** A configuration as the loader gives it: defaults filled in, secrets read. */
export function oidcConfig(over: Partial<OidcConfig> & { issuer: string }): OidcConfig {
  const shape = { ...connectorFields, ...oidcOptions }
  const defaults: Record<string, unknown> = {}
  for (const [name, schema] of Object.entries(shape)) {
    const read = schema.safeParse(undefined)
    if (read.success && read.data !== undefined) defaults[name] = read.data
  }
  // The defaults come from the schema itself, so that the tests run with what an operator gets.
  return { ...defaults, id: 'corp', label: 'Corp', clientId: 'lotse', clientSecret: 'a-secret', ...over } as OidcConfig
}

export interface Connected {
  readonly connector: Connector
  readonly now: () => number
  /** Moves the connector's clock, in seconds. */
  readonly advance: (seconds: number) => void
  readonly logged: readonly string[]
}

/** A connector on the real fetcher with small bounds; its clock stands at the wall clock's time until moved. */
export function connect(
  over: Partial<OidcConfig> & { issuer: string },
  ports: Partial<ConnectorPorts> = {},
): Connected {
  const config = oidcConfig(over)
  let moved = 0
  const now = () => Math.floor(Date.now() / 1000) + moved
  const logged: string[] = []
  const connector = openOidc(config, {
    now,
    fetch: createFetcher({ reach: 'configured', timeoutMs: 2000, maxBytes: 1_048_576 }),
    download: createDownloader({ reach: 'configured', timeoutMs: 2000, maxBytes: 1_048_576 }),
    kept: forgetful,
    ...urlsFor(new URL('https://gateway.test'), config.id),
    ...sealing,
    sp: keyless,
    regex: re2,
    log: (level, message, fields) => logged.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`),
    ...ports,
  })
  return {
    connector,
    now,
    advance: (seconds) => {
      moved += seconds
    },
    logged,
  }
}
