import { type Configuration, errors } from 'oidc-provider'
import type { ClientConfig } from '../config/clients.ts'
import { ISSUER_RING } from '../core/ports.ts'
import { resourceOf } from '../targets/resource.ts'
import type { Target } from '../targets/target.ts'
import type { Parts } from './parts.ts'
import type { Context } from './proofs.ts'

type ResourceIndicators = NonNullable<NonNullable<Configuration['features']>['resourceIndicators']>

/** What clients may call a target: by its identifier or, where that is a URI, by its audience. */
const namesOf = ({ id, audience }: Target): readonly string[] =>
  URL.canParse(audience) ? [resourceOf(id), audience] : [resourceOf(id)]

/** Asked several times for each request; the targets of one gateway value do not change. */
const indexes = new WeakMap<ReadonlyMap<string, Target>, ReadonlyMap<string, Target>>()

function indexOf(targets: ReadonlyMap<string, Target>): ReadonlyMap<string, Target> {
  const known = indexes.get(targets)
  if (known) return known
  const index = new Map<string, Target>()
  for (const target of targets.values()) for (const name of namesOf(target).toReversed()) index.set(name, target)
  indexes.set(targets, index)
  return index
}

/** Finds a target by either of its names, as clients write them. */
export function targetByResource(
  targets: ReadonlyMap<string, Target>,
): (identifier: string | undefined) => Target | undefined {
  const index = indexOf(targets)
  return (identifier) => (identifier === undefined ? undefined : index.get(identifier))
}

/** The targets that a request is about: those that `resource` names, or the client's own; none where it has none. */
export function wantedTargets(
  parts: Pick<Parts, 'clients' | 'targets'>,
  client: string,
  resources: readonly string[],
): readonly string[] {
  const targetFor = targetByResource(parts.targets)
  const named = resources.flatMap((resource) => targetFor(resource)?.id ?? [])
  const own = parts.clients.get(client)?.target
  return named.length > 0 || own === undefined ? named : [own]
}

/** Whether tokens of a target are for this client to ask for: its own, or a further one that it names. */
export function mayAskFor(client: ClientConfig, target: string): boolean {
  return client.target === target || client.targets.includes(target)
}

/** Every scope that a client may ask for; what tokens say is decided by rules, not by scopes. */
export const SCOPES = 'openid profile email groups offline_access'

const NOT_YOURS = 'this client may not ask for tokens of that target'

/** With an audience behind it, the scope by which Dex's clients name whom else an ID token is for. */
const AUDIENCE = 'audience:server:client_id:'

/** The scope that names a target; undefined where nobody there could read an ID token, which the issuer's own ring signs. */
const scopeOf = ({ ring, audience }: Target): string | undefined =>
  ring === ISSUER_RING ? AUDIENCE + audience : undefined

/**
 * The targets that a request names by scopes. A client's own id among them names nothing further, as at Dex.
 * @throws {errors.InvalidTarget} where there is none of that audience, or it is not for this client to ask for
 */
export function scopedTargets(
  { targets }: Pick<Parts, 'targets'>,
  client: ClientConfig,
  scope: unknown,
): readonly Target[] {
  const asked = typeof scope === 'string' ? scope.split(' ') : []
  const named = asked.filter((each) => each.startsWith(AUDIENCE) && each !== AUDIENCE + client.id)
  const all = [...targets.values()]
  return named.map((each) => {
    const target = all.find((one) => scopeOf(one) === each)
    if (!target || !mayAskFor(client, target.id)) throw new errors.InvalidTarget(NOT_YOURS)
    // The client's id stands in each of its ID tokens: one for two targets would be good at both (law 8).
    if (all.some(({ audience }) => audience === client.id))
      throw new errors.InvalidTarget('the ID tokens of this client are for its own target, and none is for two')
    return target
  })
}

/**
 * The target that the ID token of a request is for beside the client: that of the access token, where a scope named it. A
 * `resource` alone leaves the ID token the client's own.
 */
export function idTokenTarget(targets: ReadonlyMap<string, Target>): (ctx: Context) => Target | undefined {
  const targetFor = targetByResource(targets)
  const audiences = new Set([...targets.values()].map(({ audience }) => audience))
  return ({ oidc: { entities, params, client } }) => {
    const { AccessToken, RefreshToken, DeviceCode, AuthorizationCode } = entities
    const resource = AccessToken?.resourceServer as { identifier(): string } | undefined
    const target = targetFor(resource?.identifier())
    const named = target && scopeOf(target)
    // A client whose own ID tokens a target takes gets none that two would take (law 8).
    if (named === undefined || audiences.has(client?.clientId ?? '')) return undefined
    const scope = params?.['scope'] ?? (RefreshToken ?? DeviceCode ?? AuthorizationCode)?.scope
    return String(scope).split(' ').includes(named) ? target : undefined
  }
}

/** What may stand in a request beside the resource of a target. */
const scopesAt = (target: Target) => [SCOPES, scopeOf(target) ?? []].flat().join(' ')

/**
 * Which of several resources a token is for: one that the request's scopes name, the client's own target, or the only one; all of
 * them where it is not clear, which the library refuses.
 */
export function oneResource(
  parts: Pick<Parts, 'targets'>,
  client: ClientConfig,
  { oneOf, scope }: { readonly oneOf: readonly string[]; readonly scope: unknown },
): string | readonly string[] | undefined {
  if (oneOf.length < 2) return oneOf[0]
  const targetFor = targetByResource(parts.targets)
  const scoped: readonly (Target | undefined)[] = scopedTargets(parts, client, scope)
  const fit = scoped.length === 0 ? oneOf : oneOf.filter((resource) => scoped.includes(targetFor(resource)))
  const own = ownResource(client)
  if (own !== undefined && fit.includes(own)) return own
  return fit.length > 1 ? fit : fit[0]
}

/** A dashboard reads userinfo, which a token for a target cannot: it has no default and gets an opaque token. */
const ownResource = ({ target, accessToken }: ClientConfig) =>
  target !== undefined && accessToken === 'jwt' ? resourceOf(target) : undefined

/**
 * What a sign-in is for where the client names nothing: a client of no target of its own signs a person in at all of its targets,
 * by either name of each.
 */
function defaultResources(
  client: ClientConfig,
  targets: ReadonlyMap<string, Target>,
): string | readonly string[] | undefined {
  if (client.target !== undefined || client.accessToken !== 'jwt') return ownResource(client)
  const names = client.targets.flatMap((id) => {
    const target = targets.get(id)
    return target ? namesOf(target) : []
  })
  return names.length === 0 ? undefined : names
}

/** Which target a token is for: the client's own, or the one that `resource` names and the client may use (law 8). */
export function resourceIndicators(parts: Pick<Parts, 'clients' | 'targets'>): ResourceIndicators {
  const targetFor = targetByResource(parts.targets)
  return {
    enabled: true,
    defaultResource(anyCtx, client, oneOf) {
      const scope = (anyCtx as Context).oidc.params?.['scope']
      const config = parts.clients.get(client.clientId)
      if (!config) return oneOf as never
      if (oneOf) return oneResource(parts, config, { oneOf, scope }) as string
      const scoped = scopedTargets(parts, config, scope).map(({ id }) => resourceOf(id))
      return (scoped.length > 0 ? scoped : defaultResources(config, parts.targets)) as string
    },
    useGrantedResource: () => true,
    getResourceServerInfo(_ctx, identifier, client) {
      const target = targetFor(identifier)
      const config = parts.clients.get(client.clientId)
      if (!target || !config || !mayAskFor(config, target.id)) {
        throw new errors.InvalidTarget(NOT_YOURS)
      }
      return {
        scope: scopesAt(target),
        audience: target.audience,
        accessTokenFormat: 'jwt',
        accessTokenTTL: target.ttl,
      }
    },
  }
}
