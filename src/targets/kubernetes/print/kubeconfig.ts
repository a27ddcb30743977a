import type { ClientConfig } from '../../../config/clients.ts'
import type { GeneratedFile } from '../../../core/ports.ts'
import { resourceOf } from '../../resource.ts'
import { type Yaml, yamlOf } from '../../yaml.ts'
import { made, type Setting } from './setting.ts'

/** How people's kubectl comes to a token; each file is whole, and merges with others by KUBECONFIG=A:B. */
export function kubeconfigFiles(setting: Setting): readonly GeneratedFile[] {
  const code = codeClient(setting)
  const device = deviceClient(setting)
  return [
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
  const { idClient, accessClients, config } = setting
  const own = accessClients.filter(({ target }) => target === config.id)
  const all = [...(idClient === undefined ? [] : [idClient]), ...own, ...accessClients]
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

/** The one for machines without a browser; kubelogin cannot name a resource there, so the cluster has to be the client's own target. */
export const deviceClient = (setting: Setting): ClientConfig | undefined =>
  publicClients(setting).find(
    (client) => client.grants.includes('device') && (client === setting.idClient || isOwn(setting, client)),
  )

/** Whether its access tokens are for this cluster without being asked. */
const isOwn = ({ config }: Setting, { target, accessToken }: ClientConfig) =>
  target === config.id && accessToken === 'jwt'

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
    ...(client === setting.idClient ? [] : ['--oidc-use-access-token']),
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
    kubeconfig(setting, { exec })
  )
}

/** What has to be asked for beside `openid`: a refresh token, and the cluster where it is not the client's own target. */
function extras(setting: Setting, client: ClientConfig, flow: 'code' | 'device'): readonly string[] {
  const { config, audience, idClient } = setting
  const offline = client.grants.includes('refresh') && !client.alwaysRefresh
  const named = client !== idClient && !isOwn(setting, client)
  const params = [
    ...(offline && !client.offlineAccess ? ['prompt=consent'] : []),
    ...(named ? [`resource=${URL.canParse(audience) ? audience : resourceOf(config.id)}`] : []),
  ]
  return [
    ...(offline ? ['--oidc-extra-scope=offline_access'] : []),
    ...(flow === 'code' ? params.map((param) => `--oidc-auth-request-extra-params=${param}`) : []),
  ]
}

/** A whole kubeconfig with one cluster and one user. */
function kubeconfig({ config, clusterCa }: Setting, user: Yaml): string {
  const cluster = {
    server: config.server.replace(/\/$/, ''),
    ...(clusterCa !== undefined && { 'certificate-authority-data': base64(clusterCa) }),
  }
  const who = `lotse-${config.id}`
  return yamlOf({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: config.id, cluster }],
    users: [{ name: who, user }],
    contexts: [{ name: config.id, context: { cluster: config.id, user: who } }],
    'current-context': config.id,
  })
}
