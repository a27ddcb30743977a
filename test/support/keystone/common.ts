import { type KeystoneState, Refusal } from './state.ts'
import type { Token, Tokens } from './tokens.ts'

export type Body = Readonly<Record<string, unknown>>

/** One request, past its token. */
export interface Call {
  /** Below /v3, without the query. */
  readonly path: string
  readonly parts: readonly string[]
  readonly query: URLSearchParams
  readonly body: Body
  readonly actor: Token
}
export interface Reply {
  readonly status: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** What the routes work on. */
export interface World {
  readonly state: KeystoneState
  readonly tokens: Tokens
  readonly url: string
  /** Longest page of users, projects and groups; Infinity where Keystone sets no list_limit. */
  readonly pageSize: number
  /** Identity providers and their protocols. */
  readonly idps: ReadonlyMap<string, ReadonlySet<string>>
}

export const isAdmin = ({ state, tokens }: World, actor: Token) =>
  tokens.rolesOf(actor).some((role) => state.roles.get(role)?.name === 'admin')

/** The domain that the actor manages, as Keystone 2023.2 and newer have it; undefined where none. */
export function managed({ state, tokens }: World, actor: Token): string | undefined {
  const manager = tokens.rolesOf(actor).some((role) => state.roles.get(role)?.name === 'manager')
  return manager && actor.place?.startsWith('domain:') ? actor.place.slice(7) : undefined
}

/** @throws {Refusal} 403 for whoever is neither admin nor manager of this domain */
export function mayIn(world: World, { actor }: Call, domain: string | undefined) {
  if (isAdmin(world, actor) || (domain !== undefined && managed(world, actor) === domain)) return
  throw new Refusal(403, 'You are not authorized to perform the requested action.')
}

/** @throws {Refusal} 403 */
export function mayList(world: World, call: Call) {
  if (!isAdmin(world, call.actor)) mayIn(world, call, managed(world, call.actor))
}

/** Everything that the actor may see: an admin all, a manager what is in her domain. */
export function within<T extends { domain_id: string }>(
  world: World,
  call: Call,
  all: ReadonlyMap<string, T>,
): readonly T[] {
  mayList(world, call)
  const domain = isAdmin(world, call.actor) ? undefined : managed(world, call.actor)
  return [...all.values()].filter(({ domain_id }) => domain === undefined || domain_id === domain)
}

export const found = <T>(all: ReadonlyMap<string, T>, kind: string, id = ''): T => {
  const value = all.get(id)
  if (value === undefined) throw new Refusal(404, `Could not find ${kind}: ${id}.`)
  return value
}

export function paged(
  world: World,
  { path, query }: Call,
  kind: string,
  rows: readonly { readonly id: string }[],
): Reply {
  const size = Math.min(Number(query.get('limit') ?? Infinity), world.pageSize)
  const sorted = size === Infinity ? rows : [...rows].sort((a, b) => (a.id < b.id ? -1 : 1))
  const marker = query.get('marker')
  const rest = marker === null ? sorted : sorted.filter(({ id }) => id > marker)
  const page = rest.slice(0, size)
  const next = new URLSearchParams(query)
  next.set('marker', page.at(-1)?.id ?? '')
  const links = {
    next: page.length < rest.length ? `${world.url}${path}?${next}` : null,
    self: `${world.url}${path}`,
    previous: null,
  }
  return { status: 200, body: { [kind]: page, links, ...(page.length < rest.length && { truncated: true }) } }
}

export const inner = (call: Call, kind: string) => (call.body[kind] ?? {}) as Body
