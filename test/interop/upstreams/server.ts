import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

const call = promisify(execFile)

/** How a program is run: its environment is this process's own with `env` over it. */
export interface Program {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** What a program printed on its standard output. @throws with what it said where it fails or takes longer than `seconds` */
export async function output(program: Program, seconds: number): Promise<string> {
  const { command, args, env, cwd } = program
  const { stdout } = await call(command, args, {
    env: { ...process.env, ...env },
    timeout: seconds * 1000,
    maxBuffer: 64 * 1024 * 1024,
    ...(cwd !== undefined && { cwd }),
  })
  return stdout
}

/** A server of this run. */
export interface Server {
  readonly url: string
  /** Ends it and whatever it started, by their process group. */
  stop(): Promise<void>
}

const started = new Set<ChildProcess>()

// A server must not outlive this process, however that ends.
process.once('exit', () => {
  for (const child of started) signal(child, 'SIGKILL')
})
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => process.exit(1))

/** Starts a server and waits until `ready` answers with 2xx. @throws with the end of its log where it ends or is too slow */
export async function startServer(
  program: Program & { readonly url: string; readonly ready: string },
  seconds: number,
): Promise<Server> {
  const { url, ready, command } = program
  const running = start(program)
  const until = Date.now() + seconds * 1000
  while (!(await answers(url + ready))) {
    if (running.ended() || Date.now() > until) {
      const why = running.ended() ? 'ended' : `was not there after ${seconds} s`
      await running.stop()
      throw new Error(`${command} ${why}:\n${running.log()}`)
    }
    await delay(200)
  }
  return { url, stop: running.stop }
}

function start({ command, args, env, cwd }: Program) {
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // a process group of its own, since a server may start others
    ...(cwd !== undefined && { cwd }),
  })
  started.add(child)
  let log = ''
  const say = (text: unknown) => {
    log = (log + String(text)).slice(-4000)
  }
  child.stdout.on('data', say)
  child.stderr.on('data', say)
  let ended = false
  const end = new Promise<void>((resolve) => {
    child.once('error', say)
    child.once('close', () => {
      ended = true
      resolve()
    })
  })
  return {
    log: () => log,
    ended: () => ended,
    async stop() {
      signal(child, 'SIGTERM')
      const force = setTimeout(() => signal(child, 'SIGKILL'), 8000)
      await end
      clearTimeout(force)
      started.delete(child)
    },
  }
}

function signal(child: ChildProcess, name: 'SIGTERM' | 'SIGKILL') {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, name)
  } catch {
    // the group is gone already
  }
}

const answers = (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(2000) }).then(
    ({ ok }) => ok,
    () => false,
  )
