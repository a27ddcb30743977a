import { type Decision, grantsAt } from '../../../core/decision.ts'
import type { Check } from '../../../core/ports.ts'
import type { Possible } from '../../../core/possible.ts'
import { TargetUnavailable } from '../../live.ts'
import { type ClusterAccess, type ClusterApi, openClusterApi } from '../access.ts'
import { AUTHORIZATION, type Right, rightsOf } from '../rights.ts'
import { type KubernetesConfig, openKubernetes } from '../target.ts'

/** Something that one may want to do, as a review of access asks for it. */
export interface Deed {
  /** Absent for the whole cluster: in every namespace, or outside of all. */
  readonly namespace?: string
  readonly verb: string
  readonly group: string
  readonly resource: string
  readonly subresource?: string
  readonly name?: string
}

/** What a cluster lets somebody do. */
export interface Reviewed {
  readonly user: string
  readonly groups: readonly string[]
  readonly may: readonly (Deed & { readonly says: string; readonly allowed: boolean })[]
}

type Asked = Omit<Deed, 'namespace'> & { readonly says: string }

/** What is worth knowing of a namespace, and of the cluster as a whole. */
const inNamespace: readonly Asked[] = [
  { says: 'list pods', verb: 'list', group: '', resource: 'pods' },
  { says: 'exec into pods', verb: 'create', group: '', resource: 'pods', subresource: 'exec' },
  { says: 'create deployments', verb: 'create', group: 'apps', resource: 'deployments' },
  { says: 'get secrets', verb: 'get', group: '', resource: 'secrets' },
  { says: 'create rolebindings', verb: 'create', group: 'rbac.authorization.k8s.io', resource: 'rolebindings' },
]
const overCluster: readonly Asked[] = [
  { says: 'list pods', verb: 'list', group: '', resource: 'pods' },
  { says: 'list nodes', verb: 'list', group: '', resource: 'nodes' },
  { says: 'get secrets', verb: 'get', group: '', resource: 'secrets' },
  { says: 'create namespaces', verb: 'create', group: '', resource: 'namespaces' },
  { says: 'do anything', verb: '*', group: '*', resource: '*' },
]

/** Reviews asked for at once. */
const AT_ONCE = 8
/** What a kube-apiserver adds to the groups of every token that it takes. */
const EVERYBODY = 'system:authenticated'

/**
 * Asks the cluster what somebody may do there, under exactly the names that her tokens have.
 * @throws {TargetUnavailable}
 */
export async function reviewed(config: KubernetesConfig, decision: Decision, access: ClusterAccess): Promise<Reviewed> {
  const names = openKubernetes(config).describe(decision)
  const [user = ''] = namesOf(names, 'User ')
  const groups = [...namesOf(names, 'Group '), EVERYBODY]
  const namespaces = grantsAt(decision, config.id).flatMap((grant) => ('namespace' in grant ? [grant.namespace] : []))
  const deeds = [
    ...namespaces.flatMap((namespace) => inNamespace.map((asked) => ({ namespace, ...asked }))),
    ...overCluster,
  ]
  const api = openClusterApi(config.id, access)
  const may = await each(deeds, async (deed) => ({ ...deed, allowed: await allowed(api, deed, { user, groups }) }))
  return { user, groups, may }
}

const namesOf = (names: readonly string[], kind: string) =>
  names.flatMap((name) => (name.startsWith(kind) ? [name.slice(kind.length)] : []))

/** @param who the gateway's own account where absent @see https://kubernetes.io/docs/reference/access-authn-authz/authorization/ */
async function allowed(api: ClusterApi, deed: Deed, who?: Pick<Reviewed, 'user' | 'groups'>): Promise<boolean> {
  const { namespace, verb, group, resource, subresource, name } = deed
  const kind = who ? 'SubjectAccessReview' : 'SelfSubjectAccessReview'
  const resourceAttributes = { namespace, verb, group, resource, subresource, name }
  const sent = { body: { apiVersion: `${AUTHORIZATION}/v1`, kind, spec: { ...who, resourceAttributes } } }
  const { body } = await api.send('POST', `/apis/${AUTHORIZATION}/v1/${kind.toLowerCase()}s`, { sent })
  const { status } = (body ?? {}) as { readonly status?: { readonly allowed?: unknown } }
  if (typeof status?.allowed !== 'boolean')
    throw new TargetUnavailable(
      'refused',
      'the cluster answers a review of access with something else; is its server right?',
    )
  return status.allowed
}

async function each<From, To>(all: readonly From[], one: (from: From) => Promise<To>): Promise<readonly To[]> {
  const made: To[] = []
  for (let at = 0; at < all.length; at += AT_ONCE)
    made.push(...(await Promise.all(all.slice(at, at + AT_ONCE).map(one))))
  return made
}

/** Whether the gateway's own account has the rights that it needs for what the rules can give. Changes nothing; never throws. */
export async function checkAccount(
  config: KubernetesConfig,
  possible: Possible,
  access: ClusterAccess,
): Promise<readonly Check[]> {
  const api = openClusterApi(config.id, access)
  try {
    return await each(rightsOf(config, possible), (right) => checkRight(api, right))
  } catch (error) {
    return [{ check: 'own account', ok: false, found: error instanceof Error ? error.message : String(error) }]
  }
}

async function checkRight(api: ClusterApi, { apiGroup: group, resource, verbs, names, why }: Right): Promise<Check> {
  const deeds = verbs.flatMap((verb) =>
    (names ?? [undefined]).map((name) => ({ verb, group, resource, ...(name !== undefined && { name }) })),
  )
  const answers = await each(deeds, (deed) => allowed(api, deed))
  const missing = deeds.filter((_, index) => !answers[index])
  const check = `may ${verbs.join(', ')} ${resource}`
  if (missing.length === 0) return { check, ok: true, found: why }
  const [first] = missing
  const such = [first?.verb, resource, first && 'name' in first ? first.name : ''].filter(Boolean).join(' ')
  // Only bindings are what people wait for.
  const note = group === AUTHORIZATION ? { note: true as const } : {}
  const found = `it may not: ${such}${missing.length > 1 ? `, and ${missing.length - 1} more` : ''}; apply gateway/account.yaml of lotse print`
  return { check, ok: 'note' in note, found, ...note }
}
