import { type LivePorts, TargetUnavailable } from '../../live.ts'
import { apiOf, type KeystoneConfig } from '../options.ts'

/** What Keystone said, whatever it was. */
export interface Said {
  readonly status: number
  readonly headers: Headers
  /** Undefined where it is no JSON. */
  readonly body: unknown
}

/** One request; `path` is below /v3. @throws {TargetUnavailable} where there is no answer that can be read */
export type Ask = (method: string, path: string, headers: Record<string, string>, body?: unknown) => Promise<Said>

export function openAsk(config: KeystoneConfig, { fetch }: Pick<LivePorts, 'fetch'>): Ask {
  const base = apiOf(config)
  return async (method, path, headers, body) => {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) }
    const json: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' }
    try {
      const init = { method, headers: { accept: 'application/json', ...json, ...headers }, redirect: 'manual', ...sent }
      const answer = await fetch(base + path, init as RequestInit)
      return { status: answer.status, headers: answer.headers, body: readBody(await answer.text()) }
    } catch (cause) {
      throw unread(config.id, `${method} ${withoutQuery(path)}`, cause)
    }
  }
}

/** Identifiers of people stand in queries, and have no place in errors. */
export const withoutQuery = (path: string): string => path.split('?')[0] ?? ''

function readBody(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Silence passes by itself; an answer that is too large stays so until somebody does something. */
function unread(id: string, asks: string, cause: unknown): TargetUnavailable {
  const { code, message } = (cause ?? {}) as { readonly code?: unknown; readonly message?: unknown }
  if (code !== 'FETCH_TOO_LARGE') return new TargetUnavailable('down', `Keystone ${id} does not answer`, { cause })
  const what = 'to an account that manages one domain less is listed (reconcile.user.scope)'
  return new TargetUnavailable('refused', `Keystone ${id} answers ${asks}, but ${String(message)}; ${what}`, { cause })
}

/**
 * What an answer that is no yes means. 502, 503, 504 and 429 pass by themselves; so does 500, but to a write, which may be about the one thing
 * that was written (a name that its database cannot take): that is no outage for everybody. For everything else somebody has to look.
 * What Keystone says holds no secret of ours (law 12).
 * @param asks `PUT /projects/…`
 */
export function refusal(
  id: string,
  { asks, status, body }: { readonly asks: string; readonly status: number; readonly body: unknown },
): TargetUnavailable {
  const said = (body as { error?: { message?: unknown } } | undefined)?.error?.message
  const why = typeof said === 'string' ? `: ${said.slice(0, 300)}` : ''
  const isWrite = /^(PUT|POST|PATCH|DELETE) /.test(asks)
  const passes = status === 429 || (status >= 500 && !(status === 500 && isWrite))
  return new TargetUnavailable(passes ? 'down' : 'refused', `Keystone ${id} answers ${status} to ${asks}${why}`)
}
