/** What a browser and a client do over HTTP, as cheaply as Node can: keep-alive connections, own cookies, bodies read only where they matter. */
import { Agent, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http'
import { text } from 'node:stream/consumers'

/** A server under measure, as its client knows it. */
export interface Target {
  readonly name: string
  readonly origin: string
  readonly clientId: string
  readonly secret: string
  /** To sign in by, where it has several. */
  readonly connector?: string
}

/** The client's redirect URI; nothing listens there, the walk ends before. */
export const redirectUri = 'http://127.0.0.3:9000/cb'

/** RFC 7636, appendix B. */
const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'

const agent = new Agent({ keepAlive: true, maxSockets: 64 })
const longestWalk = 12

interface Cookie {
  readonly value: string
  readonly path: string
}
/** Cookies by host, then by name. */
type Jar = Map<string, Map<string, Cookie>>

interface Answer {
  readonly access_token?: string
  readonly id_token?: string
  readonly refresh_token?: string
  readonly error?: string
  readonly active?: boolean
}

/** What a client holds after a sign-in or a refresh. */
export interface Tokens {
  readonly access: string
  readonly refresh: string
}

function send(method: 'GET' | 'POST', url: URL, headers: OutgoingHttpHeaders, body?: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { hostname, port, pathname, search } = url
    const sent = request({ agent, method, hostname, port, path: pathname + search, headers, timeout: 10_000 }, resolve)
    sent.on('error', reject)
    sent.on('timeout', () => sent.destroy(new Error('no answer in 10 s')))
    sent.end(body)
  })
}

function cookieHeader(jar: Jar, url: URL): OutgoingHttpHeaders {
  const pairs: string[] = []
  for (const [name, { value, path }] of jar.get(url.host) ?? [])
    if (url.pathname.startsWith(path)) pairs.push(`${name}=${value}`)
  return pairs.length > 0 ? { cookie: pairs.join('; ') } : {}
}

function keepCookies(jar: Jar, url: URL, answer: IncomingMessage): void {
  for (const line of answer.headers['set-cookie'] ?? []) {
    const [pair = '', ...attributes] = line.split(/; ?/)
    const at = pair.indexOf('=')
    const name = pair.slice(0, at)
    const value = pair.slice(at + 1)
    const cookies = jar.get(url.host) ?? new Map<string, Cookie>()
    jar.set(url.host, cookies)
    const path = attributes.find((attribute) => /^path=/i.test(attribute))?.slice(5) ?? '/'
    if (value === '' || attributes.some((attribute) => /^expires=Thu, 01 Jan 1970/i.test(attribute)))
      cookies.delete(name)
    else cookies.set(name, { value, path })
  }
}

/** One new browser from the authorization request to the code. */
async function walk(target: Target, user: string, upstreamHost: string): Promise<string> {
  const jar: Jar = new Map([[upstreamHost, new Map([['who', { value: user, path: '/' }]])]])
  const end = await follow(jar, authorization(target, user))
  const code = end.searchParams.get('code')
  if (code === null) throw new Error(`the client was told ${end.searchParams.get('error')}`)
  return code
}

function authorization(target: Target, user: string): URL {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: target.clientId,
    redirect_uri: redirectUri,
    scope: 'openid email profile',
    state: user,
    nonce: user,
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...(target.connector === undefined ? {} : { connector: target.connector }),
  })
  return new URL(`${target.origin}/auth?${query}`)
}

/** Goes on until the client is told something, whose address this is. @param stop takes a page where nothing leads on */
async function follow(jar: Jar, from: URL, stop?: (page: IncomingMessage, at: URL) => Promise<URL>): Promise<URL> {
  let url = from
  for (let hop = 0; hop < longestWalk; hop++) {
    const answer = await send('GET', url, { accept: 'text/html', ...cookieHeader(jar, url) })
    keepCookies(jar, url, answer)
    const { location } = answer.headers
    if (location === undefined && answer.statusCode === 200 && stop) {
      url = await stop(answer, url)
      continue
    }
    answer.resume()
    if (location === undefined) throw new Error(`${answer.statusCode} at ${url.pathname.replace(/[\w-]{20,}/g, '…')}`)
    url = new URL(location, url)
    if (url.href.startsWith(redirectUri)) return url
  }
  throw new Error('too many hops')
}

/** A request of the client itself, by its secret. */
async function post(target: Target, path: string, form: Readonly<Record<string, string>>): Promise<Answer> {
  const basic = Buffer.from(`${target.clientId}:${target.secret}`).toString('base64')
  const body = new URLSearchParams(form).toString()
  const headers = {
    authorization: `Basic ${basic}`,
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': Buffer.byteLength(body),
  }
  const answer = await send('POST', new URL(target.origin + path), headers, body)
  const told = JSON.parse(await text(answer)) as Answer
  if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${told.error}`)
  return told
}

async function token(target: Target, form: Readonly<Record<string, string>>): Promise<Tokens> {
  const { access_token, id_token, refresh_token } = await post(target, '/token', form)
  if (!access_token || !id_token || !refresh_token) throw new Error('an answer without all three tokens')
  return { access: access_token, refresh: refresh_token }
}

/**
 * A sign-in of somebody in a new browser, up to the tokens.
 * @throws with a short text that counts equal failures together
 */
export async function login(target: Target, user: string, upstreamHost: string): Promise<Tokens> {
  const code = await walk(target, user, upstreamHost)
  return token(target, { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier })
}

/**
 * Begins a sign-in with a wallet in a new browser, lets the wallet answer, and goes on to where the client is told of it.
 * @param answer what the wallet does with the link on the page that waits; where the browser goes on
 * @returns the error that the client was told, or undefined where it got a code
 */
export async function showWallet(target: Target, answer: (link: string) => Promise<URL>): Promise<string | undefined> {
  const end = await follow(new Map(), authorization(target, 'somebody'), async (page) => {
    const [, link = ''] = /href="(openid4vp:[^"]+)"/.exec(await text(page)) ?? []
    return answer(link.replaceAll('&amp;', '&'))
  })
  return end.searchParams.get('error') ?? undefined
}

/**
 * Redeems a refresh token, once.
 * @throws as `login`
 */
export function refresh(target: Target, refreshToken: string): Promise<Tokens> {
  return token(target, { grant_type: 'refresh_token', refresh_token: refreshToken })
}

/**
 * Asks whether an access token is active, as the client that holds it.
 * @throws as `login`, also where it is not
 */
export async function introspect(target: Target, accessToken: string): Promise<void> {
  const { active } = await post(target, '/token/introspection', { token: accessToken, token_type_hint: 'access_token' })
  if (active !== true) throw new Error('a token that is not active')
}
