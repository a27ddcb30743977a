import type { TableMaps } from './bind-texts.ts'
import type { RuleRef } from './candidates.ts'
import type { Policy } from './compile.ts'
import type { Grant } from './decision.ts'
import { mergeGrants } from './grants.ts'
import type { TargetRules } from './policy.ts'
import type { Each, GrantTemplate, Lookup, Text } from './rule.ts'
import { outside } from './scope.ts'
import { fitsGlob, holesOf, literalOf, type Part, partsOf, resolve } from './text.ts'

/** What the rules could ever give at one cluster, whoever came. */
export interface Possible {
  /** Sorted, one per place; a token holds a part of them. Nothing that a rule forbids is taken away: that is about persons. */
  readonly grants: readonly Grant[]
  /** Namespaces that a claim completes: they have no end, and only those that were `named` are among the grants. */
  readonly open: readonly string[]
  /** Every role that rules could give in those, whether one was named or not. Sorted. */
  readonly openRoles: readonly string[]
}

type Fills = ReadonlyMap<string, string>

/** A place that a template can mean, with what its hole was filled with. */
interface Place {
  readonly name: string
  readonly fills: Fills
}

/**
 * Everything that rules, tenants' rules and break glass can give at a target with namespaces, cluster roles and groups: literal names, and
 * what the tables hold. Groups that a claim completes are left out. Pure.
 * @param named namespaces with which names are completed that have no end by themselves
 */
export function possibleGrants(policy: Policy, target: TargetRules, named: readonly string[]): Possible {
  const { tables } = policy.base.binder
  const open = new Set<string>()
  const openRoles = new Set<string>()
  const grants = policy.base.glasses.flatMap((glass) => glass.grants.filter((grant) => grant.target === target.id))
  for (const ref of refsOf(policy)) {
    const walled = ({ walls }: RuleRef['scope'], grant: Grant) =>
      walls !== undefined && outside(walls, grant, target, undefined) !== undefined
    for (const grant of grantsOf(ref, { target, tables, named, open, openRoles }))
      if (target.refuse(grant) === undefined && !walled(ref.scope, grant)) grants.push(grant)
  }
  // Whether a role can be given says the target, whatever the namespace is called.
  const givable = [...openRoles].filter(
    (role) => target.refuse({ target: target.id, namespace: 'any', roles: [role] }) === undefined,
  )
  return { grants: mergeGrants(grants), open: [...open].sort(), openRoles: givable.sort() }
}

function refsOf(policy: Policy): readonly RuleRef[] {
  const tenants = [...policy.tenants.values()].flatMap((tenant) => [...tenant.refs.values()].flat())
  return [...new Set([...policy.base.refs, ...tenants])]
}

interface Asked {
  readonly target: TargetRules
  readonly tables: TableMaps
  readonly named: readonly string[]
  /** Namespaces without an end are written down here. */
  readonly open: Set<string>
  /** And so are the roles that go with them. */
  readonly openRoles: Set<string>
}

function grantsOf({ rule, scope }: RuleRef, asked: Asked): readonly Grant[] {
  const templates = (rule.give ?? []).filter(({ target }) => target === asked.target.id)
  return roundsOf(rule.each, asked.tables).flatMap((round) => {
    const fills = new Map([...scope.constants, ...round])
    return templates.flatMap((template) => filled(template, fills, asked))
  })
}

/** What a table holds are rounds with an end; what a claim holds is left open. */
function roundsOf(each: Each | undefined, tables: TableMaps): readonly Fills[] {
  const { inTable, as } = each ?? {}
  if (inTable === undefined || as === undefined) return [new Map()]
  return [...new Set([...(tables.get(inTable)?.values() ?? [])].flat())].map((text) => new Map([[as, text]]))
}

function filled(template: GrantTemplate, fills: Fills, asked: Asked): readonly Grant[] {
  const { target, namespace, group, cluster, roles } = template
  if (group !== undefined) {
    const ended = placesOf(group, fills, { ...asked, named: [], open: new Set<string>() })
    return ended.map(({ name }) => ({ target, group: name }))
  }
  const listsOf = (known: Fills) =>
    roles === undefined ? [] : 'lookup' in roles ? lookedUp(roles, known, asked.tables) : [roles]
  if (cluster) return listsOf(fills).map((list) => ({ target, cluster, roles: list }))
  if (namespace === undefined) return []
  const places = placesOf(namespace, fills, asked)
  if (hasNoEnd(namespace, fills)) for (const role of listsOf(fills).flat()) asked.openRoles.add(role)
  return places.flatMap(({ name, fills: known }) =>
    listsOf(known).map((list) => ({ target, namespace: name, roles: list })),
  )
}

/** A claim completes it: it is neither looked up nor whole. */
const hasNoEnd = (text: Text, fills: Fills): boolean =>
  typeof text === 'string' && literalOf(resolve(partsOf(text), fills)) === undefined

function placesOf(text: Text, fills: Fills, asked: Asked): readonly Place[] {
  if (typeof text !== 'string')
    return lookedUp(text, fills, asked.tables)
      .flat()
      .map((name) => ({ name, fills }))
  const parts = resolve(partsOf(text), fills)
  const literal = literalOf(parts)
  if (literal !== undefined) return [{ name: literal, fills }]
  asked.open.add(parts.map((part) => (typeof part === 'string' ? part : `<${part.hole}>`)).join(''))
  const literals = around(parts)
  const [hole, ...more] = holesOf(parts)
  return asked.named
    .filter((name) => fitsGlob(literals, name))
    .map((name) => {
      const caught = name.slice(literals[0]?.length, name.length - (literals[1]?.length ?? 0))
      return { name, fills: hole !== undefined && more.length === 0 ? new Map([...fills, [hole, caught]]) : fills }
    })
}

/** What a table holds under each key that is possible. */
function lookedUp({ lookup, key }: Lookup, fills: Fills, tables: TableMaps): readonly (readonly string[])[] {
  const literals = around(resolve(partsOf(key), fills))
  return [...(tables.get(lookup) ?? [])].filter(([each]) => fitsGlob(literals, each)).map(([, texts]) => texts)
}

/** The literals around holes: one more than holes. */
function around(parts: readonly Part[]): readonly string[] {
  const literals = ['']
  for (const part of parts) {
    if (typeof part === 'string') literals[literals.length - 1] += part
    else literals.push('')
  }
  return literals
}
