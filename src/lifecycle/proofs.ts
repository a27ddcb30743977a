import type { Clock } from '../core/ports.ts'
import { accountId, type Proof, type Subject } from '../core/subject.ts'
import { collection, kinds } from '../store/collection.ts'
import type { Store } from '../store/store.ts'

/** How somebody came, for operators who look at what a person holds. */
export interface Via {
  readonly client: string
  readonly address: string
}

/** A proof as it is kept: one sign-in, on which a session and the tokens of its clients rest. */
export interface StoredProof extends Proof {
  /** Unix seconds; a recheck renews the proof and does not move this. */
  readonly signedInAt: number
  readonly via: Via
}

/** The groups by which the parts of a sign-in are found and ended. */
export const groupOf = {
  proof: (id: string) => `proof:${id}`,
  grant: (id: string) => `grant:${id}`,
  session: (uid: string) => `session:${uid}`,
  /** The session alone, without what it gave. */
  browser: (uid: string) => `browser:${uid}`,
  client: (id: string) => `client:${id}`,
  subject: (sub: string) => `subject:${sub}`,
  connector: (id: string) => `connector:${id}`,
  upstream: (connector: string, session: string) => `upstream:${connector}\n${session}`,
  /** Sessions that have names for one person alone. */
  name: (connector: string, name: string) => `name:${connector}\n${name}`,
  /** @param minute of Unix time in which a proof ends */
  ends: (minute: number) => `ends:${minute}`,
} as const

/** Seconds for which what a request took back is refused when it is written late: longer than any other request lasts. */
export const REFUSED = 3600

/** Seconds that a proof is kept beyond its end, so that its end can be written down even after a night without a gateway. */
export const KEPT_BEYOND = 86_400

/** The proofs of everybody who is signed in. */
export interface ProofShelf {
  /** Also one whose time is over, until its end was written down. */
  get(id: string): Promise<StoredProof | undefined>
  /** False: it was ended meanwhile, and nothing was written. */
  put(id: string, proof: StoredProof): Promise<boolean>
  /** The ids of the proofs in a group. */
  ids(group: string): Promise<readonly string[]>
  /**
   * A proof is past its grace and its upstream does not answer: no token is given on it, and nothing stands at a target by it, until it is
   * proven anew. One that is `unaskable` stays good.
   */
  silent(id: string, proof: StoredProof): Promise<void>
  /** The upstream cannot be asked about this proof, whatever becomes of it: an outage says nothing about it. */
  unaskable(id: string, proof: StoredProof): Promise<void>
  isSilent(id: string, proof: StoredProof): Promise<boolean>
  /** When each silent proof was proven, by id. */
  allSilent(): Promise<ReadonlyMap<string, number>>
  /** Says that a group was ended, so that sign-ins on the way, and a client's own tokens, do not survive it. */
  markEnded(group: string, at: number): Promise<void>
  /** When a client's tokens were ended last; Unix seconds, 0 where it is long ago. */
  clientEndedAt(client: string): Promise<number>
  /** When somebody was ended last, as a person, by her name at the upstream, or with all of the connector; Unix seconds, 0 where it is long ago. */
  endedAt(proof: Pick<Proof, 'upstreamName'> & { readonly subject: Pick<Subject, 'connector' | 'id'> }): Promise<number>
}

/** Seconds for which an end is remembered: longer than a sign-in is on the way, and than a token of a client's own lives. */
const REMEMBERED = 86_400

/** Instead of the time at which a proof was proven. */
const UNASKABLE = -1
/** Proofs of all who are signed in: far more than there are. */
const MOST = 1_000_000

export function openProofShelf(store: Store, now: Clock): ProofShelf {
  const stored = collection<StoredProof>(store, kinds.Proof)
  const ends = collection<number>(store, kinds.EndedAt, REMEMBERED)
  const silent = collection<number>(store, kinds.Silent)
  const note = async (id: string, proof: StoredProof, value: number): Promise<void> => {
    if ((await silent.get(id)) === value) return
    await silent.put(id, value, ttlOf(proof, now()), { groups: [groupOf.proof(id)] })
  }
  return {
    get: (id) => stored.get(id),
    put: (id, proof) => stored.put(id, proof, ttlOf(proof, now()), { groups: groupsOf(id, proof) }),
    async ids(group) {
      return (await store.members(group)).flatMap(({ kind, id }) => (kind === kinds.Proof.name ? [id] : []))
    },
    async silent(id, proof) {
      if ((await silent.get(id)) !== UNASKABLE) await note(id, proof, proof.provenAt)
    },
    unaskable: (id, proof) => note(id, proof, UNASKABLE),
    isSilent: async (id, { provenAt }) => (await silent.get(id)) === provenAt,
    allSilent: async () =>
      new Map((await silent.list(MOST)).flatMap(({ id, value }) => (value === UNASKABLE ? [] : [[id, value]]))),
    async markEnded(group, at) {
      await ends.update(group, (before) => Math.max(before ?? 0, at))
    },
    clientEndedAt: async (client) => (await ends.get(groupOf.client(client))) ?? 0,
    async endedAt({ subject, upstreamName }) {
      const { connector } = subject
      const groups = [groupOf.subject(accountId(subject)), groupOf.connector(connector)]
      if (upstreamName !== undefined) groups.push(groupOf.name(connector, upstreamName))
      return Math.max(...(await Promise.all(groups.map(async (group) => (await ends.get(group)) ?? 0))))
    },
  }
}

const ttlOf = ({ goodUntil }: Proof, now: number) => Math.max(1, Math.ceil(goodUntil) - now) + KEPT_BEYOND

function groupsOf(
  id: string,
  { subject, goodUntil, upstreamSession: session, upstreamName: name }: StoredProof,
): readonly string[] {
  const { connector } = subject
  const upstream = session === undefined ? [] : [groupOf.upstream(connector, session)]
  return [
    groupOf.proof(id),
    groupOf.subject(accountId(subject)),
    groupOf.connector(connector),
    groupOf.ends(Math.floor(goodUntil / 60)),
    ...(name === undefined ? upstream : [groupOf.name(connector, name)]),
  ]
}
