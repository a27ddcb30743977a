import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createClient } from 'redis'
import { freePort } from '../../support/gateway.ts'

/** Which program plays the server: redis-server of Debian, or the path of a valkey-server. */
export const program = process.env['LOTSE_REDIS_SERVER'] ?? 'redis-server'

/** What takes minutes is run on one of the two programs, unless it is asked for by name: `{ skip }` of a test. */
export const onceOnly = process.env['SOAK'] !== 'full' && program !== 'redis-server' ? { skip: 'runs on Redis' } : {}

/** One server on loopback, with a folder of its own. */
export interface Server {
  readonly port: number
  readonly folder: string
  /** Starts it again where it has ended; same port, same files. */
  start(): Promise<void>
  /** @returns when it has ended */
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>
  pause(): void
  resume(): void
  /** Whether its files can grow: a full disk, to the server. */
  disk(state: 'full' | 'free'): Promise<void>
  call(...words: readonly string[]): Promise<unknown>
  /** Ends it, and forgets its files. */
  close(): Promise<void>
}

/**
 * @param lines of redis.conf, after those that all have
 * @param port a free one where absent; a Cluster also takes the one 10,000 above
 */
export async function startServer(lines: readonly string[], port?: number): Promise<Server> {
  const at = port ?? (await freePort())
  const folder = await mkdtemp(join(tmpdir(), 'lotse-redis-'))
  const common = [`port ${at}`, 'bind 127.0.0.1', `dir ${folder}`, 'loglevel notice', `logfile ${folder}/log`]
  await writeFile(join(folder, 'redis.conf'), [...common, ...lines, ''].join('\n'))
  const words = lines.some((line) => line.startsWith('sentinel ')) ? ['--sentinel'] : []
  let child: ChildProcess | undefined
  const server: Server = {
    port: at,
    folder,
    async start() {
      // A limit of its files' size must be an error to it, and not a signal that ends it.
      const line = [`trap '' XFSZ; exec "$0" "$@"`, program, join(folder, 'redis.conf'), ...words]
      child = spawn('sh', ['-c', ...line], { stdio: 'ignore' })
      await answering(at)
    },
    async kill(signal) {
      const ended = child
      if (!ended || ended.exitCode !== null || ended.signalCode !== null) return
      const gone = new Promise((resolve) => ended.once('exit', resolve))
      ended.kill(signal)
      ended.kill('SIGCONT')
      await gone
    },
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    async disk(state) {
      const soft = state === 'full' ? '1' : 'unlimited'
      await promisify(execFile)('prlimit', [`--pid=${child?.pid}`, `--fsize=${soft}:unlimited`])
    },
    call: (...words) => callAt(at, words),
    async close() {
      await server.kill('SIGKILL')
      await rm(folder, { recursive: true, force: true })
    },
  }
  await server.start()
  return server
}

/** One command to a server, whoever it is. */
export async function callAt(port: number, words: readonly string[]): Promise<unknown> {
  const client = createClient({
    socket: { host: '127.0.0.1', port, reconnectStrategy: false, connectTimeout: 500 },
    RESP: 2,
  })
  client.on('error', () => {})
  await client.connect()
  try {
    return await client.sendCommand([...words])
  } finally {
    client.destroy()
  }
}

async function answering(port: number): Promise<void> {
  for (let n = 0; n < 200; n++) {
    const said = await callAt(port, ['PING']).catch((error: Error) => error.message)
    // One that asks for a password is there, too.
    if (/^PONG|^NOAUTH/.test(String(said))) return
    await delay(50)
  }
  throw new Error(`nothing answers at ${port}`)
}
