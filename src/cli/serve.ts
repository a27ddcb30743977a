import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type App, openApp } from '../app.ts'
import { type AuditLog, openAudit } from '../audit-log.ts'
import type { Loaded } from '../config/load.ts'
import { problemText } from '../config/problem.ts'
import { configurationReader, type ReadConfiguration, runnable } from '../configuration.ts'
import type { Log } from '../core/ports.ts'
import { operationsApp } from '../http/health.ts'
import { openRoot } from '../keys/root-secret.ts'
import { createLog } from '../log.ts'
import { type Listener, listen } from '../server.ts'
import { type Command, configOption, configPath, exit, type Io } from './command.ts'
import { openStore } from './open-store.ts'
import { openReloader, type Reloader, tell } from './reload.ts'
import { version } from './version.ts'

/** Milliseconds that requests in flight may take once the process was asked to end; those of operators a tenth. */
const PATIENCE = 10_000

/** Seconds for which requests are still taken after readiness says no: nobody else could take them where the store is embedded. */
const drainOf = ({ listen: { drain }, store }: Loaded['config']) => drain ?? (store.kind === 'embedded' ? 0 : 5)

/** Milliseconds that standard output may take for audit lines, before what they tell of fails (law 4). */
const AUDIT_PATIENCE = 1000

export const command: Command = {
  usage: '[--config FILE]',
  details:
    'Serves until SIGTERM or SIGINT, then finishes what it accepted; a second signal ends it at once. SIGHUP, or a change of\n' +
    'the configuration, reads it again: what is wrong is logged, and the configuration in use stays. SIGHUP also opens the\n' +
    'audit file anew.',
  options: { ...configOption },
  async run(args, io) {
    const path = resolve(io.cwd, configPath(args, io))
    const read = configurationReader({ env: io.env, now: io.now })
    const first = await read(path)
    if (!first.ok) {
      for (const problem of first.problems) io.err(problemText(problem))
      return exit.refused
    }
    // What was opened last is closed first: the listeners, then what they need; the store and the audit log at the very end.
    const opened = new AsyncDisposableStack()
    try {
      await serve({ io, path, read, first, opened })
    } finally {
      await opened.disposeAsync()
    }
    return exit.ok
  },
}

interface Start {
  readonly io: Io
  readonly path: string
  readonly read: ReadConfiguration
  readonly first: Loaded
  readonly opened: AsyncDisposableStack
}

async function serve({ io, path, read, first, opened }: Start): Promise<void> {
  const { config } = first
  const log = createLog(config.log.level, (line) => io.err(line.trimEnd()))
  let hangup = () => {}
  io.onHangup(() => hangup()) // from the first moment: nobody listening would end the process
  const audit = await openAudit({ path: config.audit.path, now: io.now, write: inTime(io.send) })
  opened.defer(() => audit.close())
  const root = await openRoot(config.keys.dir, { create: config.keys.create ? 'allowed' : 'refused' })
  const store = await openStore(config.store, { root: async () => root, now: io.now, mode: 'serve', log })
  opened.defer(() => store.close())
  const random = () => randomBytes(32).toString('base64url')
  const as = { id: `${hostname()}:${config.listen.port}-${random().slice(0, 6)}`, version: await version() }
  const ports = { store, root, audit: audit.audit, log, now: io.now, random, as, stop: io.stop }
  const app = await openApp(runnable(first), ports)
  tell(log, first)
  await audit.audit('process', { event: 'process.started', version: as.version })
  opened.defer(() => audit.audit('process', { event: 'process.stopped' }))
  const reloader = openReloader({ path, read, first, app, log, audit: audit.audit })
  opened.defer(() => reloader.stop())
  hangup = () => void hungUp(audit, reloader, log)
  opened.defer(() =>
    app.leave().catch((error) => log('warn', 'the others hear of the end later', { error: String(error) })),
  )
  opened.defer(app.idle) // when nobody is taken in any more: a step at a slow target takes its time
  const serving = { now: false }
  const listeners = await openListeners(config, { app, log, serving, opened })
  const housekeeping = async () => {
    await app.tick()
    await Promise.all(listeners.map((each) => each.refresh()))
  }
  opened.defer(everySecond(housekeeping, log))
  opened.defer(everySecond(app.deliver, log))
  opened.defer(everySecond(app.end, log))
  opened.defer(everySecond(app.settle, log))
  opened.defer(everySecond(app.reconcile, log))
  serving.now = true
  log('info', 'serving', { issuer: config.issuer, listen: listeners.map(({ url }) => url) })
  await stopped(io.stop)
  serving.now = false
  log('info', 'stopping', { reason: String(io.stop.reason) })
  // Whoever sends people here hears of it first; meanwhile nobody is turned away.
  for (const each of listeners) each.drain()
  await delay(1000 * drainOf(config))
}

/** SIGHUP is what log rotation and `systemctl reload` send: the audit file first, so that the reload stands in the new one. */
async function hungUp(audit: AuditLog, reloader: Reloader, log: Log): Promise<void> {
  try {
    await audit.reopen()
  } catch (error) {
    log('error', 'the audit file cannot be opened again; the old one stays in use', { error: String(error) })
  }
  await reloader.reload()
}

/** Fails what takes too long, and each later text until that one is out: a reader that stands still gathers one batch, not many. */
function inTime(send: Io['send']): Io['send'] {
  let busy = false
  return async (text) => {
    if (busy) throw new Error('standard output has not taken the lines before')
    busy = true
    const sent = send(text).finally(() => {
      busy = false
    })
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('standard output takes nothing')), AUDIT_PATIENCE)
    })
    await Promise.race([sent, late]).finally(() => clearTimeout(timer))
  }
}

interface Open {
  readonly app: App
  readonly log: Log
  readonly opened: AsyncDisposableStack
  /** Whether people's requests are taken: before and after that `/readyz` says no. */
  readonly serving: { readonly now: boolean }
}

async function openListeners(
  config: Loaded['config'],
  { app, log, serving, opened }: Open,
): Promise<readonly Listener[]> {
  const operations = config.operations && (await listen(config.operations, operationsOf(app, serving), log))
  if (operations) opened.defer(() => operations.close(PATIENCE / 10))
  const main = await listen(config.listen, app.handle, log)
  opened.defer(() => main.close(PATIENCE))
  return operations ? [main, operations] : [main]
}

function operationsOf(app: App, serving: Open['serving']) {
  const ready = async () => {
    if (!serving.now) throw new Error('not serving')
    await app.ready()
  }
  return operationsApp({ metrics: app.metrics, ready, standing: app.standing }).callback()
}

/** Does something once a second, and never twice at once; the answer stops it and waits for what is under way. */
function everySecond(work: () => Promise<void>, log: Log): () => Promise<void> {
  let running: Promise<void> | undefined
  const once = async () => {
    try {
      await work()
    } catch (error) {
      log('warn', 'the housekeeping of this second failed', { error })
    }
    running = undefined
  }
  const timer = setInterval(() => {
    running ??= once()
  }, 1000)
  return async () => {
    clearInterval(timer)
    await running
  }
}

function stopped(signal: AbortSignal): Promise<void> {
  return signal.aborted
    ? Promise.resolve()
    : new Promise((done) => signal.addEventListener('abort', () => done(), { once: true }))
}
