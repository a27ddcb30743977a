import { captureNames } from './bind.ts'
import { type Grant, type GrantKind, grantKind } from './decision.ts'
import { describeGrant } from './grants.ts'
import { nearest } from './nearest.ts'
import type { CompiledRegex, PolicyProblem, TargetRules } from './policy.ts'
import type { Each, Forbid, GrantTemplate, Rule, RuleTest, Text } from './rule.ts'
import { holesOf, literalOf, type Part, parseText, resolve, runsOf } from './text.ts'

/** What the words of a rule are checked against. */
export interface Words {
  readonly connectors: ReadonlySet<string>
  readonly targets: ReadonlyMap<string, TargetRules>
  readonly tables: ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>
  readonly ranks: ReadonlyMap<string, number>
  /** What dotted holes stand for; absent in rule sets, where each tenant has its own. */
  readonly constants?: ReadonlyMap<string, string>
  /** Whether `own` means something here. */
  readonly place: 'main' | 'tenant'
  regex(source: string): CompiledRegex
}

type Path = readonly (string | number)[]
type Report = (path: Path, message: string, fix?: string) => void

interface Check {
  readonly words: Words
  readonly report: Report
  /** What `each` catches. */
  readonly caught: ReadonlySet<string>
}

const builtIn: ReadonlySet<string> = new Set(['subject', 'subject.short', 'space'])

/** Everything that is wrong with one rule, whoever it is for; paths begin at the rule. */
export function checkRule(rule: Rule, words: Words): readonly PolicyProblem[] {
  const problems: PolicyProblem[] = []
  const report: Report = (path, message, fix) => problems.push({ path, message, ...(fix === undefined ? {} : { fix }) })
  for (const [i, id] of rule.from.entries()) checkFrom(id, ['from', i], words, report)
  const caught = new Set(rule.each === undefined ? [] : checkEach(rule.each, words, report))
  const check: Check = { words, report, caught }
  const tests = rule.if ?? []
  for (const [i, test] of tests.entries()) checkTest(test, ['if', i], check)
  if (tests.filter((test) => test.acr !== undefined).length > 1) report(['if'], 'more than one `acr`; keep the highest')
  for (const [i, grant] of (rule.give ?? []).entries()) checkGrant(grant, ['give', i], check)
  const end = rule.until?.endOf ?? rule.until?.at
  if (end !== undefined) checkEnd(end, ['until', rule.until?.at === undefined ? 'endOf' : 'at'], check)
  if (rule.forbid !== undefined) checkForbid(rule.forbid, check)
  return problems
}

/** The known name that was most likely meant. A tenant is told none: it could be another tenant's. */
function meant(name: string, known: Iterable<string>, { place }: Words): string | undefined {
  const near = place === 'main' ? nearest(name, [...known]) : undefined
  return near === undefined ? undefined : `did you mean ${near}?`
}

function checkFrom(id: string, path: Path, words: Words, report: Report): void {
  if (id !== 'own' && !words.connectors.has(id))
    report(path, `there is no connector ${id}`, meant(id, words.connectors, words))
  if (id === 'own' && words.place === 'main')
    report(path, '`own` means the connectors of a tenant and stands in tenants and rule sets', 'name the connectors')
}

function checkEach(each: Each, words: Words, report: Report): readonly string[] {
  const check: Check = { words, report, caught: new Set() }
  if (each.inTable !== undefined) checkTable(each.inTable, ['each', 'inTable'], check)
  if (each.regex !== undefined && !checkRegex(each.regex, ['each', 'regex'], check)) return []
  const fields = Object.entries(each.fields ?? {})
  for (const [field, pattern] of fields) checkPattern(pattern, ['each', 'fields', field], check)
  if (each.pattern !== undefined) checkPattern(each.pattern, ['each', 'pattern'], check)
  const names = captureNames(each, words)
  const path = ['each', ...(['pattern', 'regex', 'fields', 'as'] as const).filter((key) => key in each)]
  for (const name of names) if (builtIn.has(name)) report(path, `<${name}> has a meaning of its own; use another name`)
  if (new Set(names).size < names.length) report(path, 'two holes have one name', 'give each hole a name of its own')
  return names
}

/** The parts of a text with constants filled in; undefined, and reported, where it cannot be read. */
function read(text: string, path: Path, { words, report }: Check): readonly Part[] | undefined {
  const parsed = parseText(text)
  if (!('error' in parsed)) return resolve(parsed, words.constants ?? new Map())
  report(path, parsed.error)
  return undefined
}

/** In `each` a hole is a new name; in a test it is one that `each` caught, or `<any>`. */
function checkPattern(text: string, path: Path, check: Check, test?: 'test'): void {
  const parts = read(text, path, check)
  for (const hole of holesOf(parts ?? []))
    if (hole.includes('.') || (test !== undefined && hole !== 'any')) checkHole(hole, path, check)
  const open = parts?.filter((part) => typeof part === 'string' || test === undefined || part.hole === 'any')
  if (open !== undefined && runsOf(open, () => -1) === undefined)
    check.report(path, `two holes touch in \`${text}\``, 'put a literal character between them')
}

function checkHole(hole: string, path: Path, { words, report, caught }: Check): void {
  if (caught.has(hole) || builtIn.has(hole)) return
  const constant = hole.startsWith('vars.') || hole === 'tenant.id'
  if (constant && words.constants === undefined) return
  if (hole.startsWith('vars.')) report(path, `nothing is called <${hole}>`, 'add it to `vars`')
  else if (hole === 'tenant.id') report(path, '<tenant.id> means something in tenants and rule sets only')
  else report(path, `nothing is called <${hole}> here`, 'catch it in `each`, or write << for a plain <')
}

function checkText(text: Text, path: Path, check: Check): void {
  if (typeof text !== 'string') {
    checkTable(text.lookup, [...path, 'lookup'], check)
    checkText(text.key, [...path, 'key'], check)
  } else for (const hole of holesOf(read(text, path, check) ?? [])) checkHole(hole, path, check)
}

function checkTable(table: string, path: Path, { words, report }: Check): void {
  if (!words.tables.has(table)) report(path, `there is no table ${table}`, 'add it to `tables`')
}

function checkRegex(source: string, path: Path, { words, report }: Check): boolean {
  try {
    words.regex(source)
    return true
  } catch (error) {
    report(path, `not a regular expression (RE2): ${error instanceof Error ? error.message : 'refused'}`)
    return false
  }
}

function checkTest(test: RuleTest, path: Path, check: Check): void {
  if (test.is !== undefined) checkText(test.is, [...path, 'is'], check)
  if (test.prefix !== undefined) checkText(test.prefix, [...path, 'prefix'], check)
  for (const key of ['anyOf', 'allOf', 'noneOf'] as const)
    for (const [i, text] of (test[key] ?? []).entries()) checkText(text, [...path, key, i], check)
  for (const [i, text] of (test.email?.domains ?? []).entries())
    checkText(text, [...path, 'email', 'domains', i], check)
  if (test.pattern !== undefined) checkPattern(test.pattern, [...path, 'pattern'], check, 'test')
  if (test.regex !== undefined) checkRegex(test.regex, [...path, 'regex'], check)
  if (test.inTable !== undefined) checkTable(test.inTable, [...path, 'inTable'], check)
  const { subject, acr } = test
  if (subject !== undefined && 'inTable' in subject) checkTable(subject.inTable, [...path, 'subject', 'inTable'], check)
  if (subject !== undefined && !('inTable' in subject)) checkPeople(subject, [...path, 'subject'], check)
  if (acr !== undefined && !check.words.ranks.has(acr.atLeast))
    check.report([...path, 'acr', 'atLeast'], `\`assurance\` does not name ${acr.atLeast}`)
}

function checkPeople(people: readonly string[], path: Path, { words, report }: Check): void {
  for (const [i, person] of people.entries()) {
    const connector = person.slice(0, person.indexOf('/'))
    if (!words.connectors.has(connector))
      report([...path, i], `there is no connector ${connector}`, meant(connector, words.connectors, words))
  }
}

const placeKeys = ['project', 'domain', 'namespace', 'group'] as const

function checkGrant(grant: GrantTemplate, path: Path, check: Check): void {
  const { words, report } = check
  const target = words.targets.get(grant.target)
  if (target === undefined) {
    report([...path, 'target'], `there is no target ${grant.target}`, meant(grant.target, words.targets.keys(), words))
    return
  }
  // The field that names the shape is the same as in Grant, so that the schema's five shapes need no second table.
  const kind: GrantKind = grantKind(grant as Grant)
  const why = literalRefusal(grant, target, words)
  if (why !== undefined) report(path, why)
  else if (!target.carries.has(kind))
    report(
      [...path, kind],
      `target ${grant.target} carries no ${kind} grants`,
      `it carries ${[...target.carries].join(', ')}`,
    )
  for (const key of placeKeys) {
    const text = grant[key]
    if (text !== undefined) checkText(text, [...path, key], check)
  }
  const { roles, group } = grant
  if (roles !== undefined && 'lookup' in roles) checkText(roles, [...path, 'roles'], check)
  else checkRoles(roles ?? [], [...path, 'roles'], check)
  if (target.namesUsers && typeof group === 'string') checkGroupSpace(group, [...path, 'group'], check)
}

function checkRoles(roles: readonly string[], path: Path, { report }: Check): void {
  for (const [i, role] of roles.entries())
    if (role.includes('<'))
      report([...path, i], `${role} is no plain role`, 'write { lookup: <table>, key: <text> } instead')
}

/** Captured text alone, at a consumer that knows groups by name, would let two upstreams speak of one group (law 15). */
function checkGroupSpace(group: string, path: Path, check: Check): void {
  const parts = parseText(group)
  if ('error' in parts) return
  const captured = holesOf(parts).some((hole) => check.caught.has(hole))
  const [first, last] = [parts[0], parts.at(-1)]
  const own =
    typeof first === 'string' || typeof last === 'string' || holesOf(parts)[0]?.match(/^space$|^vars\.|^tenant\./)
  if (captured && !own)
    check.report(
      path,
      `the group ${group} has no name space of its own`,
      `write '<space>${group}' or a prefix of yours`,
    )
}

/** A grant without holes can be judged now (law 7): why its target cannot take it. */
function literalRefusal(grant: GrantTemplate, target: TargetRules, { constants }: Words): string | undefined {
  const filled = literalGrant(grant, constants ?? new Map())
  const why = filled && target.refuse(filled)
  return filled && why && `target ${target.id} cannot take \`${describeGrant(filled)}\`: ${why}`
}

/** The grant that a template without captures and lookups always gives. */
export function literalGrant(template: GrantTemplate, constants: ReadonlyMap<string, string>): Grant | undefined {
  const filled: Record<string, unknown> = { ...template }
  for (const key of placeKeys) {
    const text = template[key]
    if (text === undefined) continue
    const parsed = typeof text === 'string' ? parseText(text) : { error: '' }
    const literal = 'error' in parsed ? undefined : literalOf(resolve(parsed, constants))
    if (literal === undefined) return undefined
    filled[key] = literal
  }
  if (template.roles !== undefined && 'lookup' in template.roles) return undefined
  return filled as unknown as Grant
}

function checkEnd(source: string, path: Path, check: Check): void {
  const parts = read(source, path, check) ?? []
  const holes = holesOf(parts)
  if (holes.length === 0) return
  if (parts.length > 1) check.report(path, `\`${source}\` is neither a claim nor one <name>`)
  for (const hole of holes)
    if (!check.caught.has(hole))
      check.report(path, `nothing is called <${hole}> here`, 'catch it in `each`, or name a claim')
}

function checkForbid(forbid: Forbid, check: Check): void {
  const { target } = forbid
  checkText(forbid.because, ['forbid', 'because'], check)
  if (target !== undefined && !/[*<]/.test(target) && !check.words.targets.has(target))
    check.report(
      ['forbid', 'target'],
      `there is no target ${target}`,
      meant(target, check.words.targets.keys(), check.words),
    )
  for (const key of ['target', ...placeKeys] as const) {
    const text = forbid[key]
    if (text !== undefined) checkText(text, ['forbid', key], check)
  }
}
