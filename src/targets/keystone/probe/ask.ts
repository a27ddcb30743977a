import type { Check } from '../../../core/ports.ts'
import type { LivePorts } from '../../live.ts'
import type { PrintWorld } from '../../target.ts'
import { apiOf, type KeystoneConfig } from '../options.ts'

export type Json = Readonly<Record<string, unknown>>

/** A Keystone that is asked from outside, as a stranger would ask it. */
export interface Asked {
  readonly config: KeystoneConfig
  readonly world: PrintWorld
  readonly issuer: string
  readonly audience: string
  /** The address of the API with its version, without a slash at the end. */
  readonly api: string
  /** One request, redirects not followed; a token that comes of it is given back at once. A sentence where there was no answer at all. */
  ask(path: string, init?: RequestInit): Promise<Answer | string>
}

/** What came back. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** A JSON object; undefined where the answer is none. */
  readonly body: Json | undefined
  /** Keystone itself refused: its errors are JSON with their own status, a web server's are pages. */
  readonly error: { readonly status: number; readonly message: string } | undefined
}

export const good = (check: string, found: string): Check => ({ check, ok: true, found })
export const bad = (check: string, found: string): Check => ({ check, ok: false, found })
export const note = (check: string, found: string): Check => ({ check, ok: true, found, note: true })

/** UTF-16 units of a Keystone's own words that are shown. */
const SHOWN = 200

/** A Keystone's own words, short enough to be printed. */
export const shown = (text: string): string => text.slice(0, SHOWN)

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Wherever a hole lets this check in, the token is shown to nobody and lives no longer than the question. */
export function openAsked(config: KeystoneConfig, world: PrintWorld, ports: Pick<LivePorts, 'fetch'>): Asked {
  const api = apiOf(config)
  const giveBack = async ({ headers }: Answer): Promise<void> => {
    const token = headers.get('x-subject-token')
    if (token === null) return
    const both = { 'x-auth-token': token, 'x-subject-token': token }
    await ask(ports, `${api}/auth/tokens`, { method: 'DELETE', headers: both })
  }
  return {
    config,
    world,
    issuer: world.issuer.origin,
    audience: config.audience ?? config.id,
    api,
    async ask(path, init) {
      const answer = await ask(ports, `${api}${path}`, init)
      if (typeof answer !== 'string') await giveBack(answer)
      return answer
    },
  }
}

async function ask(
  ports: Pick<LivePorts, 'fetch'>,
  url: string,
  init: RequestInit = {},
  busy = 0,
): Promise<Answer | string> {
  try {
    const response = await ports.fetch(url, { redirect: 'manual', ...init })
    // A Keystone with few workers and a proxy in front says so in passing, and the next question is answered.
    if ([502, 503, 504].includes(response.status) && busy < 2) return await ask(ports, url, init, busy + 1)
    const body = parsed(await response.text())
    return { status: response.status, headers: response.headers, body, error: errorOf(body) }
  } catch (thrown) {
    return reason(thrown)
  }
}

function parsed(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function errorOf(body: Json | undefined): Answer['error'] {
  const error = body?.['error']
  if (!isObject(error) || typeof error['code'] !== 'number') return undefined
  return { status: error['code'], message: shown(String(error['message'] ?? '')) }
}

/** Nothing of a request is in these messages; the code beneath says what is wrong with a certificate or a name. */
function reason(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'no answer'
  const code = thrown.cause instanceof Error && 'code' in thrown.cause ? ` (${String(thrown.cause.code)})` : ''
  return `${thrown.message}${code}`
}

/** A POST of JSON. */
export const json = (body: unknown, headers: Readonly<Record<string, string>> = {}): RequestInit => ({
  method: 'POST',
  headers: { ...headers, 'content-type': 'application/json' },
  body: JSON.stringify(body),
})
