import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { resourceOf } from '../../targets/resource.ts'
import { type Args, type Io, type Option, UsageError } from '../command.ts'
import type { Granted, SignInPorts } from './gateway.ts'
import { cacheFolder, type Place, type Where } from './session.ts'

/** Where somebody signs in for a cluster, and how. */
export interface ClusterDoor extends Where {
  /** What people call it. */
  readonly target: string
  readonly resource: string
  readonly redirect: URL
}

/** `offline_access` gives the refresh token that serves every cluster; what a token says is decided by rules. */
const SCOPE = 'openid offline_access'

/** Options of every command that signs in at a gateway. */
export const gatewayOptions = {
  issuer: { value: 'URL', help: 'the gateway; LOTSE_ISSUER if absent' },
  client: { value: 'ID', help: 'the public client of the gateway that command lines are; LOTSE_CLIENT if absent' },
  ca: { value: 'FILE', help: 'PEM certificates of a CA of your own; LOTSE_CA if absent' },
  redirect: { value: 'URL', help: "the client's loopback redirect URI; http://127.0.0.1/cb if absent" },
  browser: { help: 'sign in by a browser on this machine, without a code to confirm' },
  device: { help: 'sign in by a code, at a browser anywhere' },
} as const satisfies Record<string, Option>

/** Options before variables; an empty variable says nothing. */
export const said = (args: Args, io: Io, option: string): string | undefined =>
  args.text(option) ?? (io.env[`LOTSE_${option.toUpperCase().replaceAll('-', '_')}`] || undefined)

/** @throws {UsageError} where nobody says it */
export function needed(option: string, value: string | undefined, hint = ''): string {
  if (value !== undefined && value !== '') return value
  throw new UsageError(`say --${option}, or set LOTSE_${option.toUpperCase()}${hint}`)
}

/** @throws {UsageError} where it is none; no slash at the end */
export function issuerOf(text: string): string {
  return addressOf('issuer', text).href.replace(/\/$/, '')
}

/** @throws {UsageError} where it is none */
export function addressOf(option: string, text: string): URL {
  if (!URL.canParse(text)) throw new UsageError(`--${option} is no address: ${JSON.stringify(text)}`)
  return new URL(text)
}

/**
 * Where a browser's answer comes back to.
 * @param known what stands behind the option
 * @throws {UsageError} where that is no address on this machine (others would hear the answer), or both ways to sign in are asked for
 */
export function redirectOf(args: Args, known = 'http://127.0.0.1/cb'): URL {
  if (args.flag('browser') && args.flag('device')) throw new UsageError('--browser and --device exclude each other')
  const text = args.text('redirect') ?? known
  const url = addressOf('redirect', text)
  if (url.protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname)) return url
  throw new UsageError(`--redirect is no loopback address: ${text}`)
}

/** The identifier of a target for RFC 8707: a URI as it is, else the id of a target of the gateway. */
export const resourceFor = (target: string): string =>
  /^[a-z][a-z0-9+.-]*:/i.test(target) ? target : resourceOf(target)

/**
 * The door of a cluster, from what options, variables and a kubeconfig say.
 * @param known what stands behind options and variables
 * @throws {UsageError} where something is missing or impossible
 */
export function clusterDoor(
  target: string,
  known: { readonly issuer?: string | undefined; readonly client?: string | undefined; readonly redirect?: string },
  args: Args,
  io: Io,
): ClusterDoor {
  const ca = said(args, io, 'ca')
  return {
    issuer: issuerOf(needed('issuer', said(args, io, 'issuer') ?? known.issuer)),
    client: needed('client', said(args, io, 'client') ?? known.client),
    target,
    resource: resourceFor(target),
    redirect: redirectOf(args, known.redirect),
    ca: ca === undefined ? undefined : resolve(io.cwd, ca),
  }
}

/** Where this machine keeps sign-ins. */
export const folderOf = (io: Io): string => resolve(io.cwd, cacheFolder(io.env))

/** Where this machine keeps the sign-in of a door. */
export const placeOf = (io: Io, { issuer, client, ca }: Where): Place => ({
  folder: folderOf(io),
  who: { issuer, client, ca },
})

/** How a gateway is reached from a person's machine. @param ca the path of a file with PEM certificates */
export async function gatewayFetch(ca: string | undefined): Promise<typeof globalThis.fetch> {
  const trusted = ca === undefined ? {} : { ca: readFileSync(ca, 'utf8') }
  const { createFetcher } = await import('../../fetcher/fetcher.ts') // what is held already needs no network
  return createFetcher({ reach: 'configured', timeoutMs: 10_000, maxBytes: 1024 * 1024, ...trusted })
}

/** Signs in by a browser on this machine, or by a code where it has no display; options say otherwise. */
export async function signInAt(door: ClusterDoor, args: Args, io: Io, ports: SignInPorts): Promise<Granted> {
  const wanted = { scope: SCOPE, resource: door.resource }
  const { browserOpener } = await import('./browser.ts')
  const open = args.flag('device') ? undefined : browserOpener(io.env)
  if (open !== undefined || args.flag('browser')) {
    const { byBrowser } = await import('./loopback.ts')
    return await byBrowser(door, { ...wanted, redirect: door.redirect }, { ...ports, open })
  }
  const { byDevice } = await import('./device.ts')
  return await byDevice(door, wanted, ports)
}
