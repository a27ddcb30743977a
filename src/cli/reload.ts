import { isDeepStrictEqual } from 'node:util'
import type { App } from '../app.ts'
import type { AuditLog } from '../audit-log.ts'
import type { Loaded, Refused } from '../config/load.ts'
import { problemText } from '../config/problem.ts'
import { watch } from '../config/watch.ts'
import { type ReadConfiguration, runnable } from '../configuration.ts'
import type { Log } from '../core/ports.ts'

/** What reloading needs of the running process. */
export interface Reloading {
  readonly path: string
  readonly read: ReadConfiguration
  /** What the process was started with. */
  readonly first: Loaded
  readonly app: App
  readonly log: Log
  readonly audit: AuditLog['audit']
}

/** Keeps a running gateway on what its configuration says. */
export interface Reloader {
  /** Reads the configuration again and swaps the gateway where something changed; never rejects: what is wrong is logged. */
  reload(): Promise<void>
  /** Watches no longer, and waits for a reload that is under way. */
  stop(): Promise<void>
}

/** What a process takes from its configuration once, at its start. */
const onceOnly: Readonly<Record<string, (config: Loaded['config']) => unknown>> = {
  listen: (config) => config.listen,
  operations: (config) => config.operations,
  store: (config) => config.store,
  'keys.dir': (config) => config.keys.dir,
  audit: (config) => config.audit,
  log: (config) => config.log,
}

/** Says what an operator must know of a configuration that is in use although something in it is not. */
export function tell(log: Log, loaded: Loaded): void {
  for (const warning of loaded.warnings)
    log('warn', 'the configuration has a weakness', { problem: problemText(warning) })
  for (const { id, problems } of loaded.disabledTenants) {
    log('error', 'a tenant is disabled', { tenant: id, problems: problems.map(problemText) })
  }
}

function tellRestart(log: Log, first: Loaded, next: Loaded): void {
  const options = Object.keys(onceOnly).filter(
    (option) => !isDeepStrictEqual(onceOnly[option]?.(first.config), onceOnly[option]?.(next.config)),
  )
  if (options.length > 0) log('warn', 'some of the configuration acts after a restart only', { options })
}

/** One reload. @returns what is in use afterwards */
async function once({ path, read, first, app, log, audit }: Reloading, used: Loaded): Promise<Loaded> {
  const refuse = async (problems: readonly string[]) => {
    log('error', 'the configuration is refused; the one in use stays', { problems })
    await audit('config', { event: 'config.refused', problems: problems.length })
    return used
  }
  const next: Loaded | Refused = await read(path)
  if (!next.ok) return refuse(next.problems.map(problemText))
  if (next.state === used.state) {
    log('info', 'the configuration is what it was', { digest: next.digest })
    return used
  }
  try {
    await app.reload(runnable(next))
  } catch (error) {
    return refuse([error instanceof Error ? error.message : String(error)])
  }
  tell(log, next)
  tellRestart(log, first, next)
  log('info', 'the configuration was loaded again', { digest: next.digest })
  const tenantsDisabled = next.disabledTenants.map(({ id }) => id)
  // It acts already: an audit log that fails now stops the next sign-in, not what the operator changed.
  await audit('config', { event: 'config.loaded', digest: next.digest, tenantsDisabled }).catch((error: unknown) =>
    log('error', 'the audit line of a reload cannot be written', { error: String(error) }),
  )
  return next
}

/** Reloads when asked and when a file of the configuration changes; a bad main file changes nothing (law 13). */
export function openReloader(reloading: Reloading): Reloader {
  let used = reloading.first
  let running: Promise<void> | undefined
  let stopWatching = () => {}
  const look = () => {
    stopWatching()
    stopWatching = watch(used.read, () => void reload())
  }
  // What changes while a reload runs is read by another one after it.
  let asked = false
  const untilRead = async () => {
    while (asked) {
      asked = false
      try {
        const before = used
        used = await once(reloading, used)
        if (used !== before) look()
      } catch (error) {
        reloading.log('error', 'the reload failed; the configuration in use stays', { error: String(error) })
      }
    }
    running = undefined
  }
  const reload = () => {
    asked = true
    running ??= untilRead()
    return running
  }
  look()
  return {
    reload,
    async stop() {
      stopWatching()
      asked = false
      await running
      stopWatching()
    },
  }
}
