import { type BoundTest, bindTest } from './bind-tests.ts'
import {
  type Binder,
  bindLookup,
  bindPattern,
  bindRegex,
  bindTemplate,
  bindText,
  type Caught,
  type Env,
  type Filled,
  plain,
} from './bind-texts.ts'
import { endOfDayIn, moment } from './dates.ts'
import type { Grant } from './decision.ts'
import type { Facts } from './facts.ts'
import type { TargetRules } from './policy.ts'
import type { Each, Forbid, GrantTemplate, Rule, Until } from './rule.ts'
import type { Scope } from './scope.ts'
import { fitsGlob, fold, holesOf, partsOf } from './text.ts'

/** Where a grant lies that may be forbidden. */
export interface Site {
  /** The domain that a project or group without one means. */
  readonly home: string | undefined
  /** As at `TargetRules`. */
  readonly alike: (name: string) => string
}

/** How a target writes what it may take for one; names as they are where it is not known. */
export const alikeAt = (target: TargetRules | undefined): Site['alike'] => target?.alike ?? ((name) => name)

/** A rule for one scope, ready to be asked; made when somebody first comes near it. */
export interface Bound {
  readonly rule: Rule
  readonly tests: readonly BoundTest[]
  /** The rounds; one empty round for a rule without `each`. */
  rounds(facts: Facts): readonly Caught[]
  grants(facts: Facts, caught: Caught): readonly Grant[]
  /** Unix seconds; undefined where the claim is no date, Infinity without `until`. */
  until(facts: Facts, caught: Caught): number | undefined
  forbids(facts: Facts, caught: Caught, grant: Grant, site: Site): Grant | undefined
  because(facts: Facts, caught: Caught): string | undefined
}

/** Binds a rule that was checked before. */
export function bind(rule: Rule, scope: Scope, binder: Binder): Bound {
  const slots = new Map(captureNames(rule.each, binder).map((name, slot) => [name, slot]))
  const env: Env = { ...binder, constants: scope.constants, slots }
  const givers = (rule.give ?? []).map((template) => bindGrant(template, env))
  const because = rule.forbid ? bindText(rule.forbid.because, env) : undefined
  return {
    rule,
    tests: (rule.if ?? []).map((test) => bindTest(test, env)),
    rounds: bindEach(rule.each, env),
    grants(facts, caught) {
      const [only] = givers
      return only !== undefined && givers.length === 1
        ? only(facts, caught)
        : givers.flatMap((give) => give(facts, caught))
    },
    until: rule.until ? bindUntil(rule.until, env) : () => Number.POSITIVE_INFINITY,
    forbids: rule.forbid ? bindForbid(rule.forbid, env) : () => undefined,
    because: (facts, caught) => because?.(facts, caught)[0],
  }
}

/** The names that `each` catches, in the order of their slots. */
export function captureNames(each: Each | undefined, binder: Pick<Binder, 'regex'>): readonly string[] {
  if (each === undefined) return []
  if (each.as !== undefined) return [each.as]
  if (each.regex !== undefined) return binder.regex(each.regex).names
  const patterns = each.pattern === undefined ? Object.values(each.fields ?? {}) : [each.pattern]
  const holes = patterns.flatMap((pattern) => holesOf(partsOf(pattern)))
  return holes.filter((hole) => !hole.includes('.') && hole !== 'any')
}

function bindEach(each: Each | undefined, env: Env): Bound['rounds'] {
  const none: readonly Caught[] = [[]]
  if (each === undefined) return () => none
  if (each.record !== undefined) return bindRecords(each.record, each.fields ?? {}, env)
  const { claim = '', ignoreCase } = each
  const values = (facts: Facts) => (ignoreCase ? facts.values(claim).map(fold) : facts.values(claim))
  if (each.inTable !== undefined) {
    const name = each.inTable
    const table = env.tables.get(name)
    return (facts) =>
      values(facts).flatMap((value) => {
        const found = table?.get(value)
        if (found === undefined) facts.misses?.push({ table: name, key: value })
        return (found ?? []).map((text) => [text])
      })
  }
  const catches =
    each.regex === undefined
      ? bindPattern(each.pattern ?? '', env, ignoreCase ? fold : plain)
      : bindRegex(each.regex, env)
  return (facts) => {
    const rounds: Caught[] = []
    for (const value of values(facts)) {
      const caught = catches(value)
      if (caught !== undefined) rounds.push(caught)
    }
    return rounds
  }
}

function bindRecords(name: string, fields: Readonly<Record<string, string>>, env: Env): Bound['rounds'] {
  const patterns = Object.entries(fields).map(([field, pattern]) => [field, bindPattern(pattern, env)] as const)
  return (facts) => {
    const rounds: Caught[] = []
    for (const record of facts.records(name)) {
      const caught: string[] = []
      const all = patterns.every(([field, catches]) => {
        const value = Object.hasOwn(record, field) ? record[field] : undefined
        return typeof value === 'string' && catches(value, caught) !== undefined
      })
      if (all) rounds.push(caught)
    }
    return rounds
  }
}

type Make = (name: string, domain: string | undefined, roles: readonly string[]) => Grant

/** The shape of a template's grants; literals, so that all of one shape are alike to the engine. */
function makerOf({ target, project, namespace, group, cluster }: GrantTemplate): Make {
  if (project !== undefined)
    return (name, domain, roles) =>
      domain === undefined ? { target, project: name, roles } : { target, project: name, domain, roles }
  if (group !== undefined)
    return (name, domain) => (domain === undefined ? { target, group: name } : { target, group: name, domain })
  if (namespace !== undefined) return (name, _, roles) => ({ target, namespace: name, roles })
  return cluster
    ? (_name, _domain, roles) => ({ target, cluster, roles })
    : (name, _, roles) => ({ target, domain: name, roles })
}

const unnamed: readonly string[] = ['']
const nowhere: readonly undefined[] = [undefined]

function bindGrant(template: GrantTemplate, env: Env): Filled<readonly Grant[]> {
  const { project, namespace, group, cluster, domain, roles } = template
  const make = makerOf(template)
  const alone = project ?? namespace ?? group ?? (cluster ? undefined : domain)
  const inside = project ?? group
  const namesOf = alone === undefined ? () => unnamed : bindText(alone, env)
  const domainsOf = inside === undefined || domain === undefined ? () => nowhere : bindText(domain, env)
  const rolesOf = roles === undefined ? () => unnamed : 'lookup' in roles ? bindLookup(roles, env) : () => roles
  return (facts, caught) => {
    const given = rolesOf(facts, caught)
    if (given.length === 0) return []
    const grants: Grant[] = []
    for (const name of namesOf(facts, caught))
      for (const place of domainsOf(facts, caught)) grants.push(make(name, place, given))
    return grants
  }
}

function bindUntil(until: Until, env: Env): Bound['until'] {
  const source = until.endOf ?? until.at ?? ''
  const parts = partsOf(source)
  const [hole] = holesOf(parts)
  const slot = hole === undefined ? undefined : env.slots.get(hole)
  const read = until.endOf === undefined ? moment : endOfDayIn(until.zone ?? 'UTC')
  return (facts, caught) => {
    const texts = slot === undefined ? facts.values(source) : [caught[slot] ?? '']
    let earliest: number | undefined
    for (const text of texts) {
      const end = read(text)
      if (end === undefined) return undefined
      earliest = Math.min(end, earliest ?? end)
    }
    return earliest
  }
}

type Alike = Site['alike']

/** A glob whose holes are filled with literals: a `*` that a claim brings is a star and nothing more. */
function bindGlob(glob: string, env: Env): (facts: Facts, caught: Caught, text: string, alike?: Alike) => boolean {
  const segments = glob.split('*').map((segment) => bindTemplate(segment, env))
  return (facts, caught, text, alike = (same) => same) =>
    fitsGlob(
      segments.map((fill) => alike(fill(facts, caught))),
      alike(text),
    )
}

/** What a forbidding rule takes away from a grant: the part that is forbidden, or undefined. */
function bindForbid(forbid: Forbid, env: Env): Bound['forbids'] {
  if (forbid.person) return (_facts, _caught, grant) => grant
  const glob = (text: string | undefined) => (text === undefined ? undefined : bindGlob(text, env))
  const target = glob(forbid.target)
  const places = (['project', 'namespace', 'group'] as const).map((kind) => [kind, glob(forbid[kind])] as const)
  const domain = glob(forbid.domain)
  const { roles } = forbid
  return (facts, caught, grant, { home, alike }) => {
    if (target?.(facts, caught, grant.target) === false) return undefined
    if (forbid.cluster && !('cluster' in grant)) return undefined
    for (const [kind, fitting] of places) {
      if (fitting === undefined) continue
      const name = (grant as Partial<Record<typeof kind, string>>)[kind]
      if (name === undefined || !fitting(facts, caught, name, alike)) return undefined
    }
    if (domain !== undefined) {
      if ('namespace' in grant || 'cluster' in grant) return undefined
      const place = grant.domain ?? home
      // Where nobody here knows the domain, the deny holds.
      if (place !== undefined && !domain(facts, caught, place, alike)) return undefined
    }
    if (roles === undefined || !('roles' in grant)) return roles === undefined ? grant : undefined
    const taken = grant.roles.filter((role) => roles.some((one) => alike(one) === alike(role)))
    return taken.length === 0 ? undefined : { ...grant, roles: taken }
  }
}
