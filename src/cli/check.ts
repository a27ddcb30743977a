import type { Loaded } from '../config/load.ts'
import { type Problem, problemText } from '../config/problem.ts'
import { configurationReader } from '../configuration.ts'
import { type Args, type Command, configOption, configPath, exit, type Io, UsageError } from './command.ts'
import { count } from './table.ts'

/** `lotse check`: reads the configuration as `serve` would, and says all that is wrong with it. */
export const command: Command = {
  usage: '[--live [gateway|store|CONNECTOR|TARGET]] [--config FILE]',
  details: `Reads the configuration with everything that it names: tables, secrets, tenants' files. Runs its tests.
Each problem is one line, \`file:line:column path: what is wrong, what to write instead\`. Opens no connection.
A problem in a tenant's file disables that tenant alone; check still exits with 1. Metadata of SAML upstreams that lies in files
is read too: whether it and its signature are good, and until when its certificates are. So are certificates, anchors and lists of wallets.
--live then asks the gateway by its public address, a Redis store, each upstream, each Keystone and each cluster with apply, or
the one named, what can be asked without a person. The gateway: whether a proxy in front lets keys be kept for too long. The
store: version, eviction, persistence, replicas and clock of its primary, and whether the processes that serve from it have this
configuration. Upstreams: whether they are there and themselves, have keys that are taken here, and offer logout and refresh. Keystones: whether they are new enough, whether anybody can forge claims
to them, and whether the web server in front guards what it has to and sends people here. Clusters: whether the gateway's account
may do what it needs there. \`bad\` is why sign-ins fail, or a hole, and exits
with 1; \`note\` is worth knowing.`,
  options: { ...configOption, live: { help: 'then ask the gateway, its store, upstreams, Keystones and clusters' } },
  run: async (args, io) => {
    const live = args.flag('live')
    const path = live ? configPath(args, io) : fileOf(args, io)
    if (live && args.words.length > 1) throw new UsageError('--live asks the gateway, one connector or target, or all')
    const loaded = await configurationReader(io)(path)
    if (!loaded.ok) {
      lines(io, loaded.problems)
      return exit.refused
    }
    for (const warning of loaded.warnings) io.err(`warning: ${problemText(warning)}`)
    for (const { problems } of loaded.disabledTenants) lines(io, problems)
    io.out(summary(path, loaded))
    const { reviewOffline } = await import('./check-live.ts')
    const reviewed = await reviewOffline(loaded, io)
    const offline = loaded.disabledTenants.length > 0 ? exit.refused : reviewed
    if (!live) return offline
    const { checkLive } = await import('./check-live.ts')
    return Math.max(offline, await checkLive(loaded, args.words[0], io))
  },
}

function fileOf(args: Args, io: Io): string {
  const [word, ...more] = args.words
  if (more.length > 0) throw new UsageError(`one configuration at a time; ${JSON.stringify(more[0])} is too much`)
  return word ?? configPath(args, io)
}

function lines(io: Io, problems: readonly Problem[]): void {
  for (const problem of problems) io.err(problemText(problem))
}

function summary(path: string, { config, tests, disabledTenants, digest }: Loaded): string {
  const parts = [
    count(config.connectors.length, 'connector'),
    count(config.targets.length, 'target'),
    count(config.clients.length, 'client'),
    `${count(tests, 'test')} passed`,
    ...(disabledTenants.length > 0
      ? [`${count(disabledTenants.length, 'tenant')} disabled: ${disabledTenants.map(({ id }) => id).join(', ')}`]
      : []),
  ]
  return `${path}: ${disabledTenants.length > 0 ? 'usable, but' : 'ok,'} ${parts.join(', ')} (${digest.slice(0, 12)})`
}
