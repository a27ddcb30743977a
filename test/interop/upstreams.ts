import { glob, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root, runTests } from '../support/runner.ts'
import { installPackages } from './group.ts'
import { installCanaille, startCanaille } from './upstreams/canaille.ts'
import { installKeycloak, startKeycloak } from './upstreams/keycloak.ts'
import { table } from './upstreams/measures.ts'
import type { Server } from './upstreams/server.ts'
import { SERVERS, type Servers } from './upstreams/servers.ts'

/** Keycloak from Maven Central, Canaille from PyPI, and what runs them from Debian. */
export async function install(): Promise<void> {
  await installPackages({ java: 'default-jre-headless', mvn: 'maven', python3: 'python3', pip3: 'python3-pip' })
  await Promise.all([installKeycloak(), installCanaille()])
}

/** Real OpenID providers as upstreams: sign-in, and how long access lives on after it ended there. */
export async function run(budget: number): Promise<{ readonly passed: number; readonly failed: number }> {
  const work = await mkdtemp(join(tmpdir(), 'lotse-upstreams-'))
  const measures = join(work, 'measures')
  await writeFile(measures, '')
  const starting = [
    installKeycloak().then(startKeycloak),
    installCanaille().then((folder) => startCanaille(folder, work)),
  ]
  try {
    const [keycloak, canaille] = (await Promise.all(starting)) as [Server, Server]
    const folder = await installCanaille()
    const servers: Servers = { keycloak: keycloak.url, canaille: { url: canaille.url, folder, work } }
    process.env[SERVERS] = JSON.stringify(servers)
    process.env['LOTSE_MEASURES'] = measures
    const files: string[] = []
    for await (const file of glob('test/interop/upstreams/*.test.ts', { cwd: root })) files.push(file)
    const outcome = await runTests(files.sort(), Math.min(budget, 300))
    console.log(table(measures))
    return outcome
  } finally {
    for (const server of await Promise.allSettled(starting))
      if (server.status === 'fulfilled') await server.value.stop()
    await rm(work, { recursive: true, force: true })
  }
}
