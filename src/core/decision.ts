/** What a rule gives at one target; plain data, names already filled in. */
export type Grant =
  | { readonly target: string; readonly project: string; readonly domain?: string; readonly roles: readonly string[] }
  | { readonly target: string; readonly domain: string; readonly roles: readonly string[] }
  | { readonly target: string; readonly namespace: string; readonly roles: readonly string[] }
  | { readonly target: string; readonly cluster: true; readonly roles: readonly string[] }
  | { readonly target: string; readonly group: string; readonly domain?: string }

export type GrantKind = 'project' | 'domain' | 'namespace' | 'cluster' | 'group'

/** Which of the five shapes a grant has. A grant with `project` or `group` may also name the domain that holds it. */
export function grantKind(grant: Grant): GrantKind {
  if ('project' in grant) return 'project'
  if ('group' in grant) return 'group'
  if ('namespace' in grant) return 'namespace'
  return 'cluster' in grant ? 'cluster' : 'domain'
}

/** The person as targets name her; already inside the connector's own name space (law 15). */
export interface Identity {
  readonly username: string
  /** The same without the name space, for consumers that tell people apart by `domain`; with it where connectors share a domain. */
  readonly localName?: string
  readonly email?: string
  readonly emailVerified?: boolean
  readonly name?: string
  /** The domain at a Keystone in which the person lives. */
  readonly domain?: string
}

/** One rule that gave, forbade or admitted, and what came of it. */
export interface RuleOutcome {
  readonly rule: string
  /** Absent for rules of the main file. */
  readonly tenant?: string
  /** `refused`: outside the tenant's limits, kept for break glass, or no name at all. */
  readonly effect: 'gave' | 'forbade' | 'admitted' | 'broke-glass' | 'refused-by-target' | 'refused'
  /** The grants concerned, or for `forbade` those that were taken away; empty where the whole person is refused. */
  readonly grants: readonly Grant[]
  /** The operator's words (`because:`) or the reason for which a target cannot take a name. */
  readonly because?: string
  /** The only targets for which a tenant admitted; absent for the main file, which admits everywhere. */
  readonly targets?: readonly string[]
}

/** What the rules say about a subject. A refusal is a value: `allowed: false`, with no grants. */
export interface Decision {
  readonly allowed: boolean
  readonly identity: Identity
  /** Sorted, unique, forbidden ones removed. */
  readonly grants: readonly Grant[]
  /** Unix seconds: the earliest end among the rules that gave or admitted; Infinity where none sets one. The proof's end is applied by the caller. */
  readonly until: number
  /** Only the rules that gave, forbade or admitted; `explain()` has all of them. */
  readonly because: readonly RuleOutcome[]
  /** The `acr` that would have given more, lowest first: what a step-up or a refusal page names. */
  readonly wantsAcr?: string
}

/** The grants of a decision at one target. */
export function grantsAt(decision: Decision, target: string): readonly Grant[] {
  return decision.grants.filter((grant) => grant.target === target)
}
