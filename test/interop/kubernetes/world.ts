import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { configurationReader } from '../../../src/configuration.ts'
import type { Rings } from '../../../src/keys/rings.ts'
import { openRoot } from '../../../src/keys/root-secret.ts'
import { openKeys, openTargets } from '../../../src/signing.ts'
import { selfSigned } from '../../support/certificate.ts'
import { freePort, type GatewayOptions, startGateway, type TestGateway } from '../../support/gateway.ts'
import { type Operator, operator } from '../../support/lotse.ts'
import { type Person, startIdp } from '../../support/oidc-idp.ts'
import { tokensOf } from '../../support/sign-in.ts'
import { people, standardEnv } from '../../support/standard.ts'
import { type Cluster, startCluster, startEtcd } from './cluster.ts'
import { type Headers, startFront } from './front.ts'
import { installKubernetes, type Programs } from './install.ts'

const found = process.env['LOTSE_KUBERNETES']
/** The programs of each version, as the group found them; a file that is run alone looks for them itself. */
export const programs: readonly Programs[] = found === undefined ? await installKubernetes() : JSON.parse(found)

/** What a world has that is not as usual. */
export interface Unusual extends Pick<GatewayOptions, 'lead' | 'store'> {
  /** A proxy stands in front of the gateway, and says this of the keys. */
  readonly front?: Headers
  /** Who is there at the upstream; a test may change them. */
  readonly people?: readonly Person[]
  /** Another configuration, from the usual one. */
  readonly config?: (usual: string) => string
}

/** The same tests at each version, in a world of its own. @param tests gets the world, once they run */
export function atEach(
  wanted: readonly Kind[],
  tests: (world: () => World, version: Programs) => void,
  unusual: Unusual = {},
): void {
  for (const version of programs)
    describe(`Kubernetes ${version.version}`, () => {
      let world: World | undefined
      before(async () => {
        world = await startWorld(version, wanted, unusual)
      })
      after(() => world?.close())
      tests(() => world as World, version)
    })
}

/** How a cluster of this run knows the gateway: by stock flags, or by a structured configuration for any token or for ID tokens alone. */
export const kinds = ['stock', 'structured', 'ids'] as const
export type Kind = (typeof kinds)[number]

/** A gateway with an upstream, and a cluster of each wanted kind that has what `lotse print` wrote and nothing else about it. */
export interface World {
  readonly gateway: TestGateway
  readonly operator: Operator
  /** The rings as a second process sees them: what an attacker with a stolen key has. */
  readonly rings: Rings
  readonly clusters: ReadonlyMap<Kind, Cluster>
  cluster(kind: Kind): Cluster
  /** Ends the kube-apiserver of a cluster and starts it again. */
  restart(kind: Kind): Promise<void>
  /** A rotation of the issuer's keys as an operator asks for it, and the gateway has seen it. What the command said. */
  rotate(how: '' | '--now' | '--emergency'): Promise<string>
  /** The folder that `lotse print` wrote for a cluster. */
  printed(kind: Kind): string
  /** An access token for a cluster. */
  accessToken(kind: Kind, person: string): Promise<string>
  close(): Promise<void>
}

/** The gateway’s certificate, which this process trusts. */
export const tls = selfSigned()
setDefaultCACertificates([...getCACertificates('default'), tls.cert])

/** Everything of the gateway’s configuration that a cluster of this group needs. */
export const config = (upstream: string, ports: Readonly<Record<Kind, number>>) => `
brand: { name: Cloud Nord }
connectors:
  - { id: corp, type: oidc, label: Corp AG, issuer: ${upstream}, clientId: lotse, clientSecret: { env: CORP_SECRET }, scope: openid profile email groups, domain: corp, emailDomains: [corp.example], upstreamLogout: 'off' }
targets:
  - { id: stock, type: kubernetes, server: 'https://127.0.0.1:${ports.stock}', audience: k8s-stock }
  - { id: structured, type: kubernetes, server: 'https://127.0.0.1:${ports.structured}', audience: k8s-structured, alg: ES256, ttl: 5m, usernamePrefix: 'corp-', groupsPrefix: "it's:" }
  - { id: ids, type: kubernetes, server: 'https://127.0.0.1:${ports.ids}', audience: k8s-ids, alg: ES256, usernamePrefix: '', groupsPrefix: '' }
clients:
  - { id: kubectl, native: true, target: structured, targets: [stock, ids], redirectUris: ['http://127.0.0.1/cb', 'http://localhost'], grants: [code, refresh, device], alwaysRefresh: true }
  - { id: lotse-cli, native: true, targets: [stock, structured], redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh, device], offlineAccess: true }
  - { id: k8s-ids, native: true, target: ids, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh], alwaysRefresh: true }
  - { id: portal, native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code] }
tables:
  roles: { dev: [edit], lead: [admin, view] }
rules:
${kinds
  .map(
    (kind) => `  - name: teams at ${kind}
    from: [corp]
    each: { claim: groups, pattern: '/teams/<team>/<rank>' }
    give:
      - { target: ${kind}, namespace: '<team>', roles: { lookup: roles, key: '<rank>' } }
      - { target: ${kind}, group: 'x-<team>' }
  - { name: leads look at all of ${kind}, from: [corp], if: [{ claim: groups, pattern: '/teams/<any>/lead' }], give: [{ target: ${kind}, cluster: true, roles: [view] }] }`,
  )
  .join('\n')}
`

/** @param wanted which clusters; each is ready, and takes tokens of the gateway */
export async function startWorld(version: Programs, wanted: readonly Kind[], unusual: Unusual = {}): Promise<World> {
  const opened = new AsyncDisposableStack()
  const work = await mkdtemp(join(tmpdir(), 'lotse-kubernetes-'))
  opened.defer(() => rm(work, { recursive: true, force: true }))
  try {
    const [port, stock, structured, ids] = [await freePort(), await freePort(), await freePort(), await freePort()]
    const redirectUris = [`https://127.0.0.1:${port}/callback/corp`]
    const clients = [{ id: 'lotse', secret: standardEnv.CORP_SECRET, redirectUris }]
    const idp = await startIdp({ people: unusual.people ?? people, clients })
    opened.defer(() => idp.close())
    const usual = config(idp.issuer, { stock, structured, ids })
    const yaml = unusual.config?.(usual) ?? usual
    const gateway = await startFronted({ config: yaml, env: standardEnv, port, tls }, unusual, opened)
    const commands = await operator(gateway, yaml)
    await writeFile(join(gateway.folder, 'issuer-ca.pem'), tls.cert)
    const etcd = await startEtcd(version, work)
    opened.defer(() => etcd.stop())
    const clusters = new Map<Kind, Cluster>()
    const start = async (kind: Kind) => {
      const flags = await flagsFor(kind, commands, gateway.folder)
      const cluster = await startCluster({
        name: kind,
        programs: version,
        work,
        etcd: etcd.url,
        port: { stock, structured, ids }[kind],
        flags,
      })
      clusters.set(kind, cluster)
    }
    opened.defer(async () => void (await Promise.all([...clusters.values()].map((cluster) => cluster.stop()))))
    await Promise.all(wanted.map(start))
    const world = await composed({ gateway, operator: commands, clusters, start, close: () => opened.disposeAsync() })
    for (const kind of wanted) await taken(world, kind)
    return world
  } catch (error) {
    await opened.disposeAsync()
    throw error
  }
}

/** The gateway, and in front of it what stands there. */
async function startFronted(
  options: GatewayOptions & { readonly port: number; readonly tls: NonNullable<GatewayOptions['tls']> },
  { front, lead, store }: Unusual,
  opened: AsyncDisposableStack,
): Promise<TestGateway> {
  const own = { ...(lead !== undefined && { lead }), ...(store !== undefined && { store }) }
  if (front === undefined) {
    const gateway = await startGateway({ ...options, ...own })
    opened.defer(() => gateway.close())
    return gateway
  }
  const { tls: ended, port, ...rest } = options
  const to = await freePort()
  const gateway = await startGateway({ ...rest, ...own, port: to, issuer: `https://127.0.0.1:${port}` })
  opened.defer(() => gateway.close())
  const proxy = await startFront({ port, tls: ended, to, keys: front })
  opened.defer(() => proxy.close())
  return gateway
}

const flavour = (kind: Kind) => (kind === 'ids' ? '--flavour id-token' : '')
const resource = (kind: Kind) => `urn:lotse:target:${kind}`

interface Parts extends Pick<World, 'gateway' | 'operator' | 'clusters' | 'close'> {
  start(kind: Kind): Promise<void>
}

async function composed({ start, ...parts }: Parts): Promise<World> {
  const { gateway, clusters } = parts
  const cluster = (kind: Kind) => {
    const found = clusters.get(kind)
    if (found === undefined) throw new Error(`no cluster ${kind} in this world`)
    return found
  }
  return {
    ...parts,
    cluster,
    async restart(kind) {
      await cluster(kind).stop()
      await start(kind)
    },
    rotate: (how) => rotated(parts, how),
    rings: await ringsOf(gateway),
    printed: (kind) => join(gateway.folder, kind),
    accessToken: async (kind, person) =>
      (await tokensOf(gateway, 'kubectl', person, { resource: resource(kind) })).access_token,
  }
}

/** Rotates, and lets the gateway see it, which it does within a second by itself. */
export async function rotated(
  { gateway, operator: { lotse } }: Pick<World, 'gateway' | 'operator'>,
  how: '' | '--now' | '--emergency',
): Promise<string> {
  const { code, out, err } = await lotse(`keys rotate issuer ${how}`)
  if (code !== 0) throw new Error(err.join('\n'))
  await gateway.app.tick()
  return out.join('\n')
}

/** Prints for the cluster and reads its flags from there. */
export async function flagsFor(kind: Kind, { lotse }: Operator, folder: string): Promise<readonly string[]> {
  const said = await lotse(`print ${kind} --out ${kind} ${flavour(kind)} --namespaces web,db --issuer-ca issuer-ca.pem`)
  if (said.code !== 0) throw new Error(said.err.join('\n'))
  const made = join(folder, kind, 'authentication')
  if (kind !== 'stock') return [`--authentication-config=${join(made, 'v1.yaml')}`]
  const lines = (await readFile(join(made, 'flags.txt'), 'utf8')).split('\n').filter((line) => line.startsWith('--'))
  // Where the files stand on a control-plane machine.
  return lines.map((line) => line.replace('/etc/kubernetes/lotse', made))
}

/** What the operator hands to people, in `people/KIND` of the gateway's folder: printed again, now that the clusters have certificates. */
export async function printForPeople({ operator, gateway, cluster }: World, wanted: readonly Kind[]): Promise<void> {
  for (const kind of wanted) {
    await writeFile(join(gateway.folder, `${kind}-ca.pem`), cluster(kind).ca)
    const said = await operator.lotse(
      `print ${kind} --out people/${kind} ${flavour(kind)} --issuer-ca issuer-ca.pem --cluster-ca ${kind}-ca.pem`,
    )
    if (said.code !== 0) throw new Error(said.err.join('\n'))
  }
}

async function ringsOf(gateway: TestGateway): Promise<Rings> {
  const now = () => Math.floor(Date.now() / 1000)
  const read = await configurationReader({ env: standardEnv, now })(join(gateway.folder, 'gateway.yaml'))
  if (!read.ok) throw new Error('the configuration does not load')
  const root = await openRoot(join(gateway.folder, 'keys'), { create: 'refused' })
  const ports = { store: gateway.store, root, audit: async () => {}, now, mode: 'command' as const }
  return openKeys(ports, read.config, openTargets(read.config))
}

/** A kube-apiserver asks for its issuer every ten seconds until it is there. */
async function taken({ cluster, gateway, accessToken }: World, kind: Kind): Promise<void> {
  const token = kind === 'ids' ? (await tokensOf(gateway, 'k8s-ids', 'ada')).id_token : await accessToken(kind, 'ada')
  const until = Date.now() + 30_000
  while ((await cluster(kind).whoami(token)).status !== 201) {
    if (Date.now() > until) throw new Error(`${kind} takes no token:\n${(await cluster(kind).log()).slice(-3000)}`)
    await delay(200)
  }
}
