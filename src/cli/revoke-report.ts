import { accountId } from '../core/subject.ts'
import type { Family, Found, Selector, SignIn } from '../lifecycle/end.ts'
import type { Chosen } from './selectors.ts'
import { count, instant, jsonLines, tableOf } from './table.ts'

/** What a revocation came to. */
export interface Outcome {
  readonly selector: Selector
  readonly found: Found
  /** `refused`: it was more than what is ended unasked. */
  readonly state: 'ended' | 'dry run' | 'refused'
  /** The people of families, as `CONNECTOR/ID`, by the ids of their proofs. */
  readonly people: ReadonlyMap<string, string>
  /** The key that went, or would go; `successor` signs now. */
  readonly key?: { readonly ring: string; readonly alg: string; readonly successor?: string }
}

/** Lines of a table for people; programs get all. */
const SHOWN = 100

/** How much was found. */
export const totals = ({ signIns, families }: Found) => ({ signIns: signIns.length, families: families.length })

/** Whether there is nothing to tell of but that. */
export const isNothing = ({ found, key }: Pick<Outcome, 'found' | 'key'>): boolean =>
  !key && found.signIns.length + found.families.length === 0

/** What is written where. */
export function report(
  outcome: Outcome,
  choice: Chosen,
  form: 'text' | 'json',
): { readonly out: readonly string[]; readonly err: readonly string[] } {
  const err = isNothing(outcome)
    ? [`nothing rests on ${choice.by} ${choice.text}`]
    : outcome.state === 'refused'
      ? [`${amount(outcome)} would end; nothing was done. --dry-run shows them, --yes ends them`]
      : []
  if (form === 'json') return { out: [jsonLines(json(outcome))], err }
  // A refusal shows a number only: the list is what --dry-run is for.
  return { out: isNothing(outcome) || outcome.state === 'refused' ? [] : text(outcome), err }
}

function text(outcome: Outcome): readonly string[] {
  const { found, state, key } = outcome
  const rows = [...found.signIns.map(signInRow), ...found.families.map((family) => familyRow(family, outcome))]
  const verb = state === 'ended' ? 'ended' : 'would end'
  return [
    ...(rows.length === 0 ? [] : tableOf(['WHAT', 'PERSON', 'CLIENTS', 'SINCE'], rows.slice(0, SHOWN))),
    ...(rows.length > SHOWN ? [`… and ${rows.length - SHOWN} more; --json has all`] : []),
    ...(key ? [keyLine(key)] : []),
    `${amount(outcome)} ${verb}`,
  ]
}

const signInRow = ({ proof, families }: SignIn): readonly string[] => [
  'sign-in',
  `${proof.subject.connector}/${proof.subject.id}`,
  families.length === 0 ? proof.via.client : clientsOf(families).join(', '),
  instant(proof.signedInAt),
]

const familyRow = ({ proof = '', sub, client, since }: Family, { people }: Outcome): readonly string[] => [
  'tokens',
  people.get(proof) ?? sub,
  client,
  instant(since),
]

const keyLine = ({ ring, alg, successor }: NonNullable<Outcome['key']>): string =>
  successor === undefined
    ? `every key of ring ${ring} for ${alg} would be dropped`
    : `every key of ring ${ring} for ${alg} was dropped; ${successor} signs now`

function amount({ found, key, selector }: Outcome): string {
  const { signIns, families } = totals(found)
  if (!key && selector.kind !== 'client') return count(signIns, 'sign-in')
  return `${count(families, 'set')} of tokens at ${count(clientsOf(found.families).length, 'client')}`
}

/** The clients that hold something of a sign-in, each once. */
export const clientsOf = (families: readonly Family[]): readonly string[] =>
  [...new Set(families.map(({ client }) => client))].sort()

/** Nothing of what a proof keeps sealed, and no claims: who ends something need not learn more about people. */
function json({ selector, found, state, key }: Outcome) {
  return {
    selector,
    ended: state === 'ended',
    ...(key && { key }),
    signIns: found.signIns.map(({ id, proof, sessions, families }) => ({
      proof: id,
      sub: accountId(proof.subject),
      connector: proof.subject.connector,
      upstreamId: proof.subject.id,
      since: proof.signedInAt,
      client: proof.via.client,
      address: proof.via.address,
      clients: clientsOf(families),
      sessions,
    })),
    families: found.families,
  }
}
