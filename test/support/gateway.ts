import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mock } from 'node:test'
import { type App, openApp } from '../../src/app.ts'
import type { AuditEvent } from '../../src/audit.ts'
import { type Loaded, load } from '../../src/config/load.ts'
import { problemText } from '../../src/config/problem.ts'
import { runnable } from '../../src/configuration.ts'
import { connectorTypes } from '../../src/connectors/index.ts'
import { openRoot } from '../../src/keys/root-secret.ts'
import { re2 } from '../../src/regex.ts'
import { listen } from '../../src/server.ts'
import { kinds } from '../../src/store/kinds.ts'
import type { Store } from '../../src/store/store.ts'
import { targetTypes } from '../../src/targets/index.ts'
import { openTestStore } from './store.ts'

/** A JSON answer; the texts that most tests look at. */
export type Answer = Readonly<Record<string, string>>

export interface LogLine {
  readonly level: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** A real gateway on a loopback port, from the text of a configuration, on a store of its own (support/store.ts). */
export interface TestGateway {
  readonly issuer: string
  /** `keys` of its configuration, as YAML. */
  readonly keys: string
  /** `store` of its configuration, as YAML. */
  readonly storeYaml: string
  readonly app: App
  readonly store: Store
  readonly ends: App['ends']
  readonly folder: string
  /** Every audit event so far, oldest first. */
  readonly events: readonly AuditEvent[]
  /** The id of each of them, in the same order: what ties a page, the log and the audit log together. */
  readonly ids: readonly string[]
  readonly logs: readonly LogLine[]
  /** Loads another configuration into the running gateway, as SIGHUP does. */
  reload(yaml: string): Promise<void>
  /** Makes each later audit line fail, or those of one event, or none any more. */
  failAudit(failing: 'yes' | 'no' | AuditEvent['event']): void
  /** A form POST to a path; JSON answer. */
  post(
    path: string,
    fields: Record<string, string>,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: Answer; headers: Headers }>
  close(): Promise<void>
}

export interface GatewayOptions {
  /** The text of a main file without `issuer`, `listen`, `store`, `keys` and `audit`, which are put in front. */
  readonly config: string
  readonly env?: Readonly<Record<string, string>>
  /** Wraps the store, to make it fail or hang. */
  readonly store?: (store: Store) => Store
  /** 0 by default. */
  readonly port?: number
  /** Under which people reach it, where something stands in front; its own address by default. */
  readonly issuer?: string
  /** `keys.lead`; a day by default. */
  readonly lead?: string
  /** PEM texts: the gateway serves https by itself. */
  readonly tls?: { readonly key: string; readonly cert: string }
}

/** An open socket with its address. */
interface Open {
  readonly url: string
  close(): Promise<void>
}

async function serve({ port = 0, tls }: GatewayOptions, folder: string, handle: RequestListener): Promise<Open> {
  if (tls) {
    const files = { certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') }
    await Promise.all([writeFile(files.certificate, tls.cert), writeFile(files.key, tls.key)])
    const listener = await listen({ address: '127.0.0.1', port, tls: files }, handle, () => {})
    return { url: listener.url, close: () => listener.close(0) }
  }
  const server = createServer(handle)
  return {
    url: await listening(server, port),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function listening(server: Server, port: number): Promise<string> {
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A loopback port that nobody listens on now, and that the system gives to nobody by itself (32768 and above): it is free a moment later, too. */
export async function freePort(): Promise<number> {
  const server = createServer()
  const port = randomInt(20_000, 32_768)
  const free = await once(server.listen(port, '127.0.0.1'), 'listening').then(
    () => true,
    () => false, // in use
  )
  if (!free) return freePort()
  await new Promise((resolve) => server.close(resolve))
  return port
}

const head = (issuer: string, keys: string, store: string) =>
  `issuer: ${issuer}\nlisten: { port: 0 }\nstore: ${store}\nkeys: ${keys}\n`

async function read(text: string, folder: string, env: Readonly<Record<string, string>>): Promise<Loaded> {
  const ports = {
    env,
    now: Math.floor(Date.now() / 1000),
    regex: re2,
    readFile: async (path: string) => {
      if (path.endsWith('main.yaml')) return text
      throw new Error(`no file ${path} in this test`)
    },
    listDir: async () => [],
  }
  const loaded = await load(join(folder, 'main.yaml'), { connectors: connectorTypes, targets: targetTypes }, ports)
  if (!loaded.ok) throw new Error(loaded.problems.map(problemText).join('\n'))
  return loaded
}

/** Starts one; `close` it. The gateway's clock is `Date`, so `advance` of `fakeClock` moves it and the library together. */
export async function startGateway(options: GatewayOptions): Promise<TestGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'lotse-'))
  const env = options.env ?? {}
  const now = () => Math.floor(Date.now() / 1000)
  let app: App | undefined
  const server = await serve(options, folder, (req, res) => app?.handle(req, res))
  const issuer = options.issuer ?? server.url
  const keys = `{ create: true, rsaBits: 2048, lead: ${options.lead ?? '24h'} }`
  const events: AuditEvent[] = []
  const ids: string[] = []
  const logs: LogLine[] = []
  let failing: Parameters<TestGateway['failAudit']>[0] = 'no'
  const root = await openRoot(join(folder, 'keys'), { create: 'allowed' })
  const opened = await openTestStore(folder, root, now)
  const store = options.store?.(opened.store) ?? opened.store
  const close = async () => {
    await server.close()
    await opened.store.close()
    await rm(folder, { recursive: true, force: true })
  }
  const ports = {
    store,
    root,
    audit: async (id: string, event: AuditEvent) => {
      if (failing === 'yes' || failing === event.event) throw new Error('no space left on device')
      ids.push(id)
      events.push(event)
    },
    log: (level: LogLine['level'], message: string, fields: LogLine['fields'] = {}) =>
      void logs.push({ level, message, fields }),
    now,
    random: () => randomBytes(32).toString('base64url'),
  }
  const running = await read(head(issuer, keys, opened.yaml) + options.config, folder, env)
    .then((loaded) => openApp(runnable(loaded), ports))
    .catch(async (error: unknown) => {
      await close() // a listening socket would keep the test process alive
      throw error
    })
  app = running
  return {
    issuer,
    keys,
    storeYaml: opened.yaml,
    app: running,
    store,
    ends: running.ends,
    folder,
    events,
    ids,
    logs,
    async reload(yaml) {
      await running.reload(runnable(await read(head(issuer, keys, opened.yaml) + yaml, folder, env)))
    },
    failAudit(state) {
      failing = state
    },
    async post(path, fields, headers = {}) {
      const answer = await fetch(issuer + path, { method: 'POST', body: new URLSearchParams(fields), headers })
      const text = await answer.text()
      return {
        status: answer.status,
        body: text.startsWith('{') ? JSON.parse(text) : { text },
        headers: answer.headers,
      }
    },
    close,
  }
}

/** Stands still until advanced; moves the gateway, the library and every upstream of this process together. */
export function fakeClock(): { advance(seconds: number): void; stop(): void } {
  mock.timers.enable({ apis: ['Date'], now: Date.now() })
  return {
    advance: (seconds) => mock.timers.setTime(Date.now() + seconds * 1000),
    stop: () => mock.timers.reset(),
  }
}

/** What a serving process does by itself, for so many seconds. */
export async function passTime(app: App, clock: ReturnType<typeof fakeClock>, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    clock.advance(1)
    await app.end()
    await app.settle()
    await app.reconcile()
    await app.idle()
  }
}

/** Forgets whom a test ended: the clock of the next one stands before that, and would call every sign-in an old one. */
export async function forgetEnds({ store }: Pick<TestGateway, 'store'>): Promise<void> {
  for (const { id } of await store.list(kinds.EndedAt, 1000)) await store.delete(kinds.EndedAt, id)
}

/** The payload of a JWT, unchecked. */
export function claimsIn(jwt: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString('utf8'))
}

/** JSON of a value without the random ids in it: any word of a few letters stands in one of them some day. */
export function withoutIds(value: unknown): string {
  return JSON.stringify(value, (_name, each) => (typeof each === 'string' && /^[\w-]{21,}$/.test(each) ? '' : each))
}
