import { execFile } from 'node:child_process'
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe } from 'node:test'
import { promisify } from 'node:util'
import { accountId } from '../../../src/core/subject.ts'
import { freePort, type TestGateway } from '../../support/gateway.ts'
import type { Said } from '../../support/lotse.ts'
import { root } from '../../support/runner.ts'
import { type Place, parsed, type Serving, serve } from '../../support/serving.ts'
import { kinds } from './both.ts'
import { type Cloud, openCloud } from './cloud.ts'
import { ADMIN_PASSWORD, type Kind } from './install.ts'
import { type Keystone, startKeystone } from './server.ts'
import { startTeller, type Teller } from './teller.ts'
import { administrator, shellOf, startable, tls } from './world.ts'

const call = promisify(execFile)

/** A gateway as a process of its own, a Keystone into which it writes, and an upstream whose word changes. */
export interface Reconciled {
  readonly kind: Kind
  readonly upstream: Teller
  readonly at: Place
  readonly gateway: Pick<TestGateway, 'issuer' | 'post'>
  readonly keystone: Keystone
  readonly cloud: Cloud
  /** The process that serves now. */
  serving(): Serving
  /** Starts the gateway anew; it serves when this resolves. */
  serve(): Promise<void>
  /** Stops Keystone, and starts it again with all that it had. */
  down(): Promise<void>
  up(): Promise<void>
  /** An operator's command on the gateway's machine, in a process of its own. */
  lotse(line: string): Promise<Said>
  /** What was written into Keystone's users, places and roles since a mark, as Apache saw it: `PUT /v3/groups/…`. */
  writes(since?: number): Promise<readonly string[]>
  /** How many lines Apache's log has. */
  mark(): Promise<number>
  /** Every audit event, of the gateway and of commands. */
  audit(): Promise<readonly Readonly<Record<string, unknown>>[]>
  close(): Promise<void>
}

export interface ReconciledOptions {
  /** Ids of everybody whom the upstream ever knows. */
  readonly people: readonly string[]
  /** YAML inside `reconcile`. */
  readonly reconcile?: string
}

/** The gateway's `sub` of a person of a connector. */
export const subOf = (id: string, connector = 'corp') => accountId({ connector, id })

const main = join(root, 'src/main.ts')

/** Everything by itself, on free ports; `close` it. */
export async function startReconciled(kind: Kind, options: ReconciledOptions): Promise<Reconciled> {
  const ports = [await freePort(), await freePort()] as const
  const keystonePort = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'lotse-reconciled-'))
  const at = placeIn(folder, ports)
  const closing = [() => rm(folder, { recursive: true, force: true })]
  const close = async () => {
    for (const each of closing.toReversed()) await each()
  }
  try {
    const upstream = await startTeller(options.people, at.issuer)
    closing.push(() => upstream.close())
    await writeFile(at.file, configuration(kind, options, { at, upstream: upstream.issuer, keystonePort }))
    for (const [name, text] of Object.entries(files())) await writeFile(join(folder, name), text)
    const { code, err } = await lotse(folder, 'print cloud --out printed --flavour apache')
    if (code !== 0) throw new Error(err.join('\n'))
    const printed = join(folder, 'printed')
    const keystone = await startKeystone({ kind, port: keystonePort, tls, printed: await startable(printed) })
    closing.push(() => keystone.stop())
    await setUp({ kind, keystone, printed })
    let serving = await served(at)
    closing.push(() => serving.kill())
    const lines = async () =>
      (await readFile(join(keystone.folder, 'log/access.log'), 'utf8')).split('\n').filter(Boolean)
    return {
      ...{ kind, upstream, at, keystone, close },
      gateway: { issuer: at.issuer, post: (path, fields, headers) => post(at.issuer + path, fields, headers) },
      cloud: await openCloud(keystone.url, ADMIN_PASSWORD),
      serving: () => serving,
      async serve() {
        serving = await served(at)
      },
      down: () => keystone.halt(),
      up: async () => keystone.restart(await startable(printed)),
      lotse: (line) => lotse(folder, line),
      writes: async (since = 0) => (await lines()).slice(since).flatMap(writeIn),
      mark: async () => (await lines()).length,
      audit: async () => (await readFile(join(folder, 'audit.log'), 'utf8')).split('\n').filter(Boolean).map(parsed),
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** The same tests at each Keystone. @param tests gets the world, once they run */
export function atEachReconciled(
  options: ReconciledOptions,
  tests: (world: () => Reconciled, kind: Kind) => void,
): void {
  for (const kind of kinds)
    describe(kind.label, () => {
      let world: Reconciled | undefined
      before(async () => {
        world = await startReconciled(kind, options)
      })
      after(() => world?.close())
      tests(() => world as Reconciled, kind)
    })
}

const writing = /"((?:POST|PUT|PATCH|DELETE) \/v3\/(?:users|groups|projects|domains)\S*) HTTP/

const writeIn = (line: string): readonly string[] => writing.exec(line)?.slice(1) ?? []

function placeIn(folder: string, ports: Place['ports']): Place {
  const file = join(folder, 'gateway.yaml')
  return {
    ...{ folder, file, ports },
    issuer: `https://127.0.0.1:${ports[0]}`,
    operations: `http://127.0.0.1:${ports[1]}`,
    async change(from, to) {
      const yaml = await readFile(file, 'utf8')
      if (!yaml.includes(from)) throw new Error(`${JSON.stringify(from)} does not stand in the configuration`)
      await writeFile(
        file,
        yaml.replace(from, () => to),
      )
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

const files = (): Readonly<Record<string, string>> => ({
  'tls.crt': tls.cert,
  'tls.key': tls.key,
  corp: 'a-secret-of-the-upstream-client-0123456789',
  apache: 'a-secret-of-apache-0123456789-0123456789',
  lotse: 'a-password-of-the-reconciler-0123456789',
})

interface Around {
  readonly at: Place
  readonly upstream: string
  readonly keystonePort: number
}

function configuration(kind: Kind, { reconcile = '' }: ReconciledOptions, { at, upstream, keystonePort }: Around) {
  const connector = `type: oidc, issuer: '${upstream}', clientId: lotse, clientSecret: { file: corp }, scope: openid profile email groups, domain: corp, upstreamLogout: 'off'`
  const native = `native: true, redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh], offlineAccess: true`
  const keystone = `https://127.0.0.1:${keystonePort}`
  return `issuer: ${at.issuer}
listen: { port: ${at.ports[0]}, tls: { certificate: tls.crt, key: tls.key } }
operations: { port: ${at.ports[1]} }
store: { kind: embedded, path: ./lotse.db }
keys: { create: true, rsaBits: 2048 }
audit: { path: ./audit.log }
connectors:
  - { id: corp, label: Corp AG, ${connector}, recheckAfter: 2s }
  - { id: brief, label: For a while, ${connector}, maxProofAge: 1m }
targets:
  - id: cloud
    type: keystone
    label: Keystone of Cloud Nord
    url: '${keystone}/v3'
    ca: { file: tls.crt }
    audience: keystone
    domain: corp
    mappingSchema: '${kind.schema === '3.0' ? '2.0' : '1.0'}'
    reconcile:
      user: { name: lotse, domain: corp, password: { file: lotse }, scope: { domain: corp } }
      perSecond: 1000
      ${reconcile}
  - { id: argo, type: oidc, label: Argo CD, audience: https://argo.example }
clients:
  - { id: keystone, label: Dashboard, target: cloud, accessToken: opaque, auth: client_secret_basic, secret: { file: apache }, redirectUris: ['${keystone}/redirect_uri'], grants: [code], introspect: true, backchannelLogout: { url: '${keystone}/redirect_uri?logout=backchannel', private: true } }
  - { id: openstack, label: openstack, target: cloud, ${native} }
  - { id: argo, label: Argo CD, target: argo, ${native} }
rules:
  - name: teams
    from: [corp, brief]
    each: { claim: groups, pattern: '/teams/<team>/<rank>' }
    give:
      - { target: cloud, project: '<team>', roles: { lookup: ranks, key: '<rank>' } }
      - { target: argo, group: 'x-<team>' }
  - name: circles
    from: [corp]
    each: { claim: groups, pattern: '/circles/<circle>' }
    give: [{ target: cloud, group: '<circle>' }]
tables:
  ranks: { dev: member, reader: reader }
`
}

async function lotse(folder: string, line: string): Promise<Said> {
  const env = { PATH: process.env['PATH'] }
  const args = [main, ...line.split(' '), '--config', 'gateway.yaml']
  const lines = (text: string) => text.split('\n').filter(Boolean)
  try {
    const { stdout, stderr } = await call(process.execPath, args, { cwd: folder, env })
    return { code: 0, out: lines(stdout), err: lines(stderr) }
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: unknown; stdout: string; stderr: string }
    if (typeof code !== 'number') throw error
    return { code, out: lines(stdout), err: lines(stderr) }
  }
}

/** What an administrator does with what was printed, and nothing else. */
async function setUp(world: Pick<Reconciled, 'kind' | 'keystone'> & { readonly printed: string }): Promise<void> {
  const { kind, keystone, printed } = world
  const shell = shellOf({ kind, keystone, ca: join(keystone.folder, 'ca.pem') })
  const env = { ...shell, ...administrator(keystone.url), TYPED: files()['lotse'] }
  const type = join(import.meta.dirname, 'type.py')
  for (const name of ['register.sh', 'reconciler.sh'])
    await call('python3', [type, 'bash', join(printed, 'keystone', name)], { env, timeout: 300_000 })
  if (kind.name !== 'debian') return // newer ones allow as much by themselves
  const policies = join(printed, 'keystone/policy.d')
  for (const name of await readdir(policies))
    await copyFile(join(policies, name), join(keystone.folder, 'policy.d', name))
  await keystone.restart(await startable(printed))
}

const started = new Set<Serving>()

// A gateway must not outlive this process, however that ends.
process.once('exit', () => {
  for (const { child } of started) child.kill('SIGKILL')
})

async function served(at: Place): Promise<Serving> {
  const serving = serve(at)
  started.add(serving)
  await serving.logged('serving')
  return serving
}

async function post(url: string, fields: Record<string, string>, headers: Record<string, string> = {}) {
  const answer = await fetch(url, { method: 'POST', body: new URLSearchParams(fields), headers })
  const text = await answer.text()
  return { status: answer.status, body: text.startsWith('{') ? JSON.parse(text) : { text }, headers: answer.headers }
}
