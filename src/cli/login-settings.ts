import { resolve } from 'node:path'
import type { ClientConfig } from '../config/clients.ts'
import type { GatewayConfig, TargetConfig } from '../config/gateway.ts'
import { problemText } from '../config/problem.ts'
import { configurationReader } from '../configuration.ts'
import type { KeystoneConfig } from '../targets/keystone/options.ts'
import { type Args, type Io, UsageError } from './command.ts'
import type { CliClient } from './login-gateway.ts'
import type { KeystoneDoor } from './login-keystone.ts'

/** Where somebody signs in, and with what. */
export interface Door extends CliClient, KeystoneDoor {
  /** What a clouds.yaml calls it. */
  readonly name: string
  readonly redirect: URL
  /** The path of a file with PEM certificates, absolute. */
  readonly ca: string | undefined
}

/** What a configuration of the gateway knows of all this. */
interface Known {
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
  const value = (option: string, fallback?: string) =>
    args.text(option) ?? io.env[`LOTSE_${option.toUpperCase().replaceAll('-', '_')}`] ?? fallback
  const needed = (option: string, fallback: string | undefined) => {
    const given = value(option, fallback)
    if (given === undefined || given === '')
      throw new UsageError(
        `say --${option}, or set LOTSE_${option.toUpperCase()}, or name the configuration by --config`,
      )
    return given
  }
  const ca = args.text('ca') ?? io.env['OS_CACERT']
  return {
    name: target ?? 'lotse',
    issuer: address('issuer', needed('issuer', known.issuer)).href.replace(/\/$/, ''),
    client: needed('client', known.client),
    url: address('keystone', needed('keystone', known.keystone)).href,
    identityProvider: word('identity-provider', value('identity-provider', known.identityProvider ?? 'lotse')),
    protocol: word('protocol', value('protocol', known.protocol ?? 'openid')),
    redirect: loopback(args.text('redirect') ?? known.redirect ?? 'http://127.0.0.1/cb'),
    ca: ca === undefined ? undefined : resolve(io.cwd, ca),
  }
}

function address(option: string, text: string): URL {
  if (!URL.canParse(text)) throw new UsageError(`--${option} is no address: ${JSON.stringify(text)}`)
  return new URL(text)
}

/** They stand in a path of Keystone as they are. */
function word(option: string, text = ''): string {
  if (!/^[\w.~-]+$/.test(text)) throw new UsageError(`--${option} is no id: ${JSON.stringify(text)}`)
  return text
}

function loopback(text: string): URL {
  const url = address('redirect', text)
  if (url.protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname)) return url
  throw new UsageError(`--redirect is no loopback address: ${text}`)
}

async function knownOf(target: string | undefined, args: Args, io: Io): Promise<Known | undefined> {
  const path = args.text('config') ?? io.env['LOTSE_CONFIG']
  if (path === undefined) return {}
  const read = await configurationReader({ env: io.env, now: io.now })(resolve(io.cwd, path))
  if (!read.ok) {
    for (const problem of read.problems) io.err(problemText(problem))
    return undefined
  }
  return fromConfig(read.config, target, args.flag('browser') ? 'code' : 'device')
}

function fromConfig(
  { issuer, targets, clients }: GatewayConfig,
  id: string | undefined,
  grant: 'code' | 'device',
): Known {
  const keystone = keystoneOf(targets, id)
  const fits = ({ auth, target, grants }: ClientConfig) =>
    auth === 'none' && target === keystone.id && grants.includes(grant)
  const client = clients.find(fits)
  const redirect = client?.redirectUris.find((uri) => uri.startsWith('http://'))
  return {
    issuer,
    keystone: keystone.url,
    identityProvider: keystone.identityProvider,
    protocol: keystone.protocol,
    ...(client && { client: client.id }),
    ...(redirect !== undefined && { redirect }),
  }
}

function keystoneOf(targets: readonly TargetConfig[], id: string | undefined): KeystoneConfig {
  const keystones = targets.filter(({ type }) => type === 'keystone')
  const [only, ...others] = keystones.filter((target) => id === undefined || target.id === id)
  if (only !== undefined && others.length === 0) return only as unknown as KeystoneConfig // its type's own schema has read it
  const known = keystones.map((target) => target.id).join(', ') || 'none'
  throw new UsageError(
    id === undefined ? `name one target: ${known}` : `no Keystone ${JSON.stringify(id)}; there is ${known}`,
  )
}
