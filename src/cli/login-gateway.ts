import { createHash, randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { printable } from './table.ts'

/** How a command line signs somebody in at a gateway. Tokens are returned and never said. */
export interface SignInPorts {
  readonly fetch: typeof globalThis.fetch
  /** Resolves after so many seconds. @throws where the person gave up */
  readonly sleep: (seconds: number) => Promise<void>
  /** A line for the person; no secret. */
  readonly say: (line: string) => void
}

/** The gateway or the Keystone said no; the message is for the person. */
export class SignInRefused extends Error {
  override readonly name = 'SignInRefused'
}

/** The public client of the gateway that this command line is. */
export interface CliClient {
  readonly issuer: string
  readonly client: string
}

type Json = Readonly<Record<string, unknown>>

/** The claims of a Keystone come with these two; an address is worth having. */
const SCOPE = 'openid profile email'
/** Seconds between two polls where the gateway names none, and what `slow_down` adds. @see RFC 8628 section 3.5 */
const INTERVAL = 5
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code'

/** Sleeps on the wall clock until the process is told to stop. */
export const sleeper =
  (stop: AbortSignal): SignInPorts['sleep'] =>
  async (seconds) => {
    await wait(seconds * 1000, undefined, { signal: stop }).catch(() => {
      throw new Error('given up')
    })
  }

async function discovered({ issuer }: CliClient, { fetch }: SignInPorts): Promise<Json> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const response = await fetch(url)
  const document = await objectOf(response)
  if (response.status !== 200 || document === undefined)
    throw new Error(`${url} answers with status ${response.status} and is no OpenID provider; correct the issuer`)
  // OpenID Connect Discovery 1.0 section 4.3: else another provider could stand in for it.
  if (document['issuer'] !== issuer.replace(/\/$/, ''))
    throw new Error(`${issuer} calls itself ${printable(String(document['issuer']))}; write that as the issuer`)
  return document
}

async function objectOf(response: Response): Promise<Json | undefined> {
  try {
    const value: unknown = JSON.parse(await response.text())
    return typeof value === 'object' && value !== null ? (value as Json) : undefined
  } catch {
    return undefined
  }
}

function endpoint(document: Json, name: string, instead: string): string {
  const value = document[name]
  if (typeof value !== 'string') throw new SignInRefused(`this gateway has no ${name}; ${instead}`)
  return value
}

async function post(url: string, fields: Record<string, string>, { fetch }: SignInPorts) {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(fields) })
  return { status: response.status, body: (await objectOf(response)) ?? {} }
}

/**
 * Signs in by a code that the person confirms in a browser anywhere (RFC 8628).
 * @returns an access token
 * @throws {SignInRefused} where she or the gateway declined, or the code ran out
 */
export async function byDevice(who: CliClient, ports: SignInPorts): Promise<string> {
  const document = await discovered(who, ports)
  const start = endpoint(document, 'device_authorization_endpoint', 'sign in with --browser')
  const { status, body: device } = await post(start, { client_id: who.client, scope: SCOPE }, ports)
  if (status !== 200) throw refusal(status, device)
  const text = (name: string) => printable(String(device[name] ?? ''))
  ports.say(`Open ${text('verification_uri_complete') || text('verification_uri')} in a browser.`)
  ports.say(`It must show the code ${text('user_code')}.`)
  return await polled(endpoint(document, 'token_endpoint', ''), who, device, ports)
}

async function polled(url: string, { client }: CliClient, device: Json, ports: SignInPorts): Promise<string> {
  const fields = { grant_type: DEVICE, client_id: client, device_code: String(device['device_code']) }
  let pause = seconds(device['interval'], INTERVAL)
  let left = seconds(device['expires_in'], 600)
  while (left > 0) {
    await ports.sleep(pause)
    left -= pause
    const answer = await post(url, fields, ports).catch(() => undefined)
    // "On encountering a connection timeout, clients MUST unilaterally reduce their polling frequency": RFC 8628 section 3.5.
    if (answer === undefined || answer.status >= 500) pause *= 2
    else if (answer.status === 200) return accessToken(answer.body)
    else if (answer.body['error'] === 'slow_down') pause += INTERVAL
    else if (answer.body['error'] !== 'authorization_pending') throw refusal(answer.status, answer.body)
  }
  throw new SignInRefused('nobody confirmed the code in time; run the command again')
}

const seconds = (value: unknown, otherwise: number) => {
  const number = Number(value)
  return number > 0 && number < 86_400 ? number : otherwise
}

function accessToken(body: Json): string {
  const token = body['access_token']
  if (typeof token !== 'string' || token === '') throw new Error('the gateway answered without an access token')
  return token
}

/** What people can do about an OAuth error; the gateway's own words stand beside it. */
const advice: Readonly<Record<string, string>> = {
  access_denied: 'it was declined, or the rules give you nothing at this Keystone',
  expired_token: 'nobody confirmed the code in time; run the command again',
  invalid_client: 'the gateway does not know this client as a public one; ask its operator for the client id',
  unauthorized_client: 'this client may not sign people in this way; try with or without --browser',
}

function refusal(status: number, body: Json): SignInRefused {
  const error = printable(String(body['error'] ?? `status ${status}`))
  const said = body['error_description'] === undefined ? '' : ` (${printable(String(body['error_description']))})`
  return new SignInRefused(`the gateway refuses: ${advice[error] ?? error}${said}`)
}

/**
 * Signs in by a browser on this machine, whose answer comes back to a loopback address (RFC 8252 section 7.3, PKCE).
 * @param redirect the client's registered loopback address; any port is taken
 * @returns an access token
 * @throws {SignInRefused} where she or the gateway declined
 */
export async function byBrowser(who: CliClient, redirect: URL, ports: SignInPorts): Promise<string> {
  const document = await discovered(who, ports)
  const start = endpoint(document, 'authorization_endpoint', 'sign in without --browser')
  const verifier = randomBytes(32).toString('base64url')
  const state = randomBytes(16).toString('base64url')
  const answers = await listener(redirect)
  try {
    const address = new URL(start)
    const asks = {
      response_type: 'code',
      client_id: who.client,
      redirect_uri: answers.redirect,
      scope: SCOPE,
      state,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    }
    for (const [name, value] of Object.entries(asks)) address.searchParams.set(name, value)
    ports.say(`Open ${address.href} in a browser on this machine.`)
    const code = codeOf(await answers.next(state, () => ports.sleep(600)), who.issuer)
    const { status, body } = await post(
      endpoint(document, 'token_endpoint', ''),
      {
        grant_type: 'authorization_code',
        client_id: who.client,
        code,
        redirect_uri: answers.redirect,
        code_verifier: verifier,
      },
      ports,
    )
    if (status !== 200) throw refusal(status, body)
    return accessToken(body)
  } finally {
    answers.close()
  }
}

/** RFC 9207: an answer of another provider is not redeemed at this one. */
function codeOf(answer: URLSearchParams, issuer: string): string {
  const from = answer.get('iss')
  if (from !== null && from !== issuer.replace(/\/$/, ''))
    throw new SignInRefused('the answer came from another provider; run the command again')
  if (answer.has('error')) throw refusal(400, Object.fromEntries(answer))
  return answer.get('code') ?? ''
}

interface Answers {
  /** The address with the port that was free. */
  readonly redirect: string
  /** The first answer that carries the state; others are turned away. @param late rejects, or resolves when it is too late */
  next(state: string, late: () => Promise<void>): Promise<URLSearchParams>
  close(): void
}

async function listener(redirect: URL): Promise<Answers> {
  const address = new URL(redirect)
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, address.hostname.replace(/^\[|\]$/g, ''), resolve)
  })
  address.port = String((server.address() as AddressInfo).port)
  return {
    redirect: address.href,
    next: (state, late) => Promise.race([answered(server, address, state), tooLate(late)]),
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

async function tooLate(late: () => Promise<void>): Promise<never> {
  await late()
  throw new SignInRefused('nobody signed in in time; run the command again')
}

function answered(server: Server, { pathname, origin }: URL, state: string): Promise<URLSearchParams> {
  return new Promise((resolve) => {
    server.on('request', (req, res) => {
      const url = new URL(req.url ?? '/', origin)
      // Any page can send a browser here; only the gateway's answer knows the state.
      const mine = req.method === 'GET' && url.pathname === pathname && url.searchParams.get('state') === state
      res.writeHead(mine ? 200 : 404, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' })
      res.end(mine ? 'Go on in your terminal. This window can be closed.\n' : 'Nothing is here.\n', () => {
        if (mine) resolve(url.searchParams)
      })
    })
  })
}
