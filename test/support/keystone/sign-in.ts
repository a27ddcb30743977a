import type { Body, Reply, World } from './common.ts'
import { nameOf, Refusal, rolesIn, sameName, type User } from './state.ts'
import { credentialWorks, mappedUser, type Token, type Visitor } from './tokens.ts'

const denied = () => new Refusal(401, 'The request you have made requires authentication.')
const at = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? (inner as Body)[key] : undefined),
    value,
  )

/** POST /auth/tokens by password, application credential or another token; scope by id or by name and domain. */
export function signIn(world: World, body: Body, lifetime: number): Reply {
  const identity = at(body, 'auth', 'identity')
  const scope = at(body, 'auth', 'scope')
  const [method] = (at(identity, 'methods') ?? []) as readonly string[]
  if (method === 'password') return answer(world, byPassword(world, at(identity, 'password', 'user'), scope), lifetime)
  if (method === 'application_credential')
    return answer(world, byCredential(world, at(identity, 'application_credential')), lifetime)
  if (method === 'token') return answer(world, byToken(world, String(at(identity, 'token', 'id')), scope), lifetime)
  throw denied()
}

function byPassword(world: World, who: unknown, scope: unknown): Token {
  const domain = domainNamed(world, at(who, 'domain'))
  const user = [...world.state.users.values()].find(
    ({ id, localName, domain_id }) =>
      id === at(who, 'id') ||
      (domain_id === domain && localName !== undefined && sameName(world.state, localName, String(at(who, 'name')))),
  )
  if (!user?.enabled || user.password === undefined || user.password !== at(who, 'password')) throw denied()
  return world.tokens.issue(user, ['password'], placeOf(world, scope))
}

function byCredential({ state, tokens }: World, given: unknown): Token {
  const credential = state.credentials.get(String(at(given, 'id')))
  const user = state.users.get(credential?.user ?? '')
  if (!credential || !user || credential.secret !== at(given, 'secret') || !credentialWorks(state, credential.id))
    throw denied()
  const more = { place: `project:${credential.project}`, credential: credential.id }
  return tokens.issue(user, ['application_credential'], more)
}

function byToken(world: World, id: string, scope: unknown): Token {
  const token = world.tokens.find(id)
  const user = world.state.users.get(token?.user ?? '')
  if (!token || !user) throw new Refusal(404, 'Could not find token.')
  return world.tokens.issue(user, [...new Set([...token.methods, 'token'])], placeOf(world, scope))
}

function domainNamed({ state }: World, domain: unknown): string | undefined {
  const name = at(domain, 'name')
  const id = at(domain, 'id')
  return [...state.domains.values()].find(
    (one) => one.id === id || (typeof name === 'string' && sameName(state, one.name, name)),
  )?.id
}

function placeOf(world: World, scope: unknown): { place?: string } {
  if (scope === undefined || scope === 'unscoped') return {}
  if (at(scope, 'system', 'all') === true) return { place: 'system:all' }
  if (at(scope, 'domain') !== undefined) {
    const domain = domainNamed(world, at(scope, 'domain'))
    if (domain === undefined) throw denied()
    return { place: `domain:${domain}` }
  }
  const project = at(scope, 'project')
  const domain = domainNamed(world, at(project, 'domain'))
  const row = [...world.state.projects.values()].find(
    ({ id, name, domain_id }) =>
      id === at(project, 'id') || (domain_id === domain && sameName(world.state, name, String(at(project, 'name')))),
  )
  if (row === undefined) throw denied()
  return { place: `project:${row.id}` }
}

/** A federated sign-in, as Apache and a thin mapping hand it on. */
export function federatedSignIn(
  world: World,
  [idp = '', protocol = '']: readonly string[],
  visitor: Visitor | undefined,
  lifetime: number,
): Reply {
  if (!world.idps.get(idp)?.has(protocol)) throw new Refusal(404, `Could not find Identity Provider: ${idp}.`)
  if (visitor === undefined) throw denied()
  const user = mappedUser(world.state, [idp, protocol], visitor)
  return answer(world, world.tokens.issue(user, ['mapped']), lifetime)
}

/** GET /auth/tokens: about the token in X-Subject-Token. */
export function lookAt(world: World, subject: string): Reply {
  const token = world.tokens.find(subject)
  if (token === undefined) throw new Refusal(404, 'Could not find token.')
  return { ...answer(world, token, 3600), status: 200 }
}

/** GET /auth/projects: where the actor of this token may go. */
export function ownProjects({ state, url }: World, { user }: Token): Reply {
  const projects = [...state.projects.values()].filter(({ id }) => rolesIn(state, `project:${id}`, user).length > 0)
  return { status: 200, body: { projects, links: { next: null, self: `${url}/auth/projects`, previous: null } } }
}

function answer(world: World, token: Token, lifetime: number): Reply {
  const { state } = world
  const inDomain = (id: string) => ({ id, name: state.domains.get(id)?.name })
  const user = state.users.get(token.user) as User
  const project = state.projects.get(token.place?.slice(8) ?? '')
  const now = Date.now()
  const shown = {
    methods: token.methods,
    user: { id: user.id, name: nameOf(user), domain: inDomain(user.domain_id) },
    issued_at: new Date(now).toISOString(),
    expires_at: new Date(now + lifetime * 1000).toISOString(),
    ...(project && { project: { id: project.id, name: project.name, domain: inDomain(project.domain_id) } }),
    ...(token.place?.startsWith('domain:') && { domain: inDomain(token.place.slice(7)) }),
    ...(token.place === 'system:all' && { system: { all: true } }),
    ...(token.place && { roles: world.tokens.rolesOf(token).map((id) => state.roles.get(id)) }),
  }
  return { status: 201, body: { token: shown }, headers: { 'x-subject-token': token.id } }
}
