import { z } from 'zod'
import { audience, duration, secretReference, url } from '../../config/fields.ts'
import { readKubeconfig } from './kubeconfig.ts'

const algs = ['RS256', 'ES256', 'ES384', 'PS256'] as const

const algError = (input: unknown): string =>
  input === 'EdDSA' || input === 'Ed25519'
    ? `${input} is refused by every kube-apiserver (its list has RS, ES and PS only); write RS256, ES256, ES384 or PS256`
    : `not a signature algorithm for a kube-apiserver; write ${algs.join(', ')}`

const prefix = (whose: string) =>
  z
    .string()
    .max(64)
    .regex(/^[\x21-\x7e]*$/, 'not a prefix; write printable ASCII without spaces, or "" for none')
    .refine((text) => !/^(system|kubeadm):/i.test(text), 'names that begin so belong to Kubernetes itself')
    .default('oidc:')
    .describe(`What the cluster's own configuration puts before ${whose}; \`lotse explain\` prints names with it.`)

/** The gateway's own account at the cluster, and what it may do there. */
const apply = z
  .strictObject({
    kubeconfig: z
      .union([z.literal('in-cluster'), secretReference()], {
        error: 'write { file: path } or { env: NAME } of a kubeconfig, or in-cluster',
      })
      .describe(
        'A kubeconfig with everything in it (`kubectl config view --raw --minify --flatten`), or `in-cluster` for the ' +
          'service account of the pod in which the gateway runs.',
      ),
    every: duration()
      .prefault('15m')
      .describe('How often everything is looked at, beside the first sign-in by a grant.'),
    keep: duration()
      .prefault('7d')
      .describe('How long a binding stays that no rule and nobody who is signed in needs any more.'),
    atOnce: z
      .strictObject({
        bindings: z.int().min(1).default(20).describe('Bindings.'),
        percent: z.int().min(1).max(100).default(10).describe('Or per cent of those it keeps, whichever is more.'),
      })
      .prefault({})
      .describe('More bindings than this that are to go at once wait for `lotse reconcile --yes`.'),
  })
  .optional()
  .describe(
    'The gateway keeps RoleBindings and ClusterRoleBindings in place for what rules give, and removes them again.',
  )

/** What a target of type `kubernetes` has beside the fields of every target. */
export const kubernetesOptions = {
  server: url().describe('The API server, such as https://10.0.0.1:6443.'),
  audience: audience()
    .optional()
    .describe('The `aud` of its tokens, equal to `--oidc-client-id` or one of `audiences`; the id where absent.'),
  alg: z
    .enum(algs, { error: (issue) => algError(issue.input) })
    .default('RS256')
    .describe('RS256 for a cluster with stock `--oidc-*` flags; ES256 or PS256 where its configuration takes them.'),
  ttl: duration()
    .prefault('10m')
    .refine((seconds) => seconds <= 3600, 'too long: a cluster never revokes a token; write 60m or less')
    .describe('The longest life of a token; a cluster cannot revoke one, so this is how long a dismissal takes.'),
  usernamePrefix: prefix('user names'),
  groupsPrefix: prefix('group names'),
  adminRoles: z
    .boolean()
    .default(false)
    .describe('Whether rules may give `cluster-admin` over the cluster, or roles in `kube-*` namespaces.'),
  apply,
} as const

export type KubernetesOptions = z.output<z.ZodObject<typeof kubernetesOptions>>

/** What the options contradict each other in; empty where all is well. */
export function kubernetesProblems({ apply: writes }: Pick<KubernetesOptions, 'apply'>) {
  const problems: { readonly path: readonly string[]; readonly message: string }[] = []
  if (writes === undefined) return problems
  // Each process has to have looked once between the moment at which nobody needs a binding and its end.
  if (writes.keep < 2 * writes.every)
    problems.push({ path: ['apply', 'keep'], message: 'too short: twice `every` is the least, or raise that less' })
  // A reference that leads nowhere has been reported already, and is no text then.
  const account = writes.kubeconfig === 'in-cluster' ? undefined : writes.kubeconfig
  const read = typeof account === 'string' ? readKubeconfig(account) : undefined
  if (typeof read === 'string') problems.push({ path: ['apply', 'kubeconfig'], message: read })
  return problems
}
