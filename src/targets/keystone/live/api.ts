import type { LivePorts } from '../../live.ts'
import type { KeystoneConfig } from '../options.ts'
import { type Lane, openPace } from './pace.ts'
import { openPages } from './pages.ts'
import { openAsk, refusal, withoutQuery } from './request.ts'
import { openSession } from './session.ts'

/** The Identity API v3 of one Keystone, signed in as the gateway's own account. */
export interface KeystoneApi {
  /**
   * Every row of a list, over all its pages: `rows('users', '/users?idp_id=lotse')`.
   * @param absent what a 404 means: the path names something that may be gone
   * @throws {TargetUnavailable} also where the answer is no such list, or a part of it: it must never be taken for an empty one (law 4)
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

/** @throws {Error} where the configuration has no `reconcile` */
export function openApi(config: KeystoneConfig, ports: LivePorts): KeystoneApi {
  return openLanes(config, ports).few
}

/** One account and one pace; what is asked about few goes first. @throws {Error} where the configuration has no `reconcile` */
export function openLanes(config: KeystoneConfig, ports: LivePorts): Readonly<Record<Lane, KeystoneApi>> {
  const { reconcile } = config
  if (reconcile === undefined) throw new Error(`target ${config.id} has no reconcile`)
  const pace = openPace(reconcile.perSecond)
  const ask = openAsk(config, ports)
  // Everybody waits for a sign-in, whoever began it.
  const session = openSession(config, ports, (...request) => pace('few', () => ask(...request)))

  const open = (lane: Lane): KeystoneApi => {
    const send: KeystoneApi['send'] = async (method, path, sent) => {
      for (let tries = 0; ; tries++) {
        const current = await session.get()
        const headers = { 'x-auth-token': current.token }
        const { status, body } = await pace(lane, () => ask(method, path, headers, sent))
        // The token died before its time (Keystone's keys were changed, the account was disabled for a moment): once anew.
        if (status === 401 && tries === 0) {
          session.forget(current)
          continue
        }
        if ((status >= 200 && status < 300) || isKeystones(status, body)) return { status, body }
        throw refusal(config.id, { asks: `${method} ${withoutQuery(path)}`, status, body })
      }
    }
    return { send, ownDomain: async () => (await session.get()).domain, rows: openPages(config, send) }
  }
  return { few: open('few'), many: open('many') }
}

/** Whether Keystone itself says 404 or 409, and not a proxy in front of it: "not there" is believed of nobody else (law 4). */
function isKeystones(status: number, body: unknown): boolean {
  return [404, 409].includes(status) && (body as { error?: { code?: unknown } } | undefined)?.error?.code === status
}
