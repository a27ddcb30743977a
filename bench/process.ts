/** Child processes of a measure: pinned to a core, waited for, measured from /proc, ended. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Servers under measure share this core, one at a time; the load comes from the other. */
export const serverCore = 0
export const loadCore = 1

const tasksetPath = ['/usr/bin/taskset', '/bin/taskset'].find((path) => existsSync(path))

/** One line about what the figures may not be worth, or nothing. */
export const pinning = tasksetPath
  ? undefined
  : 'taskset is missing: nothing is pinned, the figures are of little worth'

/** Kernel clock ticks of /proc/PID/stat in a second: 100 on every Linux that Node runs on. */
const ticksPerSecond = 100

/** A running child. */
export interface Child {
  readonly process: ChildProcess
  readonly pid: number
  /** CPU seconds so far, all threads. */
  cpu(): number
  /** Resident memory in KB. */
  rss(): number
  stop(): Promise<void>
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

/** Starts a program on one core, or on all of them; what it says goes into a file. */
export function start(core: number | 'any', words: readonly string[], options: StartOptions): Child {
  const log = openSync(options.log, 'a')
  const stdio: StdioOptions = options.ipc ? ['ignore', log, log, 'ipc'] : ['ignore', log, log]
  const [program = '', ...args] = tasksetPath && core !== 'any' ? [tasksetPath, '-c', String(core), ...words] : words
  const child = spawn(program, args, { stdio, env: { ...process.env, ...options.env } })
  closeSync(log)
  running.add(child)
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  void ended.then(() => running.delete(child))
  const pid = child.pid
  if (pid === undefined) throw new Error(`${words.join(' ')} cannot be started`)
  return {
    process: child,
    pid,
    cpu: () => cpuOf(pid),
    rss: () => rssOf(pid),
    async stop() {
      child.kill('SIGTERM')
      const cut = setTimeout(() => child.kill('SIGKILL'), 5000)
      await ended
      clearTimeout(cut)
    },
  }
}

export interface StartOptions {
  readonly log: string
  readonly env?: Readonly<Record<string, string>>
  readonly ipc?: true
}

function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in parentheses may hold anything; user and system time are the 12th and 13th field after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

function rssOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

/** A port that was free a moment ago. */
export function freePort(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, host, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

/** A folder that is gone after the process. */
export function workFolder(): string {
  const folder = mkdtempSync(join(process.env['LOTSE_BENCH_TMP'] ?? tmpdir(), 'lotse-bench-'))
  if (!process.env['LOTSE_BENCH_KEEP']) process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/**
 * Waits until discovery answers 200.
 * @returns milliseconds since the call
 * @throws with the end of the log where the process ended, or 20 s passed
 */
export async function ready(origin: string, child: Child, log: string): Promise<number> {
  const begun = performance.now()
  while (performance.now() - begun < 20_000 && child.process.exitCode === null) {
    const answer = await fetch(`${origin}/.well-known/openid-configuration`).catch(() => undefined)
    await answer?.arrayBuffer()
    if (answer?.status === 200) return performance.now() - begun
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
  throw new Error(`no answer at ${origin}: ${readFileSync(log, 'utf8').slice(-2000)}`)
}
