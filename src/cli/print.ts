import { mkdir, open, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { ConnectorConfig, GatewayConfig } from '../config/gateway.ts'
import type { Loaded } from '../config/load.ts'
import { problemText } from '../config/problem.ts'
import { configurationReader } from '../configuration.ts'
import type { GeneratedFile } from '../core/ports.ts'
import { openConnector } from '../upstreams.ts'
import { type Args, type Command, configOption, configPath, exit, type Io, UsageError } from './command.ts'
import { portsAlone, samlKeys } from './connector-alone.ts'
import { clusterOptions, filesOfTarget, refuseClusterOptions } from './print-target.ts'

/** `lotse print`: what the other side's operator needs, made from the same configuration. */
export const command: Command = {
  usage: 'CONNECTOR|TARGET [--out DIR] [--flavour NAME] [--namespaces A,B] [--seen] [--config FILE]',
  details: [
    'For an OpenID Connect upstream: how its operator registers this gateway as a client.',
    'For a SAML upstream: the metadata of this gateway, signed, with a README.md for its operator.',
    'For a Keystone: configuration of its Apache or of kolla-ansible, mapping, dashboard and command line, with a README.md that says',
    'what goes where. Flavours: apache, kolla, mod_oauth2, introspection.',
    'For a Kubernetes cluster: configuration of its API server, RBAC for what rules can give, kubeconfigs and snippets for dashboards,',
    'with a README.md. Flavours: any, access-token, id-token (which tokens its structured configuration takes).',
    'Without --out to standard output, but for files that hold secrets.',
  ].join('\n'),
  options: {
    ...configOption,
    out: { value: 'DIR', help: 'write files into this folder instead, one for each target' },
    flavour: { value: 'NAME', help: 'how the consumer is set up; the first named above if absent' },
    ...clusterOptions,
  },
  async run(args, io) {
    const [id, ...more] = args.words
    if (id === undefined || more.length > 0) throw new UsageError('name one connector or target')
    const read = await configurationReader({ env: io.env, now: io.now })(resolve(io.cwd, configPath(args, io)))
    if (!read.ok) {
      for (const problem of read.problems) io.err(problemText(problem))
      return exit.refused
    }
    const files = await filesOf(read, id, args, io)
    if (files === undefined) return exit.refused
    const out = args.text('out')
    for (const file of files) await (out === undefined ? show(file, io) : save(resolve(io.cwd, out), file, io))
    return exit.ok
  },
}

/** The files for a connector or a target; undefined where the configuration does not do for them, which has been said then. */
async function filesOf(loaded: Loaded, id: string, args: Args, io: Io): Promise<readonly GeneratedFile[] | undefined> {
  const { config } = loaded
  const flavour = args.text('flavour')
  const connector = config.connectors.find((each) => each.id === id)
  const target = config.targets.find((each) => each.id === id)
  if (connector && !(target && flavour !== undefined)) {
    if (flavour !== undefined) throw new UsageError(`${id} is a connector, which has no flavours`)
    refuseClusterOptions(id, args)
    if (target) io.err(`lotse print: ${id} is a connector and a target; for the target say --flavour`)
    return ofConnector(connector, config, args, io)
  }
  if (target) return filesOfTarget(target, loaded, args, io)
  const known = [...config.connectors, ...config.targets].map((each) => each.id).join(', ')
  throw new UsageError(`no connector or target ${JSON.stringify(id)}; there are ${known || 'none'}`)
}

async function ofConnector(
  one: ConnectorConfig,
  config: GatewayConfig,
  args: Args,
  io: Io,
): Promise<readonly GeneratedFile[]> {
  const nobody = () => Promise.reject(new Error('printing asks nobody'))
  const keys = one.type === 'saml' ? await samlKeys(args, io) : []
  const connector = await openConnector(one, { ...portsAlone(one, config, io, keys), fetch: nobody, download: nobody })
  return (await connector.print?.()) ?? []
}

function show({ path, content, secret }: GeneratedFile, io: Io): void {
  if (secret) {
    io.err(`lotse print: ${path} holds secrets, and is written with --out only`)
    return
  }
  io.out(`# ${path}`)
  io.out(content.trimEnd())
}

/** A file with secrets belongs to its owner alone from its first byte on, also where it was another's to read before. */
async function save(folder: string, { path, content, secret }: GeneratedFile, io: Io): Promise<void> {
  const name = join(folder, path)
  await mkdir(dirname(name), { recursive: true })
  const mode = secret ? 0o600 : path.endsWith('.sh') ? 0o755 : 0o644
  // A new file: whoever has the older one open, or has put a link there, would read on.
  if (secret) await rm(name, { force: true })
  await using file = await open(name, secret ? 'wx' : 'w', mode)
  await file.writeFile(content)
  io.out(name)
}
