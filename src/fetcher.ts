import { lookup } from 'node:dns'
import http from 'node:http'
import https from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { inNetworks, isLoopback, isPublicAddress } from './addresses.ts'
import { type Asked, asked } from './asked.ts'

/** How one part of the gateway reaches the network. */
export interface FetcherOptions {
  /**
   * `configured`: the addresses come from the operator's configuration, and private ones are usual (a company's own IdP).
   * `public`: they come from outside (did:web, status lists, a client's URIs), and only public addresses are reached.
   */
  readonly reach: 'configured' | 'public'
  /** Host names (no port) whose addresses may be private all the same; over http only where they are loopback. */
  readonly allowPrivate?: readonly string[]
  /** Networks (CIDR) that are reached by https though they are private. */
  readonly privateNetworks?: readonly string[]
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

/** Why a request was not made or its answer not taken. `code` is what callers branch on. */
export class FetchError extends TypeError {
  readonly code:
    | 'FETCH_SCHEME'
    | 'FETCH_ADDRESS'
    | 'FETCH_TOO_LARGE'
    | 'FETCH_TIMEOUT'
    | 'FETCH_UNREACHABLE'
    | 'FETCH_REDIRECT'
    | 'FETCH_ENCODING'

  constructor(code: FetchError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause })
    this.name = 'FetchError'
    this.code = code
  }
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
export type Download = (
  url: string,
  headers: Readonly<Record<string, string>>,
  sink: (chunk: Uint8Array) => Promise<void>,
) => Promise<Response>

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
  const allowed = new Set((options.allowPrivate ?? []).map((host) => host.toLowerCase()))
  const mayBePrivate = (host: string) => options.reach === 'configured' || allowed.has(host)
  const listed = inNetworks(options.privateNetworks ?? [])
  const isOpen = (address: string) => isPublicAddress(address) || listed(address)
  const agents = createAgents(options)

  const once = (url: URL, request: Outgoing) => {
    const judge: Judge = mayBePrivate(bare(url)) ? () => true : isOpen
    checkAddress(url, mayBePrivate(bare(url)), judge)
    const connect = options.proxy ? {} : { lookup: checkedLookup(url.protocol === 'http:' ? isLoopback : judge) }
    const init = { method: request.method, headers: request.headers, agent: agents[url.protocol as 'https:' | 'http:'] }
    return send(url, request, { ...init, ...connect }, options.maxBytes)
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

interface Outgoing {
  readonly method: string
  readonly headers: Record<string, string>
  readonly body?: Uint8Array
  readonly signal: AbortSignal
  readonly sink?: Parameters<Download>[2]
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

/** Answers with the whole body read: nothing of the answer is seen before it was within its bounds. */
function send(url: URL, request: Outgoing, init: https.RequestOptions, maxBytes: number): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>()
  const call = (url.protocol === 'https:' ? https : http).request(url, { ...init, signal: request.signal })
  call.on('error', (error) => reject(explain(error, url, request.signal)))
  call.on('response', (answer) => {
    if (request.sink && answer.statusCode === 200) {
      const { sink } = request
      let theirs: { readonly error: unknown } | undefined
      const guarded = (chunk: Uint8Array) =>
        sink(chunk).catch((error: unknown) => {
          theirs = { error }
          throw error
        })
      drain(answer, url, { sink: guarded, maxBytes }).then(resolve, (error: Error) => {
        reject(theirs ? theirs.error : explain(error, url, request.signal))
        call.destroy()
      })
      return
    }
    const chunks: Buffer[] = []
    let size = 0
    const refuse = (error: FetchError) => {
      reject(error)
      call.destroy()
    }
    answer.on('error', (error) => reject(explain(error, url, request.signal)))
    answer.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > maxBytes)
        return refuse(new FetchError('FETCH_TOO_LARGE', `${url.origin} sent more than ${maxBytes} bytes`))
      chunks.push(chunk)
    })
    answer.on('end', () => {
      const wrong = brokenOff(answer, url) ?? compressed(answer, url)
      if (wrong) return refuse(wrong)
      resolve(toResponse(answer, Buffer.concat(chunks)))
    })
  })
  call.end(request.body)
  return promise
}

/** Hands a body on as it comes; a slow `sink` slows the sender down. */
async function drain(
  answer: http.IncomingMessage,
  url: URL,
  { sink, maxBytes }: { readonly sink: Parameters<Download>[2]; readonly maxBytes: number },
): Promise<Response> {
  const unreadable = compressed(answer, url)
  if (unreadable) throw unreadable
  let size = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) throw new FetchError('FETCH_TOO_LARGE', `${url.origin} sent more than ${maxBytes} bytes`)
    await sink(chunk)
  }
  const half = brokenOff(answer, url)
  if (half) throw half
  return toResponse(answer, Buffer.alloc(0))
}

/** A length that was promised and not kept is an answer cut off on the way. */
function brokenOff({ complete }: http.IncomingMessage, url: URL): FetchError | undefined {
  return complete ? undefined : new FetchError('FETCH_UNREACHABLE', `${url.origin} broke off its answer`)
}

function compressed({ headers }: http.IncomingMessage, url: URL): FetchError | undefined {
  return (headers['content-encoding'] ?? 'identity') === 'identity'
    ? undefined
    : new FetchError('FETCH_ENCODING', `${url.origin} compressed its answer unasked`)
}

function toResponse(answer: http.IncomingMessage, body: Buffer): Response {
  const status = answer.statusCode ?? 0
  const headers = new Headers()
  for (const [name, values] of Object.entries(answer.headersDistinct))
    for (const value of values ?? []) headers.append(name, value)
  const empty = status === 204 || status === 205 || status === 304
  return new Response(empty ? null : new Uint8Array(body), { status, headers })
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

/** The host without the brackets of an IPv6 address. */
const bare = (url: URL) => url.hostname.replace(/^\[|\]$/g, '')

/** Whether an address may be connected to. */
type Judge = (address: string) => boolean

/** What can be said before any name is resolved. */
function checkAddress(url: URL, mayBePrivate: boolean, isOpen: Judge) {
  const host = bare(url)
  const plain =
    url.protocol === 'http:' && mayBePrivate && (host === 'localhost' || (isIP(host) > 0 && isLoopback(host)))
  if (url.protocol !== 'https:' && !plain) throw new FetchError('FETCH_SCHEME', `${url.origin} is not https`)
  if (url.username || url.password) throw new FetchError('FETCH_SCHEME', `${url.origin} comes with a user name`)
  // An address that is written out is not looked up: it is judged here.
  if (isIP(host) && !isOpen(host)) throw new FetchError('FETCH_ADDRESS', `${host} is no public address`)
}

/** The check stands in the lookup of the connection itself: there is no second resolution that could differ. */
function checkedLookup(fits: Judge): LookupFunction {
  return (host, { all, ...options }, callback) => {
    lookup(host, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '')
      const wrong = addresses.find(({ address }) => !fits(address))
      if (wrong)
        return callback(new FetchError('FETCH_ADDRESS', `${host} resolves to ${wrong.address}, no public address`), '')
      if (all) return callback(null, addresses)
      return callback(null, addresses[0]?.address ?? '', addresses[0]?.family)
    })
  }
}

function explain(error: Error, url: URL, signal: AbortSignal): Error {
  if (error instanceof FetchError) return error
  if (signal.aborted) {
    const timedOut = signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError'
    if (timedOut) return new FetchError('FETCH_TIMEOUT', `${url.origin} did not answer in time`)
    // A signal of the process is a text.
    return signal.reason instanceof Error
      ? signal.reason
      : new FetchError('FETCH_UNREACHABLE', `${url.origin} was left: ${signal.reason}`)
  }
  return new FetchError('FETCH_UNREACHABLE', `${url.origin} cannot be reached`, error)
}
