import { describeGrant } from '../core/grants.ts'
import { takes } from '../leases/carry.ts'
import type { Passed, PassOptions } from '../leases/pass.ts'
import type { Planned } from '../leases/settle.ts'
import { count, tableOf } from './table.ts'

/** Lines of a table for people; programs get all. */
export const SHOWN = 500

/** What came of one target, for people and for programs. */
export interface Report {
  readonly json: unknown
  /** The plan as a table; empty where nothing is to be done. */
  readonly lines: readonly string[]
  /** In a sentence or two. */
  readonly summary: readonly string[]
  /** Something was not done, for a reason that somebody has to look at. */
  readonly failed: boolean
  /** More would be taken at once than may. */
  readonly held: boolean
}

export const accountReport = (passed: Passed, how: PassOptions['how']): Report => ({
  json: jsonOf(passed),
  lines: linesOf(passed),
  summary: summaryOf(passed, how),
  failed: [...passed.left.values()].some((why) => why !== 'busy'),
  held: passed.held.size > 0,
})

const whoOf = ({ standing }: Planned) => standing.who ?? standing.sub

/** What follows once a project or a user is there: known by the rules' own words only. */
function laterOf({ question: { wanted }, steps }: Planned): readonly string[] {
  if (wanted === 'gone' || !steps.some(({ kind }) => kind === 'prepare')) return []
  return wanted.grants.map((grant) => describeGrant(grant).slice(grant.target.length + 1))
}

/** The plan as a table; empty where nothing is to be done. */
function linesOf({ target, plans, held }: Passed): readonly string[] {
  const rows = plans.flatMap((planned) => {
    const who = whoOf(planned)
    const isHeld = (kind: Planned['steps'][number]) => held.has(planned.standing.sub) && takes(kind)
    return [
      ...planned.steps.map((step) => [target, who, isHeld(step) ? `${step.kind} (held)` : step.kind, step.says]),
      ...laterOf(planned).map((says) => [target, who, 'afterwards', says]),
    ]
  })
  if (rows.length === 0) return []
  const more = rows.length > SHOWN ? [`… and ${rows.length - SHOWN} more; --json has all`] : []
  return [...tableOf(['TARGET', 'ACCOUNT', 'STEP', 'WHAT'], rows.slice(0, SHOWN)), ...more]
}

/** The same for programs. */
function jsonOf({ target, accounts, plans, held, left }: Passed) {
  return {
    target,
    accounts,
    plans: plans.map((planned) => ({
      sub: planned.standing.sub,
      who: planned.standing.who ?? null,
      held: held.has(planned.standing.sub),
      steps: planned.steps.map(({ kind, says, lease }) => ({ kind, says, ...(lease === undefined ? {} : { lease }) })),
      afterwards: laterOf(planned),
    })),
    left: [...left].map(([sub, why]) => ({ sub, why: why === 'busy' ? 'busy' : why.message })),
  }
}

/** What came of it, in a sentence or two. */
function summaryOf({ target, accounts, plans, held, left }: Passed, how: PassOptions['how']): readonly string[] {
  const verb = how === 'look' ? 'would change' : 'changed'
  const busy = [...left.values()].filter((why) => why === 'busy').length
  const failed = new Map<string, number>()
  for (const why of left.values()) if (why !== 'busy') failed.set(why.message, (failed.get(why.message) ?? 0) + 1)
  const changed = plans.filter(
    ({ standing: { sub }, steps }) => !left.has(sub) && !(held.has(sub) && steps.every(takes)),
  )
  return [
    `${target}: ${count(accounts, 'account')} kept, ${changed.length} ${verb}`,
    ...(busy > 0 ? [`${target}: the gateway is at ${count(busy, 'account')} itself`] : []),
    ...[...failed].map(([message, number]) => `${target}: ${count(number, 'account')} not done: ${message}`),
    ...(held.size > 0
      ? [
          `${target}: rules would take from ${count(held.size, 'account')} at once; nothing is taken. --yes carries it out`,
        ]
      : []),
  ]
}
