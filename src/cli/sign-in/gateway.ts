import { setTimeout as wait } from 'node:timers/promises'
import { printable } from '../table.ts'

/** How a command line signs somebody in at a gateway. Tokens are returned and never said. */
export interface SignInPorts {
  readonly fetch: typeof globalThis.fetch
  /** Resolves after so many seconds, or rejects where `over` says that nobody waits any more. @throws where the person gave up */
  readonly sleep: (seconds: number, over?: AbortSignal) => Promise<void>
  /** A line for the person; no secret. */
  readonly say: (line: string) => void
  /** Opens an address in the person's browser; absent where there is none. */
  readonly open?: ((address: string) => void) | undefined
}

/** The gateway or the Keystone said no; the message is for the person. */
export class SignInRefused extends Error {
  override readonly name = 'SignInRefused'
  /** The gateway's own word, such as `invalid_grant`; undefined where it was not the gateway that refused. */
  readonly code: string | undefined

  constructor(message: string, code?: string) {
    super(message)
    this.code = code
  }
}

/** The public client of the gateway that this command line is. */
export interface CliClient {
  /** Without a slash at the end. */
  readonly issuer: string
  readonly client: string
}

/** What somebody signs in for. */
export interface Wanted {
  readonly scope: string
  /** For which of the client's targets the first token is; the client's own where absent. @see RFC 8707 */
  readonly resource?: string
}

/** What the token endpoint gave. */
export interface Granted {
  readonly accessToken: string
  /** Seconds that it lives from now. */
  readonly expiresIn: number
  readonly refreshToken?: string
}

export type Json = Readonly<Record<string, unknown>>

/** What somebody else wrote, as an object; an empty one where it is none. */
export const asObject = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {})

/** Seconds that a token lives whose answer does not say so: it is asked for again soon. */
const UNSAID = 60

/** Sleeps on the wall clock until the process is told to stop. */
export const sleeper =
  (stop: AbortSignal): SignInPorts['sleep'] =>
  async (seconds, over) => {
    const signal = over === undefined ? stop : AbortSignal.any([stop, over])
    await wait(seconds * 1000, undefined, { signal }).catch(() => {
      throw new Error('given up')
    })
  }

/** The gateway's own description. @throws where there is none, or it is another's */
export async function discovered({ issuer }: CliClient, { fetch }: Pick<SignInPorts, 'fetch'>): Promise<Json> {
  const url = `${issuer}/.well-known/openid-configuration`
  const response = await fetch(url)
  const document = await objectOf(response)
  if (response.status !== 200 || document === undefined)
    throw new Error(`${url} answers with status ${response.status} and is no OpenID provider; correct the issuer`)
  // OpenID Connect Discovery 1.0 section 4.3: else another provider could stand in for it.
  if (document['issuer'] !== issuer)
    throw new Error(`${issuer} calls itself ${printable(String(document['issuer']))}; write that as the issuer`)
  return document
}

/** The object that an answer holds; undefined where it holds none. */
export async function objectOf(response: Response): Promise<Json | undefined> {
  try {
    const value: unknown = JSON.parse(await response.text())
    return typeof value === 'object' && value !== null ? (value as Json) : undefined
  } catch {
    return undefined
  }
}

const ASK = 'its operator has to say why'

/** @throws {SignInRefused} where the description has no such address, with what to do instead, or one that no gateway has */
export function endpoint(document: Json, name: string, instead = ASK): string {
  const value = document[name]
  if (typeof value !== 'string') throw new SignInRefused(`this gateway has no ${name}; ${instead}`)
  // One of them is opened on the person's machine, where an address may also be a file or a program.
  const schemes = String(document['issuer']).startsWith('http:') ? ['http:', 'https:'] : ['https:']
  if (!schemes.includes(URL.parse(value)?.protocol ?? ''))
    throw new SignInRefused(`the ${name} of this gateway is no https address; ${ASK}`)
  return value
}

/** A form, and the JSON that came for it; undefined fields are left out. */
export async function post(
  url: string,
  fields: Readonly<Record<string, string | undefined>>,
  { fetch }: Pick<SignInPorts, 'fetch'>,
): Promise<{ readonly status: number; readonly body: Json }> {
  const body = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) body.set(name, value)
  const response = await fetch(url, { method: 'POST', body })
  return { status: response.status, body: (await objectOf(response)) ?? {} }
}

/** @throws where the answer has no access token */
export function granted(body: Json): Granted {
  const { access_token: accessToken, refresh_token: refreshToken } = body
  if (typeof accessToken !== 'string' || accessToken === '')
    throw new Error('the gateway answered without an access token')
  const held = { accessToken, expiresIn: seconds(body['expires_in'], UNSAID) }
  return typeof refreshToken === 'string' ? { ...held, refreshToken } : held
}

/** A number of seconds that somebody else wrote. */
export function seconds(value: unknown, otherwise: number): number {
  const number = Number(value)
  return number > 0 && number < 86_400 ? number : otherwise
}

/** What people can do about an OAuth error; the gateway's own words stand beside it. */
const advice: Readonly<Record<string, string>> = {
  access_denied: 'it was declined, or the rules give you nothing there',
  expired_token: 'nobody confirmed the code in time; run the command again',
  invalid_client: 'the gateway does not know this client as a public one; ask its operator for the client id',
  invalid_grant: 'this sign-in is over; sign in again',
  invalid_target: 'this client may not ask for tokens of that target; ask the operator which client may',
  unauthorized_client: 'this client may not sign people in this way; try the other of --browser and --device',
}

/** What a refusing answer means: the person's affair, or a gateway that cannot answer at the moment. */
export function refusal(status: number, body: Json): Error {
  const error = printable(String(body['error'] ?? `status ${status}`))
  const said = body['error_description'] === undefined ? '' : ` (${printable(String(body['error_description']))})`
  if (status >= 500 || status === 429) return new Error(`the gateway cannot answer now: ${error}${said}`)
  return new SignInRefused(`the gateway refuses: ${advice[error] ?? error}${said}`, error)
}

/**
 * The next token of a sign-in, and the refresh token that follows the one that was used.
 * @throws {SignInRefused} with `invalid_grant` where the sign-in is over; any other error leaves the token as good as it was
 */
export async function refreshed(
  who: CliClient,
  token: string,
  resource: string | undefined,
  ports: Pick<SignInPorts, 'fetch'>,
): Promise<Granted> {
  const url = endpoint(await discovered(who, ports), 'token_endpoint')
  const fields = { grant_type: 'refresh_token', client_id: who.client, refresh_token: token, resource }
  const { status, body } = await post(url, fields, ports)
  if (status !== 200) throw refusal(status, body)
  return granted(body)
}

/** Ends a sign-in at the gateway, by its refresh token (RFC 7009). @throws where the gateway did not take it */
export async function revoked(who: CliClient, token: string, ports: Pick<SignInPorts, 'fetch'>): Promise<void> {
  const url = endpoint(await discovered(who, ports), 'revocation_endpoint')
  const { status, body } = await post(url, { client_id: who.client, token, token_type_hint: 'refresh_token' }, ports)
  if (status !== 200) throw refusal(status, body)
}
