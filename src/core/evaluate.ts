import type { Bound } from './bind.ts'
import type { BoundTest } from './bind-tests.ts'
import type { Caught } from './bind-texts.ts'
import type { Facts } from './facts.ts'

/** What came of asking one rule: the rounds that hold, and otherwise what stood in the way. */
export interface Answer {
  /** Empty where the rule does not match. */
  readonly rounds: readonly Caught[]
  /** The first test that did not hold, or `each` where no value fitted. */
  readonly failed?: BoundTest | 'each'
  /** The `acr` without which the rule does not match, where it is all that is missing. */
  readonly needs?: string
  /** With `needs`: the rounds that it would open. */
  readonly closed?: readonly Caught[]
}

/** Asks a rule. The tests of `acr` come last: what a higher one would open is only said where all else holds. */
export function ask(bound: Bound, facts: Facts): Answer {
  const { tests } = bound
  for (const test of tests)
    if (!test.perRound && test.acr === undefined && !test.holds(facts, [])) return { rounds: [], failed: test }
  let rounds = bound.rounds(facts)
  if (rounds.length === 0) return { rounds, failed: 'each' }
  for (const test of tests) {
    if (!test.perRound) continue
    rounds = rounds.filter((caught) => test.holds(facts, caught))
    if (rounds.length === 0) return { rounds, failed: test }
  }
  for (const test of tests)
    if (test.acr !== undefined && !test.holds(facts, []))
      return { rounds: [], failed: test, needs: test.acr, closed: rounds }
  return { rounds }
}
