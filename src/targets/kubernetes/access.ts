import { TargetUnavailable } from '../live.ts'

/** One cluster, as the gateway's own account. */
export interface ClusterAccess {
  /** Without a slash at the end. */
  readonly server: string
  readonly fetch: typeof globalThis.fetch
  /** The bearer token that is good now; undefined where a client certificate says who asks. @throws {TargetUnavailable} */
  token(): Promise<string | undefined>
}

/** What the API server said. */
export interface Answer {
  readonly status: number
  readonly body: unknown
}

/** What a request carries beside its path. */
export interface Sent {
  readonly body: unknown
  /** `application/json` where absent. */
  readonly type?: string
}

export interface ClusterApi {
  /**
   * One request; `path` begins with `/api`.
   * @param may statuses beside 2xx that the caller understands; believed only where Kubernetes itself says them (law 4)
   * @throws {TargetUnavailable} for every other answer, and where there is none
   */
  send(
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    more?: { sent?: Sent; may?: readonly number[] },
  ): Promise<Answer>
}

/** @param id of the target, for errors */
export function openClusterApi(id: string, { server, fetch, token }: ClusterAccess): ClusterApi {
  return {
    async send(method, path, { sent, may = [] } = {}) {
      const bearer = await token()
      const headers = {
        accept: 'application/json',
        ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
        ...(sent && { 'content-type': sent.type ?? 'application/json' }),
      }
      const body = sent && { body: JSON.stringify(sent.body) }
      const said = await answerOf(id, () => fetch(server + path, { method, headers, redirect: 'manual', ...body }))
      const { status } = said
      if ((status >= 200 && status < 300) || (may.includes(status) && isStatus(said))) return said
      throw refusal(id, `${method} ${path.split('?')[0]}`, said)
    },
  }
}

async function answerOf(id: string, ask: () => Promise<Response>): Promise<Answer> {
  try {
    const answer = await ask()
    const text = await answer.text()
    return { status: answer.status, body: text === '' ? undefined : readBody(text) }
  } catch (cause) {
    if (cause instanceof TargetUnavailable) throw cause
    throw new TargetUnavailable('down', `cluster ${id} does not answer`, { cause })
  }
}

function readBody(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

interface StatusBody {
  readonly kind?: unknown
  readonly code?: unknown
  readonly message?: unknown
}

/** Whether Kubernetes itself says so, and not a proxy in front of it: "not there" is believed of nobody else. */
function isStatus({ status, body }: Answer): boolean {
  const { kind, code } = (body ?? {}) as StatusBody
  return kind === 'Status' && code === status
}

/**
 * What an answer that is no yes means. 429 and 5xx pass by themselves, but 500 to a write may be about that one thing (an admission webhook).
 * What an API server says about a binding holds no secret (law 12).
 */
function refusal(id: string, asks: string, said: Answer): TargetUnavailable {
  const { status, body } = said
  const { message } = (body ?? {}) as StatusBody
  const why = typeof message === 'string' ? `: ${message.slice(0, 300)}` : ''
  const passes = status === 429 || (status >= 500 && !(status === 500 && !asks.startsWith('GET ')))
  if (status === 401)
    return new TargetUnavailable(
      'refused',
      `cluster ${id} does not know the gateway's account (401); is its token still good?`,
    )
  return new TargetUnavailable(passes ? 'down' : 'refused', `cluster ${id} answers ${status} to ${asks}${why}`)
}
