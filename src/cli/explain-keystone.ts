import type { Simulated } from '../targets/keystone/simulate/simulate.ts'
import type { Warning } from '../targets/keystone/simulate/warnings.ts'
import type { Paint } from './explain-chart.ts'
import { printable } from './table.ts'

/** What hinders somebody; the rest is good to know. */
const grave: ReadonlySet<Warning['about']> = new Set(['refused', 'differs', 'size'])

/** How the claims travel into a Keystone, whom it sees then, and what would bite. */
export function keystoneLines({ release, schema, arrivals, warnings }: Simulated, paint: Paint): readonly string[] {
  const [first] = arrivals
  const seen = arrivals.find((arrival) => arrival.seen !== undefined)?.seen
  const width = Math.max(...Object.keys(first?.environment ?? {}).map((name) => name.length), 0)
  return [
    paint('dim', `    through Apache, to Keystone ${release} with mapping schema ${schema}:`),
    ...Object.entries(first?.environment ?? {}).map(
      ([name, value]) => `      ${name.padEnd(width)}  ${printable(value)}`,
    ),
    ...(seen === undefined
      ? []
      : [paint('dim', '    where it becomes:'), ...people(seen).map((line) => `      ${printable(line)}`)]),
    ...warnings.map(
      ({ about, says }) => `    ${grave.has(about) ? paint('red', '!') : paint('dim', '·')} ${printable(says)}`,
    ),
  ]
}

function people({
  user,
  groups,
  groupIds,
  projects,
}: NonNullable<Simulated['arrivals'][number]['seen']>): readonly string[] {
  return [
    `user ${user.name} in domain ${user.domain}, known by ${user.id}${user.email === undefined ? '' : `, ${user.email}`}`,
    ...projects.map(({ name, domain, roles }) => `project ${name} in domain ${domain}: ${roles.join(', ')}`),
    ...groups.map(({ name, domain }) => `group ${name} in domain ${domain}`),
    ...groupIds.map((id) => `group of id ${id}`),
  ]
}
