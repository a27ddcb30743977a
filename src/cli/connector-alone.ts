import type { ConnectorConfig, GatewayConfig } from '../config/gateway.ts'
import type { ConnectorPorts } from '../connectors/connector.ts'
import type { SpKey } from '../connectors/saml/side.ts'
import { SAML_RING } from '../core/ports.ts'
import { connectorPorts, entityIdOf, spAbout } from '../upstreams.ts'
import { openBeside } from './beside.ts'
import type { Args, Io } from './command.ts'

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

/** The gateway's keys for SAML, as they stand in the store; none where there is no store yet, or it cannot be opened, which is said. */
export async function samlKeys(args: Args, io: Io): Promise<readonly SpKey[]> {
  try {
    const beside = await openBeside(args, io, ['store', 'keys'])
    try {
      return (await beside.keys(async () => {})).rings.certified(SAML_RING)
    } finally {
      await beside.close()
    }
  } catch (error) {
    io.err(`the gateway's own keys cannot be read: ${error instanceof Error ? error.message : String(error)}`)
    return []
  }
}
