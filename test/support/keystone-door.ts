import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a stranger meets at a Keystone and the Apache in front of it; each field is one thing that can be wrong. */
export interface Door {
  /** Major version of the Keystone. */
  version: number
  readonly issuer: string
  readonly client: string
  /** How the identity provider stands there. */
  provider: 'there' | 'missing' | 'disabled' | 'no method' | 'open'
  /** Header names that the Keystone takes for claims, up to the claim. */
  believes: readonly string[]
  /** Whether the identity provider has remote ids, to which claims are held. */
  remoteIds: 'held' | 'none'
  /** What guards the path of bearer tokens. */
  bearer: 'guarded' | 'keystone' | 'session' | 'anything'
  /** Changes where websso sends people; undefined where nobody guards it. */
  websso: ((to: URL) => URL) | undefined
  trusted: readonly string[]
  /** What the gateway's own account sees; undefined where there is none. */
  inside: Inside | undefined
  /** Method and path of each request. */
  readonly asked: string[]
  /** Tokens that strangers got and did not give back. */
  readonly held: string[]
}

/** The registration of the gateway, and which paths the account may not read. */
export interface Inside {
  readonly remoteIds: readonly string[]
  readonly mapping: unknown
  readonly attribute?: string
  readonly refuses: RegExp
}

export const newDoor = (issuer: string, client: string): Door => ({
  version: 30,
  issuer,
  client,
  provider: 'there',
  believes: [],
  remoteIds: 'held',
  bearer: 'guarded',
  websso: (to) => to,
  trusted: ['https://horizon.example/auth/websso/', 'http://localhost:9990/auth/websso/'],
  inside: undefined,
  asked: [],
  held: [],
})

const answer = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(status === 204 ? null : JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json', ...headers },
  })
const error = (code: number, message = 'no', more = {}) => answer(code, { error: { code, message, ...more } })
const page = (status: number, headers = {}) =>
  new Response('<html></html>', { status, headers: { 'content-type': 'text/html', ...headers } })

/** Answers one request as that door would; what is behind it is as faithful as these questions need. */
export async function knock(door: Door, request: Request): Promise<Response> {
  const { pathname, searchParams, origin } = new URL(request.url)
  door.asked.push(`${request.method} ${pathname}`)
  const path = pathname.replace(/^\/v3/, '')
  if (path === '') return home(door, request)
  if (path === '/auth/tokens' && request.method === 'DELETE') return takeBack(door, request)
  if (path === '/auth/tokens') return signIn(door, request)
  if (request.headers.has('x-auth-token')) return look(door, path)
  if (path === '/users') return error(door.version >= 27 ? 400 : 401)
  if (path === '/regions') return error(door.version >= 28 ? 400 : 401)
  if (request.method === 'PUT') return error(door.version >= 29 ? 400 : 401)
  if (path.endsWith('/auth')) return bearer(door, request)
  if (path.includes('/lotse-check/')) return error(door.trusted.includes(searchParams.get('origin') ?? '') ? 404 : 401)
  if (path.includes('/websso')) return websso(door, request, origin)
  return error(404)
}

function home({ version }: Door, request: Request): Response {
  if (request.headers.get('accept') !== 'application/json-home')
    return answer(200, { version: { id: 'v3.14', status: 'stable' } })
  const rel = 'https://docs.openstack.org/api/openstack-identity/3/rel'
  return answer(200, { resources: { [`${rel}/users`]: {}, ...(version >= 30 && { [`${rel}/user_tokens`]: {} }) } })
}

/** What the account sees: lists are empty, but for the registration. */
function look({ inside }: Door, path: string): Response {
  if (inside === undefined || inside.refuses.test(path)) return error(403, 'You are not authorized')
  if (path.includes('/mappings/')) return answer(200, { mapping: inside.mapping })
  if (path.includes('/protocols/'))
    return answer(200, { protocol: { mapping_id: 'lotse', remote_id_attribute: inside.attribute ?? null } })
  if (path.includes('/identity_providers/'))
    return answer(200, { identity_provider: { enabled: true, remote_ids: inside.remoteIds } })
  return answer(200, { [path.split('/').at(-1) ?? '']: [], links: { next: null } })
}

async function signIn(door: Door, request: Request): Promise<Response> {
  const text = await request.text()
  if (!text.includes('"password"')) return byClaims(door, request)
  if (door.inside === undefined) return error(401)
  return answer(201, { token: { expires_at: '2100-01-01T00:00:00Z' } }, { 'x-subject-token': 'gAAAA-own' })
}

/** Lets a stranger in. */
function letIn({ asked, held }: Door): Response {
  const token = `gAAAA-secret-${asked.length}`
  held.push(token)
  return answer(201, { token: {} }, { 'x-subject-token': token })
}

function takeBack({ held }: Door, request: Request): Response {
  const at = held.indexOf(request.headers.get('x-subject-token') ?? '')
  if (at < 0 || request.headers.get('x-auth-token') !== held[at]) return error(401)
  held.splice(at, 1)
  return answer(204, undefined)
}

function byClaims(door: Door, request: Request): Response {
  const { provider, believes, remoteIds, issuer } = door
  if (provider === 'open') return letIn(door)
  const known = new Map<Door['provider'], Response>([
    ['missing', error(404, 'Could not find Identity Provider: lotse.')],
    ['disabled', error(403)],
    ['no method', error(401, 'unsupported', { identity: { methods: ['password'] } })],
  ])
  const early = known.get(provider)
  if (early !== undefined) return early
  const claims = believes.map((prefix) => (claim: string) => request.headers.get(`${prefix}${claim}`))
  const claim = (name: string) => claims.map((read) => read(name)).find((value) => value !== null)
  if (remoteIds === 'held' && claim('iss') === undefined) return error(401)
  if (remoteIds === 'held' && claim('iss') !== issuer) return error(403)
  return claim('sub') === undefined ? error(401) : letIn(door)
}

function bearer(door: Door, request: Request): Response {
  if (door.bearer === 'keystone') return error(401)
  if (door.bearer === 'session') return page(302, { location: `${door.issuer}/auth` })
  if (door.bearer === 'anything' && request.headers.get('authorization')?.includes('.')) return letIn(door)
  return page(401, { 'www-authenticate': 'Bearer error="invalid_token"' })
}

function websso({ websso: change, client, issuer }: Door, request: Request, origin: string): Response {
  if (change === undefined) return error(401)
  if (!request.headers.get('accept')?.includes('text/html')) return page(401)
  const to = new URL(`${issuer}/auth`)
  const asks = {
    response_type: 'code',
    scope: 'openid email profile',
    client_id: client,
    redirect_uri: `${origin}/redirect_uri`,
    code_challenge_method: 'S256',
  }
  for (const [name, value] of Object.entries(asks)) to.searchParams.set(name, value)
  return page(302, { location: change(to).href })
}

/** The door on a loopback port. */
export async function openDoor(door: Door): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer(async (req, res) => {
    const headers = Object.entries(req.headersDistinct).map(([name, values]): [string, string] => [
      name,
      (values ?? []).join(', '),
    ])
    const response = await knock(
      door,
      new Request(`http://${req.headers.host}${req.url}`, { method: req.method ?? 'GET', headers }),
    )
    res.writeHead(response.status, Object.fromEntries(response.headers))
    res.end(await response.text())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
