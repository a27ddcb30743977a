import type { TableMaps } from './bind-texts.ts'
import { type Glass, reaches } from './break-glass.ts'
import type { RuleRef } from './candidates.ts'
import { checkRule, literalGrant, type Words } from './check-rule.ts'
import type { Grant } from './decision.ts'
import { describeGrant } from './grants.ts'
import type { PolicyProblem, TargetRules, TenantSource } from './policy.ts'
import type { GrantTemplate, Rule, Vars } from './rule.ts'
import { badLimits, hasDomains, outside, type Scope, settle, tenantScope, type Walls } from './scope.ts'
import { constantsIn } from './words.ts'

/** A rule set of the main file, checked once for all tenants that use it. */
export interface RuleSet {
  readonly name: string
  readonly rules: readonly Rule[]
  /** The dotted holes in it, which every tenant must fill. */
  readonly needs: ReadonlySet<string>
  /** Whether some filling of them could reach a break-glass grant. */
  readonly nearGlass: 'near' | 'far'
  readonly problems: readonly PolicyProblem[]
}

/** A tenant, checked; its rules by the connectors whose people they may give something. */
export interface Tenant {
  readonly source: TenantSource
  readonly scope: Scope
  /** Ids of other tenants that its walls leave out; what it was made with. */
  readonly longer: readonly string[]
  readonly refs: ReadonlyMap<string, readonly RuleRef[]>
  readonly problems: readonly PolicyProblem[]
}

type Path = readonly (string | number)[]

/** The problems of a list of rules, with their paths in the file. */
export function checkRules(rules: readonly Rule[], path: Path, words: Words): readonly PolicyProblem[] {
  const names = new Set<string>()
  return rules.flatMap((rule, i) => {
    const found = checkRule(rule, words).map((problem) => ({ ...problem, path: [...path, i, ...problem.path] }))
    const again = names.has(rule.name)
    names.add(rule.name)
    return again
      ? [...found, { path: [...path, i, 'name'], message: `there is another rule ${rule.name} here` }]
      : found
  })
}

interface Near {
  readonly glasses: readonly Glass[]
  readonly tables: TableMaps
  readonly targets: ReadonlyMap<string, TargetRules>
  readonly constants: ReadonlyMap<string, string>
  readonly scope?: Scope
}

/** The problems of rules that could reach what break glass alone may give. */
export function checkReach(rules: readonly Rule[], path: Path, near: Near): readonly PolicyProblem[] {
  if (near.glasses.length === 0) return []
  return rules.flatMap((rule, i) =>
    (rule.give ?? []).flatMap((template, j) => {
      const held = reaches(near.glasses, template, near.tables, near.constants)
      if (held === undefined) return []
      if (near.scope?.walls !== undefined && beyondReach(held, near.scope.walls, near.targets)) return []
      const message = `rule ${rule.name} could give the break-glass grant \`${describeGrant(held)}\``
      return [{ path: [...path, i, 'give', j], message, fix: 'give another role or a narrower name' }]
    }),
  )
}

/** A break-glass grant outside the tenant's walls: whatever its rules say, they are refused there. */
function beyondReach(held: Grant, walls: Walls, targets: ReadonlyMap<string, TargetRules>): boolean {
  const target = targets.get(held.target)
  if (target === undefined) return true
  const placed = settle(walls, held, target)
  // Without a domain of its own it may lie in any of the tenant's.
  const open = ('project' in placed || 'group' in placed) && placed.domain === undefined && hasDomains(target)
  return !open && outside(walls, placed, target, undefined) !== undefined
}

/** Checks a rule set without knowing any tenant. */
export function readSet(name: string, rules: readonly Rule[], main: Words, glasses: readonly Glass[]): RuleSet {
  // Which connectors and people a set may name is the tenants' matter; unknown ids are found when all tenants are known.
  const anyone = { has: () => true } as unknown as ReadonlySet<string>
  const { constants: _, ...rest } = main
  const words: Words = { ...rest, connectors: anyone, place: 'tenant' }
  const near = checkReach(rules, [], { glasses, tables: main.tables, targets: main.targets, constants: new Map() })
  return {
    name,
    rules,
    needs: new Set(rules.flatMap((rule) => constantsIn(rule))),
    nearGlass: near.length > 0 ? 'near' : 'far',
    problems: checkRules(rules, ['ruleSets', name], words),
  }
}

interface Surroundings {
  readonly words: Words
  readonly glasses: readonly Glass[]
  readonly sets: ReadonlyMap<string, RuleSet>
  readonly mainVars: Vars
  /** As `tenantScope` takes it. */
  readonly longer: readonly string[]
}

/** Checks a tenant's rules and the sets that it uses against its limits. */
export function readTenant(source: TenantSource, around: Surroundings): Tenant {
  const scope = tenantScope(source, around.mainVars, around.longer)
  const sets = source.ruleSets.map((name) => around.sets.get(name))
  const refs = [...source.rules, ...sets.flatMap((set) => set?.rules ?? [])].map((rule, order) => ({
    rule,
    scope,
    order,
  }))
  const found = [
    ...ownProblems(source, scope, around),
    ...sets.flatMap((set, i) => setProblems(i, set, source, scope, around)),
  ]
  for (const [i, { id, domain }] of source.connectors.entries())
    if (domain !== undefined && scope.walls?.domain(domain) === false)
      found.push({ path: ['connectors', i, 'domain'], message: `domain ${domain} of ${id} is not the tenant's` })
  const limits = badLimits(source.limits)
  if (limits !== undefined) found.push({ path: [], message: `the limit ${limits} has a hole that is not <tenant.id>` })
  return {
    source,
    scope,
    longer: around.longer,
    refs: byConnector(refs, scope),
    problems: found.map((problem) => ({ ...problem, tenant: source.id })),
  }
}

function ownProblems(source: TenantSource, scope: Scope, { words, glasses }: Surroundings): PolicyProblem[] {
  const connectors = scope.reach ?? new Set<string>()
  const own: Words = { ...words, connectors, constants: scope.constants, place: 'tenant' }
  return [
    ...checkRules(source.rules, ['rules'], own),
    ...checkReach(source.rules, ['rules'], { ...words, glasses, constants: scope.constants, scope }),
    ...source.rules.flatMap((rule, i) =>
      (rule.give ?? []).flatMap((template, j) => {
        const why = beyond(template, scope, words)
        return why === undefined ? [] : [{ path: ['rules', i, 'give', j], message: why }]
      }),
    ),
  ]
}

function setProblems(
  at: number,
  set: RuleSet | undefined,
  source: TenantSource,
  scope: Scope,
  { words, glasses }: Surroundings,
): PolicyProblem[] {
  const path = ['ruleSets', at]
  if (set === undefined) return [{ path, message: `there is no rule set ${source.ruleSets[at]}` }]
  const missing = [...set.needs].filter((name) => !scope.constants.has(name))
  if (missing.length > 0)
    return missing.map((name) => ({ path, message: `rule set ${set.name} needs <${name}>`, fix: `add it to \`vars\`` }))
  const found: PolicyProblem[] = set.rules.flatMap((rule) =>
    (rule.give ?? []).flatMap((template) => {
      const why = beyond(template, scope, words)
      return why === undefined ? [] : [{ path, message: `rule ${rule.name} of set ${set.name}: ${why}` }]
    }),
  )
  if (set.nearGlass === 'far') return found
  const near = { ...words, glasses, constants: scope.constants, scope }
  return [...found, ...checkReach(set.rules, path, near).map((problem) => ({ ...problem, path }))]
}

/** Why a template can give nothing inside the tenant's walls, as far as that is known now; the rest is seen at run time. */
function beyond(template: GrantTemplate, scope: Scope, { targets }: Words): string | undefined {
  const { walls } = scope
  const target = targets.get(template.target)
  if (walls === undefined || target === undefined) return undefined
  if (!walls.targets.has(template.target)) return `the tenant has no part of target ${template.target}`
  if (template.cluster) return 'a whole cluster is never a tenant’s'
  const placed = template.project !== undefined || template.group !== undefined
  if (placed && template.domain === undefined && walls.home === undefined && hasDomains(target))
    return 'the tenant has not exactly one domain, so the grant must name it'
  const grant = literalGrant(template, scope.constants)
  if (grant === undefined) return undefined
  const settled = settle(walls, grant, target)
  const why = outside(walls, settled, target, undefined)
  if (why !== undefined) return why
  const refused = target.refuse(settled)
  return refused && `target ${target.id} cannot take \`${describeGrant(settled)}\`: ${refused}`
}

/** Rules by connector. Who is neither own nor admitted finds nothing here, whatever `from` says. */
function byConnector(refs: readonly RuleRef[], scope: Scope): ReadonlyMap<string, readonly RuleRef[]> {
  const lists = new Map<string, RuleRef[]>()
  for (const ref of refs) {
    const ids = new Set(ref.rule.from.flatMap((id) => (id === 'own' ? scope.own : [id])))
    for (const id of ids) {
      if (scope.reach?.has(id) === false) continue
      const list = lists.get(id)
      if (list === undefined) lists.set(id, [ref])
      else list.push(ref)
    }
  }
  return lists
}
