import type { TableMaps } from './bind-texts.ts'
import { requiredLiterals } from './literals.ts'
import type { Each, Rule, RuleTest } from './rule.ts'
import type { Scope } from './scope.ts'
import { fold, literalOf, partsOf, resolve } from './text.ts'

/** The source names of what is no claim. A claim of that name does no harm: anchors only choose whom to ask. */
export const PERSON = '\u0000person'
export const MAIL_DOMAIN = '\u0000mail'
export const RECORD = '\u0000record '

/**
 * A condition without which a rule cannot match, in a form that an index can find: some value of `source` equals one of
 * `values`, holds `literal`, is a key of `table`, or is there at all.
 */
export type Anchor =
  | { readonly kind: 'equals'; readonly source: string; readonly values: readonly string[]; readonly folded: boolean }
  | { readonly kind: 'holds'; readonly source: string; readonly literal: string; readonly folded: boolean }
  | {
      readonly kind: 'table'
      readonly source: string
      readonly table: ReadonlyMap<string, readonly string[]>
      readonly name: string
      readonly folded: boolean
    }
  | { readonly kind: 'some'; readonly source: string }

/** Everything by which a rule could be found; empty for a rule that must always be asked. */
export function anchorsOf(rule: Rule, scope: Scope, tables: TableMaps): readonly Anchor[] {
  const each = rule.each === undefined ? [] : ofEach(rule.each, scope, tables)
  return [...each, ...(rule.if ?? []).flatMap((test) => ofTest(test, scope, tables))]
}

const none: ReadonlyMap<string, readonly string[]> = new Map()

function ofEach(each: Each, scope: Scope, tables: TableMaps): readonly Anchor[] {
  if (each.record !== undefined) return [{ kind: 'some', source: RECORD + each.record }]
  return ofValue(each.claim ?? '', each, scope, tables)
}

type ValueTest = Pick<RuleTest, 'pattern' | 'regex' | 'prefix' | 'inTable' | 'ignoreCase'>

function ofValue(source: string, test: ValueTest, scope: Scope, tables: TableMaps): readonly Anchor[] {
  const folded = test.ignoreCase === true
  const some: Anchor = { kind: 'some', source }
  if (test.inTable !== undefined)
    return [{ kind: 'table', source, table: tables.get(test.inTable) ?? none, name: test.inTable, folded }]
  const text = test.pattern ?? test.prefix
  const literals =
    test.regex !== undefined
      ? requiredLiterals(test.regex)
      : resolve(partsOf(text ?? ''), scope.constants).filter((part) => typeof part === 'string')
  return [
    some,
    ...literals.map(
      (literal): Anchor => ({ kind: 'holds', source, literal: folded ? fold(literal) : literal, folded }),
    ),
  ]
}

function ofTest(test: RuleTest, scope: Scope, tables: TableMaps): readonly Anchor[] {
  const { claim, subject } = test
  const constant = (text: string) => literalOf(resolve(partsOf(text), scope.constants))
  if (claim !== undefined) return ofClaimTest(test, claim, scope, tables)
  if (test.email !== undefined) {
    const domains = test.email.domains.map((text) => constant(text)?.toLowerCase())
    return equals(MAIL_DOMAIN, domains, false)
  }
  if (subject === undefined) return []
  if (!('inTable' in subject)) return equals(PERSON, subject, false)
  const table = tables.get(subject.inTable) ?? none
  return [{ kind: 'table', source: PERSON, table, name: subject.inTable, folded: false }]
}

function ofClaimTest(test: RuleTest, claim: string, scope: Scope, tables: TableMaps): readonly Anchor[] {
  if (test.noneOf !== undefined || test.absent) return []
  const folded = test.ignoreCase === true
  const constant = (text: string) => {
    const literal = literalOf(resolve(partsOf(text), scope.constants))
    return literal !== undefined && folded ? fold(literal) : literal
  }
  if (typeof test.is === 'string') return equals(claim, [constant(test.is)], folded)
  if (test.anyOf !== undefined) return equals(claim, test.anyOf.map(constant), folded)
  if (test.allOf !== undefined) return test.allOf.flatMap((text) => equals(claim, [constant(text)], folded))
  if (test.is !== undefined || test.present) return [{ kind: 'some', source: claim }]
  return ofValue(claim, test, scope, tables)
}

/** One value that is not known yet makes the whole list unknown: then only the claim's being there is needed. */
function equals(source: string, values: readonly (string | undefined)[], folded: boolean): readonly Anchor[] {
  const known = values.filter((value) => value !== undefined)
  const some: Anchor = { kind: 'some', source }
  return known.length < values.length ? [some] : [{ kind: 'equals', source, values: known, folded }, some]
}
