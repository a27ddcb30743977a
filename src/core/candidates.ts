import { type Anchor, anchorsOf, MAIL_DOMAIN, PERSON, RECORD } from './anchors.ts'
import { type Automaton, automaton } from './automaton.ts'
import type { Bound } from './bind.ts'
import type { TableMaps } from './bind-texts.ts'
import { type Facts, verifiedMailDomain } from './facts.ts'
import type { Rule } from './rule.ts'
import type { Scope } from './scope.ts'
import { fold, LONGEST_VALUE } from './text.ts'

/** One rule in one scope. */
export interface RuleRef {
  readonly rule: Rule
  readonly scope: Scope
  /** Sorts refs as people wrote them: main file first, then tenants. */
  readonly order: number
  /** Filled in when the rule is first asked: ten thousand tenants do not bind rules that nobody comes near. */
  bound?: Bound
}

/** Which rules a subject's values lead to. A rule that is not found cannot match. */
export interface RuleIndex {
  readonly size: number
  /** Adds the rules that could match. */
  find(facts: Facts, into: Set<RuleRef>): void
}

/**
 * Indexes rules by the one condition each that the fewest of them share: equality before literals, tables and mere
 * presence. A rule without any such condition (only `noneOf`, `absent`, `acr`, `amr`, or no test at all) is always asked.
 */
export function indexRules(refs: readonly RuleRef[], tables: TableMaps): RuleIndex {
  const anchors = refs.map((ref) => anchorsOf(ref.rule, ref.scope, tables))
  const shared = new Map<string, number>()
  for (const list of anchors)
    for (const anchor of list) for (const key of keysOf(anchor)) shared.set(key, (shared.get(key) ?? 0) + 1)
  const sources = new Map<string, Source>()
  const always: RuleRef[] = []
  refs.forEach((ref, i) => {
    const anchor = rarest(anchors[i] ?? [], shared)
    if (anchor === undefined) always.push(ref)
    else insert(sources, anchor, ref)
  })
  const finders = new Map([...sources].map(([name, source]) => [name, finder(source)]))
  return {
    size: refs.length,
    find(facts, into) {
      for (const ref of always) into.add(ref)
      if (finders.size > 0) search(finders, facts, into)
    },
  }
}

function keysOf(anchor: Anchor): readonly string[] {
  const head = `${anchor.kind}\u0000${anchor.source}\u0000`
  if (anchor.kind === 'equals') return anchor.values.map((value) => head + value)
  if (anchor.kind === 'holds') return [head + anchor.literal]
  return [anchor.kind === 'table' ? head + anchor.name : head]
}

const rank = { equals: 0, holds: 1, table: 2, some: 3 } as const

function rarest(anchors: readonly Anchor[], shared: ReadonlyMap<string, number>): Anchor | undefined {
  const cost = (anchor: Anchor) => keysOf(anchor).reduce((sum, key) => Math.max(sum, shared.get(key) ?? 0), 0)
  const length = (anchor: Anchor) => (anchor.kind === 'holds' ? anchor.literal.length : 0)
  let best: Anchor | undefined
  let least = Number.POSITIVE_INFINITY
  for (const anchor of anchors) {
    const price = cost(anchor)
    const equal = best !== undefined && price === least
    const better =
      equal &&
      best &&
      (rank[anchor.kind] < rank[best.kind] || (anchor.kind === best.kind && length(anchor) > length(best)))
    if (price < least || better) {
      best = anchor
      least = price
    }
  }
  return best
}

type Lists = Map<string, RuleRef[]>

interface Source {
  readonly some: RuleRef[]
  readonly exact: Lists
  readonly folded: Lists
  readonly literals: Lists
  readonly foldedLiterals: Lists
  readonly tables: Map<string, { readonly table: ReadonlyMap<string, unknown>; readonly refs: RuleRef[] }>
}

function push(lists: Lists, key: string, ref: RuleRef): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [ref])
  else list.push(ref)
}

function insert(sources: Map<string, Source>, anchor: Anchor, ref: RuleRef): void {
  let source = sources.get(anchor.source)
  if (source === undefined) {
    const lists = () => new Map<string, RuleRef[]>()
    source = {
      some: [],
      exact: lists(),
      folded: lists(),
      literals: lists(),
      foldedLiterals: lists(),
      tables: new Map(),
    }
    sources.set(anchor.source, source)
  }
  if (anchor.kind === 'some') source.some.push(ref)
  else if (anchor.kind === 'equals') {
    for (const value of anchor.values) push(anchor.folded ? source.folded : source.exact, value, ref)
  } else if (anchor.kind === 'holds') push(anchor.folded ? source.foldedLiterals : source.literals, anchor.literal, ref)
  else {
    const key = `${anchor.folded} ${anchor.name}`
    const entry = source.tables.get(key) ?? { table: anchor.table, refs: [] }
    entry.refs.push(ref)
    // A folded table test asks with a folded value; asking in vain for the exact one too costs a rule more to ask.
    source.tables.set(key, entry)
  }
}

type Finder = (values: readonly string[], into: Set<RuleRef>) => void

function finder(source: Source): Finder {
  const exact = source.literals.size > 0 ? automaton(source.literals) : undefined
  const folding = source.foldedLiterals.size > 0 ? automaton(source.foldedLiterals) : undefined
  const folded = source.folded.size > 0 || folding !== undefined
  const tables = [...source.tables.values()]
  return (values, into) => {
    const add = (refs: readonly RuleRef[] | undefined) => {
      if (refs !== undefined) for (const ref of refs) into.add(ref)
    }
    if (values.length > 0) add(source.some)
    for (const value of values) {
      add(source.exact.get(value))
      scan(exact, value, add)
      if (folded) {
        const lower = fold(value)
        add(source.folded.get(lower))
        scan(folding, lower, add)
      }
    }
    for (const { table, refs } of tables)
      if (values.some((value) => table.has(value) || table.has(fold(value)))) add(refs)
  }
}

function scan(literals: Automaton<RuleRef> | undefined, value: string, add: (refs: readonly RuleRef[]) => void): void {
  // A prefix test takes values of any length, patterns and expressions do not; the automaton is linear in either case.
  if (literals !== undefined) literals.scan(value.length > LONGEST_VALUE ? value.slice(0, LONGEST_VALUE) : value, add)
}

function search(finders: ReadonlyMap<string, Finder>, facts: Facts, into: Set<RuleRef>): void {
  for (const claim of facts.claims) finders.get(claim)?.(facts.values(claim), into)
  finders.get(PERSON)?.([facts.person], into)
  for (const name of facts.recordNames) finders.get(RECORD + name)?.([''], into)
  const mail = finders.get(MAIL_DOMAIN)
  const domain = mail && verifiedMailDomain(facts)
  if (domain !== undefined) mail?.([domain], into)
}
