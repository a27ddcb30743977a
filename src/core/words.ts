import type { Rule } from './rule.ts'
import { holesOf, partsOf } from './text.ts'

/** The dotted holes of a rule that stand for constants: `vars.…` and `tenant.id`. */
export function constantsIn(rule: Rule): readonly string[] {
  return strings(rule)
    .flatMap((text) => holesOf(partsOf(text)))
    .filter((hole) => hole.startsWith('vars.') || hole === 'tenant.id')
}

/** Every string in a plain value. An expression's `(?<name>…)` looks like a hole, but has no dot. */
function strings(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(strings) : []
}
