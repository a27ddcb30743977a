import type { Grant } from './decision.ts'
import type { TargetRules, TenantSource } from './policy.ts'
import type { TenantLimits, Vars } from './rule.ts'
import { globMatcher, literalOf, partsOf, resolve } from './text.ts'

/** Where rules stand: in the main file, or in one tenant, confined to its limits. */
export interface Scope {
  readonly tenant?: string
  /** What `<vars.name>` and `<tenant.id>` stand for. */
  readonly constants: ReadonlyMap<string, string>
  /** The connectors that `own` means. */
  readonly own: readonly string[]
  /** The connectors that rules here may name; all of them in the main file. */
  readonly reach?: ReadonlySet<string>
  readonly walls?: Walls
}

/** A tenant's limits, ready to be asked. */
export interface Walls {
  readonly targets: ReadonlySet<string>
  /** The tenant's only domain, which grants without one mean. */
  readonly home?: string
  readonly domain: (name: string) => boolean
  readonly project: (name: string) => boolean
  readonly namespace: (name: string) => boolean
  readonly group: (name: string) => boolean
}

/** The scope of the main file. */
export function mainScope(vars: Vars): Scope {
  return { constants: constantsOf(vars), own: [] }
}

/**
 * The scope of a tenant. Its vars win over the main file's, for its own rules only.
 * @param longer the tenants whose ids begin or end with its own, see `longerIds`
 */
export function tenantScope(tenant: TenantSource, mainVars: Vars, longer: readonly string[]): Scope {
  const constants = constantsOf(mainVars, tenant.vars)
  constants.set('tenant.id', tenant.id)
  const own = tenant.connectors.map((connector) => connector.id)
  return {
    tenant: tenant.id,
    constants,
    own,
    reach: new Set([...own, ...tenant.admit]),
    walls: wallsOf(tenant, longer),
  }
}

function constantsOf(...layers: readonly Vars[]): Map<string, string> {
  const constants = new Map<string, string>()
  for (const vars of layers) for (const [name, text] of Object.entries(vars)) constants.set(`vars.${name}`, text)
  return constants
}

/** Of each tenant's id the longer ones that begin or end with it: what is named after `acme-labs` looks as if named after `acme`. */
export function longerIds(tenants: Iterable<string>): ReadonlyMap<string, readonly string[]> {
  const ids = new Set(tenants)
  const lengths = new Set([...ids].map((id) => id.length))
  const found = new Map<string, string[]>()
  const push = (part: string, id: string) => {
    const others = found.get(part)
    if (others) others.push(id)
    else found.set(part, [id])
  }
  for (const id of ids)
    for (const length of lengths) {
      if (length >= id.length) continue
      for (const part of new Set([id.slice(0, length), id.slice(-length)])) if (ids.has(part)) push(part, id)
    }
  return found
}

function wallsOf({ id, limits }: TenantSource, longer: readonly string[]): Walls {
  // Only the tenant's id is filled in: its vars are its own words and must not widen what the main file allows.
  const fill = (list: readonly string[], tenant = id) => {
    const trusted = new Map([['tenant.id', tenant]])
    return list.flatMap((text) => literalOf(resolve(partsOf(text), trusted)) ?? [])
  }
  const any = (list: readonly string[]) => {
    const matchers = fill(list).map(globMatcher)
    // `<tenant.id>-*` of `acme` would fit what is named after `acme-labs`: that is the other tenant's.
    const open = list.filter((text) => text.includes('*') && text.includes('<tenant.id>'))
    const foreign = longer.flatMap((other) => fill(open, other))
    const others = foreign.filter((glob) => matchers.some((matches) => matches(glob))).map(globMatcher)
    return (name: string) => matchers.some((matches) => matches(name)) && !others.some((matches) => matches(name))
  }
  const [home, ...more] = fill(limits.domains)
  return {
    targets: new Set(limits.targets),
    ...(home !== undefined && more.length === 0 && !home.includes('*') ? { home } : {}),
    domain: any(limits.domains),
    project: any(limits.projects ?? ['*']),
    namespace: any(limits.namespaces),
    group: any(limits.groups),
  }
}

/** Limits that name another hole than `<tenant.id>`, which would otherwise be passed over. */
export function badLimits(limits: TenantLimits): string | undefined {
  const lists = [limits.domains, limits.projects ?? [], limits.namespaces, limits.groups]
  return lists.flat().find((text) => literalOf(resolve(partsOf(text), new Map([['tenant.id', 'x']]))) === undefined)
}

/** Whether a target tells things apart by domain: then a tenant's project or group there lies in one. */
export function hasDomains({ carries }: TargetRules): boolean {
  return carries.has('project') || carries.has('domain')
}

/** A tenant's grant with the domain that it means; the main file's as they are. */
export function settle(walls: Walls, grant: Grant, target: TargetRules): Grant {
  const placed = 'project' in grant || 'group' in grant
  if (!placed || grant.domain !== undefined || walls.home === undefined || !hasDomains(target)) return grant
  return { ...grant, domain: walls.home }
}

/**
 * Why a grant lies outside a tenant's walls (law 6); undefined where it lies inside.
 * @param target the grant's; undefined where there is none of that id
 * @param home the domain that a project or group without one means, where that is known
 */
export function outside(
  walls: Walls,
  grant: Grant,
  target: TargetRules | undefined,
  home: string | undefined,
): string | undefined {
  if (target === undefined || !walls.targets.has(grant.target))
    return `the tenant has no part of target ${grant.target}`
  if ('namespace' in grant)
    return walls.namespace(grant.namespace) ? undefined : `namespace ${grant.namespace} is not the tenant's`
  if ('cluster' in grant) return 'a whole cluster is never a tenant’s'
  // Where groups have no domain, or nobody can say which, the name itself must be the tenant's.
  if ('group' in grant && !hasDomains(target) && !walls.group(grant.group))
    return `group ${grant.group} is not the tenant's`
  if ('group' in grant && !hasDomains(target) && grant.domain === undefined) return undefined
  const place = grant.domain ?? home
  if (place === undefined) return 'the grant names no domain'
  if (!walls.domain(place)) return `domain ${place} is not the tenant's`
  if ('project' in grant && !walls.project(grant.project)) return `project ${grant.project} is not the tenant's`
  return undefined
}
