import { spawn } from 'node:child_process'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { compiled, root } from './runner.ts'
import { person, pickPerson } from './sign-in.ts'

/* `lotse kubectl-credential` as kubectl runs it: a process of its own, with what kubectl says in its environment. */

/** The client of the gateway that command lines are: no target of its own, so that one sign-in serves all. */
export const CLIENT = 'lotse-cli'
export const clients = `
  - { id: ${CLIENT}, label: Command line, native: true, targets: [prod, argo], redirectUris: ['http://127.0.0.1/cb'], grants: [code, refresh, device], offlineAccess: true }`

/** What kubectl puts into KUBERNETES_EXEC_INFO. */
export const execInfo = (
  interactive: boolean,
  config: Readonly<Record<string, unknown>> = { target: 'prod' },
): string =>
  JSON.stringify({
    kind: 'ExecCredential',
    apiVersion: 'client.authentication.k8s.io/v1',
    spec: { interactive, cluster: { server: 'https://10.0.0.1:6443', config } },
  })

/** How a process ended, and what it wrote. */
export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface Plugin {
  /** The address that a person should open; waits for it, and rejects where the process ended without one. */
  readonly asked: Promise<string>
  readonly ended: Promise<Ended>
  kill(): void
}

/** Starts `lotse` with these words. @param program what runs it; the source, by this Node, if absent */
export function startLotse(
  words: readonly string[],
  env: Readonly<Record<string, string>>,
  program: readonly [string, ...string[]] = [process.execPath, join(root, 'src/main.ts')],
): Plugin {
  // Each has a parent of its own, as each kubectl is one.
  const shell = ['-c', '"$@"; exit $?', 'kubectl', ...program, ...words]
  const child = spawn('/bin/sh', shell, {
    env: { ...compiled(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let [out, err] = ['', '']
  const asked = Promise.withResolvers<string>()
  asked.promise.catch(() => {}) // most tests do not look
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
    const address = /Open (\S+) in a browser/.exec(err)?.[1]
    if (address !== undefined) asked.resolve(address)
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      asked.reject(new Error(`nobody was asked: ${err}`))
      resolve({ code, out, err })
    })
  })
  return { asked: asked.promise, ended, kill: () => killGroup(child.pid) }
}

/** The shell and what it runs; nothing where they have ended. */
function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** The token in what the plugin printed. */
export const tokenIn = (out: string): string => JSON.parse(out).status.token

/** Every file of a cache, by name: its text, and its mode in octal. */
export async function cacheIn(folder: string): Promise<Readonly<Record<string, { text: string; mode: string }>>> {
  const names = await readdir(folder)
  const files = names.map(async (name) => {
    const file = join(folder, name)
    const mode = ((await stat(file)).mode & 0o777).toString(8)
    return [name, { text: await readFile(file, 'utf8'), mode }] as const
  })
  return Object.fromEntries(await Promise.all(files))
}

/** Opens the address of a device code, and confirms or declines; signs in where that is asked. */
export async function answerCode(address: string, answer: 'confirm' | 'decline', sub = 'ada'): Promise<void> {
  const who = person()
  const entry = await who.get(address)
  const page = await who.submit(entry, entry.form())
  if (answer === 'decline') await who.submit(page, page.form(), { abort: 'yes' })
  else await pickPerson(who, await who.submit(page, page.form(), { confirm: 'yes' }), sub)
}

/** `lotse login prod` by a device code, in a process of its own. */
export async function loginAs(sub: string, env: Readonly<Record<string, string>>): Promise<void> {
  const started = startLotse(['login', 'prod', '--cluster'], env)
  await answerCode(await started.asked, 'confirm', sub)
  const { code, err } = await started.ended
  if (code !== 0) throw new Error(err)
}

/** Makes every token of a cache one that has to be refreshed. */
export async function expire({ LOTSE_CACHE: folder = '' }: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, { text }] of Object.entries(await cacheIn(folder))) {
    if (!name.endsWith('.json')) continue
    await writeFile(join(folder, name), text.replace(/"until":\d+/g, '"until":1'))
  }
}
