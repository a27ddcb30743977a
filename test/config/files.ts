import { basename, dirname } from 'node:path'
import { type Loaded, load, type Memory, type Refused } from '../../src/config/load.ts'
import { problemText } from '../../src/config/problem.ts'
import { connectorTypes } from '../../src/connectors/index.ts'
import { re2 } from '../../src/regex.ts'
import { targetTypes } from '../../src/targets/index.ts'

export const now = Date.UTC(2026, 10, 24) / 1000
export const parts = { connectors: connectorTypes, targets: targetTypes }

/** Files by absolute path, environment variables by name. */
export interface World {
  readonly files: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  readonly memory?: Memory
}

/** Loads `/etc/lotse/gateway.yaml` from files that stand in memory. */
export function loadFrom({ files, env = {}, memory }: World): Promise<Loaded | Refused> {
  const absent = () => Promise.reject(Object.assign(new Error('no such file'), { code: 'ENOENT' }))
  return load('/etc/lotse/gateway.yaml', parts, {
    readFile: (path) => (files[path] === undefined ? absent() : Promise.resolve(files[path])),
    listDir: (folder) => {
      const names = Object.keys(files).filter((path) => dirname(path) === folder)
      return names.length > 0 ? Promise.resolve(names.map((path) => basename(path))) : absent()
    },
    env,
    regex: re2,
    now,
    ...(memory && { memory }),
  })
}

/** The least that a gateway needs. */
export const server = `
issuer: https://login.cloud.example
listen: { port: 8080 }
store: { kind: embedded, path: lotse.db }
`

/** One upstream and two targets. */
export const base = `${server}
connectors:
  - { id: corp, type: oidc, label: Corp, issuer: https://sso.corp.example, clientId: lotse, auth: none, domain: corp }
targets:
  - { id: cloud, type: keystone, url: https://keystone.cloud.example/v3 }
  - { id: prod, type: kubernetes, server: https://10.0.0.1:6443 }
`

/** Loads one main file; a text of problems, or the loaded configuration. */
export function loadMain(main: string, world: Partial<World> = {}): Promise<Loaded | Refused> {
  return loadFrom({ ...world, files: { ...world.files, '/etc/lotse/gateway.yaml': main } })
}

/** The problems of a main file, without the file's name, in the order in which they are said. */
export async function problemsOf(main: string, world: Partial<World> = {}): Promise<readonly string[]> {
  const loaded = await loadMain(main, world)
  const problems = loaded.ok ? [] : loaded.problems
  return problems.map((problem) => problemText(problem).replace('/etc/lotse/gateway.yaml:', ''))
}
