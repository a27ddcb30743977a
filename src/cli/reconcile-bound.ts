import type { BoundPassed } from '../leases/bound-pass.ts'
import type { PassOptions } from '../leases/pass.ts'
import type { BindingStep } from '../targets/bindings.ts'
import { type Report, SHOWN } from './reconcile-report.ts'
import { count, tableOf } from './table.ts'

/** What is only told, and what is only for the gateway to remember, changes no access. */
const changes = ({ kind }: BindingStep) => kind === 'make' || kind === 'mend' || kind === 'remove'

/** What came of the bindings of one cluster. */
export function boundReport(passed: BoundPassed, how: PassOptions['how']): Report {
  const { target, kept, steps, held, undone } = passed
  const { refused, placeless } = undone
  const stateOf = (step: BindingStep) =>
    held.includes(step)
      ? ' (held)'
      : placeless.includes(step)
        ? ' (no namespace)'
        : refused.has(step)
          ? ' (refused)'
          : ''
  const done = steps.filter(
    (step) => changes(step) && !held.includes(step) && !refused.has(step) && !placeless.includes(step),
  )
  const foreign = steps.filter(({ kind }) => kind === 'foreign').length
  const reasons = Map.groupBy(refused.values(), ({ message }) => message)
  const rows = steps.map((step) => [target, `${step.kind}${stateOf(step)}`, step.says])
  const more = rows.length > SHOWN ? [`… and ${rows.length - SHOWN} more; --json has all`] : []
  return {
    json: {
      target,
      bindings: kept,
      steps: steps.map((step) => ({
        kind: step.kind,
        says: step.says,
        held: held.includes(step),
        refused: refused.get(step)?.message ?? null,
        placeless: placeless.includes(step),
      })),
    },
    lines: rows.length === 0 ? [] : [...tableOf(['TARGET', 'STEP', 'BINDING'], rows.slice(0, SHOWN)), ...more],
    summary: [
      `${target}: ${count(kept, 'binding')} kept, ${done.length} ${how === 'look' ? 'would change' : 'changed'}`,
      ...[...reasons].map(([message, all]) => `${target}: ${count(all.length, 'binding')} not done: ${message}`),
      ...(placeless.length > 0
        ? [`${target}: ${count(placeless.length, 'binding')} waiting for a namespace that is not there`]
        : []),
      ...(foreign > 0
        ? [`${target}: in the place of ${count(foreign, 'binding')} stands another one, which is left alone`]
        : []),
      ...(held.length > 0
        ? [`${target}: ${count(held.length, 'binding')} would go at once; none goes. --yes carries it out`]
        : []),
    ],
    failed: refused.size > 0 || foreign > 0,
    held: held.length > 0,
  }
}
