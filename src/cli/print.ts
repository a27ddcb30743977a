import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { problemText } from '../config/problem.ts'
import { configurationReader } from '../configuration.ts'
import { urlsFor } from '../connectors/connector.ts'
import { connectorTypes } from '../connectors/index.ts'
import type { GeneratedFile } from '../core/ports.ts'
import { type Command, configOption, configPath, exit, UsageError } from './command.ts'

/** `lotse print`: what the other side's operator needs, made from the same configuration. */
export const command: Command = {
  usage: 'CONNECTOR [--out DIR] [--config FILE]',
  details:
    'For an OpenID Connect upstream: how its operator registers this gateway as a client. Without --out to standard output.',
  options: { ...configOption, out: { value: 'DIR', help: 'write files into this folder instead' } },
  async run(args, io) {
    const [id, ...more] = args.words
    if (id === undefined || more.length > 0) throw new UsageError('name one connector')
    const read = await configurationReader({ env: io.env, now: io.now })(resolve(io.cwd, configPath(args, io)))
    if (!read.ok) {
      for (const problem of read.problems) io.err(problemText(problem))
      return exit.refused
    }
    const config = read.config.connectors.find((connector) => connector.id === id)
    if (!config) {
      const known = read.config.connectors.map((connector) => connector.id).join(', ')
      throw new UsageError(`no connector ${JSON.stringify(id)}; there are ${known || 'none'}`)
    }
    const type = connectorTypes[config.type as keyof typeof connectorTypes]
    const connector = await type.open(config as never, {
      now: io.now,
      ...urlsFor(new URL(read.config.issuer), id),
      fetch: () => Promise.reject(new Error('printing asks nobody')),
      seal: () => '',
      open: () => '',
      log: () => {},
    })
    const files = connector.print?.() ?? []
    const out = args.text('out')
    for (const file of files) await (out === undefined ? show(file, io.out) : save(resolve(io.cwd, out), file, io.out))
    return exit.ok
  },
}

async function show({ path, content }: GeneratedFile, out: (text: string) => void): Promise<void> {
  out(`# ${path}`)
  out(content.trimEnd())
}

async function save(folder: string, { path, content }: GeneratedFile, out: (text: string) => void): Promise<void> {
  const file = join(folder, path)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, content)
  out(file)
}
