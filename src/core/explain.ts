import type { Caught } from './bind-texts.ts'
import type { RuleRef } from './candidates.ts'
import type { Policy } from './compile.ts'
import { decide, examine, type Finding, tracedFacts } from './decide.ts'
import type { Decision } from './decision.ts'
import { type Facts, type Miss, verifiedMailDomain } from './facts.ts'
import { describeGrant } from './grants.ts'
import type { Each, RuleTest, Text } from './rule.ts'
import type { Subject } from './subject.ts'

/** One rule and why it did or did not act. */
export interface RuleTrace {
  readonly rule: string
  /** Absent for rules of the main file. */
  readonly tenant?: string
  /** Whether all of its tests held; what came of it stands in `says`. */
  readonly matched: boolean
  /** The first test that did not hold, in words; for rules that did not match. */
  readonly test?: string
  /** What was seen instead. */
  readonly saw?: string
  /** What it gives or forbids, what a target or a limit refused and why, keys that a table lacks, a missing `acr`. */
  readonly says: readonly string[]
}

/** A decision and the whole way to it. */
export interface Explanation {
  readonly decision: Decision
  /** Rules that forbid come first, then the others as they stand in the files. */
  readonly rules: readonly RuleTrace[]
}

/** Every rule of the main file and of the tenants that know the subject's connector. Pure and total, like `decide`. */
export function explain(policy: Policy, subject: Subject, now: number): Explanation {
  const decision = decide(policy, subject, now)
  const reach = policy.reach.get(subject.connector)?.refs() ?? []
  const known = new Set(reach)
  const strangers = policy.base.refs.filter((ref) => !known.has(ref))
  const traces = [
    ...reach.map((ref) => trace(policy, ref, subject, now)),
    ...strangers.map(({ rule }) => stranger(rule.name, rule.from, subject)),
  ]
  const forbidding = new Set(decision.because.filter(({ effect }) => effect === 'forbade').map(keyOf))
  const first = (one: RuleTrace) => one.matched && forbidding.has(keyOf(one))
  return { decision, rules: [...traces.filter(first), ...traces.filter((one) => !first(one))] }
}

const keyOf = ({ rule, tenant }: { readonly rule: string; readonly tenant?: string }) => `${tenant ?? ''}\n${rule}`

function stranger(rule: string, from: readonly string[], subject: Subject): RuleTrace {
  return { rule, matched: false, test: `from ${from.join(' or ')}`, saw: subject.connector, says: [] }
}

function trace(policy: Policy, ref: RuleRef, subject: Subject, now: number): RuleTrace {
  const misses: Miss[] = []
  const { rule, scope } = ref
  const head = { rule: rule.name, ...(scope.tenant === undefined ? {} : { tenant: scope.tenant }) }
  const facts = tracedFacts(policy, subject, now, misses)
  if (facts === undefined) return { ...head, matched: false, says: [] }
  const home = policy.people.get(subject.connector)?.owned.connector.domain
  const finding = examine(policy, ref, facts, home)
  const missed = misses.map(({ table, key }) => `table ${table} has no key ${shown(key)}`)
  const { failed, needs, rounds } = finding.answer
  if (failed !== undefined) {
    const [test, saw] = failed === 'each' ? eachSeen(rule.each ?? {}, facts) : testSeen(failed.test, facts)
    const would = needs === undefined ? [] : [`needs acr ${needs}, which would open: ${gives(finding).join('; ')}`]
    return { ...head, matched: false, test, saw, says: [...would, ...missed] }
  }
  return {
    ...head,
    matched: rounds.length > 0,
    says: [...forbids(finding, facts, rounds), ...gives(finding), ...missed],
  }
}

function gives({ grants, refused, ended, ref }: Finding): readonly string[] {
  return [
    ...grants.map((grant) => `gives ${describeGrant(grant)}`),
    ...(ref.rule.admit ? ['admits'] : []),
    ...refused.map(({ grant, why }) => `refused ${shown(describeGrant(grant))}: ${why}`),
    ...(ended > 0
      ? [`gives no more: \`${ref.rule.until?.endOf ?? ref.rule.until?.at}\` is over, missing or no date`]
      : []),
  ]
}

function forbids({ bound, ref }: Finding, facts: Facts, rounds: readonly Caught[]): readonly string[] {
  const { forbid } = ref.rule
  if (forbid === undefined) return []
  const { because: _, person, ...what } = forbid
  const text = person
    ? 'everything'
    : Object.entries(what)
        .map(([key, value]) => `${key} ${String(value)}`)
        .join(', ')
  return [`forbids ${text}: ${bound.because(facts, rounds[0] ?? []) ?? 'no reason on record'}`]
}

/** Texts of an upstream, quoted and cut: no control character of theirs reaches a terminal. */
function shown(text: string): string {
  const cut = text.length > 120 ? `${text.slice(0, 120)}…` : text
  return JSON.stringify(cut)
}

function list(values: readonly string[]): string {
  if (values.length === 0) return 'nothing'
  const more = values.length > 8 ? ` and ${values.length - 8} more` : ''
  return values.slice(0, 8).map(shown).join(', ') + more
}

const textOf = (text: Text) => (typeof text === 'string' ? text : `what ${text.lookup} holds under ${text.key}`)

function eachSeen(each: Each, facts: Facts): readonly [string, string] {
  if (each.record !== undefined)
    return [
      `some record of ${each.record} fits ${JSON.stringify(each.fields)}`,
      list(facts.records(each.record).map((record) => JSON.stringify(record))),
    ]
  const { claim = '', pattern, regex, inTable } = each
  const how = inTable === undefined ? `fits ${pattern ?? regex}` : `is a key of table ${inTable}`
  return [`some value of ${claim} ${how}`, list(facts.values(claim))]
}

function testSeen(test: RuleTest, facts: Facts): readonly [string, string] {
  if (test.claim !== undefined) return [claimTest(test.claim, test), list(facts.values(test.claim))]
  if (test.acr !== undefined)
    return [`acr is at least ${test.acr.atLeast}`, list(facts.acr === undefined ? [] : [facts.acr])]
  if (test.amr !== undefined) return [`amr holds one of ${test.amr.join(', ')}`, list(facts.amr)]
  if (test.email !== undefined) {
    const seen = list(facts.values('email'))
    const verified = verifiedMailDomain(facts) === undefined ? `${seen}, not verified` : seen
    return [`a verified e-mail in ${test.email.domains.join(', ')}`, verified]
  }
  const { subject } = test
  const whom =
    subject !== undefined && 'inTable' in subject
      ? `a key of table ${subject.inTable}`
      : `one of ${subject?.join(', ')}`
  return [`the person is ${whom}`, shown(facts.person)]
}

function claimTest(claim: string, test: RuleTest): string {
  const { is, anyOf, allOf, noneOf, prefix, pattern, regex, inTable } = test
  if (is !== undefined) return `${claim} is ${textOf(is)}`
  if (anyOf !== undefined) return `${claim} is any of ${anyOf.join(', ')}`
  if (allOf !== undefined) return `${claim} has all of ${allOf.join(', ')}`
  if (noneOf !== undefined) return `${claim} has none of ${noneOf.join(', ')}`
  if (prefix !== undefined) return `${claim} begins with ${prefix}`
  if (pattern !== undefined || regex !== undefined) return `${claim} fits ${pattern ?? regex}`
  if (inTable !== undefined) return `${claim} is a key of table ${inTable}`
  return `${claim} is ${test.present ? 'present' : 'absent'}`
}
