/** How long kubectl waits for its plugin where a token is kept: it runs it each time. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { emptySession, makeFolder, writeSession } from '../src/cli/sign-in/session.ts'
import { median, setting } from './compare.ts'
import { cachedKubelogin, type Plugin } from './kubelogin.ts'
import { workFolder } from './process.ts'

const longest = 150
const root = join(import.meta.dirname, '..')
const who = { issuer: 'https://login.bench.example', client: 'lotse-cli' }

/** A cache with a token of the usual size. */
function cache(): string {
  const folder = workFolder()
  const held = { token: 't'.repeat(1200), since: 0, until: Math.floor(Date.now() / 1000) + 600 }
  makeFolder(folder)
  writeSession({ folder, who }, { ...emptySession(who), refreshToken: 'r', tokens: { 'urn:lotse:target:prod': held } })
  return folder
}

const execInfo = JSON.stringify({
  apiVersion: 'client.authentication.k8s.io/v1',
  kind: 'ExecCredential',
  spec: { interactive: false, cluster: { config: { target: 'prod' } } },
})

/** Our own plugin, run by these words. */
const own = (folder: string, ...program: readonly [string, ...string[]]): Plugin => ({
  words: [...program, 'kubectl-credential', '--issuer', who.issuer, '--client', who.client],
  env: { LOTSE_CACHE: folder, KUBERNETES_EXEC_INFO: execInfo },
})

function once({ words: [program, ...args], env }: Plugin): number {
  // Each is another kubectl: the same one that comes back would be taken for refused.
  const { LOTSE_CACHE: folder } = env
  if (folder !== undefined)
    for (const name of readdirSync(folder)) if (name.endsWith('.given')) rmSync(join(folder, name))
  const begun = performance.now()
  const { status, stdout, stderr } = spawnSync(program, args, { env, encoding: 'utf8' })
  const milliseconds = performance.now() - begun
  if (status !== 0 || !stdout.includes('"ExecCredential"')) throw new Error(`${program}: ${stderr}`)
  return milliseconds
}

/** What this machine needs to start Node and do nothing, at the moment. */
function bare(): number {
  const begun = performance.now()
  spawnSync(process.execPath, ['-e', ''], { env: {} })
  return performance.now() - begun
}

/**
 * From exec to the end, the built files by this Node, and the single executable where `npm run build:cli` has made it; beside them
 * kubelogin where KUBELOGIN names one.
 */
export async function credential(): Promise<boolean> {
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' })
  const executable = join(root, 'dist-cli/lotse')
  const folder = cache()
  const programs = new Map<string, Plugin>([['built files', own(folder, process.execPath, join(root, 'dist/main.js'))]])
  if (existsSync(executable)) programs.set('executable', own(folder, executable))
  else console.log('  executable  not built; npm run build:cli does it')
  const ours = [...programs.keys()]
  const kubelogin = process.env['KUBELOGIN']
  if (kubelogin !== undefined) programs.set('kubelogin', await cachedKubelogin(kubelogin, workFolder()))
  const times = new Map<string, number[]>([...programs.keys()].map((name) => [name, []]))
  for (const plugin of programs.values()) once(plugin)
  const nothing: number[] = []
  for (let n = 0; n < setting('ROUNDS', 20); n += 1) {
    nothing.push(bare())
    for (const [name, plugin] of programs) times.get(name)?.push(once(plugin))
  }
  for (const [name, all] of [...times, ['Node alone', nothing] as const])
    console.log(
      `  ${name.padEnd(12)}${median(all).toFixed(0)} ms (${Math.min(...all).toFixed(0)}–${Math.max(...all).toFixed(0)})`,
    )
  const worst = Math.max(...ours.map((name) => median(times.get(name) ?? [])))
  console.log(`credential: ${worst.toFixed(0)} ms (at most ${longest})`)
  return worst <= longest
}
