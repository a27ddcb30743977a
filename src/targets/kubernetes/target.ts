import { type Decision, type Grant, grantsAt } from '../../core/decision.ts'
import { LoginError } from '../../core/errors.ts'
import { ISSUER_RING } from '../../core/ports.ts'
import { bounded, impossibleName, sortedUnique, systemName } from '../names.ts'
import type { Target } from '../target.ts'
import type { KubernetesOptions } from './options.ts'

export type KubernetesConfig = KubernetesOptions & { readonly id: string; readonly label?: string | undefined }

/**
 * One cluster, told by claims alone: `preferred_username`, `email`, `groups`. RoleBindings name the groups: `ns:<namespace>:<role>` for
 * roles in a namespace, `cluster:<role>` for roles over the cluster, and plain groups by their own name, which cannot begin
 * with either word: no rule that gives a group gives a role by accident, and no namespace called `cluster` gives the cluster.
 */
export function openKubernetes(config: KubernetesConfig): Target {
  return {
    id: config.id,
    label: config.label ?? config.id,
    audience: config.audience ?? config.id,
    ring: ISSUER_RING,
    alg: config.alg,
    ttl: config.ttl,
    carries: new Set(['namespace', 'cluster', 'group']),
    namesUsers: true,
    refuse: (grant) => refuse(config, grant),
    claimNames: ['preferred_username', 'email', 'email_verified', 'name', 'groups'],
    claims: (decision) => bounded(config.label ?? config.id, claims(config, decision)),
    describe: (decision) => describe(config, decision),
  }
}

/** Most characters of a group or user name; RBAC itself sets no bound, a token does. */
const LONGEST = 256

function refuse(config: KubernetesConfig, grant: Grant): string | undefined {
  if ('namespace' in grant) return badNamespace(config, grant.namespace) ?? badRoles(grant.roles)
  if ('group' in grant) return badGroup(config, grant.group, grant.domain)
  if (!('cluster' in grant)) return 'a cluster has namespaces and groups, neither projects nor domains'
  if (grant.roles.includes('cluster-admin') && !config.adminRoles)
    return "the role cluster-admin over the cluster is reserved; the target's adminRoles says no"
  return badRoles(grant.roles)
}

/** RFC 1123 label, as the API server asks; also what keeps `:` out, so that `ns:<namespace>:<role>` has one reading. */
function badNamespace(config: KubernetesConfig, namespace: string): string | undefined {
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(namespace))
    return 'not a namespace name: lower-case letters, digits and inner hyphens, 63 at most'
  // Who may edit in kube-system runs pods with the control plane's accounts.
  if (namespace.startsWith('kube-') && !config.adminRoles)
    return "kube-* namespaces are reserved; the target's adminRoles says no"
  return undefined
}

/** A ClusterRole's name is a path segment. */
function badRoles(roles: readonly string[]): string | undefined {
  if (roles.length === 0) return 'a grant without roles gives nothing'
  for (const role of roles) {
    const bad = impossibleName('role', role, LONGEST)
    if (bad !== undefined) return bad
    if (systemName(role)) return `the role ${role} is reserved by Kubernetes`
    if (/[/%]/.test(role) || role === '.' || role === '..') return `the role ${role} is no name of a ClusterRole`
  }
  return undefined
}

/** The prefix counts too: `sys` before `tem:masters` would be cluster administrator. */
function badGroup(config: KubernetesConfig, group: string, domain: string | undefined): string | undefined {
  if (domain !== undefined) return 'a cluster knows no domains, so a group of one domain would be everybody’s'
  if (systemName(group) || systemName(config.groupsPrefix + group))
    return `the group ${group} is reserved by Kubernetes`
  if (/^(ns|cluster):/i.test(group))
    return `the group ${group} reads as roles: give a namespace or cluster grant instead`
  return impossibleName('group', group, LONGEST)
}

/** The groups of the decision at this cluster, sorted, as the token says them. */
function groupsOf(config: KubernetesConfig, decision: Decision): readonly string[] {
  const mine = grantsAt(decision, config.id).filter((grant) => refuse(config, grant) === undefined)
  return sortedUnique(mine.flatMap(groupNames))
}

/** The names that RoleBindings have for a grant, without the prefix of the cluster. */
export function groupNames(grant: Grant): readonly string[] {
  if ('group' in grant) return [grant.group]
  if ('namespace' in grant) return grant.roles.map((role) => `ns:${grant.namespace}:${role}`)
  return 'cluster' in grant ? grant.roles.map((role) => `cluster:${role}`) : []
}

/** A reserved or impossible user name refuses the sign-in: left out, a cluster might fall back on another claim. */
function usernameOf(config: KubernetesConfig, decision: Decision): string {
  const { username } = decision.identity
  const bad = impossibleName('user', username, LONGEST)
  if (bad !== undefined) throw new LoginError('claims_unusable', `no user at target ${config.id}: ${bad}`)
  if (systemName(username) || systemName(config.usernamePrefix + username))
    throw new LoginError('claims_unusable', `the user name at target ${config.id} is reserved by Kubernetes`)
  return username
}

function claims(config: KubernetesConfig, decision: Decision): Record<string, unknown> {
  const { email, emailVerified, name } = decision.identity
  // Any of these may be a cluster's username claim, so none says `system:`.
  const safe = (text: string | undefined): text is string =>
    text !== undefined && !systemName(text) && !systemName(config.usernamePrefix + text)
  return {
    preferred_username: usernameOf(config, decision),
    ...(safe(email) ? { email, email_verified: emailVerified === true } : {}),
    ...(safe(name) ? { name } : {}),
    groups: groupsOf(config, decision),
  }
}

function describe(config: KubernetesConfig, decision: Decision): readonly string[] {
  return [
    `User ${config.usernamePrefix}${decision.identity.username}`,
    ...groupsOf(config, decision).map((group) => `Group ${config.groupsPrefix}${group}`),
  ]
}
