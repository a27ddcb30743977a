import { type Grant, grantKind } from './decision.ts'

const SEPARATOR = '\u0000'

/** The name of a grant's place at its target: the project, domain, namespace or group; empty for a cluster. */
export function placeName(grant: Grant): string {
  if ('project' in grant) return grant.project
  if ('group' in grant) return grant.group
  if ('namespace' in grant) return grant.namespace
  return 'cluster' in grant ? '' : grant.domain
}

/** Equal for two grants at one place; sorts by target, shape, name. No part can hold U+0000 (text.ts badName). */
export function placeKey(grant: Grant): string {
  const domain = 'project' in grant || 'group' in grant ? (grant.domain ?? '') : ''
  return grant.target + SEPARATOR + grantKind(grant) + SEPARATOR + placeName(grant) + SEPARATOR + domain
}

/** A grant as tests, traces and people write it: `cloud project web in d1: manager, member`. */
export function describeGrant(grant: Grant): string {
  const kind = grantKind(grant)
  const name = kind === 'cluster' ? '' : ` ${placeName(grant)}`
  const inside = ('project' in grant || 'group' in grant) && grant.domain !== undefined ? ` in ${grant.domain}` : ''
  const roles = 'roles' in grant ? `: ${grant.roles.join(', ')}` : ''
  return `${grant.target} ${kind}${name}${inside}${roles}`
}

/** One grant per place with all its roles, sorted, so that equal rights are equal values. */
export function mergeGrants(grants: readonly Grant[]): readonly Grant[] {
  const places = new Map<string, Grant[]>()
  for (const grant of grants) {
    const key = placeKey(grant)
    const there = places.get(key)
    if (there === undefined) places.set(key, [grant])
    else there.push(grant)
  }
  return [...places.keys()].sort().map((key) => oneOf(places.get(key) as [Grant, ...Grant[]]))
}

function oneOf(same: readonly [Grant, ...Grant[]]): Grant {
  const [first] = same
  if (!('roles' in first)) return first
  if (same.length === 1 && first.roles.length < 2) return first
  const roles = new Set(same.flatMap((grant) => ('roles' in grant ? grant.roles : [])))
  return { ...first, roles: [...roles].sort() }
}
