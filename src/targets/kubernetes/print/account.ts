import type { GeneratedFile } from '../../../core/ports.ts'
import { type Yaml, yamlDocuments } from '../../yaml.ts'
import { labelsOf, RBAC, RBAC_VERSION } from '../binding.ts'
import { rightsOf } from '../rights.ts'
import { made, type Setting } from './setting.ts'

const ACCOUNT = { name: 'lotse', namespace: 'lotse' }

/** The gateway's own account at the cluster, with what it needs to keep bindings and nothing more; none without `apply`. */
export function accountFiles(setting: Setting): readonly GeneratedFile[] {
  const { config, possible } = setting
  if (config.apply === undefined) return []
  const name = `lotse-gateway:${config.id}`
  const labels = labelsOf(config)
  const rules = rightsOf(config, possible).map(({ apiGroup, resource, verbs, names }) => ({
    apiGroups: [apiGroup],
    resources: [resource],
    verbs,
    resourceNames: names,
  }))
  const roleRef = { apiGroup: RBAC, kind: 'ClusterRole', name }
  const documents: readonly Yaml[] = [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { ...ACCOUNT, labels } },
    { apiVersion: RBAC_VERSION, kind: 'ClusterRole', metadata: { name, labels }, rules },
    {
      apiVersion: RBAC_VERSION,
      kind: 'ClusterRoleBinding',
      metadata: { name, labels },
      subjects: [{ kind: 'ServiceAccount', ...ACCOUNT }],
      roleRef,
    },
    ...(config.apply.kubeconfig === 'in-cluster' ? [] : [token(labels)]),
  ]
  const head = made(
    setting,
    'The account by which the gateway keeps bindings: kubectl create namespace lotse, then kubectl apply -f FILE.',
    'It may bind the roles that rules can give, and no other. Apply it again when rules give others.',
    'subjectaccessreviews is for `lotse explain --live` alone; leave it out where nobody uses that.',
  )
  return [{ path: 'gateway/account.yaml', content: head + yamlDocuments(documents) }]
}

/** Filled by the cluster with a token that has no end: for a gateway that runs elsewhere. */
const token = (labels: Yaml): Yaml => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: {
    name: 'lotse-token',
    namespace: ACCOUNT.namespace,
    labels,
    annotations: { 'kubernetes.io/service-account.name': ACCOUNT.name },
  },
  type: 'kubernetes.io/service-account-token',
})
