import type { Connector, ConnectorPorts } from './connector.ts'
import { type OidcConfig, oidcOptions, oidcProblems } from './oidc/options.ts'
import { type SamlConfig, samlOptions, samlProblems } from './saml/options.ts'
import { type WalletConfig, walletOptions } from './wallet/options.ts'
import { walletProblems } from './wallet/problems.ts'

/** How a connector reaches its upstream; the composition root makes the connector's `fetch` from it (law 10). */
export interface Outgoing {
  /** PEM text of certificates to trust instead of the system's. */
  readonly ca?: string
  /** The URL of a forward proxy. */
  readonly proxy?: string
  /** The addresses come from people outside. */
  readonly reach?: 'public'
  /** Networks (CIDR) that are reached though they are private; what a customer's file says of that counts for nothing. */
  readonly privateNetworks?: readonly string[]
}

/**
 * The connector types: options for the configuration, and a lazy `open`, so that a gateway without a type does not load it.
 * What is `tended` has something to do before the first sign-in comes, and is opened at once. `open` makes no request and does not fail because an upstream is down.
 */
export const connectorTypes = {
  oidc: {
    tended: false,
    options: oidcOptions,
    problems: oidcProblems,
    outgoing: ({ ca, proxy }: OidcConfig): Outgoing => ({ ...(ca && { ca }), ...(proxy && { proxy }) }),
    open: (config: OidcConfig, ports: ConnectorPorts): Promise<Connector> =>
      import('./oidc/connector.ts').then(({ openOidc }) => openOidc(config, ports)),
  },
  saml: {
    tended: true,
    options: samlOptions,
    problems: samlProblems,
    outgoing: ({ ca, proxy }: SamlConfig): Outgoing => ({ ...(ca && { ca }), ...(proxy && { proxy }) }),
    open: (config: SamlConfig, ports: ConnectorPorts): Promise<Connector> =>
      import('./saml/connector.ts').then(({ openSaml }) => openSaml(config, ports)),
  },
  wallet: {
    tended: true,
    options: walletOptions,
    problems: walletProblems,
    outgoing: ({ ca, proxy, allowPrivate }: WalletConfig): Outgoing => ({
      ...(ca && { ca }),
      ...(proxy && { proxy }),
      reach: 'public',
      privateNetworks: allowPrivate,
    }),
    open: (config: WalletConfig, ports: ConnectorPorts): Promise<Connector> =>
      import('./wallet/connector.ts').then(({ openWallet }) => openWallet(config, ports)),
  },
} as const

export type ConnectorType = keyof typeof connectorTypes
