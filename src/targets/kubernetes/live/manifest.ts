import type { Grant } from '../../../core/decision.ts'
import { labelsOf, nameOf, RBAC, RBAC_VERSION, subjectsOf } from '../binding.ts'
import type { KubernetesConfig } from '../target.ts'

/** A RoleBinding where it has a namespace, else a ClusterRoleBinding, as the API server gives and takes it. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: 'RoleBinding' | 'ClusterRoleBinding'
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly uid?: string
    readonly resourceVersion?: string
  }
  readonly subjects?: readonly { readonly apiGroup?: string; readonly kind: string; readonly name: string }[]
  readonly roleRef: { readonly apiGroup: string; readonly kind: string; readonly name: string }
}

/** Annotations of what the gateway keeps: which target it is for, which grant it is, and since when nobody needs it (RFC 3339). */
export const TARGET = 'lotse/target'
export const GRANT = 'lotse/grant'
export const UNNEEDED = 'lotse/unneeded-since'

/** A binding for each role of the grants; plain groups have none, since what they may do is for the cluster's own operators to say. */
export function manifestsOf(config: KubernetesConfig, grants: readonly Grant[]): readonly Manifest[] {
  return grants.flatMap((grant) => {
    if (!('namespace' in grant || 'cluster' in grant)) return []
    const place = 'namespace' in grant ? { namespace: grant.namespace } : {}
    return grant.roles.map((role) => {
      const roleRef = { apiGroup: RBAC, kind: 'ClusterRole', name: role }
      const kind = 'namespace' in grant ? 'RoleBinding' : 'ClusterRoleBinding'
      const bare: Manifest = {
        apiVersion: RBAC_VERSION,
        kind,
        metadata: { name: nameOf(config, role), ...place },
        roleRef,
      }
      const annotations = { [TARGET]: config.id, [GRANT]: saysOf(bare) }
      return {
        ...bare,
        metadata: { ...bare.metadata, labels: labelsOf(config), annotations },
        subjects: subjectsOf(config, { ...grant, roles: [role] }),
      }
    })
  })
}

/** By which a binding is known, whoever made it. */
export const keyOf = ({ metadata: { namespace = '', name } }: Pick<Manifest, 'metadata'>): string =>
  `${namespace}/${name}`

/** As rules and traces say it: `namespace web: edit`. */
export const saysOf = ({ metadata: { namespace }, roleRef }: Pick<Manifest, 'metadata' | 'roleRef'>): string =>
  `${namespace === undefined ? 'cluster' : `namespace ${namespace}`}: ${roleRef.name}`

/** The path of all bindings of a place, and of one of them. */
export const collectionOf = (namespace: string | undefined): string =>
  `/apis/${RBAC_VERSION}/${namespace === undefined ? 'clusterrolebindings' : `namespaces/${encodeURIComponent(namespace)}/rolebindings`}`
export const pathOf = ({ metadata: { namespace, name } }: Pick<Manifest, 'metadata'>): string =>
  `${collectionOf(namespace)}/${encodeURIComponent(name)}`

/** Whether the gateway keeps it for this target: both a label and an annotation say so. What `lotse print` wrote has the labels alone. */
export function isOurs({ id }: Pick<KubernetesConfig, 'id'>, { metadata: { labels, annotations } }: Manifest): boolean {
  return labels?.['app.kubernetes.io/managed-by'] === 'lotse' && annotations?.[TARGET] === id
}

/**
 * Whether the gateway would have made it, too: whoever may write bindings in a namespace could put the marks on hundreds of others, so that
 * the removal of these holds up all that is to go.
 */
export const isMade = (config: Pick<KubernetesConfig, 'id'>, seen: Manifest): boolean =>
  isOurs(config, seen) && seen.metadata.name === nameOf(config, seen.roleRef.name)

const roleText = ({ roleRef: { kind, name } }: Manifest) => `${kind}/${name}`
const subjectTexts = ({ subjects = [] }: Manifest) =>
  JSON.stringify(subjects.map(({ apiGroup = '', kind, name }) => [apiGroup, kind, name]).sort())

export const sameRole = (one: Manifest, other: Manifest): boolean => roleText(one) === roleText(other)
export const sameSubjects = (one: Manifest, other: Manifest): boolean => subjectTexts(one) === subjectTexts(other)
