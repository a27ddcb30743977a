import { execFile } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { promisify } from 'node:util'
import type { Io } from '../../../src/cli/command.ts'
import { main } from '../../../src/cli/index.ts'
import { selfSigned } from '../../support/certificate.ts'
import { freePort, startGateway, type TestGateway } from '../../support/gateway.ts'
import { type Idp, type Person, startIdp } from '../../support/oidc-idp.ts'
import { root } from '../../support/runner.ts'
import { type Cloud, openCloud } from './cloud.ts'
import { ADMIN_PASSWORD, type Kind } from './install.ts'
import { dressAsKolla, registerAsKolla } from './kolla.ts'
import { type Keystone, type Place, type Printed, startKeystone } from './server.ts'

const call = promisify(execFile)

/** Of the gateway and of Keystone's Apache; this process trusts it. */
export const tls = selfSigned()
setDefaultCACertificates([...getCACertificates('default'), tls.cert])

export const env = {
  CORP_SECRET: 'a-secret-of-the-upstream-client-0123456789',
  APACHE_SECRET: 'a secret of Apache "itself", with \\ in it 0123',
  SERVICE_SECRET: 'service-secret-0123456789-0123456789',
} as const

/** The upstream and its people, the gateway, one Keystone that knows of it what `lotse print` wrote, and the administrator's view. */
export interface World {
  readonly kind: Kind
  readonly idp: Idp
  readonly gateway: TestGateway
  readonly keystone: Keystone
  readonly cloud: Cloud
  /** Where `lotse print` wrote. */
  readonly printed: string
  /** Prints for another way to set Apache up, and starts it so on the same database. */
  dress(flavour: Flavour): Promise<void>
  /** What `lotse explain --json --target cloud` says about somebody with these claims. */
  explain<T>(claims: object): Promise<T>
  /** PEM: the authority of the gateway and of Keystone's Apache, with the system's. */
  readonly ca: string
  close(): Promise<void>
}

export type Flavour = 'apache' | 'kolla' | 'mod_oauth2' | 'introspection'

export interface WorldOptions {
  readonly people: readonly Person[]
  readonly flavour?: Flavour
  /** YAML of a rule's list, in place of the usual one. */
  readonly rules?: string
  /** Where dashboards take tokens. */
  readonly dashboards?: readonly string[]
}

export const DASHBOARD = 'https://horizon.example/auth/websso/'

/** Everything by itself, on free ports; `close` it. */
export async function startWorld(kind: Kind, options: WorldOptions): Promise<World> {
  const [gatewayPort, keystonePort] = [await freePort(), await freePort()]
  const redirectUris = [`https://127.0.0.1:${gatewayPort}/callback/corp`]
  const idp = await startIdp({
    people: options.people,
    clients: [{ id: 'lotse', secret: env.CORP_SECRET, redirectUris }],
  })
  const closing: (() => Promise<void>)[] = [() => idp.close()]
  const close = async () => {
    for (const each of closing.toReversed()) await each()
  }
  try {
    const config = configuration(kind, options, { idp: idp.issuer, keystone: `https://127.0.0.1:${keystonePort}` })
    const gateway = await startGateway({ config, env, port: gatewayPort, tls })
    closing.push(() => gateway.close())
    // What `lotse serve` does every second.
    const { app } = gateway
    const chores = setInterval(() => void Promise.all([app.tick(), app.deliver(), app.end()]), 1000)
    closing.push(async () => clearInterval(chores))
    const printed = await print(gateway, config, options.flavour ?? 'apache')
    const files = (place: Place) => startable(printed, options.flavour === 'kolla' ? place : undefined)
    const keystone = await startKeystone({ kind, port: keystonePort, tls, printed: files })
    closing.push(() => keystone.stop())
    const dress = async (flavour: Flavour) => keystone.restart(await startable(await print(gateway, config, flavour)))
    const explain = <T>(claims: object) => explained<T>(gateway, claims)
    const world = { kind, idp, gateway, keystone, printed, dress, explain, ca: join(keystone.folder, 'ca.pem'), close }
    const cloud = await openCloud(keystone.url, ADMIN_PASSWORD)
    await (options.flavour === 'kolla' ? registerAsKolla(cloud, keystone, printed) : register(world))
    return { ...world, cloud }
  } catch (error) {
    await close()
    throw error
  }
}

function configuration(kind: Kind, options: WorldOptions, at: { idp: string; keystone: string }): string {
  const { flavour = 'apache', dashboards = [DASHBOARD], rules = usualRules(kind) } = options
  const redirect = `${at.keystone}/redirect_uri`
  const grant = flavour === 'kolla' ? 'implicit' : 'code'
  const native = `native: true, redirectUris: ['http://127.0.0.1/cb']`
  return `
connectors:
  - { id: corp, type: oidc, label: Corp AG, issuer: '${at.idp}', clientId: lotse, clientSecret: { env: CORP_SECRET }, scope: openid profile email groups, domain: corp, emailDomains: [corp.example], upstreamLogout: 'off' }
targets:
  - { id: cloud, type: keystone, label: Keystone of Cloud Nord, url: '${at.keystone}/v3', audience: keystone, domain: corp, mappingSchema: '${kind.schema}', dashboards: ${JSON.stringify(dashboards)} }
  - { id: prod, type: kubernetes, label: Cluster prod, server: https://10.0.0.1:6443, audience: k8s-prod, alg: ES256 }
clients:
  - { id: keystone, label: Dashboard, target: cloud, accessToken: opaque, auth: client_secret_basic, secret: { env: APACHE_SECRET }, redirectUris: ['${redirect}'], grants: [${grant}], introspect: true, backchannelLogout: { url: '${redirect}?logout=backchannel', private: true } }
  - { id: openstack, label: openstack, target: cloud, ${native}, grants: [code, refresh, device], offlineAccess: true, neverSlowDown: true }
  - { id: openstack-service, label: openstack, target: cloud, auth: client_secret_basic, secret: { env: SERVICE_SECRET }, ${native}, pkce: optional, grants: [code, device], neverSlowDown: true }
  - { id: robot, target: cloud, auth: client_secret_basic, secret: { env: SERVICE_SECRET }, grants: [client_credentials], serviceAccount: { connector: corp, id: robot-1, claims: { preferred_username: [robot-1], groups: [/teams/web/dev] } } }
  - { id: kubectl, target: prod, ${native}, grants: [code, refresh], offlineAccess: true }
rules:
${rules}`
}

/** Teams are projects where the mapping can say so; everywhere they are groups. */
const usualRules = ({ schema }: Kind) => `
  - name: teams
    from: [corp]
    each: { claim: groups, pattern: '/teams/<team>/<rank>' }
    give:
      - { target: cloud, group: '<team>' }
      - { target: prod, group: 'x-<team>' }
${schema === '3.0' ? "      - { target: cloud, project: '<team>', roles: { lookup: ranks, key: '<rank>' } }" : ''}
  - name: groups as they are
    from: [corp]
    each: { claim: plain, regex: '(?<name>(?s).+)' }
    give: [{ target: cloud, group: '<name>' }]
tables:
  ranks: { dev: member, lead: [manager, member], reader: reader }
`

/** Runs `lotse print cloud` as an operator does. */
async function print(gateway: TestGateway, config: string, flavour: Flavour): Promise<string> {
  const head = `issuer: ${gateway.issuer}\nlisten: { port: 0 }\nstore: { kind: embedded, path: ./lotse.db }\nkeys: { create: true }\n`
  await writeFile(join(gateway.folder, 'main.yaml'), head + config)
  const args = ['print', 'cloud', '--config', 'main.yaml', '--out', 'printed', '--flavour', flavour]
  await call(process.execPath, [join(root, 'src/main.ts'), ...args], {
    cwd: gateway.folder,
    env: { ...process.env, ...env },
  })
  return join(gateway.folder, 'printed')
}

async function explained<T>({ folder }: TestGateway, claims: object): Promise<T> {
  const [out, err]: [string[], string[]] = [[], []]
  const io: Io = {
    out: (text) => out.push(text),
    send: async (text) => void out.push(text),
    err: (text) => err.push(text),
    input: async () => JSON.stringify(claims),
    env,
    cwd: folder,
    columns: undefined,
    now: () => Math.floor(Date.now() / 1000),
    stop: new AbortController().signal,
    onHangup: () => {},
  }
  const words = 'explain --connector corp --target cloud --json --claims - --config'.split(' ')
  await main([...words, join(folder, 'main.yaml')], io)
  if (out.length === 0) throw new Error(err.join('\n'))
  return JSON.parse(out.join('\n')) as T
}

/** The printed files that Apache and Keystone read. */
export /** @param kolla where Apache is set up by kolla-ansible */
async function startable(printed: string, kolla?: Place): Promise<Printed> {
  if (kolla !== undefined) return await dressAsKolla(kolla, printed)

  const apache = await readdir(join(printed, 'apache')).catch(() => [])
  return {
    apache: apache.filter((name) => name.endsWith('.conf')).map((name) => join(printed, 'apache', name)),
    keystone: join(printed, 'keystone/keystone.conf.part'),
  }
}

/** What an administrator's shell has, and nothing of the machine's own. */
export function shellOf({ kind, keystone, ca }: Pick<World, 'kind' | 'keystone' | 'ca'>): Record<string, string> {
  const path = process.env['PATH'] ?? ''
  return {
    PATH: kind.name === 'newest' ? `${join(kind.venv, 'bin')}:${path}` : path,
    HOME: keystone.folder,
    OS_CACERT: ca,
  }
}

/** The environment of a shell of the cloud's administrator. */
export const administrator = (url: string) => ({
  OS_AUTH_URL: `${url}/v3`,
  OS_USERNAME: 'admin',
  OS_PASSWORD: ADMIN_PASSWORD,
  OS_PROJECT_NAME: 'admin',
  OS_USER_DOMAIN_ID: 'default',
  OS_PROJECT_DOMAIN_ID: 'default',
  OS_IDENTITY_API_VERSION: '3',
})

async function register(world: Pick<World, 'kind' | 'keystone' | 'ca' | 'printed'>): Promise<void> {
  const shell = { ...shellOf(world), ...administrator(world.keystone.url) }
  await call('bash', [join(world.printed, 'keystone/register.sh')], { env: shell, timeout: 120_000 })
}
