import http from 'node:http'
import https from 'node:https'
import { explain, FetchError } from './error.ts'

/** Takes a body piece by piece, each awaited. */
export type Sink = (chunk: Uint8Array) => Promise<void>

/** One request as it goes out. */
export interface Outgoing {
  readonly method: string
  readonly headers: Record<string, string>
  readonly body?: Uint8Array
  readonly signal: AbortSignal
  /** Gets the body of a 200; the `Response` then has none. */
  readonly sink?: Sink
}

/** What an answer is held to. */
interface Bounds {
  readonly url: URL
  readonly signal: AbortSignal
  /** Bytes of its body. */
  readonly maxBytes: number
}

/**
 * One request to one address, without redirects.
 * @throws {FetchError}, and what the request's `sink` throws
 */
export function exchange(url: URL, request: Outgoing, init: https.RequestOptions, maxBytes: number): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>()
  const { method, headers, body, signal, sink } = request
  const bounds = { url, signal, maxBytes }
  const call = (url.protocol === 'https:' ? https : http).request(url, { ...init, method, headers, signal })
  const failed = (error: Error) => reject(explain(error, url, signal))
  call.on('error', failed)
  // One whose protocol was changed ends without an error and without an answer.
  let answered = false
  call.on('close', () => {
    if (!answered) failed(new FetchError('FETCH_UNREACHABLE', `${url.origin} gave no answer`))
  })
  call.on('response', (answer) => {
    answered = true
    take(answer, sink, bounds).then(resolve, (error: unknown) => {
      reject(error)
      call.destroy()
    })
  })
  // While a proxy's tunnel to it is made, the request itself hears of no end.
  const left = () => failed(new Error('aborted'))
  signal.addEventListener('abort', left)
  if (signal.aborted) left()
  call.end(body)
  return promise.finally(() => signal.removeEventListener('abort', left))
}

/** Nothing of an answer is seen before it was within its bounds. */
async function take(answer: http.IncomingMessage, sink: Sink | undefined, bounds: Bounds): Promise<Response> {
  const status = answer.statusCode ?? 0
  // The parser takes any number, and `Response` none but these.
  if (status < 200 || status > 599)
    throw new FetchError('FETCH_UNREACHABLE', `${bounds.url.origin} answered with status ${status}`)
  if (!sink || status !== 200) return toResponse(answer, await collect(answer, bounds))
  await drain(answer, sink, bounds)
  return toResponse(answer, Buffer.alloc(0))
}

/** The whole body. */
function collect(answer: http.IncomingMessage, { url, signal, maxBytes }: Bounds): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const chunks: Buffer[] = []
  let size = 0
  answer.on('error', (error) => reject(explain(error, url, signal)))
  answer.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > maxBytes) reject(tooLarge(url, maxBytes))
    else chunks.push(chunk)
  })
  answer.on('end', () => {
    const wrong = brokenOff(answer, url) ?? compressed(answer, url)
    if (wrong) reject(wrong)
    else resolve(Buffer.concat(chunks))
  })
  return promise
}

/** Hands a body on as it comes; a slow `sink` slows the sender down. */
async function drain(answer: http.IncomingMessage, sink: Sink, bounds: Bounds): Promise<void> {
  const { url, maxBytes } = bounds
  const unreadable = compressed(answer, url)
  if (unreadable) throw unreadable
  let size = 0
  for await (const chunk of piecesOf(answer, bounds)) {
    size += chunk.length
    if (size > maxBytes) throw tooLarge(url, maxBytes)
    await sink(chunk)
  }
  const half = brokenOff(answer, url)
  if (half) throw half
}

/** Explains what breaks here and nothing else: what a sink throws stays what it is. */
async function* piecesOf(answer: http.IncomingMessage, { url, signal }: Bounds): AsyncGenerator<Buffer> {
  try {
    yield* answer as AsyncIterable<Buffer>
  } catch (error) {
    throw explain(error as Error, url, signal)
  }
}

const tooLarge = (url: URL, maxBytes: number) =>
  new FetchError('FETCH_TOO_LARGE', `${url.origin} sent more than ${maxBytes} bytes`)

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
