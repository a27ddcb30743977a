import type { GeneratedFile } from '../../../core/ports.ts'
import { type Yaml, yamlOf } from '../../yaml.ts'
import { made, type Setting } from './setting.ts'

/**
 * The structured AuthenticationConfiguration: `v1` for Kubernetes 1.34 and newer, `v1beta1` for 1.30 to 1.33. Every rule is an expression
 * that a kube-apiserver compiles when it starts.
 */
export function authenticationFiles(setting: Setting): readonly GeneratedFile[] {
  return [
    { path: 'authentication/v1.yaml', content: authentication(setting, 'v1') },
    { path: 'authentication/v1beta1.yaml', content: authentication(setting, 'v1beta1') },
    ...(setting.issuerCa === undefined ? [] : [{ path: 'authentication/issuer-ca.pem', content: setting.issuerCa }]),
  ]
}

/** The whole file, as a text that others put into theirs. */
export function authentication(setting: Setting, version: 'v1' | 'v1beta1'): string {
  const since = version === 'v1' ? '1.34 and newer' : '1.30 to 1.33'
  const { issuer, issuerCa, audience } = setting
  const head = made(
    setting,
    `AuthenticationConfiguration for Kubernetes ${since}: kube-apiserver --authentication-config=FILE.`,
  )
  const jwt = {
    issuer: { url: issuer, ...(issuerCa !== undefined && { certificateAuthority: issuerCa }), audiences: [audience] },
    claimValidationRules: claimRules(setting),
    claimMappings: mappings(setting),
    userValidationRules: reserved,
  }
  return (
    head + yamlOf({ apiVersion: `apiserver.config.k8s.io/${version}`, kind: 'AuthenticationConfiguration', jwt: [jwt] })
  )
}

/** A literal of CEL. */
export const celText = (text: string) => `'${text.replace(/[\\']/g, '\\$&')}'`
const list = (texts: readonly string[]) => `[${texts.map(celText).join(', ')}]`

/** A rule is an expression and what the kube-apiserver's log says where it does not hold. */
const ruleOf = (expression: string, message: string) => ({ expression, message })

/** An access token names its client (RFC 9068, section 2.2), an ID token never does, and nothing else of the gateway has a user. */
function kindRules({ idClient, accessClients, scopeClients, audience }: Setting): readonly Yaml[] {
  const clientsOf = (all: readonly { readonly id: string }[]) => list(all.map(({ id }) => id))
  // One audience, the client itself, or the cluster's and that of the client that asked for both: for nobody else besides.
  const idTokens = [
    ...(idClient === undefined ? [] : [`claims.aud == ${celText(audience)}`]),
    ...(scopeClients.length === 0
      ? []
      : [
          `(has(claims.azp) && claims.azp in ${clientsOf(scopeClients)} && type(claims.aud) == list && ` +
            `dyn(claims.aud).all(a, a == ${celText(audience)} || a == claims.azp))`,
        ]),
  ]
  return [
    idTokens.length === 0
      ? ruleOf('has(claims.client_id)', 'an access token of the gateway is wanted, and this is none')
      : ruleOf(
          ['has(claims.client_id)', ...idTokens].join(' || '),
          'the ID token is for more than this cluster, or of none of its clients',
        ),
    accessClients.length === 0
      ? ruleOf('!has(claims.client_id)', 'an ID token of the gateway is wanted, and this is none')
      : ruleOf(
          `!has(claims.client_id) || claims.client_id in ${clientsOf(accessClients)}`,
          'the token was given to a client that is none of this cluster',
        ),
  ]
}

function claimRules(setting: Setting): readonly Yaml[] {
  const { ttl } = setting.config
  return [
    ...kindRules(setting),
    ruleOf('!has(claims.azp) || !has(claims.client_id) || claims.azp == claims.client_id', 'azp names another client'),
    // Logout tokens of the gateway have the same issuer and audience.
    ruleOf('!has(claims.events)', 'this is a logout token'),
    ruleOf(`has(claims.iat) && claims.exp - claims.iat <= ${ttl}`, `the token lives longer than ${ttl} seconds`),
    ruleOf("has(claims.preferred_username) && claims.preferred_username != ''", 'the token names no user'),
  ]
}

function mappings({ config, issuer }: Setting): Yaml {
  const { usernamePrefix, groupsPrefix } = config
  const key = extraDomain(new URL(issuer).hostname)
  return {
    username: { expression: `${celText(usernamePrefix)} + claims.preferred_username` },
    // Without dyn() the compiler does not know that the optional holds a list.
    groups: { expression: `dyn(claims.?groups.orValue([])).map(g, ${celText(groupsPrefix)} + g)` },
    uid: { expression: 'claims.sub' },
    extra: [
      { key: `${key}/session`, valueExpression: "claims.?sid.orValue('')" },
      { key: `${key}/client`, valueExpression: "claims.?client_id.or(claims.?azp).orValue('')" },
    ],
  }
}

/** Names below these belong to Kubernetes, and an address in brackets is no name. */
function extraDomain(host: string): string {
  return /(^|\.)(k8s|kubernetes)\.io$/.test(host) || host.startsWith('[') ? 'lotse.invalid' : host
}

const reserved = [
  ruleOf(
    "!user.username.startsWith('system:') && !user.username.startsWith('kubeadm:')",
    'the user name belongs to Kubernetes itself',
  ),
  ruleOf(
    "user.groups.all(g, !g.startsWith('system:') && !g.startsWith('kubeadm:'))",
    'a group belongs to Kubernetes itself',
  ),
]
