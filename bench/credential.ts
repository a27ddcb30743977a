/** How long kubectl waits for its plugin where a token is kept: it runs it each time. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { emptySession, makeFolder, writeSession } from '../src/cli/sign-in/session.ts'
import { median, setting } from './compare.ts'
import { workFolder } from './process.ts'

const longest = 150
const root = join(import.meta.dirname, '..')
const who = { issuer: 'https://login.bench.example', client: 'lotse-cli' }

/** A cache with a token of the usual size. */
function cache(): string {
  const folder = workFolder()
  const held = { token: 't'.repeat(1200), until: Math.floor(Date.now() / 1000) + 600 }
  makeFolder(folder)
  writeSession({ folder, who }, { ...emptySession(who), refreshToken: 'r', tokens: { 'urn:lotse:target:prod': held } })
  return folder
}

const execInfo = JSON.stringify({
  apiVersion: 'client.authentication.k8s.io/v1',
  kind: 'ExecCredential',
  spec: { interactive: false, cluster: { config: { target: 'prod' } } },
})

function once([program, ...args]: readonly [string, ...string[]], folder: string): number {
  const env = { LOTSE_CACHE: folder, KUBERNETES_EXEC_INFO: execInfo }
  const words = [...args, 'kubectl-credential', '--issuer', who.issuer, '--client', who.client]
  // Each is another kubectl: the same one that comes back would be taken for refused.
  for (const name of readdirSync(folder)) if (name.endsWith('.given')) rmSync(join(folder, name))
  const begun = performance.now()
  const { status, stdout, stderr } = spawnSync(program, words, { env, encoding: 'utf8' })
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

/** From exec to the end, the built files by this Node, and the single executable where `npm run build:cli` has made it. */
export async function credential(): Promise<boolean> {
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' })
  const executable = join(root, 'dist-cli/lotse')
  const programs: readonly (readonly [name: string, words: readonly [string, ...string[]]])[] = [
    ['built files', [process.execPath, join(root, 'dist/main.js')]],
    ...(existsSync(executable) ? [['executable', [executable]] as const] : []),
  ]
  const folder = cache()
  const times = new Map<string, number[]>(programs.map(([name]) => [name, []]))
  for (const [, words] of programs) once(words, folder)
  const nothing: number[] = []
  for (let n = 0; n < setting('ROUNDS', 20); n += 1) {
    nothing.push(bare())
    for (const [name, words] of programs) times.get(name)?.push(once(words, folder))
  }
  for (const [name, all] of [...times, ['Node alone', nothing] as const])
    console.log(
      `  ${name.padEnd(12)}${median(all).toFixed(0)} ms (${Math.min(...all).toFixed(0)}–${Math.max(...all).toFixed(0)})`,
    )
  if (programs.length === 1) console.log('  executable  not built; npm run build:cli does it')
  const worst = Math.max(...[...times.values()].map(median))
  console.log(`credential: ${worst.toFixed(0)} ms (at most ${longest})`)
  return worst <= longest
}
