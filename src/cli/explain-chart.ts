import type { Explanation, RuleTrace } from '../core/explain.ts'
import { describeGrant } from '../core/grants.ts'
import { accountId, type Subject } from '../core/subject.ts'
import type { Simulated } from '../targets/keystone/simulate/simulate.ts'
import type { Reviewed } from '../targets/kubernetes/live/ask.ts'
import { keystoneLines } from './explain-keystone.ts'
import { printable } from './table.ts'

/** One target, and the exact names that it will see. */
export interface ChartedTarget {
  readonly id: string
  readonly label: string
  readonly names: readonly string[]
  /** What the consumer makes of them, and what would bite, where this is known. */
  readonly keystone?: Simulated
  /** What a cluster said when it was asked. */
  readonly cluster?: Reviewed
  /** Why it could not be asked. */
  readonly unasked?: string
  /** Why the gateway gives this person no token for it, although the rules give something. */
  readonly unsayable?: string
}

/** What the chart shows. */
export interface Charted {
  readonly subject: Subject
  readonly explanation: Explanation
  readonly targets: readonly ChartedTarget[]
  /** Of the terminal; undefined where there is none: then no colour and no cutting. */
  readonly columns: number | undefined
}

export type Paint = (style: Style, text: string) => string

type Style = 'bold' | 'dim' | 'green' | 'red'
const codes: Readonly<Record<Style, number>> = { bold: 1, dim: 2, green: 32, red: 31 }

/** Three parts, top to bottom: what was said, what the rules say to it, what comes of it. */
export function chart({ subject, explanation, targets, columns }: Charted): readonly string[] {
  const paint: Paint = (style, text) => (columns === undefined ? text : `\u001b[${codes[style]}m${text}\u001b[0m`)
  const { decision, rules } = explanation
  const verdict = decision.allowed ? paint('green', 'allowed') : paint('red', 'refused')
  const lines = [
    paint('bold', 'WHAT WAS SAID'),
    ...table(said(subject)),
    '',
    paint('bold', 'WHAT THE RULES SAY'),
    ...(rules.length === 0 ? ['  there is no rule'] : rules.flatMap((rule) => ruleLines(rule, paint))),
    '',
    `${paint('bold', 'WHAT YOU GET')}  ${verdict}`,
    ...table(outcome(subject, explanation)),
    ...targets.flatMap((target) => targetLines(target, paint)),
  ]
  return lines
}

function targetLines({ id, label, names, ...more }: ChartedTarget, paint: Paint): readonly string[] {
  const { keystone, cluster, unasked, unsayable } = more
  return [
    '',
    `  ${paint('bold', id)}${label === id ? '' : `  ${paint('dim', label)}`}`,
    ...(names.length > 0 ? names.map((name) => `    ${printable(name)}`) : [paint('dim', '    nothing')]),
    ...(unsayable === undefined ? [] : [`    ${paint('red', '!')} no token is given: ${printable(unsayable)}`]),
    ...(unasked === undefined ? [] : [`    ${paint('red', '!')} it cannot be asked: ${printable(unasked)}`]),
    ...(cluster === undefined ? [] : clusterLines(cluster, paint)),
    ...(keystone === undefined ? [] : keystoneLines(keystone, paint)),
  ]
}

/** One line for each namespace, and one for the cluster as a whole. */
function clusterLines({ may }: Reviewed, paint: Paint): readonly string[] {
  const places = Map.groupBy(may, ({ namespace }) =>
    namespace === undefined ? 'whole cluster' : `namespace ${namespace}`,
  )
  return [
    paint('dim', '    what the cluster allows'),
    ...[...places].flatMap(([place, deeds]) => [
      `      ${place}`,
      ...deeds.map(({ says, allowed }) => `        ${allowed ? paint('green', 'yes') : paint('dim', 'no ')}  ${says}`),
    ]),
  ]
}

type Row = readonly [name: string, value: string]

function said({ connector, id, claims, records, acr, amr }: Subject): readonly Row[] {
  return [
    ['connector', connector],
    ['subject', id],
    ...Object.entries(claims).map(([name, values]): Row => [name, values.join(' · ')]),
    ...Object.entries(records).map(
      ([name, values]): Row => [name, values.map((each) => JSON.stringify(each)).join(' · ')],
    ),
    ...(acr !== undefined && !claims['acr'] ? [['acr', acr] as const] : []),
    ...(amr && !claims['amr'] ? [['amr', amr.join(' · ')] as const] : []),
  ]
}

function outcome(subject: Subject, { decision }: Explanation): readonly Row[] {
  const { identity, grants, until, wantsAcr } = decision
  return [
    ['sub', accountId(subject)],
    ['username', identity.username],
    ...(identity.email === undefined ? [] : [['email', identity.email] as const]),
    ...(identity.domain === undefined ? [] : [['domain', identity.domain] as const]),
    ...grants.map((grant): Row => ['grant', describeGrant(grant)]),
    ...(Number.isFinite(until) ? [['until', new Date(until * 1000).toISOString()] as const] : []),
    ...(wantsAcr === undefined ? [] : [['more with', `acr ${wantsAcr}`] as const]),
  ]
}

function ruleLines(rule: RuleTrace, paint: Paint): readonly string[] {
  const mark = rule.matched ? paint('green', '+') : paint('dim', '-')
  const name = `${rule.rule}${rule.tenant === undefined ? '' : ` (tenant ${rule.tenant})`}`
  const missed = rule.test === undefined ? 'does not apply' : `does not hold: ${rule.test}`
  const saw = rule.saw === undefined ? '' : `; seen: ${rule.saw === '' ? 'nothing' : rule.saw}`
  return [
    `  ${mark} ${printable(name)}`,
    ...(rule.matched ? [] : [paint('dim', `      ${printable(missed + saw)}`)]),
    ...rule.says.map((line) => `      ${printable(line)}`),
  ]
}

function table(rows: readonly Row[]): readonly string[] {
  const width = Math.max(0, ...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `  ${printable(name).padEnd(width)}  ${printable(value)}`)
}
