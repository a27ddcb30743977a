import { type Decision, grantsAt } from '../core/decision.ts'
import { mergeGrants } from '../core/grants.ts'
import type { Subject } from '../core/subject.ts'
import { groupOf, type StoredProof } from '../lifecycle/proofs.ts'
import type { Account, Question, Wanted } from '../targets/live.ts'
import { noAccount } from './ledger.ts'
import type { LeasePorts, LiveTarget } from './world.ts'

/** What stands behind one person, or service, at this moment. */
export interface Standing {
  readonly sub: string
  /** As people write it, `connector/id`; undefined where nothing stands behind her any more. */
  readonly who: string | undefined
  /** By which she came; undefined as above. */
  readonly connector: string | undefined
  /** What the rules say about each of her proofs, as far as it allows her anything; the newest first. */
  readonly decisions: readonly Decision[]
  /** Unix seconds: when the rules say something else about the same proofs; Infinity where they do not. */
  readonly until: number
  /** Her connector is not in the configuration: nothing can be said about her, and nothing is changed. */
  readonly left: boolean
}

/** Something stands behind her: what she loses now is the rules' doing, and no end. */
export const isProven = ({ who }: Standing): boolean => who !== undefined

type StandingPorts = Pick<LeasePorts, 'proofs' | 'now' | 'world'>

/** Reads what stands behind somebody: no proof that no token is given on either, since its upstream has not answered for too long. */
export async function standingOf(ports: StandingPorts, sub: string): Promise<Standing> {
  const ids = await ports.proofs.ids(groupOf.subject(sub))
  const proofs = await Promise.all(
    ids.map(async (id) => {
      const proof = await ports.proofs.get(id)
      return proof && (await ports.proofs.isSilent(id, proof)) ? undefined : proof
    }),
  )
  return judge(
    ports,
    sub,
    proofs.flatMap((proof) => proof ?? []),
  )
}

/** The same for proofs that were read already. */
export function judge(ports: Pick<LeasePorts, 'now' | 'world'>, sub: string, proofs: readonly StoredProof[]): Standing {
  const now = ports.now()
  const { connectors, decide, service: serviceOf } = ports.world()
  const live = proofs
    .filter(({ goodUntil }) => goodUntil > now)
    .sort((one, other) => other.signedInAt - one.signedInAt || other.provenAt - one.provenAt)
  const [latest] = live.toSorted((one, other) => other.provenAt - one.provenAt)
  const people = live.map(({ subject }) => (latest ? toldBy(latest.subject, subject) : subject))
  const service = serviceOf(sub, now)
  const subjects = service ? [...people, service] : people
  const [first] = subjects
  const decisions = subjects.map((subject) => decide(subject, now))
  return {
    sub,
    who: first && whoIs(first),
    connector: first?.connector,
    decisions: decisions.filter(({ allowed }) => allowed),
    until: Math.min(...decisions.map(({ until }) => until)),
    left: subjects.some(({ connector }) => !connectors.has(connector)),
  }
}

/**
 * A sign-in with what its upstream says about the person by now: all proofs of one person are of one connector, and what a later one
 * disproves stands on no earlier one. How she signed in, and when, is each sign-in's own.
 */
const toldBy = ({ claims, records }: Subject, subject: Subject): Subject => ({ ...subject, claims, records })

const whoIs = ({ connector, id }: Subject) => `${connector}/${id}`

/** What somebody is to have at one target: all that any of her sign-ins gives. */
export function wantedAt({ decisions }: Standing, target: LiveTarget): Wanted | 'gone' {
  const [newest] = decisions
  if (!newest) return 'gone'
  const grants = decisions.flatMap((decision) => grantsAt(decision, target.id))
  return {
    identity: newest.identity,
    grants: mergeGrants(grants.filter((grant) => target.refuse(grant) === undefined)),
  }
}

/**
 * What to ask a target about somebody; undefined where there is nothing to do: nobody gets an account at a target that gives her
 * nothing, and who was left stays as she is.
 */
export function questionOf(standing: Standing, account: Account | undefined, target: LiveTarget): Question | undefined {
  if (standing.left) return undefined
  const wanted = wantedAt(standing, target)
  if (!account && (wanted === 'gone' || wanted.grants.length === 0)) return undefined
  return { account: account ?? noAccount(standing.sub), wanted }
}
