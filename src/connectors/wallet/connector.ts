import { LoginError } from '../../core/errors.ts'
import type { Connector, ConnectorPorts } from '../connector.ts'
import type { WalletConfig } from './options.ts'

/**
 * A connector to wallets: OpenID4VP 1.0.
 * Not there yet: the protocol; the options, and what is made of a presentation that was checked, are.
 */
export function openWallet(config: WalletConfig, _ports: ConnectorPorts): Connector {
  const absent = async () => {
    throw new LoginError('upstream_unavailable', 'wallets cannot be asked yet')
  }
  return { id: config.id, begin: absent, complete: absent }
}
