import type { Grant } from '../../core/decision.ts'
import { groupNames, type KubernetesConfig } from './target.ts'

export const RBAC = 'rbac.authorization.k8s.io'
export const RBAC_VERSION = `${RBAC}/v1`

/** The name of every binding that gives a role, in each namespace and over the cluster. */
export const nameOf = ({ id }: Pick<KubernetesConfig, 'id'>, role: string): string => `lotse:${id}:${role}`

/** What tells bindings of the gateway from others; a label's value ends with no punctuation. */
export const labelsOf = ({ id }: Pick<KubernetesConfig, 'id'>) => ({
  'app.kubernetes.io/managed-by': 'lotse',
  'app.kubernetes.io/part-of': id.slice(0, 63).replace(/[._-]+$/, ''),
})

/** The groups by which a token says that its bearer has a grant. */
export const subjectsOf = ({ groupsPrefix }: Pick<KubernetesConfig, 'groupsPrefix'>, grant: Grant) =>
  groupNames(grant).map((name) => ({ apiGroup: RBAC, kind: 'Group', name: groupsPrefix + name }))
