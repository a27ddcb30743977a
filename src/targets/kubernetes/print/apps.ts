import type { ClientConfig } from '../../../config/clients.ts'
import type { GeneratedFile } from '../../../core/ports.ts'
import { type Yaml, yamlOf } from '../../yaml.ts'
import { celText } from './authentication.ts'
import { audienceScopes, made, type Setting } from './setting.ts'

/** The client of a program; a name alone where the configuration has none for it yet. */
interface Known {
  readonly id: string
  readonly config: ClientConfig | undefined
}

/** A program with a web page that signs people in for a cluster. */
interface App {
  readonly name: string
  readonly path: string
  /** Where it takes answers: by this its client is known. */
  readonly answers: string
  /** How the file is used. */
  readonly use: string
  /** @param url of the program, without a slash at the end */
  content(setting: Setting, client: Known, url: string): Yaml
}

const scopes = ['openid', 'profile', 'email', 'groups']

const apps: readonly App[] = [
  {
    name: 'Argo CD',
    path: 'argocd/argocd-cm.yaml',
    answers: '/auth/callback',
    use: 'Part of the ConfigMap argocd-cm; the secret stands in argocd-secret under oidc.lotse.clientSecret.',
    content: (setting, client, url) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'argocd-cm', namespace: 'argocd' },
      data: {
        url,
        'oidc.config': yamlOf({
          name: 'Lotse',
          issuer: setting.issuer,
          clientID: client.id,
          clientSecret: '$oidc.lotse.clientSecret',
          requestedScopes: scopes,
          enablePKCEAuthentication: true,
          rootCA: setting.issuerCa,
        }),
      },
    }),
  },
  {
    name: 'Headlamp',
    path: 'headlamp/values.yaml',
    answers: '/oidc-callback',
    use: 'Values of the Helm chart: helm upgrade … -f FILE --set config.oidc.clientSecret=SECRET. Its tokens go to the cluster as they are.',
    content: (setting, client, url) => {
      const asks = client.config === undefined ? [] : audienceScopes(setting, client.config)
      // An ID token is for the client that asked, and for this cluster where that is the same or a scope asks for it.
      const idToken = client.id === setting.idClient?.id || (asks.length > 0 && setting.flavour !== 'access-token')
      return {
        config: {
          oidc: {
            clientID: client.id,
            issuerURL: setting.issuer,
            callbackURL: `${url}/oidc-callback`,
            scopes: [...scopes, ...asks].join(','),
            usePKCE: true,
            ...(idToken ? {} : { useAccessToken: true }),
          },
        },
      }
    },
  },
  {
    name: 'Flux Operator',
    path: 'flux/web-config.yaml',
    answers: '/oauth2/callback',
    use: 'The configuration of the web page of the Flux Operator, as the key config.yaml of its Secret; put the client secret in.',
    content: ({ issuer, config }, { id }, url) => ({
      apiVersion: 'web.fluxcd.controlplane.io/v1',
      kind: 'Config',
      spec: {
        baseURL: url,
        authentication: {
          type: 'OAuth2',
          oauth2: {
            provider: 'OIDC',
            issuerURL: issuer,
            clientID: id,
            clientSecret: '<CLIENT SECRET>',
            scopes: [...scopes, 'offline_access'],
            impersonation: {
              username: `${celText(config.usernamePrefix)} + claims.preferred_username`,
              groups: `claims.groups.map(g, ${celText(config.groupsPrefix)} + g)`,
            },
          },
        },
      },
    }),
  },
]

/** Snippets for dashboards: with the client that takes answers where they do, else with what to write for one. */
export function appFiles(setting: Setting): readonly GeneratedFile[] {
  return apps.map((app) => {
    const client = clientOf(setting, app)
    const answer = client?.redirectUris.find((uri) => uri.endsWith(app.answers))
    const name = app.name.toLowerCase().replaceAll(' ', '-')
    const url = answer?.slice(0, -app.answers.length) ?? `https://${name}.example`
    const missing = `No client takes answers at …${app.answers}; write in clients: - { id: ${name}, target: ${setting.config.id}, auth: client_secret_basic, secret: { env: SECRET }, redirectUris: ['${url}${app.answers}'], grants: [code, refresh], alwaysRefresh: true }`
    const head = made(setting, `${app.name}. ${app.use}`, ...(client === undefined ? [missing] : []))
    return {
      path: app.path,
      content: head + yamlOf(app.content(setting, { id: client?.id ?? name, config: client }, url)),
    }
  })
}

/** One that may have this cluster's tokens is taken before others. */
function clientOf({ clients, accessClients, idClient }: Setting, { answers }: App): ClientConfig | undefined {
  const all = [...(idClient === undefined ? [] : [idClient]), ...accessClients, ...clients]
  return all.find(({ redirectUris }) => redirectUris.some((uri) => uri.startsWith('https:') && uri.endsWith(answers)))
}
