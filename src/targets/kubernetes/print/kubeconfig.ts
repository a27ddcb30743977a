import type { ClientConfig } from '../../../config/clients.ts'
import type { GeneratedFile } from '../../../core/ports.ts'
import { type Yaml, yamlOf } from '../../yaml.ts'
import { audienceScopes, made, type Setting } from './setting.ts'

/** How people's kubectl comes to a token; each file is whole, and merges with others by KUBECONFIG=A:B. */
export function kubeconfigFiles(setting: Setting): readonly GeneratedFile[] {
  const code = codeClient(setting)
  const device = deviceClient(setting)
  const plugin = pluginClient(setting)
  return [
    ...(plugin === undefined ? [] : [{ path: 'kubeconfig/lotse.yaml', content: lotse(setting, plugin) }]),
    ...(code === undefined
      ? []
      : [{ path: 'kubeconfig/kubelogin-code.yaml', content: kubelogin(setting, code, 'code') }]),
    ...(device === undefined
      ? []
      : [{ path: 'kubeconfig/kubelogin-device.yaml', content: kubelogin(setting, device, 'device') }]),
  ]
}

/** Public clients, the cluster's own first. */
function publicClients(setting: Setting): readonly ClientConfig[] {
  const { idClient, accessClients, scopeClients, config } = setting
  const asking = [...accessClients, ...scopeClients]
  const own = asking.filter(({ target }) => target === config.id)
  const all = [...(idClient === undefined ? [] : [idClient]), ...own, ...asking]
  return [...new Set(all)].filter(({ auth }) => auth === 'none')
}

/** kubelogin listens at http://localhost:8000, or 18000, and at no path. */
const listens = ({ native, redirectUris }: ClientConfig) =>
  redirectUris.some((uri) => {
    const { protocol, hostname, port, pathname } = new URL(uri)
    return protocol === 'http:' && hostname === 'localhost' && pathname === '/' && (native || port === '8000')
  })

/** The client whose people sign in by a browser on their machine, with a stock kubelogin. */
export const codeClient = (setting: Setting): ClientConfig | undefined =>
  publicClients(setting).find((client) => client.grants.includes('code') && listens(client))

/** The one for machines without a browser. */
export const deviceClient = (setting: Setting): ClientConfig | undefined =>
  publicClients(setting).find(({ grants }) => grants.includes('device'))

/** The client of our own plugin: the one that reaches most targets, since one sign-in serves all of a client's. */
export function pluginClient(setting: Setting): ClientConfig | undefined {
  const fit = publicClients(setting).filter(
    (client) =>
      setting.accessClients.includes(client) &&
      (client.target === undefined || client.target === setting.config.id) &&
      client.grants.includes('refresh') &&
      (client.grants.includes('device') || loopback(client) !== undefined),
  )
  return [...fit].sort((one, other) => reach(other) - reach(one))[0]
}

/** How many targets one sign-in is for where nothing is named: a client with a target of its own means that one. */
const reach = ({ target, targets }: ClientConfig) => (target === undefined ? targets.length : 1)

/** Where our own plugin can take the browser's answer. */
const loopback = ({ native, grants, redirectUris }: ClientConfig) =>
  native && grants.includes('code')
    ? redirectUris.find((uri) => /^http:\/\/(127\.0\.0\.1|\[::1\]|localhost)[:/]/.test(`${uri}/`))
    : undefined

const base64 = (text: string) => Buffer.from(text).toString('base64')

function kubelogin(setting: Setting, client: ClientConfig, flow: 'code' | 'device'): string {
  const what =
    flow === 'code'
      ? 'kubectl with kubelogin (kubectl oidc-login), which opens the browser.'
      : 'kubectl with kubelogin (kubectl oidc-login), which shows an address and a code to open anywhere.'
  const { issuer, issuerCa } = setting
  const args = [
    'oidc-login',
    'get-token',
    `--oidc-issuer-url=${issuer}`,
    `--oidc-client-id=${client.id}`,
    ...(flow === 'device' ? ['--grant-type=device-code'] : ['--oidc-pkce-method=S256']),
    ...(client !== setting.idClient && setting.accessClients.includes(client) ? ['--oidc-use-access-token'] : []),
    ...extras(setting, client, flow),
    ...(issuerCa === undefined ? [] : [`--certificate-authority-data=${base64(issuerCa)}`]),
  ]
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: 'kubectl',
    args,
    interactiveMode: 'IfAvailable',
  }
  return (
    made(setting, what, 'Install it by `kubectl krew install oidc-login`, or from your distribution.') +
    kubeconfig(setting, { name: `kubelogin-${setting.config.id}`, user: { exec } })
  )
}

function lotse(setting: Setting, client: ClientConfig): string {
  const redirect = loopback(client)
  const args = [
    'kubectl-credential',
    `--issuer=${setting.issuer}`,
    `--client=${client.id}`,
    ...(redirect === undefined ? ['--device'] : [`--redirect=${redirect}`]),
  ]
  const head = made(
    setting,
    'kubectl with the command lotse, which signs in once for all clusters of this gateway.',
    ...(setting.issuerCa === undefined
      ? []
      : ['Set LOTSE_CA to a file with the certificate of who signed that of the gateway.']),
  )
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: 'lotse',
    args,
    // By this the plugin hears which cluster is meant; the user is the same for all of them.
    provideClusterInfo: true,
    interactiveMode: 'IfAvailable',
    installHint: 'The command lotse is missing; it comes from the operators of this cluster.',
  }
  const extension = { target: setting.config.id, audience: setting.audience }
  const extensions = [{ name: 'client.authentication.k8s.io/exec', extension }]
  return head + kubeconfig(setting, { name: `lotse-${client.id}`, user: { exec } }, { extensions })
}

/** What has to be asked for beside `openid`: a refresh token, and the cluster, by scope, since kubelogin's device flow can say nothing else. */
function extras(setting: Setting, client: ClientConfig, flow: 'code' | 'device'): readonly string[] {
  const offline = client.grants.includes('refresh') && !client.alwaysRefresh
  const scopes = [...(offline ? ['offline_access'] : []), ...audienceScopes(setting, client)]
  return [
    ...scopes.map((scope) => `--oidc-extra-scope=${scope}`),
    ...(flow === 'code' && offline && !client.offlineAccess ? ['--oidc-auth-request-extra-params=prompt=consent'] : []),
  ]
}

/** A whole kubeconfig with one cluster and one user. @param more what the cluster has beside its address */
function kubeconfig(
  { config, clusterCa }: Setting,
  user: { readonly name: string; readonly user: Yaml },
  more: { readonly extensions?: Yaml } = {},
): string {
  const cluster = {
    server: config.server.replace(/\/$/, ''),
    ...(clusterCa !== undefined && { 'certificate-authority-data': base64(clusterCa) }),
    ...more,
  }
  return yamlOf({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: config.id, cluster }],
    users: [user],
    contexts: [{ name: config.id, context: { cluster: config.id, user: user.name } }],
    'current-context': config.id,
  })
}
