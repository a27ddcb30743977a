import { parseDocument, visit } from 'yaml'
import { z } from 'zod'

/** How the gateway reaches a cluster as itself. */
export interface ClusterAccount {
  /** Without a slash at the end. */
  readonly server: string
  /** PEM; the system's authorities where absent. */
  readonly ca?: string
  readonly token?: string
  /** PEM texts for mutual TLS. */
  readonly identity?: { readonly cert: string; readonly key: string }
}

const named = <Name extends string, Shape extends z.ZodType>(key: Name, shape: Shape) =>
  z.array(z.looseObject({ name: z.string(), [key]: shape } as { name: z.ZodString } & Record<Name, Shape>))

const cluster = z.looseObject({ server: z.string(), 'certificate-authority-data': z.string().optional() })
const user = z.looseObject({
  token: z
    .string()
    .regex(/^[\x21-\x7e]+$/)
    .optional(),
  'client-certificate-data': z.string().optional(),
  'client-key-data': z.string().optional(),
})
const shape = z.looseObject({
  clusters: named('cluster', cluster),
  users: named('user', user),
  contexts: named('context', z.looseObject({ cluster: z.string(), user: z.string() })),
  'current-context': z.string(),
})

/** What would run a program, read another file, or weaken TLS, and what to write instead. */
const flatten = 'write what is in it: kubectl config view --raw --minify --flatten'
const refused: Readonly<Record<string, string>> = {
  exec: 'the gateway runs no programs for a credential (exec); give it a token or a client certificate of its own',
  'auth-provider': 'auth-provider is gone from Kubernetes; give it a token or a client certificate of its own',
  username: 'no kube-apiserver takes passwords; give it a token or a client certificate of its own',
  as: 'the gateway acts as itself (as); give it an account that has the rights itself',
  tokenFile: `it names a file (tokenFile); ${flatten}`,
  'client-certificate': `it names a file (client-certificate); ${flatten}`,
  'client-key': `it names a file (client-key); ${flatten}`,
  'certificate-authority': `it names a file (certificate-authority); ${flatten}`,
  'insecure-skip-tls-verify':
    'insecure-skip-tls-verify would hand the account to anybody; write certificate-authority-data',
  'tls-server-name': 'tls-server-name is not known; write a server whose certificate has its name',
  'proxy-url': 'proxy-url is not known; the gateway reaches a cluster directly',
}

/**
 * The account of a kubeconfig's current context, or a sentence that says why there is none; no secret is ever in it. Pure.
 * @see https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
 */
export function readKubeconfig(text: string): ClusterAccount | string {
  const document = parseDocument(text, { stringKeys: true })
  // What the parser says quotes the text, and this one holds secrets.
  if (document.errors.length > 0) return 'the kubeconfig is no YAML'
  let refers = false
  const Alias = () => {
    refers = true
  }
  visit(document, { Alias })
  if (refers) return `the kubeconfig refers to parts of itself (*); ${flatten}`
  const read = shape.safeParse(document.toJS())
  if (!read.success) return `the kubeconfig has no usable ${read.error.issues[0]?.path.join('.') || 'content'}`
  const { clusters, users, contexts, 'current-context': current } = read.data
  const context = contexts.find(({ name }) => name === current)?.context
  if (context === undefined) return `the kubeconfig has no context ${JSON.stringify(current)}, its current-context`
  const at = clusters.find(({ name }) => name === context.cluster)?.cluster
  const as = users.find(({ name }) => name === context.user)?.user
  if (at === undefined || as === undefined) return 'its current-context names a cluster or a user that it does not have'
  const stray = Object.keys(refused).find((key) => wants(at[key]) || wants(as[key]))
  if (stray !== undefined) return `the kubeconfig cannot be used: ${refused[stray]}`
  return accountOf(at, as)
}

const wants = (value: unknown) => value !== undefined && value !== false && value !== ''

function accountOf(at: z.output<typeof cluster>, as: z.output<typeof user>): ClusterAccount | string {
  const [cert, key] = [pem(as['client-certificate-data']), pem(as['client-key-data'])]
  if ((cert === undefined) !== (key === undefined))
    return 'the kubeconfig has a client certificate without its key, or a key alone'
  if (as.token === undefined && cert === undefined) return 'the kubeconfig has neither a token nor a client certificate'
  if (
    !/^https:\/\/[^?#@]+$|^http:\/\/(127\.0\.0\.1|\[::1\]|localhost)(:|\/|$)/.test(at.server) ||
    !URL.canParse(at.server)
  )
    return 'the server in the kubeconfig is no https address'
  const ca = pem(at['certificate-authority-data'])
  return {
    server: at.server.replace(/\/+$/, ''),
    ...(ca !== undefined && { ca }),
    ...(as.token !== undefined && { token: as.token }),
    ...(cert !== undefined && key !== undefined && { identity: { cert, key } }),
  }
}

const pem = (data: string | undefined) => (data ? Buffer.from(data, 'base64').toString() : undefined)
