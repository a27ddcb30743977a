import { setTimeout as delay } from 'node:timers/promises'
import type { Connector } from '../connectors/connector.ts'
import { LoginError } from '../core/errors.ts'
import type { Clock, Log } from '../core/ports.ts'
import { accountId } from '../core/subject.ts'
import { kinds } from '../store/kinds.ts'
import type { Store } from '../store/store.ts'
import { type Gate, openGate } from './gate.ts'
import { groupOf, type ProofShelf, type StoredProof } from './proofs.ts'

/** What a recheck needs of a connector; times in seconds. */
export interface Recheckable {
  readonly recheckAfter: number
  readonly recheckGrace: number
  /** @throws {LoginError} `upstream_unavailable` */
  readonly open: () => Promise<Connector>
}

export interface RecheckPorts {
  readonly store: Store
  readonly proofs: ProofShelf
  readonly now: Clock
  readonly log: Log
  /** A new text at each call. */
  readonly random: () => string
  /** A connector of the configuration as it is now; undefined where it is gone. */
  readonly connector: (id: string) => Recheckable | undefined
  /** Ends what rests on a proof that the upstream takes back. */
  readonly gone: (id: string, why?: string) => Promise<void>
  /**
   * Told of each renewed proof, when it is stored: who keeps leases looks at what the rules say about it now.
   * @param before undefined where it did not count any more, since its upstream had not answered for too long
   * @returns `news` where they say something else, and so would about the person's other sign-ins
   */
  readonly renewed?: (before: StoredProof | undefined, after: StoredProof) => Promise<'news' | 'as before'>
}

/** Keeps proofs fresh by asking their upstreams again. */
export interface Rechecks {
  /**
   * The proof, renewed where it is older than its connector wants. One question for one proof at a time, whoever asks. Where the answer
   * is news about the person, her other sign-ins are asked about too, whatever their age; nobody waits for that.
   * @returns undefined where person or session are gone; everything that rested on the proof has then ended
   * @throws {LoginError} `upstream_unavailable` where the upstream did not answer and the grace is over
   */
  fresh(id: string, proof: StoredProof): Promise<StoredProof | undefined>
}

/** Milliseconds that a request waits for its upstream; the question itself goes on, and the next request finds its answer. */
const PATIENCE = 3000
/**
 * Seconds for which one process alone may ask about a proof: longer than an upstream takes that answers each of some requests in its
 * last second. A refresh token that another process used meanwhile would be taken for stolen there, and the person for gone.
 */
const CLAIM = 60
/** Seconds by which the clock of another process may be ahead. */
const AHEAD = 60
/** Milliseconds between two looks at what another process has found out. */
const LOOK = 100

export function openRechecks(ports: RecheckPorts): Rechecks {
  const running = new Map<string, Promise<StoredProof | undefined>>()
  const gates = new Map<string, Gate>()

  const gateOf = (connector: string): Gate => {
    const known = gates.get(connector)
    if (known) return known
    const made = openGate(ports.now, (state) =>
      state === 'down'
        ? ports.log('warn', 'an upstream does not answer rechecks', { connector })
        : ports.log('info', 'an upstream answers rechecks again', { connector }),
    )
    gates.set(connector, made)
    return made
  }

  const ask = (proof: StoredProof, question: Question): Promise<StoredProof | undefined> => {
    const known = running.get(question.id)
    if (known) return known
    const asked = gateOf(proof.subject.connector)
      .pass(() => askUpstream(ports, question))
      .catch(async (error: unknown) => {
        if (learntNothing(error) && isOver(ports, proof)) await ports.proofs.silent(question.id, proof)
        throw error
      })
      .finally(() => running.delete(question.id))
    running.set(question.id, asked)
    return asked
  }

  /** What is gone for one sign-in of a person must not stand on another one until that is used. */
  const askAboutOthers = async (id: string, { subject }: StoredProof, via: Recheckable): Promise<void> => {
    for (const other of await ports.proofs.ids(groupOf.subject(accountId(subject)))) {
      const proof = other === id ? undefined : await ports.proofs.get(other)
      if (!proof || proof.goodUntil <= ports.now()) continue
      await ask(proof, { id: other, via: { ...via, recheckAfter: 0 } }).catch((error: unknown) => {
        ports.log('debug', 'another sign-in of a person is asked about later', { error: String(error) })
      })
    }
  }

  return {
    async fresh(id, proof) {
      const via = ports.connector(proof.subject.connector)
      if (!via) return proof // who is still signed in by a connector that was taken out is the rules' business
      if (isFresh(ports, proof, via)) return proof
      const news = () => void askAboutOthers(id, proof, via).catch(() => {}) // a store that fails: the next pass asks
      try {
        return await within(PATIENCE, ask(proof, { id, via, news }))
      } catch (error) {
        // A store that fails is another matter (law 4).
        if (!learntNothing(error)) throw error
        ports.log('debug', 'a recheck learnt nothing', { connector: proof.subject.connector, detail: error.message })
        if (!isOver(ports, proof)) return proof
        throw error.code === 'upstream_unavailable' ? error : unanswered(error)
      }
    },
  }
}

interface Question {
  /** The proof's. */
  readonly id: string
  readonly via: Recheckable
  /** Told where the answer is news about the person. */
  readonly news?: () => void
}

/** Asks for all processes: the one that puts the claim down asks, the others wait for what it finds. */
async function askUpstream(ports: RecheckPorts, question: Question): Promise<StoredProof | undefined> {
  const { id, via } = question
  const token = ports.random()
  if (!(await ports.store.add(kinds.Recheck, id, token, CLAIM))) return await otherProcess(ports, question)
  try {
    const current = await ports.proofs.get(id)
    // Another process may have renewed it, or ended it, since it was read.
    if (!current || isFresh(ports, current, via)) return current
    return await renew(ports, current, question)
  } finally {
    // Who was too slow must not take away another's.
    if ((await ports.store.get(kinds.Recheck, id))?.value === token) await ports.store.delete(kinds.Recheck, id)
  }
}

async function renew(
  ports: RecheckPorts,
  current: StoredProof,
  { id, via, news }: Question,
): Promise<StoredProof | undefined> {
  const connector = await via.open()
  const answer = (await connector.recheck?.(current)) ?? 'unknown'
  const silent = isOver(ports, current) && (await ports.proofs.isSilent(id, current))
  if (answer === 'unknown') {
    await ports.proofs.unaskable(id, current)
    if (silent) await ports.renewed?.(undefined, current)
    return current
  }
  // What comes back must be the same person: anything else is somebody else's proof (law 2).
  const gone = answer === 'gone' || 'why' in answer
  if (gone || accountId(answer.subject) !== accountId(current.subject)) {
    await ports.gone(id, gone && answer !== 'gone' ? answer.why : undefined)
    news?.()
    return undefined
  }
  const { signedInAt, via: came } = current
  const renewed: StoredProof = { ...answer, signedInAt, via: came }
  // Refused where it was ended while the upstream was asked: an end is never undone.
  if (!(await ports.proofs.put(id, renewed))) return undefined
  if ((await ports.renewed?.(silent ? undefined : current, renewed)) === 'news') news?.()
  return renewed
}

async function otherProcess(ports: RecheckPorts, question: Question): Promise<StoredProof | undefined> {
  const { id, via } = question
  for (let waited = 0; waited < PATIENCE; waited += LOOK) {
    await delay(LOOK)
    const proof = await ports.proofs.get(id)
    if (!proof || isFresh(ports, proof, via)) return proof
    if (!(await ports.store.get(kinds.Recheck, id))) return askUpstream(ports, question) // it learnt nothing: ask ourselves
  }
  throw unanswered()
}

/** Not where it was proven at a time that is yet to come: by a clock that has been put back since, and nobody would ask until then. */
function isFresh({ now }: RecheckPorts, { provenAt }: StoredProof, { recheckAfter }: Recheckable): boolean {
  const age = now() - provenAt
  return age >= -AHEAD && age < recheckAfter
}

/** An answer that cannot be believed teaches as little as none. */
const learntNothing = (error: unknown): error is LoginError =>
  error instanceof LoginError && error.code !== 'unavailable'

/** Older than its connector lets it be without an answer. */
function isOver({ connector, now }: RecheckPorts, { subject, provenAt }: StoredProof): boolean {
  const via = connector(subject.connector)
  return via !== undefined && now() - provenAt > via.recheckAfter + via.recheckGrace
}

const unanswered = (cause?: unknown) =>
  new LoginError('upstream_unavailable', 'a recheck learnt nothing in time', cause === undefined ? {} : { cause })

async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unanswered()), milliseconds)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
