import type { Binder, TableMaps } from './bind-texts.ts'
import { type Glass, readGlass } from './break-glass.ts'
import type { RuleRef } from './candidates.ts'
import type { Words } from './check-rule.ts'
import { checkReach, checkRules, type RuleSet, readSet, readTenant, type Tenant } from './check-tenant.ts'
import type { Identity } from './decision.ts'
import type { Facts } from './facts.ts'
import type { CompiledRegex, PolicyProblem, PolicySource, RegexEngine, TargetRules } from './policy.ts'
import { type Reachable, reachable } from './reach.ts'
import { longerIds, mainScope } from './scope.ts'
import { identityOf, type OwnedConnector, overlaps, spaceOf } from './spaces.ts'

/** What the main file alone says, compiled; kept as long as it is the same. */
interface Base {
  readonly engine: RegexEngine
  readonly binder: Binder
  readonly words: Words
  readonly targets: ReadonlyMap<string, TargetRules>
  readonly glasses: readonly Glass[]
  readonly refs: readonly RuleRef[]
  readonly sets: ReadonlyMap<string, RuleSet>
  readonly strengths: readonly string[]
  readonly problems: readonly PolicyProblem[]
}

/** How one connector's people are named. */
export interface People {
  readonly owned: OwnedConnector
  readonly sharing: 'alone' | 'shared'
  readonly groups: string
  readonly identity: (facts: Facts) => Identity
}

/** Compiled rules: a value that `decide` and `explain` take, never changed once it is made. */
export interface Policy {
  readonly source: PolicySource
  readonly base: Base
  readonly longer: NonNullable<PolicySource['longer']>
  readonly tenants: ReadonlyMap<object, Tenant>
  readonly people: ReadonlyMap<string, People>
  readonly reach: ReadonlyMap<string, Reachable>
}

/** A policy and everything that is wrong with its source. */
export interface Compiled {
  /** Without the tenants that have problems (law 13). Not to be used where a problem names no tenant. */
  readonly policy: Policy
  readonly problems: readonly PolicyProblem[]
}

/**
 * Compiles rules. Never throws.
 * @param previous what was compiled before: parts of the source that are the same objects as then are taken over, so that
 *   one changed tenant among ten thousand costs milliseconds
 */
export function compile(source: PolicySource, ports: { readonly regex: RegexEngine }, previous?: Policy): Compiled {
  const known = previous !== undefined && sameMain(previous, source, ports.regex) ? previous : undefined
  const base = known?.base ?? readBase(source, ports.regex)
  const longer = source.longer ?? sameIds(previous, source) ?? longerIds(source.tenants.map(({ id }) => id))
  const all = source.tenants.map((tenant) => {
    const before = known?.tenants.get(tenant)
    const beside = longer.get(tenant.id) ?? none
    const same = before !== undefined && (before.longer === beside || before.longer.join() === beside.join())
    return same ? before : readTenant(tenant, { ...base, mainVars: source.vars, longer: beside })
  })
  const connectors = ownedConnectors(source)
  const ids = new Set(connectors.map(({ connector }) => connector.id))
  const problems = [
    ...base.problems,
    ...all.flatMap((tenant) => tenant.problems),
    ...connectorProblems(connectors),
    ...[...base.sets.values()].flatMap((set) => unknownConnectors(set, ids)),
    ...all.flatMap((tenant) => unknownAdmissions(tenant, ids, source.elsewhere)),
    ...sameTenants(all),
  ]
  const disabled = new Set(problems.flatMap((problem) => problem.tenant ?? []))
  const tenants = all.filter((tenant) => !disabled.has(tenant.source.id))
  const before = known === undefined ? undefined : { tenants: [...known.tenants.values()], reach: known.reach }
  const policy: Policy = {
    source,
    base,
    longer,
    tenants: new Map(tenants.map((tenant) => [tenant.source, tenant])),
    people: peopleOf(
      connectors.filter(({ tenant }) => tenant === undefined || !disabled.has(tenant)),
      known?.people,
    ),
    reach: reachable({ main: base.refs, tenants, tables: base.binder.tables }, before),
  }
  return { policy, problems }
}

const none: readonly string[] = []
const mainParts = ['rules', 'ruleSets', 'vars', 'tables', 'assurance', 'breakGlass', 'connectors', 'targets'] as const

/** What was found for the same tenants before. */
function sameIds(previous: Policy | undefined, { tenants }: PolicySource): Policy['longer'] | undefined {
  const before = previous?.source.tenants
  return before?.length === tenants.length && tenants.every(({ id }, i) => id === before[i]?.id)
    ? previous?.longer
    : undefined
}

function sameMain(previous: Policy, source: PolicySource, engine: RegexEngine): boolean {
  return previous.base.engine === engine && mainParts.every((part) => previous.source[part] === source[part])
}

function readBase(source: PolicySource, engine: RegexEngine): Base {
  const tables: TableMaps = new Map(
    Object.entries(source.tables).map(([name, table]) => [name, new Map(Object.entries(table))]),
  )
  const ranks = new Map(source.assurance.flatMap((same, rank) => same.map((acr) => [acr, rank] as const)))
  const binder: Binder = { tables, ranks, regex: remembered(engine) }
  const scope = mainScope(source.vars)
  const targets = new Map(source.targets.map((target) => [target.id, target]))
  const connectors = new Set(source.connectors.map((connector) => connector.id))
  const words: Words = { ...binder, connectors, targets, constants: scope.constants, place: 'main' }
  const { glasses, problems: broken } = readGlass(source.breakGlass, targets, connectors)
  const sets = new Map(
    Object.entries(source.ruleSets).map(([name, rules]) => [name, readSet(name, rules, words, glasses)]),
  )
  return {
    engine,
    binder,
    words,
    targets,
    glasses,
    refs: source.rules.map((rule, order) => ({ rule, scope, order })),
    sets,
    strengths: source.assurance.map(([name = '']) => name),
    problems: [
      ...checkRules(source.rules, ['rules'], words),
      ...checkReach(source.rules, ['rules'], { glasses, tables, targets, constants: scope.constants }),
      ...[...sets.values()].flatMap((set) => set.problems),
      ...repeatedStrengths(source),
      ...broken,
    ],
  }
}

/** Compiles each source once. An expression that was refused is refused again. */
function remembered(engine: RegexEngine): (source: string) => CompiledRegex {
  const known = new Map<string, CompiledRegex>()
  return (source) => {
    let regex = known.get(source)
    if (regex === undefined) {
      regex = engine.compile(source)
      known.set(source, regex)
    }
    return regex
  }
}

function repeatedStrengths(source: PolicySource): readonly PolicyProblem[] {
  const seen = new Set<string>()
  const problems: PolicyProblem[] = []
  for (const [i, same] of source.assurance.entries())
    for (const acr of same) {
      if (seen.has(acr)) problems.push({ path: ['assurance', i], message: `${acr} stands here twice` })
      seen.add(acr)
    }
  return problems
}

function ownedConnectors(source: PolicySource): readonly OwnedConnector[] {
  const main = source.connectors.map((connector) => ({ connector }))
  return [
    ...main,
    ...source.tenants.flatMap(({ id, connectors }) => connectors.map((connector) => ({ connector, tenant: id }))),
  ]
}

/** The path of a connector in its file. */
function pathOf(owned: OwnedConnector, all: readonly OwnedConnector[]): readonly (string | number)[] {
  return ['connectors', all.filter((other) => other.tenant === owned.tenant).indexOf(owned)]
}

const blame = ({ tenant }: OwnedConnector) => (tenant === undefined ? {} : { tenant })

function connectorProblems(connectors: readonly OwnedConnector[]): readonly PolicyProblem[] {
  const seen = new Map<string, OwnedConnector>()
  const problems: PolicyProblem[] = []
  for (const owned of connectors) {
    const { id } = owned.connector
    if (seen.has(id) || id === 'own') {
      const message = id === 'own' ? 'no connector can be called own' : `there is another connector ${id}`
      problems.push({ path: [...pathOf(owned, connectors), 'id'], message, ...blame(owned) })
    } else seen.set(id, owned)
  }
  for (const { later, earlier, what, fix } of overlaps([...seen.values()])) {
    const other = earlier.connector.id
    const message = `connector ${later.connector.id} and connector ${other} share ${what}: two people could become one`
    problems.push({ path: pathOf(later, connectors), message, fix, ...blame(later) })
  }
  return problems
}

function unknownConnectors(set: RuleSet, connectors: ReadonlySet<string>): readonly PolicyProblem[] {
  return set.rules.flatMap((rule, i) =>
    rule.from.flatMap((id, j) =>
      id === 'own' || connectors.has(id)
        ? []
        : [{ path: ['ruleSets', set.name, i, 'from', j], message: `there is no connector ${id}` }],
    ),
  )
}

/**
 * An admitted connector that cannot be anybody's. One that another tenant has, had or could have is no mistake here: whatever becomes of
 * that tenant's file would otherwise disable all who admit its people (law 13).
 */
function unknownAdmissions(
  { source }: Tenant,
  connectors: ReadonlySet<string>,
  elsewhere: PolicySource['elsewhere'],
): readonly PolicyProblem[] {
  return source.admit.flatMap((id, i) =>
    connectors.has(id) || id.includes('.') || elsewhere?.has(id)
      ? []
      : [{ path: ['admit', i], message: `there is no connector ${id}`, tenant: source.id }],
  )
}

function sameTenants(tenants: readonly Tenant[]): readonly PolicyProblem[] {
  const seen = new Set<string>()
  return tenants.flatMap(({ source: { id } }) => {
    const again = seen.has(id)
    seen.add(id)
    return !again ? [] : [{ path: [], message: `there is another tenant ${id}`, tenant: id }]
  })
}

function peopleOf(
  connectors: readonly OwnedConnector[],
  previous: ReadonlyMap<string, People> | undefined,
): ReadonlyMap<string, People> {
  const inDomain = new Map<string, number>()
  for (const { connector } of connectors)
    if (connector.domain !== undefined) inDomain.set(connector.domain, (inDomain.get(connector.domain) ?? 0) + 1)
  return new Map(
    connectors.map((owned) => {
      const { connector } = owned
      const alone = connector.domain !== undefined && inDomain.get(connector.domain) === 1
      const sharing = alone ? 'alone' : 'shared'
      const before = previous?.get(connector.id)
      if (before?.owned.connector === connector && before.sharing === sharing) return [connector.id, before]
      const identity = identityOf(connector, sharing)
      return [connector.id, { owned, sharing, groups: spaceOf(connector).groups, identity }]
    }),
  )
}
