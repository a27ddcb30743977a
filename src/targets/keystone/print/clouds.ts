import type { ClientConfig } from '../../../config/clients.ts'
import type { GeneratedFile } from '../../../core/ports.ts'
import { yamlText } from '../../quote.ts'
import { comments, made, type Setting } from './setting.ts'

/** One way of the `openstack` command to sign in. */
interface Entry {
  readonly name: string
  readonly why: string
  readonly plugin: string
  readonly auth: Readonly<Record<string, string | number>>
  readonly secret?: string | undefined
}

/** clouds.yaml with an entry for each plug-in that the configured clients allow; client secrets stand in secure.yaml beside it. */
export function cloudFiles(setting: Setting): readonly GeneratedFile[] {
  const entries = entriesOf(setting)
  const head = [
    ...made(setting, 'For people and programs with the `openstack` command: ~/.config/openstack/clouds.yaml.'),
    'Choose one by --os-cloud NAME or OS_CLOUD=NAME, and name a project: in the entry, or by OS_PROJECT_NAME and',
    'OS_PROJECT_DOMAIN_NAME. Each call signs in anew, unless `cache: { auth: true }` and a keyring keep the token.',
    'A certificate authority of your own: add `cacert: FILE` to each entry.',
  ]
  const clouds = `${comments(head)}\nclouds:\n${entries.map((entry) => cloud(setting, entry)).join('\n')}`
  const secrets = entries.filter(({ secret }) => secret !== undefined)
  if (secrets.length === 0) return [{ path: 'cli/clouds.yaml', content: clouds }]
  const notes = made(
    setting,
    'Client secrets, read together with clouds.yaml beside it: for programs, never for people.',
  )
  const lines = secrets.map(
    ({ name, secret = '' }) => `  ${yamlText(name)}:\n    auth:\n      client_secret: ${yamlText(secret)}\n`,
  )
  return [
    { path: 'cli/clouds.yaml', content: clouds },
    { path: 'cli/secure.yaml', content: `${comments(notes)}\nclouds:\n${lines.join('')}`, secret: true },
  ]
}

function cloud(setting: Setting, { name, why, plugin, auth }: Entry): string {
  const { identityProvider, protocol } = setting.config
  const all = { auth_url: setting.api, identity_provider: identityProvider, protocol, ...auth }
  const line = ([key, value]: [string, string | number]) =>
    `      ${key}: ${typeof value === 'number' ? value : yamlText(value)}`
  return `  # ${why}
  ${yamlText(name)}:
    auth_type: ${plugin}
    identity_api_version: "3"
    auth:
${Object.entries(all).map(line).join('\n')}
      #project_name: web
      #project_domain_name: ${yamlText(setting.config.domain)}
`
}

function entriesOf(setting: Setting): readonly Entry[] {
  const { config, others } = setting
  const jwt = others.filter(({ accessToken }) => accessToken === 'jwt')
  return [
    {
      name: config.id,
      why: 'Recommended: opens the browser, as the dashboard does. keystoneauth 5.18 or newer; a first sign-in may take minutes.',
      plugin: 'v3websso',
      auth: { login_timeout: 300 },
    },
    ...jwt.flatMap((client) => ways.flatMap((way) => way(setting, client) ?? [])),
    ...(jwt.length === 0 ? [] : [bearer(setting)]),
  ]
}

const common = ({ issuer }: Setting, { id }: ClientConfig) => ({
  discovery_endpoint: `${issuer}/.well-known/openid-configuration`,
  client_id: id,
  openid_scope: 'openid email profile',
})

type Way = (setting: Setting, client: ClientConfig) => Entry | undefined

/** keystoneauth knows HTTP Basic, or no secret at all. */
const speaks = ({ auth }: ClientConfig) => auth === 'none' || auth === 'client_secret_basic'

const ways: readonly Way[] = [device, code, credentials]

function device(setting: Setting, client: ClientConfig): Entry | undefined {
  if (!client.grants.includes('device') || !speaks(client)) return undefined
  // keystoneauth ends the sign-in at `slow_down`.
  const care = client.neverSlowDown ? '' : `; write neverSlowDown: true for client ${client.id}, else it may end early`
  return {
    name: `${setting.config.id}-${client.id}-device`,
    why: `Shows an address and a code to open anywhere. keystoneauth 5.11 or newer, 5.9 and 5.10 poll wrongly${care}.`,
    plugin: 'v3oidcdeviceauthz',
    auth: { ...common(setting, client), code_challenge_method: 'S256' },
    secret: client.secret,
  }
}

function code(setting: Setting, client: ClientConfig): Entry | undefined {
  const [redirect] = client.redirectUris
  // The plug-in sends no verifier.
  if (!client.grants.includes('code') || client.pkce !== 'optional' || !speaks(client) || redirect === undefined)
    return undefined
  return {
    name: `${setting.config.id}-${client.id}-code`,
    why: 'For a code that was fetched by other means: --os-code=CODE (it may begin with -).',
    plugin: 'v3oidcauthcode',
    auth: { ...common(setting, client), redirect_uri: redirect },
    secret: client.secret,
  }
}

function credentials(setting: Setting, client: ClientConfig): Entry | undefined {
  if (!client.grants.includes('client_credentials') || client.auth !== 'client_secret_basic') return undefined
  return {
    name: `${setting.config.id}-${client.id}`,
    why: 'A program by its own secret, which stands in secure.yaml.',
    plugin: 'v3oidcclientcredentials',
    auth: common(setting, client),
    secret: client.secret,
  }
}

function bearer({ config }: Setting): Entry {
  return {
    name: `${config.id}-token`,
    why: 'For an access token that is there already: --os-access-token TOKEN, or OS_ACCESS_TOKEN.',
    plugin: 'v3oidcaccesstoken',
    auth: {},
  }
}
