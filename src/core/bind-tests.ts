import { bindHole, bindRegex, bindTemplate, bindText, type Caught, type Env, type Filled, plain } from './bind-texts.ts'
import { type Facts, verifiedMailDomain } from './facts.ts'
import type { RuleTest } from './rule.ts'
import { fits, fold, holesOf, literalOf, partsOf, type Runs, resolve, runsOf } from './text.ts'

/** A condition, ready to be asked. */
export interface BoundTest {
  readonly test: RuleTest
  /** Whether it must be asked in each round, because it uses what the round caught. */
  readonly perRound: boolean
  /** Its `acr`, by name; asked last, so that `wantsAcr` names only what would have helped. */
  readonly acr?: string
  holds(facts: Facts, caught: Caught): boolean
}

/** The texts of a test that may hold holes. */
function testTexts(test: RuleTest): readonly string[] {
  const is = test.is === undefined ? [] : [typeof test.is === 'string' ? test.is : test.is.key]
  const one = [test.prefix, test.pattern].filter((text) => text !== undefined)
  const domains = test.email?.domains ?? []
  return [...is, ...one, ...(test.anyOf ?? []), ...(test.allOf ?? []), ...(test.noneOf ?? []), ...domains]
}

/** A test, ready to be asked. */
export function bindTest(test: RuleTest, env: Env): BoundTest {
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
  const same = test.ignoreCase ? fold : plain
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
