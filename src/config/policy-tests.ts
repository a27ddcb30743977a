import type { Policy } from '../core/compile.ts'
import { moment } from '../core/dates.ts'
import { decide } from '../core/decide.ts'
import type { Decision } from '../core/decision.ts'
import { describeGrant } from '../core/grants.ts'
import type { PolicyTest } from '../core/rule.ts'
import type { Mistake } from './check-clients.ts'

/**
 * Runs the `tests:` of one file: everything that the rules must give, and nothing else.
 * @param now Unix seconds, for tests that name no time
 * @returns what is not as expected; paths count from the file
 */
export function failedTests(policy: Policy, tests: readonly PolicyTest[], now: number): readonly Mistake[] {
  return tests.flatMap((test, index) => {
    const path = ['tests', index]
    const at = test.at === undefined ? now : moment(test.at)
    if (at === undefined) {
      return [{ path: [...path, 'at'], message: 'not a time; write 2026-12-31 or 2026-12-31T12:00:00Z' }]
    }
    if (!policy.people.has(test.subject.connector)) {
      return [{ path: [...path, 'subject', 'connector'], message: 'no such connector; write the id of one' }]
    }
    return differences(test, decide(policy, { ...test.subject, authTime: at }, at)).map(({ key, message }) => ({
      path: [...path, key],
      message: `test ${JSON.stringify(test.name)}: ${message}`,
    }))
  })
}

/** What a decision gives, as `expect:` lists it. */
export function linesOf(decision: Decision): readonly string[] {
  if (!decision.allowed) return []
  return decision.grants.length === 0 ? ['admitted'] : decision.grants.map(describeGrant)
}

interface Difference {
  readonly key: keyof PolicyTest
  readonly message: string
}

function differences(test: PolicyTest, decision: Decision): readonly Difference[] {
  const reasons = decision.because.flatMap(({ because }) => because ?? [])
  const expected = test.expect.map(normal)
  const actual = linesOf(decision).map(normal)
  const lacking = expected.filter((line) => !actual.includes(line))
  const surplus = actual.filter((line) => !expected.includes(line))
  const until = Number.isFinite(decision.until) ? time(decision.until) : 'no end'
  const wanted = test.until === undefined ? undefined : moment(test.until)
  const list = (lines: readonly string[]) => (lines.length > 0 ? lines.join('; ') : 'nothing')
  const found: readonly (Difference | false)[] = [
    lacking.length + surplus.length > 0 && {
      key: 'expect',
      message: `expected ${list(expected)}, but the rules give ${list(actual)}${hint(decision)}`,
    },
    test.username !== undefined &&
      test.username !== decision.identity.username && {
        key: 'username',
        message: `expected ${test.username}, but the name is ${decision.identity.username}`,
      },
    test.until !== undefined &&
      wanted !== decision.until && { key: 'until', message: `expected ${test.until}, but it is ${until}` },
    test.wantsAcr !== undefined &&
      test.wantsAcr !== decision.wantsAcr && {
        key: 'wantsAcr',
        message: `expected ${test.wantsAcr}, but it is ${decision.wantsAcr ?? 'none'}`,
      },
    test.because !== undefined &&
      !reasons.some((reason) => reason.includes(test.because ?? '')) && {
        key: 'because',
        message: `expected a reason with ${JSON.stringify(test.because)}, but the reasons are ${list(reasons)}`,
      },
  ]
  return found.filter((each) => each !== false)
}

/** Why something was taken away, the first reason: most failing tests are one rule that forbids. */
function hint({ because }: Decision): string {
  const refused = because.find(({ effect }) => effect === 'forbade' || effect.startsWith('refused'))
  return refused ? ` (rule ${JSON.stringify(refused.rule)} ${refused.effect}: ${refused.because ?? ''})` : ''
}

const time = (seconds: number) => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')

/** Spaces and the order of roles make no difference. */
function normal(line: string): string {
  const [place = '', roles] = line.trim().split(/:\s+(?=[^:]*$)/)
  const words = place.replaceAll(/\s+/g, ' ')
  return roles === undefined
    ? words
    : `${words}: ${roles
        .split(',')
        .map((role) => role.trim())
        .sort()
        .join(', ')}`
}
