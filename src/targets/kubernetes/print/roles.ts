import type { Yaml } from '../../yaml.ts'

/** A rule of a Role. */
type RoleRule = {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
}

const rule = (group: string, resources: string, verbs: string): RoleRule => ({
  apiGroups: [group],
  resources: resources.split(' '),
  verbs: verbs.split(' '),
})

const READ = 'get list watch'
const WRITE = 'create delete deletecollection patch update'

/** What people work with in a namespace, by API group. */
const work: readonly (readonly [group: string, resources: string])[] = [
  [
    '',
    'configmaps endpoints persistentvolumeclaims pods replicationcontrollers replicationcontrollers/scale serviceaccounts services',
  ],
  ['apps', 'daemonsets deployments deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale'],
  ['autoscaling', 'horizontalpodautoscalers'],
  ['batch', 'cronjobs jobs'],
  ['networking.k8s.io', 'ingresses networkpolicies'],
  ['policy', 'poddisruptionbudgets'],
]

const view: readonly RoleRule[] = [
  ...work.map(([group, resources]) => rule(group, resources, READ)),
  rule('', 'bindings events limitranges namespaces pods/log pods/status resourcequotas resourcequotas/status', READ),
  rule('apps', 'controllerrevisions daemonsets/status deployments/status replicasets/status statefulsets/status', READ),
  rule('batch', 'cronjobs/status jobs/status', READ),
  rule('discovery.k8s.io', 'endpointslices', READ),
]

const edit: readonly RoleRule[] = [
  ...view,
  ...work.map(([group, resources]) => rule(group, resources, WRITE)),
  rule('', 'secrets', `${READ} ${WRITE}`),
  rule('', 'pods/attach pods/exec pods/portforward pods/proxy services/proxy', `get list watch ${WRITE}`),
  rule('', 'pods/eviction serviceaccounts/token', 'create'),
  rule('', 'events', 'create patch update'),
]

const admin: readonly RoleRule[] = [
  ...edit,
  rule('rbac.authorization.k8s.io', 'rolebindings roles', `${READ} ${WRITE}`),
  rule('authorization.k8s.io', 'localsubjectaccessreviews', 'create'),
]

/**
 * What the roles `view`, `edit` and `admin` allow, written out. Kubernetes itself puts theirs together while a controller-manager runs;
 * without one they are empty.
 */
export const explicitRoles: ReadonlyMap<string, readonly Yaml[]> = new Map(Object.entries({ view, edit, admin }))
