import { type ChildProcess, spawn } from 'node:child_process'
import { utimesSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fakeClock, freePort } from './gateway.ts'
import { compiled } from './runner.ts'

const main = join(import.meta.dirname, '../../src/main.ts')

export const secrets = {
  UP_SECRET: 'a-secret-of-the-upstream-client-0123456789',
  ROBOT_SECRET: 'robot-secret-0123456789-0123456789012',
}

export type Line = Readonly<Record<string, unknown>>

/** A folder with a configuration, for `lotse serve` as a process of its own. */
export interface Place {
  readonly folder: string
  readonly file: string
  readonly issuer: string
  readonly operations: string
  readonly ports: readonly [number, number]
  /** Writes the configuration again, with one text in place of another. */
  change(from: string, to: string): Promise<void>
  remove(): Promise<void>
}

/** `lotse serve`, running. */
export interface Serving {
  readonly child: ChildProcess
  /** Everything on standard output and standard error so far. */
  readonly out: () => string
  readonly err: () => string
  /** The first line of the log with this message, at or after `from` lines; waits for it. */
  logged(message: string, from?: number): Promise<Line>
  /** How many lines the log has. */
  lines(): number
  /** The exit code; waits for the end. */
  ended(): Promise<number | null>
  /** Ends it, however it is. */
  kill(): Promise<void>
}

const text = (issuer: string, [port, operations]: readonly [number, number]) => `
issuer: ${issuer}
listen: { port: ${port} }
operations: { port: ${operations} }
store: { kind: embedded, path: ./lotse.db }
keys: { create: true, rsaBits: 2048 }
audit: { path: '-' }
connectors:
  - { id: corp, type: oidc, label: Corp, issuer: https://up.invalid, clientId: lotse, clientSecret: { env: UP_SECRET }, domain: corp }
targets:
  - { id: argo, type: oidc, label: Argo CD, audience: https://argo.example }
clients:
  - { id: robot, target: argo, auth: client_secret_post, secret: { env: ROBOT_SECRET }, grants: [client_credentials], serviceAccount: { connector: corp, id: robot-1, claims: { groups: [/ci] } } }
rules:
  - { name: teams, from: [corp], each: { claim: groups, pattern: '/<team>' }, give: [{ target: argo, group: 'old-<team>' }] }
`

export async function place(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'lotse-serve-'))
  const ports = [await freePort(), await freePort()] as const
  const issuer = `http://127.0.0.1:${ports[0]}`
  const file = join(folder, 'gateway.yaml')
  let yaml = text(issuer, ports)
  await writeFile(file, yaml)
  return {
    folder,
    file,
    issuer,
    operations: `http://127.0.0.1:${ports[1]}`,
    ports,
    async change(from, to) {
      if (!yaml.includes(from)) throw new Error(`${JSON.stringify(from)} does not stand in the configuration`)
      yaml = yaml.replace(from, () => to)
      await writeFile(file, yaml)
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Stands still in this process and in the gateways that go by it, until it is moved: no test waits for time to pass, nor is too late on a busy machine. */
export interface SharedClock {
  /** Sets the clock of a process that imports it. */
  readonly module: string
  advance(seconds: number): void
  stop(): void
}

/** The time of a file in the folder of a place is what its gateways take for now. */
export async function sharedClock({ folder }: Place): Promise<SharedClock> {
  const file = join(folder, 'clock')
  const clock = fakeClock()
  const show = () => {
    const now = Math.floor(Date.now() / 1000)
    utimesSync(file, now, now)
  }
  await writeFile(file, '')
  show()
  const code = `import { statSync } from 'node:fs'; Date.now = () => statSync(${JSON.stringify(file)}).mtimeMs`
  return {
    module: `data:text/javascript,${encodeURIComponent(code)}`,
    advance(seconds) {
      clock.advance(seconds)
      show()
    },
    stop: clock.stop,
  }
}

/**
 * Starts the gateway; does not wait until it serves.
 * @param output where standard output goes
 * @param clock what it goes by; its own if absent
 */
export function serve(at: Place, output: 'pipe' | number = 'pipe', clock?: SharedClock): Serving {
  const imports = clock ? ['--import', clock.module] : []
  const child = spawn(process.execPath, [...imports, main, 'serve', '--config', at.file], {
    stdio: ['ignore', output, 'pipe'],
    env: { PATH: process.env['PATH'], ...compiled(), ...secrets },
  })
  let out = ''
  let err = ''
  let over: number | null | undefined
  const waiting = new Set<() => void>()
  const look = () => waiting.forEach((each) => void each())
  child.stdout?.on('data', (chunk) => {
    out += chunk
  })
  child.stderr?.on('data', (chunk) => {
    err += chunk
    look()
  })
  child.once('close', (code) => {
    over = code
    look()
  })
  const when = <T>(ask: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const again = () => {
        const answer = ask()
        if (answer === undefined && over === undefined) return
        waiting.delete(again)
        if (answer === undefined) reject(new Error(`the gateway ended with ${over}:\n${err}`))
        else resolve(answer)
      }
      waiting.add(again)
      again()
    })
  const logs = () => err.split('\n').slice(0, -1)
  return {
    child,
    out: () => out,
    err: () => err,
    logged: (message, from = 0) =>
      when(() =>
        logs()
          .slice(from)
          .map(parsed)
          .find((line) => line['message'] === message),
      ),
    lines: () => logs().length,
    ended: () => when(() => (over === undefined ? undefined : { over })).then(({ over }) => over),
    async kill() {
      if (over === undefined) child.kill('SIGKILL')
      await when(() => (over === undefined ? undefined : true))
    },
  }
}

/** A line as JSON; the test fails where it is none. */
export function parsed(line: string): Line {
  try {
    return JSON.parse(line)
  } catch {
    throw new Error(`no line of JSON: ${line}`)
  }
}

export const robotFields = () =>
  new URLSearchParams({ grant_type: 'client_credentials', client_id: 'robot', client_secret: secrets.ROBOT_SECRET })

/** The robot's access token; the status where there is none. */
export async function robotGroups(at: Place): Promise<unknown> {
  const answer = await fetch(`${at.issuer}/token`, { method: 'POST', body: robotFields() })
  const { access_token: token } = (await answer.json()) as { access_token?: string }
  if (token === undefined) return answer.status
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')).groups
}
