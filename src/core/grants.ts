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

/** A grant beside what it is sorted by: read once, since a sort asks often. */
interface Placed {
  readonly grant: Grant
  readonly kind: number
  readonly name: string
  readonly domain: string
}

const placed = (grant: Grant): Placed => ({
  grant,
  kind: ranks[grantKind(grant)],
  name: placeName(grant),
  domain: inside(grant),
})

/** Sorts by target, shape, name and domain; 0 for two grants at one place. */
function byPlace(a: Placed, b: Placed): number {
  return order(a.grant.target, b.grant.target) || a.kind - b.kind || order(a.name, b.name) || order(a.domain, b.domain)
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
  let last: Placed | undefined
  for (const next of grants.map(placed).sort(byPlace)) {
    const before = merged.at(-1)
    if (before === undefined || last === undefined || byPlace(last, next) !== 0) merged.push(sorted(next.grant))
    else merged[merged.length - 1] = joined(before, next.grant)
    last = next
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
