import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Io } from '../../src/cli/command.ts'
import { main } from '../../src/cli/index.ts'
import type { TestGateway } from './gateway.ts'
import { standardEnv } from './standard.ts'

/** What a command wrote, line by line, and how it ended. */
export interface Said {
  readonly code: number
  readonly out: readonly string[]
  readonly err: readonly string[]
}

/** A line of `lotse keys list --json`. */
export interface Key {
  readonly ring: string
  readonly kid: string
  readonly alg: string
  readonly state: string
}

/** The command line, as an operator has it on the gateway's machine. */
export interface Operator {
  /** Runs `lotse` with these words, and `more` after them: the gateway's configuration if absent. */
  lotse(line: string, more?: string): Promise<Said>
  /** The same; standard output as JSON. */
  json<T>(line: string): Promise<T>
  /** Writes the configuration anew; the gateway does not hear of it. */
  configure(config: string): Promise<void>
  /** The keys of one ring. */
  keysOf(ring: string): Promise<readonly Key[]>
  /** The key of a ring that signs now. */
  kidOf(ring: string): Promise<string>
  /** What commands wrote to the audit log, oldest first. */
  audit(): Promise<readonly Record<string, unknown>[]>
}

/** @param config without `issuer`, `listen`, `store`, `keys` and `audit`, which are put in front, as for the gateway */
export async function operator(
  gateway: TestGateway,
  config: string,
  env: Readonly<Record<string, string>> = standardEnv,
): Promise<Operator> {
  const file = join(gateway.folder, 'gateway.yaml')
  const log = join(gateway.folder, 'audit.log')
  const configure = (text: string) =>
    writeFile(
      file,
      `issuer: ${gateway.issuer}\nlisten: { port: 0 }\nstore: ${gateway.storeYaml}\n` +
        `keys: ${gateway.keys}\naudit: { path: ./audit.log }\n${text}`,
    )
  await configure(config)
  const lotse = async (line: string, more = '--config gateway.yaml'): Promise<Said> => {
    const out: string[] = []
    const err: string[] = []
    const io: Io = {
      out: (text) => out.push(...text.split('\n')),
      send: async (text) => void out.push(text),
      err: (text) => err.push(text),
      input: async () => '',
      env,
      cwd: gateway.folder,
      columns: undefined,
      now: () => Math.floor(Date.now() / 1000),
      stop: new AbortController().signal,
      onHangup: () => {},
    }
    const code = await main(`${line} ${more}`.split(' ').filter(Boolean), io)
    return { code, out, err }
  }
  const json = async <T>(line: string) => {
    const { out, err } = await lotse(`${line} --json`)
    if (out.length === 0) throw new Error(err.join('\n'))
    return JSON.parse(out.join('\n')) as T
  }
  const keysOf = async (ring: string) => (await json<readonly Key[]>('keys list')).filter((key) => key.ring === ring)
  return {
    lotse,
    configure,
    json,
    keysOf,
    kidOf: async (ring) => (await keysOf(ring)).find(({ state }) => state === 'current')?.kid ?? '',
    audit: async () =>
      (await readFile(log, 'utf8').catch(() => ''))
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
  }
}
