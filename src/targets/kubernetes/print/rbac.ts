import type { Grant } from '../../../core/decision.ts'
import type { GeneratedFile } from '../../../core/ports.ts'
import { type Yaml, yamlDocuments } from '../../yaml.ts'
import { labelsOf, nameOf, RBAC, RBAC_VERSION, subjectsOf } from '../binding.ts'
import { explicitRoles } from './roles.ts'
import { made, type Setting } from './setting.ts'

/** Whether bindings name the roles of the cluster, or such as are written out here. */
type Roles = 'cluster' | 'written'

/**
 * A binding for every role that rules can give: the group that a token names for it, and nothing more. `rbac/` names ClusterRoles of the
 * cluster; `rbac-explicit/` writes `view`, `edit` and `admin` out, for clusters where nobody fills those.
 */
export function rbacFiles(setting: Setting): readonly GeneratedFile[] {
  const grants = setting.possible.grants.filter((grant) => 'roles' in grant)
  const explicit = grants.some(({ roles }) => roles.some((role) => explicitRoles.has(role)))
  const kinds = explicit ? (['cluster', 'written'] as const) : (['cluster'] as const)
  return kinds.flatMap((kind) => grants.map((grant) => file(setting, grant, kind)))
}

type RoleGrant = Extract<Grant, { readonly roles: readonly string[] }>

const placeOf = (grant: Grant) => ('namespace' in grant ? grant.namespace : undefined)

function file(setting: Setting, grant: RoleGrant, kind: Roles): GeneratedFile {
  const namespace = placeOf(grant)
  const folder = kind === 'cluster' ? 'rbac' : 'rbac-explicit'
  const where = namespace === undefined ? 'over the whole cluster' : `in the namespace ${namespace}, which has to exist`
  const content =
    made(setting, `Roles ${where}: kubectl apply -f FILE.`) +
    yamlDocuments(grant.roles.flatMap((role) => documents(setting, { ...grant, roles: [role] }, kind)))
  return { path: `${folder}/${namespace === undefined ? 'cluster' : `namespace-${namespace}`}.yaml`, content }
}

/** The binding of one role, behind the role itself where that is written out. */
function documents({ config }: Setting, grant: RoleGrant, kind: Roles): readonly Yaml[] {
  const [role = ''] = grant.roles
  const namespace = placeOf(grant)
  const rules = kind === 'written' ? explicitRoles.get(role) : undefined
  const prefix = namespace === undefined ? 'Cluster' : ''
  const written = nameOf(config, role)
  const meta = (name: string) => ({ name, namespace, labels: labelsOf(config) })
  const apiVersion = RBAC_VERSION
  const apiGroup = RBAC
  const subjects = subjectsOf(config, grant)
  // What a binding refers to cannot be changed: each of the two ways has a name of its own.
  const binding = (name: string, roleRef: Yaml) => ({
    apiVersion,
    kind: `${prefix}RoleBinding`,
    metadata: meta(name),
    subjects,
    roleRef,
  })
  if (rules === undefined) return [binding(written, { apiGroup, kind: 'ClusterRole', name: role })]
  return [
    { apiVersion, kind: `${prefix}Role`, metadata: meta(written), rules },
    binding(`${written}:explicit`, { apiGroup, kind: `${prefix}Role`, name: written }),
  ]
}
