import type { AuditEvent } from '../audit.ts'
import { accountId } from '../core/subject.ts'
import { kinds } from '../store/kinds.ts'
import type { Ended, Ending, EndsPorts } from './end.ts'
import type { Line } from './lines.ts'
import { addNotice } from './notices.ts'
import { groupOf, type StoredProof } from './proofs.ts'
import { clientsOf, familiesOf, lateGroup, peopleOf, type Resting, restingIn, signInsOf } from './selected.ts'

/** Seconds after which a sign-in that is about to end has ended, or waits for `resume`. */
const AFTERWARDS = 2
/** Sign-ins that end in one turn of the event loop: they share a commit, and requests come in between. */
const AT_ONCE = 25

/** One go at an ending. */
interface Run {
  readonly ports: Required<EndsPorts>
  readonly ending: Ending
  readonly how: 'first' | 'again'
  /** Its lines, each from before the end that it tells of. */
  readonly kept: Line[]
}

/** Carries one ending out: idempotent, so that it may be repeated after a crash at any point. */
export async function carryOut(ports: Required<EndsPorts>, ending: Ending, how: 'first' | 'again'): Promise<Ended> {
  const run: Run = { ports, ending, how, kept: [] }
  try {
    return await carry(run)
  } catch (error) {
    ports.lines.release(run.kept)
    throw error
  }
}

async function carry(run: Run): Promise<Ended> {
  const { store, proofs, lines, touched, refuseFor } = run.ports
  const { selector, at } = run.ending
  // Before anything is looked for: who is stored after this looks at it, who was stored before is found.
  const people = peopleOf(selector)
  if (people !== undefined) await proofs.markEnded(people, at)
  for (const client of clientsOf(selector)) await proofs.markEnded(groupOf.client(client), at)
  await each(await familiesOf(store, selector, at), (grant) => endFamily(grant, run))
  const families = run.kept.length
  await each(await signInsOf(run.ports, selector), (id) => endSignIn(id, run))
  // A sign-in in flight that rests on what the upstream or the person just ended must not be kept afterwards.
  const late = lateGroup(selector)
  if (late !== undefined) await store.revoke(late, refuseFor)
  // Also where nobody was signed in: what was written at a target may have outlived the sign-in for which it was.
  if (selector.kind === 'subject') await touched(selector.sub, 0)
  await lines.write(run.kept)
  return { signIns: run.kept.length - families, families }
}

/** Runs over all items, some at a time. @throws when nothing is under way any more */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += AT_ONCE) {
    const some = await Promise.allSettled(items.slice(at, at + AT_ONCE).map(work))
    for (const one of some) if (one.status === 'rejected') throw one.reason
  }
}

async function endFamily(grant: Resting['grants'][number], run: Run): Promise<void> {
  const { ports, ending, how } = run
  const first = (await ports.store.consume(kinds.Grant, grant.id)) === 'first'
  const { clientId: client, accountId: sub } = grant
  const event = { event: 'family.revoked', cause: ending.cause, client, personal: personalOf(sub, ending) } as const
  const line = { id: `family ${grant.id}`, reference: ending.by.reference, event, at: ports.now() }
  await endOne(first || how === 'again' ? line : undefined, run, () =>
    ports.store.revoke(groupOf.grant(grant.id), ports.refuseFor),
  )
}

async function endSignIn(id: string, run: Run): Promise<void> {
  const { ports, ending, how } = run
  const { store, refuseFor } = ports
  const proof = await ports.proofs.get(id)
  if (proof && how === 'again' && isLater(proof, ending)) return
  const resting = await restingIn(store, groupOf.proof(id)) // before it goes
  await tellClients(ports, resting)
  // Of several processes that end the same thing one writes it down; again only where that one died before it was done.
  const first = proof !== undefined && (await store.consume(kinds.Proof, id)) === 'first'
  const clients = [...new Set(resting.grants.map(({ clientId }) => clientId))].sort()
  const line =
    proof && (first || how === 'again') ? signInLine({ id, at: ports.now() }, ending, proof, clients) : undefined
  // Before, since nobody can tell whose it was once it is gone.
  if (proof) await ports.touched(accountId(proof.subject), AFTERWARDS)
  await endOne(line, run, async () => {
    // The grants' own tokens are in their grant's group only, and all writes of one turn are one commit.
    await Promise.all(resting.grants.map((grant) => store.revoke(groupOf.grant(grant.id), refuseFor)))
    await store.revoke(groupOf.proof(id), refuseFor)
  })
  if (proof) await ports.touched(accountId(proof.subject), 0)
}

/** Ends one thing: its line is kept before, and written after everything has ended. */
async function endOne(line: Line | undefined, { kept, ports }: Run, revoke: () => Promise<void>): Promise<void> {
  if (line) {
    kept.push(line)
    await ports.lines.keep(line)
  }
  await revoke()
}

async function tellClients({ store, hears }: Required<EndsPorts>, { sessions, grants }: Resting): Promise<void> {
  for (const { accountId: sub, authorizations = {} } of sessions) {
    for (const [client, { sid }] of Object.entries(authorizations)) {
      if (sub !== undefined && sid !== undefined && hears(client)) await addNotice(store, { client, sub, sid })
    }
  }
  for (const { clientId: client, accountId: sub, sid } of grants) {
    if (sid !== undefined && hears(client)) await addNotice(store, { client, sub, sid })
  }
}

/**
 * Whether somebody signed in after an end was asked for that is carried out only now. The first time all are ended that are there:
 * a clock that was set back must not keep anybody in.
 */
const isLater = ({ signedInAt }: StoredProof, { selector, at }: Ending) => selector.kind !== 'proof' && signedInAt > at

function signInLine(
  { id, at }: Pick<Line, 'id' | 'at'>,
  ending: Ending,
  { subject }: StoredProof,
  clients: readonly string[],
): Line {
  const { cause, by } = ending
  const event = {
    event: 'session.ended',
    cause,
    ...(by.why === undefined ? {} : { why: by.why }),
    signIn: id,
    connector: subject.connector,
    ...(by.client === undefined ? {} : { client: by.client }),
    clients,
    personal: personalOf(accountId(subject), ending, subject.id),
  } as const
  return { id: `sign-in ${id}`, reference: by.reference, event, at }
}

function personalOf(sub: string, { by }: Ending, upstreamId?: string): AuditEvent['personal' & keyof AuditEvent] {
  return {
    sub,
    ...(upstreamId === undefined ? {} : { upstreamId }),
    ...(by.address === undefined ? {} : { address: by.address }),
  } as never
}
