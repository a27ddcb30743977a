import { z } from 'zod'
import { audience, duration, url } from '../../config/fields.ts'

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
} as const

export type KubernetesOptions = z.output<z.ZodObject<typeof kubernetesOptions>>
