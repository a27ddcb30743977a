import { byCodePoint, NotCovered, PythonError } from './python.ts'
import type { Engine, Remote } from './rules.ts'

/** A variable's values: Keystone splits every text at `;`, whatever it is. */
type Values = readonly string[]

/** Variables by name, each split. */
export function assertionOf(environment: Readonly<Record<string, string>>): ReadonlyMap<string, Values> {
  return new Map(Object.entries(environment).map(([name, text]) => [name, text.split(';')]))
}

/** What the remote entries of a rule match, in order, without those that are conditions only; undefined where the rule does not apply. */
export function matchesOf(
  remote: readonly Remote[],
  assertion: ReadonlyMap<string, Values>,
  engine: Engine,
): readonly Values[] | undefined {
  const matches: Values[] = []
  for (const requirement of remote) {
    const values = assertion.get(requirement.type)
    // An empty variable is there: its one value is the empty text.
    if (values === undefined) return undefined
    const { any_one_of: some, not_any_of: none, whitelist, blacklist } = requirement
    const find = (listed: readonly unknown[]) => found(listed, values, requirement, engine)
    if (some !== undefined) {
      if (find(some).length === 0) return undefined
    } else if (none !== undefined) {
      if (find(none).length > 0) return undefined
    } else if (blacklist !== undefined) {
      const matched = new Set(find(blacklist))
      matches.push(inNoOrder(values.filter((value) => !matched.has(value))))
    } else matches.push(whitelist === undefined ? values : find(whitelist))
  }
  return matches
}

/** A set's order is an accident of the running process; here it is sorted. */
const inNoOrder = (values: Values): Values => [...new Set(values)].sort(byCodePoint)

function found(listed: readonly unknown[], values: Values, { regex }: Remote, engine: Engine): Values {
  if (regex === true) return searched(listed, values, engine)
  if (listed.some((each) => typeof each === 'object' && each !== null)) {
    throw new PythonError('TypeError', 'unhashable type in a list of values')
  }
  return inNoOrder(values.filter((value) => listed.includes(value)))
}

/** Anywhere in the value: `admin` finds `not-an-administrator`. Equal values stay several. */
function searched(listed: readonly unknown[], values: Values, { release, search }: Engine): Values {
  const hits = (value: string) => (expression: unknown) => {
    if (typeof expression !== 'string') throw new PythonError('TypeError', 'an expression that is no text')
    if (search === undefined) throw new NotCovered('regular expressions, without an engine for them')
    return search(expression, value)
  }
  // Older releases try every expression, so that a bad one fails the sign-in even where another one matched.
  return values.filter((value) =>
    release === '22' ? listed.map(hits(value)).some((hit) => hit) : listed.some(hits(value)),
  )
}
