import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A RoleBinding or ClusterRoleBinding as the stand-in keeps it. */
export interface Kept {
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly uid?: string
    readonly resourceVersion?: string
  }
  readonly subjects?: readonly { readonly name: string }[]
  readonly roleRef: { readonly apiGroup: string; readonly kind: string; readonly name: string }
}

/** A question about access, and what it is about. */
export interface Review {
  readonly user?: string
  readonly groups?: readonly string[]
  readonly resourceAttributes?: Readonly<Record<string, string>>
}

/**
 * The RBAC half of a kube-apiserver in memory: bindings with versions, preconditions, dry runs, merge patches and label selectors, and
 * reviews of access. It knows one token, checks no rights, and runs no roles; the real one is asked by the interop tests.
 */
export interface ClusterStandIn {
  readonly url: string
  readonly token: string
  /** A kubeconfig for it. */
  readonly kubeconfig: string
  readonly namespaces: Set<string>
  /** By path below the API group, such as `namespaces/web/rolebindings/x`. */
  readonly bindings: ReadonlyMap<string, Kept>
  /** Puts one there as somebody else's hand does. */
  put(binding: Kept): void
  take(path: string): void
  /** Requests so far, `POST namespaces/web/rolebindings`; dry runs end with ` (try)`. */
  readonly seen: string[]
  readonly reviews: Review[]
  /** What each review is answered with. */
  allow: (review: Review) => boolean
  /** What happens before a request is answered: a status instead of its answer, `hang-up`, a proxy's own 404, or nothing. */
  before: (request: string) => Promise<Instead> | Instead
  close(): Promise<void>
}

type Instead = number | 'hang-up' | 'proxy' | undefined

interface Asked {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: Readonly<Record<string, unknown>>
}

interface Reply {
  readonly status: number
  readonly body: unknown
}

const status = (code: number, message: string): Reply => ({
  status: code,
  body: { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, message },
})

export async function startClusterStandIn(): Promise<ClusterStandIn> {
  const kept = new Map<string, Kept>()
  let version = 0
  const pathOf = ({ kind, metadata: { namespace, name } }: Kept) =>
    kind === 'RoleBinding' ? `namespaces/${namespace}/rolebindings/${name}` : `clusterrolebindings/${name}`
  const put = (binding: Kept): Kept => {
    version++
    const uid = binding.metadata.uid ?? `uid-${version}`
    const whole = { ...binding, metadata: { ...binding.metadata, uid, resourceVersion: String(version) } }
    kept.set(pathOf(whole), whole)
    return whole
  }
  const standIn: Omit<ClusterStandIn, 'url' | 'kubeconfig' | 'close'> = {
    token: 'stand-in-token',
    namespaces: new Set(['web', 'db']),
    bindings: kept,
    put: (binding) => void put(binding),
    take: (path) => void kept.delete(path),
    seen: [],
    reviews: [],
    allow: () => true,
    before: () => undefined,
  }

  const review = (self: boolean, { body }: Asked): Reply => {
    const spec = body['spec'] as Review
    standIn.reviews.push(spec)
    const allowed = standIn.allow(self ? { ...spec, user: 'self' } : spec)
    return { status: 201, body: { ...body, status: { allowed } } }
  }

  const list = ({ path, query }: Asked): Reply => {
    const wants = (query.get('labelSelector') ?? '').split(',').map((pair) => pair.split('='))
    const fits = ({ kind, metadata: { labels } }: Kept) =>
      `${kind.toLowerCase()}s` === path && wants.every(([key = '', value]) => labels?.[key] === value)
    // The rows of a list have no kind.
    const rows = [...kept.values()].filter(fits).map(({ kind: _, ...row }) => row)
    const limit = Number(query.get('limit') ?? rows.length)
    const from = Number(query.get('continue') ?? 0)
    const more = from + limit < rows.length ? { continue: String(from + limit) } : {}
    return { status: 200, body: { metadata: more, items: rows.slice(from, from + limit) } }
  }

  const create = ({ path, query, body }: Asked): Reply => {
    const binding = body as unknown as Kept
    const { namespace } = binding.metadata
    if (namespace !== undefined && !standIn.namespaces.has(namespace))
      return status(404, `namespaces "${namespace}" not found`)
    if (kept.has(`${path}/${binding.metadata.name}`)) return status(409, 'already exists')
    return { status: 201, body: query.has('dryRun') ? binding : put(binding) }
  }

  const change = ({ method, path, query, body }: Asked, seen: Kept): Reply => {
    const { preconditions, metadata } = body as {
      preconditions?: { uid?: string; resourceVersion?: string }
      metadata?: { resourceVersion?: string; annotations?: Record<string, string | null> }
    }
    const wanted = method === 'DELETE' ? preconditions?.resourceVersion : metadata?.resourceVersion
    if (wanted !== undefined && wanted !== seen.metadata.resourceVersion) return status(409, 'the object was modified')
    if (preconditions?.uid !== undefined && preconditions.uid !== seen.metadata.uid) return status(409, 'another uid')
    if (query.has('dryRun')) return { status: 200, body: seen }
    if (method === 'DELETE') {
      kept.delete(path)
      return { status: 200, body: { kind: 'Status', status: 'Success' } }
    }
    const annotations = { ...seen.metadata.annotations, ...metadata?.annotations }
    for (const [key, value] of Object.entries(annotations)) if (value === null) delete annotations[key]
    const { labels } = (metadata ?? {}) as { labels?: Record<string, string> }
    const merged = { ...seen.metadata, labels: { ...seen.metadata.labels, ...labels }, annotations } as Kept['metadata']
    return { status: 200, body: put({ ...seen, ...body, metadata: merged }) }
  }

  const answer = (asked: Asked): Reply => {
    const { method, path } = asked
    if (path.endsWith('subjectaccessreviews')) return review(path.startsWith('self'), asked)
    if (method === 'POST') return create(asked)
    if (path === 'rolebindings' || path === 'clusterrolebindings') return list(asked)
    const seen = kept.get(path)
    if (seen === undefined) return status(404, 'not found')
    return method === 'GET' ? { status: 200, body: seen } : change(asked, seen)
  }

  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    let text = ''
    for await (const chunk of request.setEncoding('utf8')) text += chunk
    const url = new URL(request.url ?? '', 'http://stand-in')
    const path = decodeURIComponent(url.pathname).replace(
      /^\/apis\/(rbac\.|)(authorization|authentication)\.k8s\.io\/v1\//,
      '',
    )
    const { method = 'GET' } = request
    const asked: Asked = { method, path, query: url.searchParams, body: text === '' ? {} : JSON.parse(text) }
    const line = `${method} ${path}${url.searchParams.has('dryRun') ? ' (try)' : ''}`
    standIn.seen.push(line)
    const instead = await standIn.before(line)
    if (instead === 'hang-up') return void request.socket.destroy()
    if (instead === 'proxy') return void response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>404</h1>')
    const known = request.headers.authorization === `Bearer ${standIn.token}`
    const reply =
      typeof instead === 'number'
        ? status(instead, 'the stand-in was told so')
        : known
          ? answer(asked)
          : status(401, 'Unauthorized')
    response.writeHead(reply.status, { 'content-type': 'application/json' }).end(JSON.stringify(reply.body))
  }

  const server = createServer((request, response) => void serve(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return Object.assign(standIn, {
    url,
    kubeconfig: kubeconfigOf(url, { token: standIn.token }),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}

/** A kubeconfig with one context. @param user its credential, as kubeconfigs write it @param cluster more about the cluster */
export const kubeconfigOf = (server: string, user: object, cluster: object = {}): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'it', user: 'me' } }],
    clusters: [{ name: 'it', cluster: { server, ...cluster } }],
    users: [{ name: 'me', user }],
  })
