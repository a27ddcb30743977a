import http from 'node:http'
import https from 'node:https'
import { type Asked, asked } from './asked.ts'
import { FetchError } from './error.ts'
import { exchange, type Outgoing, type Sink } from './exchange.ts'
import { createGuard, type ReachOptions } from './reach.ts'

/** How one part of the gateway reaches the network. */
export interface FetcherOptions extends ReachOptions {
  /** Milliseconds for name, connection and the whole answer, redirects included. */
  readonly timeoutMs: number
  /** Bytes of an answer's body. */
  readonly maxBytes: number
  /** PEM text of the certificates to trust instead of the system's. */
  readonly ca?: string
  /** PEM texts by which the gateway proves who it is to the other side (mutual TLS). */
  readonly identity?: { readonly cert: string; readonly key: string }
  /** `http://user:password@proxy.example:3128`; the proxy then resolves names, and its own rules say what is reached. */
  readonly proxy?: string
}

/** Headers that prove who asks; the last two are Keystone's. */
const CREDENTIALS = ['authorization', 'cookie', 'x-auth-token', 'x-subject-token']
/** Redirects that a request without a body may take, each checked like the first address. */
const REDIRECTS = 3
/** Milliseconds for which an unused connection is kept: less than the 5 s after which many servers close theirs. */
const IDLE = 4000

/**
 * The only way out to addresses that others may have chosen (law 10): https (http to loopback alone), address ranges checked
 * after resolution and on the connection itself, so that a name that resolves differently the second time gains nothing;
 * size, time and redirects bounded; no compression, so that no small answer becomes a large one.
 * Throws `FetchError` where a bound is passed; `redirect: 'manual'` gives the 3xx answer.
 */
export function createFetcher(options: FetcherOptions): typeof globalThis.fetch {
  const follow = follower(options)
  return async (input, init) => {
    const { url, body, redirect, signal, ...request } = await usable(input, init)
    const limit = timeLimit(options.timeoutMs)
    const outgoing: Outgoing = {
      method: request.method,
      headers: { ...request.headers, 'accept-encoding': 'identity' },
      ...(body && { body }),
      signal: signal ? AbortSignal.any([limit.signal, signal]) : limit.signal,
    }
    return await follow(url, redirect, outgoing).finally(limit.clear)
  }
}

/**
 * Gets a document that is too large to hold: the body of a 200 goes to `sink` piece by piece, each awaited, and the answer that comes
 * back has none. What `sink` got is of no use before this has resolved: what came may be the half of it, or too much.
 * @throws {FetchError}, and what `sink` throws
 */
export type Download = (url: string, headers: Readonly<Record<string, string>>, sink: Sink) => Promise<Response>

/**
 * The same way out as `createFetcher`, with the same bounds, for documents that are read while they come.
 * @param stop ends what is under way: a process that wants to end does not wait for 100 MB
 */
export function createDownloader(options: FetcherOptions, stop?: AbortSignal): Download {
  const follow = follower(options)
  return async (url, headers, sink) => {
    const given = await usable(url, { headers })
    const limit = timeLimit(options.timeoutMs)
    const outgoing = {
      method: 'GET',
      headers: { ...given.headers, 'accept-encoding': 'identity' },
      signal: stop ? AbortSignal.any([limit.signal, stop]) : limit.signal,
      sink,
    }
    return await follow(given.url, 'follow', outgoing).finally(limit.clear)
  }
}

type Follow = (from: URL, mode: RequestRedirect, outgoing: Outgoing) => Promise<Response>

/** Makes requests and takes redirects, each address checked. */
function follower(options: FetcherOptions): Follow {
  const guard = createGuard(options)
  const agents = createAgents(options)

  const once = (url: URL, request: Outgoing) => {
    const lookup = guard(url)
    // A proxy resolves names itself.
    const connect = options.proxy ? {} : { lookup }
    const agent = agents[url.protocol as 'https:' | 'http:']
    return exchange(url, request, { agent, ...connect }, options.maxBytes)
  }

  return async (from, mode, outgoing) => {
    let url = from
    url.hash = ''
    for (let hops = 0; ; hops += 1) {
      const response = await once(url, outgoing)
      const next = redirection(response, url, mode)
      if (!next) return response
      if (outgoing.body || hops >= REDIRECTS)
        throw new FetchError('FETCH_REDIRECT', `${url.origin} redirects too often, or a POST`)
      // Credentials are for the origin for which they were meant.
      if (next.origin !== url.origin) for (const name of CREDENTIALS) delete outgoing.headers[name]
      url = next
    }
  }
}

/** `AbortSignal.timeout` that is called off once there is an answer: else each request costs an error made 5 s later for nobody. */
function timeLimit(milliseconds: number) {
  const limit = new AbortController()
  const timer = setTimeout(() => limit.abort(new DOMException('timed out', 'TimeoutError')), milliseconds)
  return { signal: limit.signal, clear: () => clearTimeout(timer) }
}

function usable(...args: Parameters<typeof asked>): Promise<Asked> {
  return asked(...args).catch(() => {
    // The runtime's own error quotes the address with the password in it.
    throw new FetchError('FETCH_SCHEME', 'the request has no usable address, or one with a user name in it')
  })
}

function createAgents({ ca, identity, proxy }: FetcherOptions) {
  const common = {
    keepAlive: true,
    timeout: IDLE,
    ...(proxy && { proxyEnv: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy } }),
  }
  return {
    'https:': new https.Agent({ ...common, minVersion: 'TLSv1.2', ...(ca && { ca }), ...identity }),
    'http:': new http.Agent(common),
  }
}

function redirection(response: Response, from: URL, mode: RequestRedirect): URL | undefined {
  const location = response.headers.get('location')
  if (mode === 'manual' || !location || ![301, 302, 303, 307, 308].includes(response.status)) return undefined
  if (mode === 'error' || !URL.canParse(location, from))
    throw new FetchError('FETCH_REDIRECT', `${from.origin} redirects`)
  const next = new URL(location, from)
  next.hash = ''
  return next
}
