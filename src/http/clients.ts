import type { ClientMetadata } from 'oidc-provider'
import type { ClientConfig } from '../config/clients.ts'

const grantTypes: Readonly<Record<ClientConfig['grants'][number], string>> = {
  code: 'authorization_code',
  refresh: 'refresh_token',
  device: 'urn:ietf:params:oauth:grant-type:device_code',
  client_credentials: 'client_credentials',
  implicit: 'implicit',
}

/** A configured client in the words of OpenID Connect Registration, section 2. */
export function clientMetadata(client: ClientConfig): ClientMetadata {
  const code = client.grants.includes('code')
  const implicit = client.grants.includes('implicit')
  const secret = client.secret as string | undefined // the loader has put the text in place of the reference
  return {
    client_id: client.id,
    client_name: client.label ?? client.id,
    application_type: client.native ? 'native' : 'web',
    redirect_uris: [...client.redirectUris],
    post_logout_redirect_uris: [...client.postLogoutRedirectUris],
    response_types: [...(code ? (['code'] as const) : []), ...(implicit ? (['id_token'] as const) : [])],
    grant_types: client.grants.map((grant) => grantTypes[grant]),
    // An implicit ID token in a fragment ends in histories and logs: form_post only.
    ...(implicit && !code ? { response_modes: ['form_post'] } : {}),
    token_endpoint_auth_method: client.auth,
    ...(secret !== undefined ? { client_secret: secret } : {}),
    ...(client.jwks ? { jwks: client.jwks as ClientMetadata['jwks'] & object } : {}),
    ...(client.auth === 'private_key_jwt' ? { token_endpoint_auth_signing_alg: undefined } : {}),
    id_token_signed_response_alg: client.idTokenAlg,
    dpop_bound_access_tokens: client.dpop === 'required',
    require_pushed_authorization_requests: client.par === 'required',
    ...(client.maxAge === undefined ? {} : { default_max_age: client.maxAge }),
    ...(client.backchannelLogout
      ? {
          backchannel_logout_uri: client.backchannelLogout.url,
          backchannel_logout_session_required: client.backchannelLogout.sessionRequired,
        }
      : {}),
  } as ClientMetadata
}
