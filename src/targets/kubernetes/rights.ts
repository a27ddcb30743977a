import type { Possible } from '../../core/possible.ts'
import { nameOf, RBAC } from './binding.ts'
import type { KubernetesConfig } from './target.ts'

export const AUTHORIZATION = 'authorization.k8s.io'

/** Something that an account may do, as a rule of a ClusterRole says it. */
export interface Right {
  readonly apiGroup: string
  readonly resource: string
  readonly verbs: readonly string[]
  /** Names of single objects; absent where it is for all of them, never empty, which would mean all as well. */
  readonly names?: readonly string[]
  /** What it is for. */
  readonly why: string
}

/**
 * What the gateway's own account needs (`apply`), and nothing more: it may touch bindings of its own names alone, and bind the roles that
 * rules can give, so that whoever has the account gives nobody anything else.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/#restrictions-on-role-binding-creation-or-update
 */
export function rightsOf(config: KubernetesConfig, { grants, openRoles }: Possible): readonly Right[] {
  const rolesOf = (place: 'namespace' | 'cluster') =>
    grants.flatMap((grant) => (place in grant && 'roles' in grant ? grant.roles : []))
  const inNamespaces = sorted([...rolesOf('namespace'), ...openRoles])
  const overCluster = sorted(rolesOf('cluster'))
  const bindings = (resource: string, roles: readonly string[]): readonly Right[] =>
    roles.length === 0
      ? []
      : [
          { apiGroup: RBAC, resource, verbs: ['create', 'list'], why: 'makes bindings, and looks which are there' },
          {
            apiGroup: RBAC,
            resource,
            verbs: ['delete', 'get', 'patch'],
            names: roles.map((role) => nameOf(config, role)),
            why: 'keeps and removes its own',
          },
        ]
  const bound = sorted([...inNamespaces, ...overCluster])
  return [
    ...bindings('rolebindings', inNamespaces),
    ...bindings('clusterrolebindings', overCluster),
    ...(bound.length === 0
      ? []
      : [
          {
            apiGroup: RBAC,
            resource: 'clusterroles',
            verbs: ['bind'],
            names: bound,
            why: 'gives roles that it does not have itself',
          },
        ]),
    { apiGroup: AUTHORIZATION, resource: 'subjectaccessreviews', verbs: ['create'], why: 'lotse explain --live' },
  ]
}

const sorted = (texts: readonly string[]) => [...new Set(texts)].sort()
