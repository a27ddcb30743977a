import { z } from 'zod'
import { duration, name, secretReference, urlWithQuery } from './fields.ts'

/** An OAuth client of the gateway: Horizon's Apache, kubelogin, a command line, an application. */
export const clientSchema = z.strictObject({
  id: z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/, 'not a client id; write printable ASCII without spaces (128 at most)')
    .describe('The `client_id`.'),
  label: z.string().min(1).max(80).optional().describe('What people read on confirm pages; the id where absent.'),
  target: name()
    .optional()
    .describe('The target that this client speaks for: its decision fills ID tokens and userinfo.'),
  accessToken: z
    .enum(['jwt', 'opaque'])
    .default('jwt')
    .describe('`jwt` for clients that hand the token to the target; `opaque` for dashboards that read userinfo.'),
  targets: z
    .array(name())
    .default([])
    .describe(
      'Further targets for which this client may ask tokens, by `resource` (RFC 8707) or scope; one without `target` signs people in at all of them.',
    ),
  auth: z
    .enum(['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'])
    .default('none')
    .describe('How the client proves itself at the token endpoint; `none` is a public client and must use PKCE.'),
  secret: secretReference().optional().describe('The client secret, for `client_secret_*`.'),
  jwks: z
    .looseObject({
      keys: z
        .array(z.looseObject({ kty: z.string().describe('`EC`, `RSA` or `OKP`.') }))
        .min(1)
        .describe('JWKs (RFC 7517).'),
    })
    .optional()
    .describe('Public keys, for `private_key_jwt`.'),
  redirectUris: z
    .array(z.string())
    .default([])
    .describe('Exact redirect URIs; a loopback URI of a native client matches any port.'),
  postLogoutRedirectUris: z.array(z.string()).default([]).describe('Exact URIs to which a logout may return.'),
  native: z.boolean().default(false).describe('A program on a workstation: loopback redirect URIs.'),
  grants: z
    .array(z.enum(['code', 'refresh', 'device', 'client_credentials', 'implicit']))
    .default(['code'])
    .describe('`implicit` gives an `id_token` by form_post only (stock kolla-ansible).'),
  pkce: z
    .enum(['required', 'optional'])
    .default('required')
    .describe('`optional` only for plug-ins that cannot do it (v3oidcauthcode).'),
  offlineAccess: z
    .boolean()
    .default(false)
    .describe('`offline_access` gives a refresh token without `prompt=consent`.'),
  alwaysRefresh: z.boolean().default(false).describe('A refresh token without asking for `offline_access`.'),
  neverSlowDown: z
    .boolean()
    .default(false)
    .describe('The client dies of `slow_down` (keystoneauth): early device polls get `authorization_pending`.'),
  dpop: z
    .enum(['optional', 'required'])
    .default('optional')
    .describe('Whether tokens must be bound to a key (RFC 9449).'),
  par: z
    .enum(['optional', 'required'])
    .default('optional')
    .describe('Whether authorization requests must be pushed (RFC 9126).'),
  idTokenAlg: z.enum(['ES256', 'RS256', 'PS256']).default('ES256').describe('How its ID tokens are signed.'),
  backchannelLogout: z
    .strictObject({
      url: urlWithQuery().describe(
        'The address that takes logout tokens; for Apache its redirect URI with `?logout=backchannel`.',
      ),
      private: z
        .boolean()
        .default(false)
        .describe('Whether that host may have a private address; others are not reached there.'),
      sessionRequired: z.boolean().default(true).describe('Whether logout tokens name the session (`sid`).'),
    })
    .optional()
    .describe('Where the client hears of a logout (OpenID Connect Back-Channel Logout).'),
  introspect: z.boolean().default(false).describe('The client may introspect tokens of its target.'),
  serviceAccount: z
    .strictObject({
      connector: name().describe('The connector from which it counts as coming.'),
      id: z.string().min(1).describe('Its subject id there.'),
      claims: z.record(z.string(), z.array(z.string())).default({}).describe('Its claims.'),
    })
    .optional()
    .describe('Whom `client_credentials` means: the rules decide for this subject as for any other.'),
  refreshLifetime: duration()
    .optional()
    .describe('Refreshes of one sign-in end after so long; the proof and the decision may end them earlier.'),
  refreshIdle: duration().optional().describe('A refresh token that was not used for so long ends.'),
  maxAge: duration()
    .optional()
    .describe('The oldest sign-in that the client takes (`default_max_age`); an older one is asked for anew.'),
})

export type ClientConfig = z.output<typeof clientSchema>
