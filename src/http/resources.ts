import { type Configuration, errors } from 'oidc-provider'
import type { ClientConfig } from '../config/clients.ts'
import { resourceOf } from '../targets/resource.ts'
import type { Target } from '../targets/target.ts'
import type { Parts } from './parts.ts'

type ResourceIndicators = NonNullable<NonNullable<Configuration['features']>['resourceIndicators']>

/** What clients may call a target: by its identifier or, where that is a URI, by its audience. */
const namesOf = ({ id, audience }: Target): readonly string[] =>
  URL.canParse(audience) ? [resourceOf(id), audience] : [resourceOf(id)]

/** Finds a target by either of its names, as clients write them. */
export function targetByResource(
  targets: ReadonlyMap<string, Target>,
): (identifier: string | undefined) => Target | undefined {
  const index = new Map<string, Target>()
  for (const target of targets.values()) for (const name of namesOf(target).toReversed()) index.set(name, target)
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

/**
 * Which of several resources a token is for: the client's own target, or the only one; all of them where it is not clear, which
 * the library refuses.
 */
export function oneResource(client: ClientConfig, oneOf: readonly string[]): string | readonly string[] | undefined {
  const own = ownResource(client)
  if (own !== undefined && oneOf.includes(own)) return own
  return oneOf.length > 1 ? oneOf : oneOf[0]
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
    defaultResource(_ctx, client, oneOf) {
      const config = parts.clients.get(client.clientId)
      if (!oneOf) return (config && defaultResources(config, parts.targets)) as string
      return (config ? oneResource(config, oneOf) : oneOf) as string
    },
    useGrantedResource: () => true,
    getResourceServerInfo(_ctx, identifier, client) {
      const target = targetFor(identifier)
      const config = parts.clients.get(client.clientId)
      if (!target || !config || !mayAskFor(config, target.id)) {
        throw new errors.InvalidTarget('this client may not ask for tokens of that target')
      }
      return { scope: SCOPES, audience: target.audience, accessTokenFormat: 'jwt', accessTokenTTL: target.ttl }
    },
  }
}
