import type { ConnectorConfig, GatewayConfig } from '../config/gateway.ts'
import type { ConnectorPorts, SpKey } from '../connectors/connector.ts'
import { connectorPorts, entityIdOf, spAbout } from '../upstreams.ts'
import type { Io } from './command.ts'

/**
 * What a command gives a connector that it opens without the gateway: nothing is sealed without a person, and the root secret stays
 * where it is.
 * @param keys of the gateway as a SAML service provider, for commands that open them
 */
export function portsAlone(
  one: ConnectorConfig,
  config: GatewayConfig,
  io: Io,
  keys: readonly SpKey[] = [],
): ConnectorPorts {
  const issuer = new URL(config.issuer)
  const never = () => {
    throw new Error('nothing is sealed here')
  }
  const sp = { entityId: entityIdOf(issuer), keys: () => keys, about: () => spAbout(config) }
  return connectorPorts(one, { now: io.now, log: () => {}, root: { seal: never, open: never }, sp }, issuer)
}
