import type { Policy } from './compile.ts'
import { moment } from './dates.ts'
import { decide } from './decide.ts'
import type { Decision } from './decision.ts'
import { describeGrant } from './grants.ts'
import type { PolicyTest } from './rule.ts'

/** A configuration test that did not come out as written. */
export interface TestFailure {
  /** Its place in the list of tests. */
  readonly index: number
  readonly name: string
  readonly expected: readonly string[]
  readonly actual: readonly string[]
}

/**
 * Runs configuration tests.
 * @param now Unix seconds, for tests without `at`
 */
export function runTests(policy: Policy, tests: readonly PolicyTest[], now: number): readonly TestFailure[] {
  return tests.flatMap((test, index) => {
    const at = test.at === undefined ? now : moment(test.at)
    if (at === undefined) return [{ index, name: test.name, expected: [`a time in \`at\``], actual: [test.at ?? ''] }]
    const subject = { ...test.subject, authTime: at }
    const decision = decide(policy, subject, at)
    const [expected, actual] = [expectedLines(test), actualLines(test, decision)]
    return expected.join('\n') === actual.join('\n') ? [] : [{ index, name: test.name, expected, actual }]
  })
}

/** What a decision comes to, in the words of `expect`: its grants, `admitted` for none, nothing for a refusal. */
export function decisionLines(decision: Decision): readonly string[] {
  if (!decision.allowed) return []
  return decision.grants.length === 0 ? ['admitted'] : decision.grants.map(describeGrant).sort()
}

function expectedLines(test: PolicyTest): readonly string[] {
  return [...test.expect.map(sortedRoles).sort(), ...extras(test, test)]
}

function actualLines(test: PolicyTest, decision: Decision): readonly string[] {
  const { because } = test
  const reasons = decision.because.flatMap((outcome) => outcome.because ?? [])
  return [
    ...decisionLines(decision),
    ...extras(test, {
      username: decision.identity.username,
      until: iso(decision.until),
      wantsAcr: decision.wantsAcr ?? 'nothing',
      because:
        reasons.find((reason) => because !== undefined && reason.includes(because)) === undefined
          ? reasons.join('; ') || 'nothing'
          : because,
    }),
  ]
}

type Extras = { readonly [key in 'username' | 'until' | 'wantsAcr' | 'because']?: string | undefined }

/** The lines beside grants that a test asks about. */
function extras(test: PolicyTest, from: Extras): readonly string[] {
  const keys = ['username', 'until', 'wantsAcr', 'because'] as const
  return keys.flatMap((key) => {
    if (test[key] === undefined) return []
    const value = from[key]
    const seconds = key === 'until' && value !== undefined ? moment(value) : undefined
    return [`${key}: ${seconds === undefined ? value : iso(seconds)}`]
  })
}

const iso = (seconds: number) => (Number.isFinite(seconds) ? new Date(seconds * 1000).toISOString() : 'never')

/** `cloud project web: member, admin` and `…: admin, member` mean the same. */
function sortedRoles(line: string): string {
  const at = line.lastIndexOf(': ')
  if (at < 0) return line
  return `${line.slice(0, at)}: ${line
    .slice(at + 2)
    .split(/,\s*/)
    .sort()
    .join(', ')}`
}
