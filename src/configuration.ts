import { readdir, readFile } from 'node:fs/promises'
import type { Loaded } from './app.ts'
import { type Loaded as LoadedFile, load, newMemory, type Refused } from './config/load.ts'
import { connectorTypes } from './connectors/index.ts'
import { decide } from './core/decide.ts'
import { possibleGrants } from './core/possible.ts'
import { re2 } from './regex.ts'
import { targetTypes } from './targets/index.ts'

/** What reading a configuration needs of the process. */
export interface ConfigurationPorts {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Unix seconds. */
  readonly now: () => number
}

/** Reads a configuration as this build understands it: with its connectors, targets and regular expressions. */
export type ReadConfiguration = (path: string) => Promise<LoadedFile | Refused>

/** A reader that remembers what it read, so that a reload costs what has changed. */
export function configurationReader(ports: ConfigurationPorts): ReadConfiguration {
  const memory = newMemory()
  return (path) =>
    load(
      path,
      { connectors: connectorTypes, targets: targetTypes },
      {
        env: ports.env,
        now: ports.now(),
        regex: re2,
        memory,
        readFile: (file) => readFile(file, 'utf8'),
        listDir: (folder) => readdir(folder),
      },
    )
}

/** What the gateway runs on, from what the loader read. */
export function runnable(read: LoadedFile): Loaded {
  return {
    config: read.config,
    decide: (subject, now) => decide(read.policy, subject, now),
    always: (target) => possibleGrants(read.policy, target, []).grants,
    digest: read.digest,
    disabledTenants: read.disabledTenants.map(({ id }) => id),
  }
}
