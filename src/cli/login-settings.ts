import { resolve } from 'node:path'
import type { ClientConfig } from '../config/clients.ts'
import type { GatewayConfig, TargetConfig } from '../config/gateway.ts'
import { problemText } from '../config/problem.ts'
import type { KeystoneConfig } from '../targets/keystone/options.ts'
import { type Args, type Io, UsageError } from './command.ts'
import type { KeystoneDoor } from './login-keystone.ts'
import {
  addressOf,
  type ClusterDoor,
  clusterDoor,
  folderOf,
  issuerOf,
  needed,
  redirectOf,
  resourceFor,
  said,
} from './sign-in/cluster.ts'
import type { CliClient } from './sign-in/gateway.ts'
import { sessionsIn } from './sign-in/session.ts'

/** Where somebody signs in, and with what. */
export type Door = CloudDoor | ({ readonly kind: 'cluster' } & ClusterDoor)

export interface CloudDoor extends CliClient, KeystoneDoor {
  readonly kind: 'keystone'
  /** What a clouds.yaml calls it. */
  readonly name: string
  readonly redirect: URL
  /** The path of a file with PEM certificates, absolute. */
  readonly ca: string | undefined
}

/** What a configuration of the gateway knows of all this, or what this machine keeps. */
interface Known {
  readonly kind?: 'keystone' | 'cluster'
  readonly issuer?: string
  readonly client?: string
  readonly redirect?: string
  readonly keystone?: string
  readonly identityProvider?: string
  readonly protocol?: string
}

/**
 * Puts together what options, variables and the configuration say, in this order. Undefined where the configuration does not load,
 * which was said then.
 * @throws {UsageError} where something is missing
 */
export async function doorOf(args: Args, io: Io): Promise<Door | undefined> {
  const [target, ...more] = args.words
  if (more.length > 0) throw new UsageError('name one target')
  const known = await knownOf(target, args, io)
  if (known === undefined) return undefined
  const kind = args.flag('cluster') ? 'cluster' : (known.kind ?? (said(args, io, 'keystone') ? 'keystone' : 'cluster'))
  if (kind === 'keystone') return cloudDoor(target, known, args, io)
  const { issuer, client } = signedInBefore(io, target, known)
  const hint = ', or --keystone for a Keystone, or name the configuration by --config'
  const needs = needed('issuer', said(args, io, 'issuer') ?? issuer, hint)
  if (target === undefined) throw new UsageError('name the cluster, by the id of its target at the gateway')
  return { kind, ...clusterDoor(target, { ...known, issuer: needs, client }, args, io) }
}

function cloudDoor(target: string | undefined, known: Known, args: Args, io: Io): CloudDoor {
  const value = (option: string, fallback: string | undefined) => said(args, io, option) ?? fallback
  const must = (option: string, fallback: string | undefined) =>
    needed(option, value(option, fallback), ', or name the configuration by --config')
  const ca = value('ca', io.env['OS_CACERT'] || undefined)
  return {
    kind: 'keystone',
    name: target ?? 'lotse',
    issuer: issuerOf(must('issuer', known.issuer)),
    client: must('client', known.client),
    url: addressOf('keystone', must('keystone', known.keystone)).href,
    identityProvider: word('identity-provider', value('identity-provider', known.identityProvider ?? 'lotse')),
    protocol: word('protocol', value('protocol', known.protocol ?? 'openid')),
    redirect: redirectOf(args, known.redirect),
    ca: ca === undefined ? undefined : resolve(io.cwd, ca),
  }
}

/** The gateway and client of the one sign-in that this machine keeps for a target, or at all. */
function signedInBefore(io: Io, target: string | undefined, known: Known): Pick<Known, 'issuer' | 'client'> {
  if (known.issuer !== undefined) return known
  const kept = sessionsIn(folderOf(io))
  const knowing = kept.filter(({ tokens }) => target !== undefined && Object.hasOwn(tokens, resourceFor(target)))
  const [only, ...others] = knowing.length > 0 ? knowing : kept
  return only === undefined || others.length > 0 ? {} : only
}

/** They stand in a path of Keystone as they are. */
function word(option: string, text = ''): string {
  if (!/^[\w.~-]+$/.test(text)) throw new UsageError(`--${option} is no id: ${JSON.stringify(text)}`)
  return text
}

async function knownOf(target: string | undefined, args: Args, io: Io): Promise<Known | undefined> {
  const path = said(args, io, 'config')
  if (path === undefined) return {}
  const { configurationReader } = await import('../configuration.ts') // a workstation has no use for all its packages
  const read = await configurationReader({ env: io.env, now: io.now })(resolve(io.cwd, path))
  if (!read.ok) {
    for (const problem of read.problems) io.err(problemText(problem))
    return undefined
  }
  return fromConfig(read.config, target, args)
}

function fromConfig({ issuer, targets, clients }: GatewayConfig, id: string | undefined, args: Args): Known {
  const target = targetOf(targets, id)
  const keystone = target.type === 'keystone' ? (target as unknown as KeystoneConfig) : undefined // its type's own schema has read it
  const byCode = args.flag('browser') || (keystone === undefined && !args.flag('device'))
  const fits = ({ auth, native, grants, ...client }: ClientConfig) =>
    auth === 'none' &&
    grants.includes(byCode ? 'code' : 'device') &&
    (keystone ? client.target === target.id : native && [client.target, ...client.targets].includes(target.id))
  // A client of no target of its own serves every cluster.
  const client = clients.filter(fits).sort((a, b) => Number(a.target !== undefined) - Number(b.target !== undefined))[0]
  const redirect = client?.redirectUris.find((uri) => uri.startsWith('http://'))
  return {
    kind: keystone ? 'keystone' : 'cluster',
    issuer,
    ...(keystone && {
      keystone: keystone.url,
      identityProvider: keystone.identityProvider,
      protocol: keystone.protocol,
    }),
    ...(client && { client: client.id }),
    ...(redirect !== undefined && { redirect }),
  }
}

/** The target of that id; without one the only Keystone. */
function targetOf(targets: readonly TargetConfig[], id: string | undefined): TargetConfig {
  const usable = targets.filter(({ type }) => type === 'keystone' || (id !== undefined && type === 'kubernetes'))
  const [only, ...others] = usable.filter((target) => id === undefined || target.id === id)
  if (only !== undefined && others.length === 0) return only
  const known = usable.map((target) => target.id).join(', ') || 'none'
  throw new UsageError(
    id === undefined ? `name one target: ${known}` : `no Keystone or cluster ${JSON.stringify(id)}; there is ${known}`,
  )
}
