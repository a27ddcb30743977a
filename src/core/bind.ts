import { endOfDayIn, moment } from './dates.ts'
import type { Grant } from './decision.ts'
import { type Facts, verifiedMailDomain } from './facts.ts'
import { requiredLiterals } from './literals.ts'
import type { CompiledRegex } from './policy.ts'
import type { Each, Forbid, GrantTemplate, Lookup, Rule, RuleTest, Text, Until } from './rule.ts'
import type { Scope } from './scope.ts'
import { fits, fitsGlob, fold, holesOf, LONGEST_VALUE, literalOf, partsOf, type Runs, resolve, runsOf } from './text.ts'

/** What one round of `each` caught, by slot. */
export type Caught = readonly string[]

/** A condition, ready to be asked. */
export interface BoundTest {
  readonly test: RuleTest
  /** Whether it must be asked in each round, because it uses what the round caught. */
  readonly perRound: boolean
  /** Its `acr`, by name; asked last, so that `wantsAcr` names only what would have helped. */
  readonly acr?: string
  holds(facts: Facts, caught: Caught): boolean
}

/** A rule for one scope, ready to be asked; made when somebody first comes near it. */
export interface Bound {
  readonly rule: Rule
  readonly tests: readonly BoundTest[]
  /** The rounds; one empty round for a rule without `each`. */
  rounds(facts: Facts): readonly Caught[]
  grants(facts: Facts, caught: Caught): readonly Grant[]
  /** Unix seconds; undefined where the claim is no date, Infinity without `until`. */
  until(facts: Facts, caught: Caught): number | undefined
  forbids(facts: Facts, caught: Caught, grant: Grant, domain?: string): Grant | undefined
  because(facts: Facts, caught: Caught): string | undefined
}

/** Tables as maps: a key such as `constructor` is a key like any other. */
export type TableMaps = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>

/** What binding needs beside the rule and its scope. */
export interface Binder {
  readonly tables: TableMaps
  readonly ranks: ReadonlyMap<string, number>
  /** A compiled expression; the same one for the same source. */
  regex(source: string): CompiledRegex
}

type Filled<T> = (facts: Facts, caught: Caught) => T

interface Env extends Binder {
  readonly constants: Scope['constants']
  readonly slots: ReadonlyMap<string, number>
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

function bindHole(hole: string, env: Env): Filled<string> {
  const slot = env.slots.get(hole)
  if (slot !== undefined) return (_, caught) => caught[slot] ?? ''
  if (hole === 'subject') return (facts) => facts.person
  if (hole === 'subject.short') return (facts) => facts.short()
  return hole === 'space' ? (facts) => facts.space : () => ''
}

function bindTemplate(text: string, env: Env): Filled<string> {
  const parts = resolve(partsOf(text), env.constants)
  const literal = literalOf(parts)
  if (literal !== undefined) return () => literal
  const fills = parts.map((part) => (typeof part === 'string' ? () => part : bindHole(part.hole, env)))
  return (facts, caught) => {
    let out = ''
    for (const fill of fills) out += fill(facts, caught)
    return out
  }
}

function bindLookup({ lookup, key }: Lookup, env: Env): Filled<readonly string[]> {
  const table = env.tables.get(lookup)
  const keyOf = bindTemplate(key, env)
  return (facts, caught) => {
    const text = keyOf(facts, caught)
    const found = table?.get(text)
    if (found === undefined) facts.misses?.push({ table: lookup, key: text })
    return found ?? []
  }
}

function bindText(text: Text, env: Env): Filled<readonly string[]> {
  if (typeof text !== 'string') return bindLookup(text, env)
  const literal = literalOf(resolve(partsOf(text), env.constants))
  if (literal !== undefined) {
    const always = [literal]
    return () => always
  }
  const fill = bindTemplate(text, env)
  return (facts, caught) => [fill(facts, caught)]
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
  const catches = each.regex === undefined ? bindPattern(each.pattern ?? '', env) : bindRegex(each.regex, env)
  return (facts) => {
    const rounds: Caught[] = []
    for (const value of values(facts)) {
      const caught = catches(value)
      if (caught !== undefined) rounds.push(caught)
    }
    return rounds
  }
}

/** What a value's holes caught, by slot; undefined where it does not fit. `caught` is what other fields caught before. */
type Catches = (value: string, caught?: string[]) => string[] | undefined

function bindPattern(pattern: string, env: Env): Catches {
  const runs = runsOf(resolve(partsOf(pattern), env.constants), (hole) => env.slots.get(hole) ?? -1)
  const first = runs?.literals[0] ?? ''
  // Siblings share the beginning of their first literal, not its end: one character tells most of them apart.
  const at = first.length - 1
  const last = first.charCodeAt(at)
  return (value, caught) => {
    if (runs === undefined || (at >= 0 && value.charCodeAt(at) !== last)) return undefined
    const out = caught ?? []
    return fits(runs, value, out) ? out : undefined
  }
}

function bindRegex(source: string, env: Env): Catches {
  const regex = env.regex(source)
  const needed = requiredLiterals(source)
  const slots = regex.names.map((name) => [name, env.slots.get(name) ?? -1] as const)
  return (value, caught) => {
    if (value.length > LONGEST_VALUE || !needed.every((literal) => value.includes(literal))) return undefined
    const groups = regex.match(value)
    if (groups === undefined) return undefined
    const out = caught ?? []
    for (const [name, slot] of slots) if (slot >= 0) out[slot] = groups[name] ?? ''
    return out
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

/** The texts of a test that may hold holes. */
function testTexts(test: RuleTest): readonly string[] {
  const is = test.is === undefined ? [] : [typeof test.is === 'string' ? test.is : test.is.key]
  const one = [test.prefix, test.pattern].filter((text) => text !== undefined)
  const domains = test.email?.domains ?? []
  return [...is, ...one, ...(test.anyOf ?? []), ...(test.allOf ?? []), ...(test.noneOf ?? []), ...domains]
}

function bindTest(test: RuleTest, env: Env): BoundTest {
  const perRound = testTexts(test).some((text) => holesOf(partsOf(text)).some((hole) => env.slots.has(hole)))
  const holds = holdsOf(test, env)
  return { test, perRound, holds, ...(test.acr ? { acr: test.acr.atLeast } : {}) }
}

function holdsOf(test: RuleTest, env: Env): Filled<boolean> {
  if (test.claim !== undefined) return bindClaimTest(test, test.claim, env)
  if (test.email !== undefined) {
    const domains = test.email.domains.map((text) => bindTemplate(text, env))
    return (facts, caught) => {
      const domain = verifiedMailDomain(facts)
      return domain !== undefined && domains.some((fill) => fill(facts, caught).toLowerCase() === domain)
    }
  }
  if (test.acr !== undefined) {
    const least = env.ranks.get(test.acr.atLeast) ?? Number.POSITIVE_INFINITY
    return (facts) => facts.acr !== undefined && (env.ranks.get(facts.acr) ?? -1) >= least
  }
  if (test.amr !== undefined) {
    const methods = new Set(test.amr)
    return (facts) => facts.amr.some((method) => methods.has(method))
  }
  const { subject } = test
  if (subject !== undefined && 'inTable' in subject) {
    const table = env.tables.get(subject.inTable)
    return (facts) => table?.has(facts.person) === true
  }
  const people = new Set(subject)
  return (facts) => people.has(facts.person)
}

function bindClaimTest(test: RuleTest, claim: string, env: Env): Filled<boolean> {
  const same = test.ignoreCase ? fold : (text: string) => text
  const values = (facts: Facts) => (test.ignoreCase ? facts.values(claim).map(fold) : facts.values(claim))
  const fillAll = (list: readonly string[]) => list.map((text) => bindTemplate(text, env))
  if (test.is !== undefined) {
    const literal = typeof test.is === 'string' ? literalOf(resolve(partsOf(test.is), env.constants)) : undefined
    if (literal !== undefined) {
      const wanted = same(literal)
      return (facts) => values(facts).includes(wanted)
    }
    const texts = bindText(test.is, env)
    return (facts, caught) => texts(facts, caught).some((text) => values(facts).includes(same(text)))
  }
  if (test.anyOf !== undefined) {
    const fills = fillAll(test.anyOf)
    return (facts, caught) => fills.some((fill) => values(facts).includes(same(fill(facts, caught))))
  }
  if (test.allOf !== undefined) {
    const fills = fillAll(test.allOf)
    return (facts, caught) => fills.every((fill) => values(facts).includes(same(fill(facts, caught))))
  }
  if (test.noneOf !== undefined) {
    const fills = fillAll(test.noneOf)
    return (facts, caught) => !fills.some((fill) => values(facts).includes(same(fill(facts, caught))))
  }
  if (test.prefix !== undefined) {
    const fill = bindTemplate(test.prefix, env)
    return (facts, caught) => values(facts).some((value) => value.startsWith(same(fill(facts, caught))))
  }
  if (test.pattern !== undefined) return bindTestPattern(test.pattern, values, same, env)
  if (test.regex !== undefined) {
    const matches = bindRegex(test.regex, { ...env, slots: new Map() })
    return (facts) => values(facts).some((value) => matches(value) !== undefined)
  }
  if (test.inTable !== undefined) {
    const table = env.tables.get(test.inTable)
    return (facts) => values(facts).some((value) => table?.has(value) === true)
  }
  const wanted = test.present === true
  return (facts) => facts.values(claim).length > 0 === wanted
}

/** In a test's pattern a hole that `each` caught stands for that text, and `<any>` for one run of any text. */
function bindTestPattern(
  pattern: string,
  values: (facts: Facts) => readonly string[],
  same: (text: string) => string,
  env: Env,
): Filled<boolean> {
  const parts = resolve(partsOf(pattern), env.constants)
  const filled = (facts: Facts, caught: Caught): Runs | undefined =>
    runsOf(
      parts.map((part) => {
        if (typeof part === 'string') return same(part)
        return part.hole === 'any' ? part : same(bindHole(part.hole, env)(facts, caught))
      }),
      () => -1,
    )
  return (facts, caught) => {
    const runs = filled(facts, caught)
    return runs !== undefined && values(facts).some((value) => fits(runs, value, []))
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

/** A glob whose holes are filled with literals: a `*` that a claim brings is a star and nothing more. */
function bindGlob(glob: string, env: Env): (facts: Facts, caught: Caught, text: string) => boolean {
  const segments = glob.split('*').map((segment) => bindTemplate(segment, env))
  return (facts, caught, text) =>
    fitsGlob(
      segments.map((fill) => fill(facts, caught)),
      text,
    )
}

/** What a forbidding rule takes away from a grant: the part that is forbidden, or undefined. */
function bindForbid(forbid: Forbid, env: Env): Bound['forbids'] {
  if (forbid.person) return (_facts, _caught, grant) => grant
  const glob = (text: string | undefined) => (text === undefined ? undefined : bindGlob(text, env))
  const target = glob(forbid.target)
  const places = (['project', 'namespace', 'group'] as const).map((kind) => [kind, glob(forbid[kind])] as const)
  const domain = glob(forbid.domain)
  const roles = forbid.roles === undefined ? undefined : new Set(forbid.roles)
  return (facts, caught, grant, home) => {
    if (target?.(facts, caught, grant.target) === false) return undefined
    if (forbid.cluster && !('cluster' in grant)) return undefined
    for (const [kind, fitting] of places) {
      if (fitting === undefined) continue
      const name = (grant as Partial<Record<typeof kind, string>>)[kind]
      if (name === undefined || !fitting(facts, caught, name)) return undefined
    }
    if (domain !== undefined) {
      if ('namespace' in grant || 'cluster' in grant) return undefined
      const place = grant.domain ?? home
      // Where nobody here knows the domain, the deny holds.
      if (place !== undefined && !domain(facts, caught, place)) return undefined
    }
    if (roles === undefined || !('roles' in grant)) return roles === undefined ? grant : undefined
    const taken = grant.roles.filter((role) => roles.has(role))
    return taken.length === 0 ? undefined : { ...grant, roles: taken }
  }
}
