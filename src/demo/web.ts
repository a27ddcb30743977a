import { randomBytes } from 'node:crypto'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Log } from '../core/ports.ts'
import type { Page } from '../http/pages/index.ts'
import type { Target } from '../targets/target.ts'
import { type Begun, openWebClient, refusalOf, type WebClient } from './client.ts'
import { configPage, findPerson, notFoundPage, refusedPage, startPage, whoPage } from './pages.ts'
import { answering, redirect, sendPage } from './server.ts'
import { type Held, type SignedIn, signedInPage } from './signed-in.ts'
import { type Jwks, jwksUrl, signedBy } from './tokens.ts'
import type { World } from './world.ts'

/** What the web client remembers of one browser, in memory. */
interface Session {
  begun?: Begun
  signedIn?: SignedIn & { readonly refreshToken: string }
  /** The OAuth error that came instead of a code. */
  refused?: string
}

interface Visit {
  readonly url: URL
  readonly session: Session
}

type Answer = Page | { readonly to: string }
type Route = readonly [method: 'GET' | 'POST', pattern: RegExp, handle: (visit: Visit, part: string) => Promise<Answer>]

const COOKIE = 'lotse-demo'
/** Sessions kept at once; the oldest goes first. */
const SESSIONS = 1000

/** The demo's web client: start page, sign-in, and what came of it. An ordinary OAuth client; it sees the rules only to explain them. */
export function openWeb(world: World, log: Log): RequestListener {
  const client = openWebClient({
    issuer: world.issuer,
    clientId: 'demo-web',
    redirectUri: `${world.web}/callback`,
    afterLogout: `${world.web}/`,
    resources: world.targets.map(({ id }) => resourceOf(id)),
  })
  const table = routes(world, client)
  const sessions = new Map<string, Session>()
  return answering(async (request, response) => {
    const url = new URL(request.url ?? '/', world.web)
    // Another name for this address is another site's (DNS rebinding); and a form comes from our own pages only.
    const foreign = request.method === 'POST' && comesFromElsewhere(request, world.web)
    if (request.headers.host !== new URL(world.web).host || foreign) return sendPage(response, notFoundPage())
    const session = sessionOf(sessions, request, response)
    for (const [method, pattern, handle] of table) {
      const found = method === request.method ? pattern.exec(url.pathname) : null
      if (!found) continue
      const answer = await handle({ url, session }, found[1] ?? '')
      return 'to' in answer ? redirect(response, answer.to) : sendPage(response, answer)
    }
    sendPage(response, notFoundPage())
  }, log)
}

/** Browsers say `Origin: null` where a page sends no referrer, as ours do; what they say of the site is exact. */
function comesFromElsewhere({ headers }: IncomingMessage, here: string): boolean {
  const site = headers['sec-fetch-site']
  return site === undefined ? headers.origin !== undefined && headers.origin !== here : site !== 'same-origin'
}

/** How the gateway names a target in `resource`. */
const resourceOf = (target: string) => `urn:lotse:target:${target}`

function routes(world: World, client: WebClient): readonly Route[] {
  const now = async (page: Page) => page
  // biome-ignore format: the columns are read downwards
  return [
    ['GET',  /^\/$/,               () => now(startPage(world))],
    ['GET',  /^\/who\/([a-z]+)$/,  (_, sub) => now(who(world, sub))],
    ['GET',  /^\/config$/,         () => now(configPage(world))],
    ['GET',  /^\/sign-in$/,        (visit) => begin(client, visit)],
    ['GET',  /^\/callback$/,       (visit) => finish(world, client, visit)],
    ['GET',  /^\/refused$/,        (visit) => now(refused(world, visit))],
    ['GET',  /^\/you$/,            ({ session }) => now(session.signedIn ? signedInPage(world, session.signedIn) : startPage(world))],
    ['POST', /^\/refresh$/,        (visit) => refresh(world, client, visit)],
    ['POST', /^\/sign-out$/,       (visit) => signOut(client, visit)],
  ]
}

function who(world: World, sub: string): Page {
  const found = findPerson(world, sub)
  return found ? whoPage(world, ...found) : notFoundPage()
}

async function begin(client: WebClient, { url, session }: Visit): Promise<Answer> {
  const hint = url.searchParams.get('hint')
  const connector = url.searchParams.get('connector')
  const begun = await client.begin({
    ...(hint === null ? {} : { hint }),
    ...(connector === null ? {} : { connector }),
    ...(url.searchParams.has('fresh') ? { prompt: 'login' as const } : {}),
  })
  session.begun = begun
  return { to: begun.url.href }
}

async function finish(world: World, client: WebClient, { url, session }: Visit): Promise<Answer> {
  const { begun } = session
  if (!begun) return { to: '/' }
  delete session.begun
  delete session.signedIn
  try {
    const { accessToken, refreshToken, idToken } = await client.finish(url, begun)
    const [first, ...rest] = world.targets
    const held = new Map<string, Held>()
    if (first) held.set(first.id, await checked(world, first, accessToken))
    session.signedIn = { idToken, ...(await fetchAll(world, client, rest, { held, refreshToken })), refreshed: 0 }
    return { to: '/you' }
  } catch (error) {
    const code = refusalOf(error)
    if (code === undefined) throw error
    session.refused = code
    return { to: '/refused' }
  }
}

interface Holdings {
  readonly held: ReadonlyMap<string, Held>
  readonly refreshToken: string
}

/** One token for each target, each by the refresh token that came with the one before. */
async function fetchAll(
  world: World,
  client: WebClient,
  targets: readonly Target[],
  from: Holdings,
): Promise<Holdings> {
  const held = new Map(from.held)
  let { refreshToken } = from
  for (const target of targets) {
    try {
      const tokens = await client.refresh(refreshToken, resourceOf(target.id))
      held.set(target.id, await checked(world, target, tokens.accessToken))
      refreshToken = tokens.refreshToken
    } catch (error) {
      const code = refusalOf(error)
      if (code === undefined) throw error
      held.set(target.id, { error: code })
    }
  }
  return { held, refreshToken }
}

/** What the target itself would do first: look whether the signature is by a key of its ring. */
async function checked(world: World, target: Target, token: string): Promise<Held> {
  const url = jwksUrl(world.issuer, target.ring)
  const jwks = (await (await fetch(url)).json()) as Jwks
  return { token, signedBy: signedBy(token, jwks) ? url.pathname : undefined }
}

async function refresh(world: World, client: WebClient, { session }: Visit): Promise<Answer> {
  const { signedIn } = session
  if (!signedIn) return { to: '/' }
  const after = await fetchAll(world, client, world.targets, { held: new Map(), refreshToken: signedIn.refreshToken })
  session.signedIn = { ...signedIn, ...after, refreshed: signedIn.refreshed + 1 }
  return { to: '/you' }
}

async function signOut(client: WebClient, { session }: Visit): Promise<Answer> {
  const { signedIn } = session
  delete session.signedIn
  return { to: signedIn ? (await client.logoutUrl(signedIn.idToken)).href : '/' }
}

function refused(world: World, { session }: Visit): Page {
  return refusedPage(world, session.refused ?? 'access_denied', world.lastSeen())
}

function sessionOf(sessions: Map<string, Session>, request: IncomingMessage, response: ServerResponse): Session {
  const id = new RegExp(`(?:^|; )${COOKIE}=([\\w-]{43})(?:;|$)`).exec(request.headers.cookie ?? '')?.[1] ?? ''
  const known = sessions.get(id)
  if (known) return known
  const made: Session = {}
  const fresh = randomBytes(32).toString('base64url')
  sessions.set(fresh, made)
  const [oldest] = sessions.keys()
  if (sessions.size > SESSIONS && oldest !== undefined) sessions.delete(oldest)
  response.setHeader('set-cookie', `${COOKIE}=${fresh}; Path=/; HttpOnly; SameSite=Lax`)
  return made
}
