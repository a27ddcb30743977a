import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Body, Reply, World } from './keystone/common.ts'
import { adminRoutes } from './keystone/routes.ts'
import { federatedSignIn, lookAt, ownProjects, signIn } from './keystone/sign-in.ts'
import {
  addDomain,
  addGroup,
  addProject,
  assign,
  bootstrapped,
  type KeystoneState,
  newId,
  Refusal,
  usersBy,
} from './keystone/state.ts'
import { openTokens, type Token, type Visitor } from './keystone/tokens.ts'

export interface StandInOptions {
  /** Identity provider and protocol that are registered; `lotse` and `openid`, as the configuration's defaults. */
  readonly identityProvider?: string
  readonly protocol?: string
  /** Whether names are compared as MySQL does (`Web` is `wéb`); `exact` by default. */
  readonly names?: 'exact' | 'folded'
  /** What the login of a disabled federated user gives: `valid` tokens before Keystone 26.1, `worthless` ones since (default). */
  readonly disabledLogin?: 'valid' | 'worthless'
  /** Rows of one answer; no limit by default. Pages go on here, which those of Keystone 30 do in some lists only. */
  readonly pageSize?: number
  /** Seconds that tokens say they live; 3600 by default. */
  readonly tokenSeconds?: number
  /** Whom a bearer token at the federated sign-in names; by default what its payload says (`sub`, `preferred_username`, …), unverified. */
  readonly visitor?: (bearer: string) => Visitor | undefined
  readonly port?: number
}

export interface Seen {
  readonly method: string
  /** Below /v3, with the query. */
  readonly path: string
  readonly status: number
}

/** What goes wrong with the next request that fits; then it is over. */
export interface Fault {
  readonly method?: string
  /** Fits where the path (with query) contains it. */
  readonly path?: string
  /** A status, or a connection that ends without an answer. */
  readonly answer: number | 'hang-up'
  /** Whether Keystone does the work before the answer is lost; `not` by default. */
  readonly work?: 'done' | 'not'
}

/** A Keystone v3 in memory, over HTTP on loopback; its answers are held against real ones by test/interop/keystone/api-contract.ts. */
export interface KeystoneStandIn {
  /** For a target's `url`: ends in /v3. */
  readonly url: string
  /** For `reconcile.user`: cloud administrator in the project admin of the domain Default. */
  readonly admin: { readonly name: string; readonly password: string; readonly scope: { readonly project: string } }
  /** Everything inside, for tests that build or inspect more than the verbs below. */
  readonly state: KeystoneState
  /** Every request so far, oldest first; sign-ins too. */
  readonly seen: readonly Seen[]
  /** GET and HEAD, and everything else, since the last `forget`; sign-ins count in neither. */
  readonly count: { readonly reads: number; readonly writes: number; readonly signIns: number }
  forget(): void
  /** From now on no answer but this one, until `up`. */
  down(answer?: number | 'hang-up'): void
  up(): void
  fail(fault: Fault): void
  /** Each answer takes so long from now on. */
  slow(milliseconds: number): void
  /** Find or make; ids. `domain` is a name, Default where absent. */
  domain(name: string): string
  project(name: string, domain?: string): string
  group(name: string, domain?: string): string
  role(name: string): string
  /** What an administrator does by hand: `grant('member', 'project', ID, USER)`, with a role's name. */
  grant(role: string, kind: 'project' | 'domain', place: string, user: string): void
  /** Id of the federated user of this `sub`; undefined where there is none. */
  user(sub: string): string | undefined
  /** What she has, sorted: `member in project web (Default)`, `member in domain corp`, `in group dev (Default)`. */
  access(sub: string): readonly string[]
  /** A login through the gateway's identity provider: an unscoped token. */
  login(sub: string, more?: Partial<Visitor>): string
  /** That token exchanged for one in a project, by its id; undefined where Keystone refuses. */
  scope(token: string, project: string): string | undefined
  /** Whether a service that asks now is told that the token is good. */
  valid(token: string): boolean
  /** Makes every token of the administrator invalid, as a restart with new keys does. */
  forgetTokens(): void
  close(): Promise<void>
}

/** Starts one; what it has is what `keystone-manage bootstrap` and a registered identity provider leave. */
export async function startKeystoneStandIn(options: StandInOptions = {}): Promise<KeystoneStandIn> {
  const { identityProvider = 'lotse', protocol = 'openid' } = options
  const password = 'stand-in-secret'
  const state = bootstrapped(options.names ?? 'exact', password)
  const tokens = openTokens(state, options.disabledLogin ?? 'worthless')
  const idps = new Map([
    [identityProvider, new Set([protocol])],
    ['keycloak', new Set(['openid', 'saml2'])],
  ])
  const traffic = openTraffic()
  const server = createServer(
    (request, response) => void traffic.serve(request, response, (body) => handle(world, request, body, options)),
  )
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v3`
  const world: World = { state, tokens, url, pageSize: options.pageSize ?? Infinity, idps }
  const admin = [...state.users.keys()][0] ?? ''
  return {
    url,
    admin: { name: 'admin', password, scope: { project: 'admin' } },
    ...traffic.verbs,
    get count() {
      return traffic.count()
    },
    ...verbs(world, [identityProvider, protocol]),
    forgetTokens: () => tokens.cut(admin),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Faults and counts: what happens to requests before and after Keystone's own work. */
function openTraffic() {
  const seen: Seen[] = []
  const faults: Fault[] = []
  let down: number | 'hang-up' | undefined
  let delay = 0
  let from = 0
  const isSignIn = ({ path }: Seen) => path.startsWith('/auth/') || path.startsWith('/OS-FEDERATION')
  const counted = (fits: (one: Seen) => boolean) => seen.slice(from).filter(fits).length
  const isRead = ({ method }: Seen) => method === 'GET' || method === 'HEAD'

  async function serve(request: IncomingMessage, response: ServerResponse, work: (body: string) => Reply) {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    if (delay > 0) await sleep(delay)
    const { method = 'GET', url = '' } = request
    const path = url.replace(/^\/v3/, '')
    const index = faults.findIndex((fault) => (fault.method ?? method) === method && path.includes(fault.path ?? ''))
    const [fault] = index < 0 ? [] : faults.splice(index, 1)
    const lost = down ?? fault?.answer
    const reply = lost === undefined || (down === undefined && fault?.work === 'done') ? work(body) : { status: 0 }
    const status = typeof lost === 'number' ? lost : reply.status
    seen.push({ method, path, status })
    if (lost === 'hang-up') return void request.socket.destroy()
    const shown =
      typeof lost === 'number' ? { error: { code: lost, message: 'The stand-in was told to fail.' } } : reply.body
    response.writeHead(status, { 'content-type': 'application/json', vary: 'X-Auth-Token', ...reply.headers })
    response.end(shown === undefined ? undefined : JSON.stringify(shown))
  }

  return {
    serve,
    count: () => ({
      reads: counted((one) => isRead(one) && !isSignIn(one)),
      writes: counted((one) => !isRead(one) && !isSignIn(one)),
      signIns: counted(isSignIn),
    }),
    verbs: {
      seen,
      forget() {
        from = seen.length
      },
      down(answer: number | 'hang-up' = 503) {
        down = answer
      },
      up() {
        down = undefined
      },
      fail: (fault: Fault) => void faults.push(fault),
      slow(milliseconds: number) {
        delay = milliseconds
      },
    },
  }
}

const versions = { version: { id: 'v3.14', status: 'stable', updated: '2020-04-07T00:00:00Z' } }

function handle(world: World, request: IncomingMessage, text: string, options: StandInOptions): Reply {
  try {
    const { pathname, searchParams } = new URL(request.url ?? '', world.url)
    const path = pathname.replace(/^\/v3/, '').replace(/\/$/, '')
    const body = (text === '' ? {} : JSON.parse(text)) as Body
    return route(world, { request, path, query: searchParams, body }, options)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const { status, message } = error
    return { status, body: { error: { code: status, message, title: 'Refused' } } }
  }
}

interface Asked {
  readonly request: IncomingMessage
  readonly path: string
  readonly query: URLSearchParams
  readonly body: Body
}

function route(world: World, asked: Asked, options: StandInOptions): Reply {
  const { request, path, query, body } = asked
  const { method = 'GET', headers } = request
  const lifetime = options.tokenSeconds ?? 3600
  if (path === '') return { status: 200, body: versions }
  if (path === '/auth/tokens' && method === 'POST') return signIn(world, body, lifetime)
  const federated = /^\/OS-FEDERATION\/identity_providers\/([\w.-]+)\/protocols\/([\w.-]+)\/auth$/.exec(path)
  if (federated) {
    const bearer = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1] ?? ''
    return federatedSignIn(world, federated.slice(1), (options.visitor ?? unverified)(bearer), lifetime)
  }
  const actor = world.tokens.find(String(headers['x-auth-token'] ?? ''))
  if (actor === undefined) throw new Refusal(401, 'The request you have made requires authentication.')
  if (path === '/auth/tokens') return aboutToken(world, method, String(headers['x-subject-token'] ?? ''))
  if (path === '/auth/projects') return ownProjects(world, actor)
  for (const [verb, pattern, handler] of adminRoutes) {
    const parts = verb === method ? pattern.exec(path) : null
    if (parts) return handler(world, { path, parts: parts.slice(1), query, body, actor })
  }
  throw new Refusal(404, `The stand-in has no ${method} ${path}`)
}

function aboutToken(world: World, method: string, subject: string): Reply {
  const reply = lookAt(world, subject)
  if (method !== 'DELETE') return reply
  world.tokens.revoke(subject)
  return { status: 204 }
}

function unverified(bearer: string): Visitor | undefined {
  try {
    const claims = JSON.parse(Buffer.from(bearer.split('.')[1] ?? '', 'base64url').toString()) as Record<string, string>
    const { sub, preferred_username: name = sub, email, openstack_user_domain: domain } = claims
    return sub === undefined
      ? undefined
      : { sub, name: name ?? sub, ...(email && { email }), ...(domain && { domain }) }
  } catch {
    return undefined
  }
}

function verbs(world: World, [idp, protocol]: readonly [string, string]) {
  const { state, tokens } = world
  const named = <T extends { name: string; domain_id?: string }>(
    all: ReadonlyMap<string, T>,
    name: string,
    domain?: string,
  ) => [...all.values()].find((row) => row.name === name && row.domain_id === domain)
  const domain = (name: string) => (named(state.domains, name) ?? addDomain(state, { name })).id
  const role = (name: string) => {
    const row = named(state.roles, name) ?? { id: newId(), name }
    state.roles.set(row.id, row)
    return row.id
  }
  const find = (sub: string) => usersBy(state, idp, protocol, sub)[0]?.id
  const issue = (user: string, methods: readonly string[], more: Partial<Token> = {}) => {
    const row = state.users.get(user)
    return row === undefined ? undefined : tokens.issue(row, methods, more).id
  }
  return {
    state,
    domain,
    role,
    project: (name: string, home = 'Default') =>
      (named(state.projects, name, domain(home)) ?? addProject(state, { name, domain_id: domain(home) })).id,
    group: (name: string, home = 'Default') =>
      (named(state.groups, name, domain(home)) ?? addGroup(state, { name, domain_id: domain(home) })).id,
    grant: (name: string, kind: 'project' | 'domain', place: string, user: string) =>
      assign(state, `${kind}:${place}:user:${user}:${role(name)}`),
    user: find,
    access: (sub: string) => accessOf(state, find(sub) ?? ''),
    login(sub: string, more: Partial<Visitor> = {}) {
      const { body, headers } = federatedSignIn(world, [idp, protocol], { sub, name: sub, ...more }, 3600)
      if (body === undefined) throw new Error('no token')
      return headers?.['x-subject-token'] ?? ''
    },
    scope(token: string, project: string) {
      const found = tokens.find(token)
      try {
        return found && issue(found.user, ['mapped', 'token'], { place: `project:${project}` })
      } catch {
        return undefined
      }
    },
    valid: (token: string) => tokens.find(token) !== undefined,
  }
}

function accessOf(state: KeystoneState, user: string): readonly string[] {
  const domain = (id = '') => state.domains.get(id)?.name ?? id
  const grants = [...(state.assignments.get(user) ?? [])].map((assignment) => {
    const [kind, place = '', , , role = '', inherited] = assignment.split(':')
    const project = state.projects.get(place)
    const where = project ? `project ${project.name} (${domain(project.domain_id)})` : `${kind} ${domain(place)}`
    return `${state.roles.get(role)?.name ?? role} in ${where}${inherited ? ' inherited' : ''}`
  })
  const groups = [...state.groups.values()].filter(({ id }) => state.members.get(id)?.has(user))
  return [...grants, ...groups.map(({ name, domain_id }) => `in group ${name} (${domain(domain_id)})`)].sort()
}
