import { type LivePorts, TargetUnavailable } from '../../live.ts'
import type { KeystoneConfig } from '../options.ts'
import { credentialOf } from './credential.ts'
import { openPace } from './pace.ts'

/** The Identity API v3 of one Keystone, signed in as the gateway's own account. */
export interface KeystoneApi {
  /**
   * Every row of a list, over all its pages: `rows('users', '/users?idp_id=lotse')`.
   * @param absent what a 404 means: the path names something that may be gone
   * @throws {TargetUnavailable} also where the answer is no such list: it must never be taken for an empty one (law 4)
   */
  rows<T>(key: string, path: string, absent?: 'is empty'): Promise<readonly T[]>
  /**
   * One request.
   * @returns the status, 2xx, 404 or 409, and the body where there is one; what 404 and 409 mean is the caller's business
   * @throws {TargetUnavailable} for every other answer, and where there is none
   */
  send(method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<Answer>
  /** The domain for which this account has its role; undefined where it has another scope. @throws {TargetUnavailable} */
  ownDomain(): Promise<{ readonly id: string; readonly name: string } | undefined>
}

export interface Answer {
  readonly status: number
  readonly body: unknown
}

interface SignedIn {
  readonly token: string
  /** Unix seconds. */
  readonly until: number
  readonly domain: { readonly id: string; readonly name: string } | undefined
}

/** Seconds before its end at which a token is not used any more: clocks differ, and a request takes its time. */
const EARLY = 60
/** Pages of one list: more is no list of this API. */
const PAGES = 10_000

/** @throws {Error} where the configuration has no `reconcile` */
export function openApi(config: KeystoneConfig, ports: LivePorts): KeystoneApi {
  const { reconcile } = config
  if (reconcile === undefined) throw new Error(`target ${config.id} has no reconcile`)
  const base = config.url.replace(/\/+$/, '')
  const pace = openPace(reconcile.perSecond)
  let signedIn: Promise<SignedIn> | undefined
  let fresh: Promise<SignedIn> | undefined

  const ask = async (method: string, path: string, headers: Record<string, string>, body?: unknown) => {
    await pace()
    const sent = body === undefined ? {} : { body: JSON.stringify(body) }
    const json: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' }
    try {
      const init = { method, headers: { accept: 'application/json', ...json, ...headers }, redirect: 'manual', ...sent }
      const answer = await ports.fetch(base + path, init as RequestInit)
      return { answer, body: readBody(await answer.text()) }
    } catch (cause) {
      throw new TargetUnavailable('down', `Keystone ${config.id} does not answer`, { cause })
    }
  }

  const signIn = async (): Promise<SignedIn> => {
    const { answer, body } = await ask('POST', '/auth/tokens', {}, { auth: credentialOf(reconcile) })
    if (answer.status !== 201) throw refusal(config.id, "sign in with the gateway's own account", answer.status, body)
    const { token } = body as { token?: { expires_at?: string; domain?: { id: string; name: string } } }
    const until = Math.floor(Date.parse(token?.expires_at ?? '') / 1000)
    const id = answer.headers.get('x-subject-token')
    if (id === null || !Number.isFinite(until))
      throw new TargetUnavailable('refused', `Keystone ${config.id} gave no token with an end; is its url right?`)
    return { token: id, until, domain: token?.domain }
  }

  /** Whoever comes while one signs in waits for that one. */
  const session = async (): Promise<SignedIn> => {
    const known = await signedIn?.catch(() => undefined)
    if (known !== undefined && known.until - EARLY > ports.now()) return known
    fresh ??= signIn().finally(() => {
      fresh = undefined
    })
    signedIn = fresh
    return await fresh
  }

  const send: KeystoneApi['send'] = async (method, path, body) => {
    for (let tries = 0; ; tries++) {
      const current = await session()
      const { answer, body: found } = await ask(method, path, { 'x-auth-token': current.token }, body)
      // The token died before its time (Keystone's keys were changed, the account was disabled for a moment): once anew.
      if (answer.status === 401 && tries === 0) {
        signedIn = undefined
        continue
      }
      if (answer.ok || isKeystones(answer.status, found)) return { status: answer.status, body: found }
      throw refusal(config.id, `${method} ${path.split('?')[0]}`, answer.status, found)
    }
  }

  return {
    send,
    ownDomain: async () => (await session()).domain,
    async rows<T>(key: string, path: string, absent?: 'is empty') {
      const rows: T[] = []
      let next: string | undefined = path
      for (let page = 0; next !== undefined && page < PAGES; page++) {
        const { status, body } = await send('GET', next)
        if (status === 404 && absent !== undefined) return []
        if (status !== 200) throw refusal(config.id, `GET ${path.split('?')[0]}`, status, body)
        const { [key]: found, links } = (body ?? {}) as Record<string, unknown> & { links?: { next?: string | null } }
        if (!Array.isArray(found))
          throw new TargetUnavailable('refused', `Keystone ${config.id} answers GET ${path.split('?')[0]} with no list`)
        rows.push(...(found as T[])) // the API's own shape; what is missing in a row is undefined to its reader
        next = nextPath(links?.next)
      }
      return rows
    },
  }
}

/** Whether Keystone itself says 404 or 409, and not a proxy in front of it: "not there" is believed of nobody else (law 4). */
function isKeystones(status: number, body: unknown): boolean {
  return [404, 409].includes(status) && (body as { error?: { code?: unknown } } | undefined)?.error?.code === status
}

/** The next page below our own address, whatever host Keystone takes itself for (law 1). */
function nextPath(next: string | null | undefined): string | undefined {
  if (!next || !URL.canParse(next)) return undefined
  const { pathname, search } = new URL(next)
  return pathname.replace(/^.*\/v3(?=\/)/, '') + search
}

function readBody(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** 5xx and 429 pass by themselves; for everything else somebody has to look. What Keystone says holds no secret of ours (law 12). */
function refusal(id: string, what: string, status: number, body: unknown): TargetUnavailable {
  const said = (body as { error?: { message?: unknown } } | undefined)?.error?.message
  const why = typeof said === 'string' ? `: ${said.slice(0, 300)}` : ''
  return new TargetUnavailable(
    status >= 500 || status === 429 ? 'down' : 'refused',
    `Keystone ${id} answers ${status} to ${what}${why}`,
  )
}
