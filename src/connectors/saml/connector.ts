import { LoginError } from '../../core/errors.ts'
import type { Connector, ConnectorPorts } from '../connector.ts'
import type { SamlConfig } from './options.ts'

/** A connector to SAML identity providers: Web Browser SSO and Single Logout. */
export function openSaml(config: SamlConfig, _ports: ConnectorPorts): Connector {
  const absent = () => Promise.reject(new LoginError('upstream_unavailable', 'not there yet'))
  return { id: config.id, begin: absent, complete: absent }
}
