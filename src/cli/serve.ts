import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { type App, openApp } from '../app.ts'
import { openAudit } from '../audit-log.ts'
import type { Loaded } from '../config/load.ts'
import { problemText } from '../config/problem.ts'
import { watch } from '../config/watch.ts'
import { configurationReader, runnable } from '../configuration.ts'
import type { Log } from '../core/ports.ts'
import { operationsApp } from '../http/health.ts'
import { openRoot } from '../keys/root-secret.ts'
import { createLog } from '../log.ts'
import { type Listener, listen } from '../server.ts'
import { openEmbedded } from '../store/embedded.ts'
import { type Command, configOption, configPath, exit, type Io } from './command.ts'
import { version } from './version.ts'

/** Milliseconds that requests in flight may take once the process was asked to end. */
const PATIENCE = 10_000

export const command: Command = {
  usage: '[--config FILE]',
  details:
    'Serves until SIGTERM or SIGINT, then finishes what it accepted. SIGHUP, or a change of the configuration, reads it again:\n' +
    'what is wrong is logged, and the configuration in use stays.',
  options: { ...configOption },
  async run(args, io) {
    const path = resolve(io.cwd, configPath(args, io))
    const read = configurationReader({ env: io.env, now: io.now })
    const first = await read(path)
    if (!first.ok) {
      for (const problem of first.problems) io.err(problemText(problem))
      return exit.refused
    }
    await serve({ io, path, read, first })
    return exit.ok
  },
}

interface Start {
  readonly io: Io
  readonly path: string
  readonly read: ReturnType<typeof configurationReader>
  readonly first: Loaded
}

async function serve({ io, path, read, first }: Start): Promise<void> {
  const { config } = first
  const log = createLog(config.log.level, (line) => io.err(line.trimEnd()))
  const write = async (text: string) => io.out(text.trimEnd())
  const auditLog = await openAudit({ path: config.audit.path, now: io.now, write })
  const root = await openRoot(config.keys.dir, { create: config.keys.create ? 'allowed' : 'refused' })
  const store = await openEmbedded({ path: config.store.path, now: io.now, log })
  const random = () => randomBytes(32).toString('base64url')
  try {
    const ports = { store, root, audit: auditLog.audit, log, now: io.now, random }
    const app = await openApp(runnable(first), ports)
    tellTenants(log, first)
    await auditLog.audit('process', { event: 'process.started', version: await version() })
    let stopWatching = () => {}
    const look = (loaded: Loaded) => {
      stopWatching()
      stopWatching = watch(loaded.read, () => void reload())
    }
    const reload = reloader({ path, read, first, app, log, audit: auditLog, look })
    look(first)
    const listeners = await openListeners(config, app, log)
    io.onHangup(() => void reload().then(() => auditLog.reopen()))
    const stopTicking = tickEverySecond(app, listeners, log)
    log('info', 'serving', { issuer: config.issuer, listen: listeners.map(({ url }) => url) })
    await stopped(io.stop)
    stopTicking()
    stopWatching()
    await Promise.all(listeners.map((each) => each.close(PATIENCE)))
    await auditLog.audit('process', { event: 'process.stopped' })
  } finally {
    await store.close()
    await auditLog.close()
  }
}

function tellTenants(log: Log, loaded: Loaded): void {
  for (const { id, problems } of loaded.disabledTenants) {
    log('error', 'a tenant is disabled', { tenant: id, problems: problems.map(problemText) })
  }
}

interface Reloading extends Omit<Start, 'io'> {
  readonly app: App
  readonly log: Log
  readonly audit: Awaited<ReturnType<typeof openAudit>>
  /** Watches the files of a configuration from now on, instead of those before. */
  readonly look: (loaded: Loaded) => void
}

/** Reads the configuration again and swaps the gateway where something changed; a bad main file changes nothing (law 13). */
function reloader({ path, read, first, app, log, audit, look }: Reloading): () => Promise<void> {
  let used = first.state
  let running: Promise<void> | undefined
  const once = async () => {
    const next = await read(path)
    if (!next.ok) {
      log('error', 'the configuration is refused; the one in use stays', { problems: next.problems.map(problemText) })
      await audit.audit('config', { event: 'config.refused', problems: next.problems.length })
      return
    }
    if (next.state === used) return
    await app.reload(runnable(next))
    used = next.state
    look(next)
    tellTenants(log, next)
    const tenantsDisabled = next.disabledTenants.map(({ id }) => id)
    await audit.audit('config', { event: 'config.loaded', digest: next.digest, tenantsDisabled })
    log('info', 'the configuration was loaded again', { digest: next.digest })
  }
  // What changes while a reload runs is read by another one after it.
  let asked = false
  const untilRead = async () => {
    while (asked) {
      asked = false
      await once().catch((error: unknown) =>
        log('error', 'the reload failed; the configuration in use stays', { error: String(error) }),
      )
    }
    running = undefined
  }
  return () => {
    asked = true
    running ??= untilRead()
    return running
  }
}

async function openListeners(config: Loaded['config'], app: App, log: Log): Promise<readonly Listener[]> {
  const main = await listen(config.listen, app.handle, log)
  if (!config.operations) return [main]
  const operations = operationsApp({ metrics: app.metrics, ready: () => app.ready() })
  return [main, await listen(config.operations, operations.callback(), log)]
}

function tickEverySecond(app: App, listeners: readonly Listener[], log: Log): () => void {
  let busy = false
  const tick = async () => {
    if (busy) return
    busy = true
    try {
      await app.tick()
      await Promise.all(listeners.map((each) => each.refresh()))
    } catch (error) {
      log('warn', 'the housekeeping of this second failed', { error: String(error) })
    }
    busy = false
  }
  const timer = setInterval(() => void tick(), 1000)
  return () => clearInterval(timer)
}

function stopped(signal: AbortSignal): Promise<void> {
  return signal.aborted
    ? Promise.resolve()
    : new Promise((done) => signal.addEventListener('abort', () => done(), { once: true }))
}
