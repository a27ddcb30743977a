import { createHmac } from 'node:crypto'
import type { GeneratedFile } from '../../../core/ports.ts'
import { apachePattern, apacheText } from '../../quote.ts'
import { comments, made, type Setting } from './setting.ts'

/** Seconds; also in kolla-ansible's options, so that both ways behave alike. */
export const sessions = { idle: 60, longest: 300, state: 600, keys: 300 } as const

const authTypes = { apache: 'oauth20', introspection: 'oauth20', mod_oauth2: 'oauth2', kolla: 'auth-openidc' } as const

/** Apache in front of Keystone, for the virtual host that serves it: one file to read, and one with what is secret. */
export function apacheFiles(setting: Setting): readonly GeneratedFile[] {
  return [
    { path: 'apache/lotse-keystone.conf', content: keystoneConf(setting) },
    { path: 'apache/lotse-secrets.conf', content: secretsConf(setting), secret: true },
  ]
}

function keystoneConf(setting: Setting): string {
  const head = [
    ...made(setting, 'Signs people in at Keystone by the gateway. For the virtual host that serves Keystone:'),
    '    Include /etc/apache2/lotse/*.conf',
    'before the lines that hand requests on to Keystone (WSGIScriptAlias, or ProxyPass by uwsgi).',
    'Never hand them on by mod_proxy_http: claims would be headers, which anybody can send.',
  ]
  return `${[comments(head), browser(setting), passed(), bearer(setting), locations(setting)].join('\n\n')}\n`
}

function browser({ issuer, audience, redirect, apache }: Setting): string {
  const post = apache?.auth === 'client_secret_post'
  return `# The gateway, and Apache as a client of it: the code flow with PKCE. The secret is in lotse-secrets.conf.
OIDCProviderMetadataURL ${apacheText(`${issuer}/.well-known/openid-configuration`)}
OIDCClientID ${apacheText(audience)}
OIDCRedirectURI ${apacheText(redirect)}
OIDCResponseType code
OIDCPKCEMethod S256
OIDCScope "openid email profile"
OIDCProviderTokenEndpointAuth ${post ? 'client_secret_post' : 'client_secret_basic'}
# By no other algorithm than the one that this client's ID tokens have.
OIDCIDTokenSignedResponseAlg ${apache?.idTokenAlg ?? 'ES256'}
# A key that the gateway withdrew is believed so many seconds longer.
OIDCJWKSRefreshInterval ${sessions.keys}
# A certificate authority of your own: name its file here.
#OIDCCABundlePath /etc/ssl/certs/ca-certificates.crt
# Apache's own session would let people in without asking the gateway: it ends soon, and at once when the gateway says so
# (back-channel logout at ${redirect}?logout=backchannel).
OIDCSessionInactivityTimeout ${sessions.idle}
OIDCSessionMaxDuration ${sessions.longest}
# A sign-in may take so many seconds, and seven may be under way in one browser before the oldest is forgotten.
OIDCStateTimeout ${sessions.state}
OIDCStateMaxNumberOfCookies 7 true
# Neither another site's form nor its frame carries these cookies.
OIDCCookieSameSite On
# The longest session: ID token, its claims and userinfo, 4 KB of claims in each. 120 MB of shared memory.
OIDCCacheShmEntrySizeMax 40960
OIDCCacheShmMax 3000
# A gateway that does not answer holds no worker for a minute.
OIDCHTTPTimeoutLong 10`
}

function passed(): string {
  return `# What Keystone sees: environment variables OIDC-sub, OIDC-groups … and no headers. A header's name begins with HTTP_, so none can pass
# for one of these; that is why mapping and remote_id_attribute have OIDC-iss, and never HTTP_OIDC_ISS.
OIDCClaimPrefix "OIDC-"
OIDCClaimDelimiter ";"
OIDCPassClaimsAs environment
# A bearer token with its groups may be longer than Apache's 8190.
LimitRequestFieldSize 16384`
}

function bearer({ flavour, issuer, jwks, audience, apache }: Setting): string {
  if (flavour === 'introspection')
    return `# Bearer tokens of command lines: the gateway is asked about each one, so what was taken back is refused at once, and it
# answers for tokens of this Keystone only.
OIDCOAuthIntrospectionEndpoint ${apacheText(`${issuer}/token/introspection`)}
OIDCOAuthIntrospectionEndpointMethod POST
OIDCOAuthIntrospectionEndpointAuth ${apache?.auth ?? 'client_secret_basic'}
OIDCOAuthClientID ${apacheText(audience)}
# Nothing from memory: by default an answer is kept until the token ends.
OIDCOAuthTokenIntrospectionInterval -1
OIDCOAuthRemoteUserClaim sub`
  const why = `# Bearer tokens of command lines. The module checks neither audience nor kind of what these keys signed: they are this Keystone's
# own, and sign access tokens for it and nothing else.`
  if (flavour !== 'mod_oauth2')
    return `${why}\nOIDCOAuthVerifyJwksUri ${apacheText(jwks)}\nOIDCOAuthRemoteUserClaim sub`
  return `${why} A token without an end is refused, and nothing is taken from memory (expiry=0: by
# default a token is believed for minutes after its end). mod_oauth2 knows the certificate authorities of the system alone: one of your
# own is made known by update-ca-certificates.
<IfModule !oauth2_module>
  Error "the module oauth2 is not loaded (package libapache2-mod-oauth2)"
</IfModule>`
}

function locations(setting: Setting): string {
  const { paths, audience, redirect, flavour, jwks } = setting
  const claim = apacheText(`aud:${audience}`)
  const rules = (authType: string, more: readonly string[], require: string) => [
    `  AuthType ${authType}`,
    ...more,
    '  <RequireAll>',
    '    Require valid-user',
    `    Require ${require}`,
    '  </RequireAll>',
  ]
  const place = (path: string, lines: readonly string[]) =>
    [`<LocationMatch "^${apachePattern(path)}$">`, ...lines, '</LocationMatch>'].join('\n')
  const callback = new URL(redirect).pathname
  const verify =
    flavour === 'mod_oauth2'
      ? [
          `  OAuth2TokenVerify jwks_uri ${apacheText(jwks)} jwks_uri.ssl_verify=true&jwks_uri.expiry=${sessions.keys}&verify.exp=required&expiry=0`,
          '  OAuth2TargetPass prefix=OIDC-&headers=Off&remote_user_claim=sub',
        ]
      : []
  const asked = flavour === 'mod_oauth2' ? `oauth2_claim ${claim}` : `claim ${claim}`
  return `# Where Apache takes the gateway's answers and its word of a sign-out; never handed on to Keystone.
<IfModule proxy_module>
  ProxyPass ${callback} !
</IfModule>
<Location "${callback}">
  AuthType openid-connect
  Require valid-user
</Location>
# By browser: the address without and with the identity provider in it.
${setting.paths.websso.map((path) => place(path, rules('openid-connect', [], `claim ${claim}`))).join('\n')}
# By bearer token, and by nothing else: a browser's session does not count here.
${place(paths.bearer, rules(authTypes[flavour], verify, asked))}`
}

function secretsConf(setting: Setting): string {
  const { apache, flavour } = setting
  const secret = apache?.secret ?? ''
  const head = [
    ...made(setting, "Apache's secrets as a client of the gateway: for root alone (0600)."),
    'The passphrase, which encrypts cookies of a sign-in under way, is derived from the client secret: whoever has that',
    'could be Apache anyway, and printed again it is the same on every host. A new secret makes a new one.',
  ]
  const lines = [
    `OIDCClientSecret ${apacheText(secret)}`,
    ...(flavour === 'introspection' ? [`OIDCOAuthClientSecret ${apacheText(secret)}`] : []),
    `OIDCCryptoPassphrase ${apacheText(passphrase(setting, secret))}`,
  ]
  return `${comments(head)}\n${lines.join('\n')}\n`
}

function passphrase({ issuer, config }: Setting, secret: string): string {
  return createHmac('sha256', secret).update(`lotse crypto passphrase\n${issuer}\n${config.id}`).digest('base64url')
}
