import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { type App, openApp } from '../app.ts'
import { openAudit } from '../audit-log.ts'
import { isLoopback } from '../config/fields.ts'
import { type Loaded, load } from '../config/load.ts'
import { problemText } from '../config/problem.ts'
import { runnable } from '../configuration.ts'
import { connectorTypes } from '../connectors/index.ts'
import type { Policy } from '../core/compile.ts'
import type { Clock, Log } from '../core/ports.ts'
import { accountId, type Subject } from '../core/subject.ts'
import { openRoot } from '../keys/root-secret.ts'
import { re2 } from '../regex.ts'
import { listen } from '../server.ts'
import { openTargets } from '../signing.ts'
import { openEmbedded } from '../store/embedded.ts'
import { targetTypes } from '../targets/index.ts'
import type { Target } from '../targets/target.ts'
import { type Organisation, organisations } from './people.ts'
import { openUpstream } from './upstream.ts'
import { fillShelf, type Held } from './wallet/held.ts'
import { openWallet } from './wallet/server.ts'
import { openStatusLists } from './wallet/status.ts'
import { openWeb } from './web.ts'

/** The demo cannot start; the message is for the person who started it. */
export class DemoRefused extends Error {
  override readonly name = 'DemoRefused'
}

export interface WorldOptions {
  /** The configuration: config/demo.yaml, or a copy with other rules. */
  readonly config: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly now: Clock
  readonly log: Log
  /** Hears what is being done, a line each. */
  readonly say: (line: string) => void
}

/** What the pages and the check of the demo know of the gateway that runs beside them. */
export interface World {
  /** Where the start page is, without a / at the end. */
  readonly web: string
  readonly issuer: string
  /** Where Ada's wallet is, without a / at the end. */
  readonly wallet: string
  /** What is in it. */
  readonly held: readonly Held[]
  readonly organisations: readonly Organisation[]
  readonly policy: Policy
  readonly targets: readonly Target[]
  /** The configuration as it runs: with the ports that were free. */
  readonly text: string
  /** Unix seconds. */
  readonly now: Clock
  /** Whom the rules were asked about last under an account id that the gateway issues; undefined where nobody was. */
  seen(account: string): Subject | undefined
  /** Whom the rules were asked about last. */
  lastSeen(): Subject | undefined
}

/** A running demo. */
export interface Demo {
  readonly world: World
  /** Ends everything and deletes the temporary folder. */
  close(): Promise<void>
}

/** The ports that config/demo.yaml names: start page, gateway, university, company, wallet, status lists. */
const PORTS = [8400, 8401, 8402, 8403, 8404, 8405] as const
const HOST = '127.0.0.1'
/** Of the status lists; its key is made of its name (wallet/keys.ts). */
const CERTIFICATE = 'demo-wallet.pem'
const certificate = new URL(`../../config/${CERTIFICATE}`, import.meta.url)

/**
 * Starts gateway, upstreams and web client on loopback, with store, keys and audit log in a temporary folder.
 * @throws {DemoRefused} where the configuration is wrong, leads away from this machine, or is not one of the demo's shape
 */
export async function startDemo(options: WorldOptions): Promise<Demo> {
  const ports = await freePorts()
  const read = await readConfiguration(options, ports)
  mustStayHere(read.loaded)
  const folder = await mkdtemp(join(tmpdir(), 'lotse-demo-'))
  const stack = [() => rm(folder, { recursive: true, force: true })]
  const close = async () => {
    for (const end of stack.splice(0).reverse()) await end()
  }
  try {
    return { world: await openWorld(options, { ...read, ports, folder, stack }), close }
  } catch (error) {
    await close()
    throw error
  }
}

interface Reading {
  readonly loaded: Loaded
  readonly text: string
}

interface Building extends Reading {
  readonly ports: ReadonlyMap<number, number>
  readonly folder: string
  /** What ends what was begun, last first. */
  readonly stack: (() => Promise<void>)[]
}

async function openWorld(options: WorldOptions, building: Building): Promise<World> {
  const { log, say, now } = options
  const { loaded, stack, ports } = building
  const subjects = recorder()
  const shelf = fillShelf(`https://${HOST}:${ports.get(8405)}`, now())
  const world: World = {
    web: `http://${HOST}:${ports.get(8400)}`,
    issuer: loaded.config.issuer,
    wallet: `http://${HOST}:${ports.get(8404)}`,
    held: shelf.held,
    organisations: organisations(now()),
    policy: loaded.policy,
    targets: [...openTargets(loaded.config).values()],
    text: building.text,
    now,
    ...subjects,
  }
  const open = async (url: string, handle: RequestListener) => {
    const listener = await listen({ address: HOST, port: Number(new URL(url).port) }, handle, log)
    stack.push(() => listener.close(0))
    return listener
  }
  const app = await openGateway(options, building, subjects)
  await open(world.issuer, app.handle)
  say(`gateway             ${world.issuer}`)
  const leadsTo = [world.issuer, world.web]
  for (const organisation of world.organisations) {
    const connector = loaded.config.connectors.find(({ id }) => id === organisation.id)
    const issuer = connector?.['issuer'] as string
    const redirectUri = `${world.issuer}/callback/${organisation.id}`
    await open(issuer, openUpstream({ organisation, issuer, redirectUri, leadsTo, log }))
    say(`${organisation.name.padEnd(19)} ${issuer}`)
  }
  await open(world.wallet, openWallet({ shelf, origin: world.wallet, gateway: world.issuer, leadsTo, now, log }))
  stack.push(
    await openStatusLists({ shelf, port: ports.get(8405) ?? 0, certificate: await readFile(certificate), now }),
  )
  say(`a wallet            ${world.wallet}`)
  await open(world.web, openWeb(world, log))
  return world
}

/** The gateway as `lotse serve` runs it, except that store, keys and audit log live in the temporary folder. */
async function openGateway(
  { now, log }: WorldOptions,
  { loaded, folder, stack }: Building,
  subjects: Recorder,
): Promise<App> {
  const audit = await openAudit({ path: join(folder, 'audit.jsonl'), now })
  stack.push(() => audit.close())
  const store = await openEmbedded({ path: join(folder, 'lotse.db'), now, log })
  stack.push(() => store.close())
  const root = await openRoot(join(folder, 'keys'), { create: 'allowed' })
  const random = () => randomBytes(32).toString('base64url')
  const given = runnable(loaded)
  const decide: typeof given.decide = (subject, at) => {
    subjects.note(subject)
    return given.decide(subject, at)
  }
  const app = await openApp({ ...given, decide }, { store, root, audit: audit.audit, log, now, random })
  const timer = setInterval(() => {
    Promise.all([app.tick(), app.deliver(), app.end()]).catch((error: unknown) =>
      log('warn', 'the housekeeping of this second failed', { error: String(error) }),
    )
  }, 1000)
  stack.push(async () => clearInterval(timer))
  return app
}

interface Recorder extends Pick<World, 'seen' | 'lastSeen'> {
  note(subject: Subject): void
}

/** Remembers who was asked about, so that the pages can show the rules' trace beside a token. Nothing else does that. */
function recorder(): Recorder {
  const known = new Map<string, Subject>()
  let last: Subject | undefined
  return {
    note(subject) {
      last = subject
      known.set(accountId(subject), subject)
    },
    seen: (account) => known.get(account),
    lastSeen: () => last,
  }
}

/** The wanted ports where they are free, others where they are not. */
async function freePorts(): Promise<ReadonlyMap<number, number>> {
  const held = await Promise.all(PORTS.map(async (port) => (await hold(port)) ?? (await hold(0))))
  const found = held.map((one, index) => [PORTS[index] ?? 0, one?.port ?? 0] as const)
  await Promise.all(held.map((one) => one?.release()))
  return new Map(found)
}

function hold(port: number): Promise<{ readonly port: number; release(): Promise<void> } | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen(port, HOST, () => {
      const address = server.address()
      const taken = typeof address === 'object' && address ? address.port : 0
      resolve({ port: taken, release: () => new Promise((done) => server.close(() => done())) })
    })
  })
}

async function readConfiguration(options: WorldOptions, ports: ReadonlyMap<number, number>): Promise<Reading> {
  let text = ''
  const here = async (path: string) => {
    // It lies beside the configuration that comes with this build, also where a changed copy of that is elsewhere.
    if (basename(path) === CERTIFICATE) return readFile(certificate, 'utf8')
    const found = await readFile(path, 'utf8')
    if (path !== options.config) return found
    text = found.replace(/\b840[0-5]\b/g, (port) => String(ports.get(Number(port))))
    return text
  }
  const parts = { connectors: connectorTypes, targets: targetTypes }
  const given = {
    env: options.env,
    now: options.now(),
    regex: re2,
    readFile: here,
    listDir: (path: string) => readdir(path),
  }
  const loaded = await load(options.config, parts, given)
  if (!loaded.ok) throw new DemoRefused(loaded.problems.map(problemText).join('\n'))
  return { loaded, text }
}

/** A demo signs in everybody who clicks: its gateway and its upstreams must be out of reach for others. */
function mustStayHere({ config }: Loaded): void {
  const places = [
    ['issuer', config.issuer],
    ...config.connectors.map(({ id, issuer, walletUrl }) =>
      walletUrl === undefined
        ? [`issuer of connector ${id}`, String(issuer)]
        : [`wallet of connector ${id}`, String(walletUrl)],
    ),
  ] as const
  for (const [what, url = ''] of places) {
    if (isLoopback(new URL(url).hostname)) continue
    throw new DemoRefused(`the ${what} is ${url}, and the demo runs on loopback only; 'lotse serve' is for the rest`)
  }
  const ids = config.connectors.map(({ id }) => id)
  for (const id of ['campus', 'corp', 'gaiax'])
    if (!ids.includes(id)) throw new DemoRefused(`the demo's configuration needs the connector ${id}`)
}
