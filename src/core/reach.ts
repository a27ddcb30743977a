import type { TableMaps } from './bind-texts.ts'
import { indexRules, type RuleIndex, type RuleRef } from './candidates.ts'
import type { Tenant } from './check-tenant.ts'
import type { Facts } from './facts.ts'
import type { Scope } from './scope.ts'

/** The rules that may say something about one connector's people. */
export interface Reachable {
  /** All of them, in the order in which people read them. */
  refs(): readonly RuleRef[]
  /** Those that could match, in the same order; every rule that does match is among them. */
  candidates(facts: Facts): readonly RuleRef[]
  /** The same after some tenants came and others went. */
  changed(gone: ReadonlySet<Scope>, come: readonly RuleRef[]): Reachable
}

export interface Reaching {
  readonly main: readonly RuleRef[]
  readonly tenants: readonly Tenant[]
  readonly tables: TableMaps
}

interface Before {
  readonly tenants: readonly Tenant[]
  readonly reach: ReadonlyMap<string, Reachable>
}

/** Below this an index is made when somebody first comes; above, with the policy, so that no sign-in waits for it. */
const FEW = 1000

/** For every connector the rules that may act. Connectors whose tenants did not change keep what they had. */
export function reachable(now: Reaching, before: Before | undefined): ReadonlyMap<string, Reachable> {
  if (before === undefined) {
    const lists = new Map<string, RuleRef[]>()
    for (const ref of now.main) for (const id of new Set(ref.rule.from)) add(lists, id, [ref])
    for (const tenant of now.tenants) for (const [id, refs] of tenant.refs) add(lists, id, refs)
    return new Map([...lists].map(([id, refs]) => [id, fresh(refs, now.tables)]))
  }
  const old = new Set(before.tenants)
  const kept = new Set(now.tenants)
  const gone = before.tenants.filter((tenant) => !kept.has(tenant))
  const come = now.tenants.filter((tenant) => !old.has(tenant))
  const scopes = new Set(gone.map((tenant) => tenant.scope))
  const reach = new Map(before.reach)
  for (const id of new Set([...gone, ...come].flatMap((tenant) => [...tenant.refs.keys()]))) {
    const added = come.flatMap((tenant) => tenant.refs.get(id) ?? [])
    reach.set(id, reach.get(id)?.changed(scopes, added) ?? fresh(added, now.tables))
  }
  return reach
}

function add(lists: Map<string, RuleRef[]>, id: string, refs: readonly RuleRef[]): void {
  const list = lists.get(id)
  if (list === undefined) lists.set(id, [...refs])
  else for (const ref of refs) list.push(ref)
}

function inOrder(refs: Iterable<RuleRef>): readonly RuleRef[] {
  return [...refs].sort((a, b) => {
    if (a.scope === b.scope) return a.order - b.order
    const [one, other] = [a.scope.tenant ?? '', b.scope.tenant ?? '']
    return one === other ? a.order - b.order : one < other ? -1 : 1
  })
}

/** One index over all rules, made once. */
function fresh(refs: readonly RuleRef[], tables: TableMaps): Reachable {
  let made: RuleIndex | undefined = refs.length < FEW ? undefined : indexRules(refs, tables)
  const index = () => (made ??= indexRules(refs, tables))
  return layered({ refs, index, late: [], dead: new Set(), tables })
}

interface Layers {
  readonly refs: readonly RuleRef[]
  readonly index: () => RuleIndex
  /** Rules of tenants that came since the index was made, indexed for themselves. */
  readonly late: readonly RuleRef[]
  /** Scopes of tenants that went since. */
  readonly dead: ReadonlySet<Scope>
  readonly tables: TableMaps
}

/** A large index lives on under a small one of what changed since, until that has grown to an eighth. */
function layered(layers: Layers): Reachable {
  const { refs, index, late, dead, tables } = layers
  const alive = (ref: RuleRef) => !dead.has(ref.scope)
  const extra = late.length === 0 ? undefined : indexRules(late, tables)
  return {
    refs: () => inOrder([...refs.filter(alive), ...late]),
    candidates(facts) {
      const found = new Set<RuleRef>()
      index().find(facts, found)
      if (dead.size > 0) for (const ref of found) if (!alive(ref)) found.delete(ref)
      extra?.find(facts, found)
      return inOrder(found)
    },
    changed(gone, come) {
      const later = [...late.filter((ref) => !gone.has(ref.scope)), ...come]
      const lost = new Set([...dead, ...gone])
      if (refs.length < FEW || later.length > refs.length / 8 || lost.size > FEW)
        return fresh([...refs.filter((ref) => !lost.has(ref.scope)), ...later], tables)
      return layered({ ...layers, late: later, dead: lost })
    },
  }
}
