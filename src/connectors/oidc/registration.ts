import type { GeneratedFile } from '../../core/ports.ts'
import type { ConnectorPorts } from '../connector.ts'
import type { OidcConfig } from './options.ts'
import { publicJwk } from './private-key.ts'

/**
 * What the upstream's administrator registers, in the words of RFC 7591 and of the two logout standards.
 * @see OpenID Connect Back-Channel Logout 1.0 section 2.2, Front-Channel Logout 1.0 section 2
 */
export function registration(config: OidcConfig, ports: ConnectorPorts): GeneratedFile {
  const key = publicJwk(config)
  const facts = {
    client_id: config.clientId,
    client_name: 'Lotse',
    application_type: 'web',
    redirect_uris: [ports.callback.href],
    post_logout_redirect_uris: [ports.logout.returned.href],
    backchannel_logout_uri: ports.logout.back.href,
    backchannel_logout_session_required: true,
    frontchannel_logout_uri: ports.logout.front.href,
    frontchannel_logout_session_required: true,
    response_types: ['code'],
    // By the refresh token the upstream is asked again whether the person is still there.
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: config.auth,
    scope: config.scope,
    ...(key && { jwks: { keys: [key] } }),
  }
  return { path: `${config.id}/client-registration.json`, content: `${JSON.stringify(facts, null, 2)}\n` }
}
