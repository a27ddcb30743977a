import { readdir, readFile } from 'node:fs/promises'
import type { Parts } from './config/compose.ts'
import { type Loaded, load, type Memory, type Refused } from './config/load.ts'
import { connectorTypes } from './connectors/index.ts'
import type { Clock } from './core/ports.ts'
import { re2 } from './regex.ts'
import { targetTypes } from './targets/index.ts'

/** Every type of connector and target that this build has: what the configuration's schema is composed from. */
export const parts: Parts = { connectors: connectorTypes, targets: targetTypes }

/** What of the world a configuration is read with. */
export interface Around {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly now: Clock
  /** From `newMemory()`, the same for every load of one file, so that a reload costs what has changed. */
  readonly memory?: Memory
}

/** Reads a configuration from disk, with every type that this build has. What is wrong with it is a value, never thrown. */
export function loadGateway(path: string, { env, now, memory }: Around): Promise<Loaded | Refused> {
  return load(path, parts, {
    readFile: (file) => readFile(file, 'utf8'),
    listDir: (folder) => readdir(folder),
    env,
    regex: re2,
    now: now(),
    ...(memory && { memory }),
  })
}
