import { type Grant, grantKind } from './decision.ts'

/** The name of a grant's place at its target: the project, domain, namespace or group; empty for a cluster. */
export function placeName(grant: Grant): string {
  if ('project' in grant) return grant.project
  if ('group' in grant) return grant.group
  if ('namespace' in grant) return grant.namespace
  return 'cluster' in grant ? '' : grant.domain
}

const ranks = { project: 0, domain: 1, namespace: 2, cluster: 3, group: 4 } as const

const inside = (grant: Grant) => ('project' in grant || 'group' in grant ? (grant.domain ?? '') : '')

function order(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}

/** Sorts grants by target, shape, name and domain; 0 for two at one place. */
function byPlace(a: Grant, b: Grant): number {
  return (
    order(a.target, b.target) ||
    ranks[grantKind(a)] - ranks[grantKind(b)] ||
    order(placeName(a), placeName(b)) ||
    order(inside(a), inside(b))
  )
}

/** A grant as tests, traces and people write it: `cloud project web in d1: manager, member`. */
export function describeGrant(grant: Grant): string {
  const kind = grantKind(grant)
  const name = kind === 'cluster' ? '' : ` ${placeName(grant)}`
  const domain = inside(grant) === '' ? '' : ` in ${inside(grant)}`
  const roles = 'roles' in grant ? `: ${grant.roles.join(', ')}` : ''
  return `${grant.target} ${kind}${name}${domain}${roles}`
}

/** One grant per place with all its roles, sorted, so that equal rights are equal values. */
export function mergeGrants(grants: readonly Grant[]): readonly Grant[] {
  if (grants.length < 2) return grants.map(sorted)
  const merged: Grant[] = []
  for (const grant of [...grants].sort(byPlace)) {
    const before = merged.at(-1)
    if (before === undefined || byPlace(before, grant) !== 0) merged.push(sorted(grant))
    else merged[merged.length - 1] = joined(before, grant)
  }
  return merged
}

function sorted(grant: Grant): Grant {
  if (!('roles' in grant) || grant.roles.length < 2) return grant
  return { ...grant, roles: [...new Set(grant.roles)].sort() }
}

function joined(one: Grant, other: Grant): Grant {
  if (!('roles' in one) || !('roles' in other)) return one
  return sorted({ ...one, roles: [...one.roles, ...other.roles] })
}
