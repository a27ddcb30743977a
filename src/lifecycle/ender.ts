import type { AuditEvent } from '../audit.ts'
import { accountId } from '../core/subject.ts'
import { kinds } from '../store/kinds.ts'
import type { Ended, Ending, EndsPorts, Family, Found, Selector, SignIn } from './end.ts'
import { type Line, openLines } from './lines.ts'
import { addNotice } from './notices.ts'
import { groupOf, type ProofShelf, type StoredProof } from './proofs.ts'

/*
 * What of a session and a grant of oidc-provider is read here, as they are stored; test/http/overrides.test.ts fails where a new
 * version of the library keeps them otherwise.
 */
interface SessionPayload {
  readonly uid?: string
  readonly accountId?: string
  readonly proof?: string
  readonly authorizations?: Readonly<Record<string, { readonly sid?: string }>>
}
interface GrantPayload {
  readonly clientId: string
  readonly accountId: string
  readonly iat?: number
  readonly proof?: string
  readonly sid?: string
}

/** Seconds after which a sign-in that is about to end has ended, or waits for `resume`. */
const AFTERWARDS = 2

/** One go at an ending. */
interface Run {
  readonly ending: Ending
  readonly how: 'first' | 'again'
  /** Its lines, each from before the end that it tells of. */
  readonly kept: Line[]
}

/** Sign-ins that end in one turn of the event loop: they share a commit, and requests come in between. */
const AT_ONCE = 25

/** Carries one ending out: idempotent, so that it may be repeated after a crash at any point. */
export function openEnder(ports: EndsPorts) {
  const { store, proofs, hears = () => true } = ports
  const { lines = openLines(store, ports.audit), touched = async () => {} } = ports

  const read = async <T>(kind: keyof typeof kinds, id: string): Promise<T | undefined> => {
    const entry = await store.get(kinds[kind], id)
    return entry && (JSON.parse(entry.value) as T)
  }

  /** The sessions and grants of a group, read before they go. */
  const partsOf = async (group: string) => {
    const sessions: SessionPayload[] = []
    const grants: (GrantPayload & { readonly id: string })[] = []
    for (const { kind, id } of await store.members(group)) {
      const session = kind === 'Session' ? await read<SessionPayload>('Session', id) : undefined
      const grant = kind === 'Grant' ? await read<GrantPayload>('Grant', id) : undefined
      if (session) sessions.push(session)
      if (grant) grants.push({ ...grant, id })
    }
    return { sessions, grants }
  }

  const tellClients = async ({ sessions, grants }: Awaited<ReturnType<typeof partsOf>>): Promise<void> => {
    for (const { accountId: sub, authorizations = {} } of sessions) {
      for (const [client, { sid }] of Object.entries(authorizations)) {
        if (sub !== undefined && sid !== undefined && hears(client)) await addNotice(store, { client, sub, sid })
      }
    }
    for (const { clientId: client, accountId: sub, sid } of grants) {
      if (sid !== undefined && hears(client)) await addNotice(store, { client, sub, sid })
    }
  }

  /** Ends one thing: its line is kept before, and written after everything has ended. */
  const endOne = async (line: Line | undefined, { kept }: Run, revoke: () => Promise<void>): Promise<void> => {
    if (line) {
      kept.push(line)
      await lines.keep(line)
    }
    await revoke()
  }

  const endSignIn = async (id: string, run: Run): Promise<void> => {
    const { ending, how } = run
    const proof = await proofs.get(id)
    if (proof && how === 'again' && isLater(proof, ending)) return
    const parts = await partsOf(groupOf.proof(id))
    await tellClients(parts)
    // Of several processes that end the same thing one writes it down; again only where that one died before it was done.
    const first = proof !== undefined && (await store.consume(kinds.Proof, id)) === 'first'
    const clients = [...new Set(parts.grants.map(({ clientId }) => clientId))].sort()
    const line =
      proof && (first || how === 'again') ? signInLine({ id, at: ports.now() }, ending, proof, clients) : undefined
    // Before, since nobody can tell whose it was once it is gone.
    if (proof) await touched(accountId(proof.subject), AFTERWARDS)
    await endOne(line, run, async () => {
      // The grants' own tokens are in their grant's group only, and all writes of one turn are one commit.
      await Promise.all(parts.grants.map((grant) => store.revoke(groupOf.grant(grant.id), ports.refuseFor)))
      await store.revoke(groupOf.proof(id), ports.refuseFor)
    })
    if (proof) await touched(accountId(proof.subject), 0)
  }

  const endFamily = async (grant: { readonly id: string } & GrantPayload, run: Run): Promise<void> => {
    const { ending, how } = run
    const first = (await store.consume(kinds.Grant, grant.id)) === 'first'
    const { clientId: client, accountId: sub } = grant
    const event = { event: 'family.revoked', cause: ending.cause, client, personal: personalOf(sub, ending) } as const
    const line = { id: `family ${grant.id}`, reference: ending.by.reference, event, at: ports.now() }
    await endOne(first || how === 'again' ? line : undefined, run, () =>
      store.revoke(groupOf.grant(grant.id), ports.refuseFor),
    )
  }

  /** Runs over all items, some at a time. @throws when nothing is under way any more */
  const each = async <T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> => {
    for (let at = 0; at < items.length; at += AT_ONCE) {
      const some = await Promise.allSettled(items.slice(at, at + AT_ONCE).map(work))
      for (const one of some) if (one.status === 'rejected') throw one.reason
    }
  }

  const familiesOf = async (clients: readonly string[], before: number) => {
    const found = await Promise.all(clients.map((client) => partsOf(groupOf.client(client))))
    return found.flatMap(({ grants }) => grants).filter(({ iat = 0 }) => iat <= before)
  }

  const signInOf = async (id: string): Promise<readonly SignIn[]> => {
    const proof = await proofs.get(id)
    if (!proof) return []
    const { sessions, grants } = await partsOf(groupOf.proof(id))
    return [{ id, proof, sessions: sessions.flatMap(({ uid }) => uid ?? []), families: grants.map(familyOf) }]
  }

  const carry = async (run: Run): Promise<Ended> => {
    const { selector, at } = run.ending
    // Before anything is looked for: who is stored after this looks at it, who was stored before is found.
    const people = peopleOf(selector)
    if (people !== undefined) await proofs.markEnded(people, at)
    for (const client of clientsOf(selector)) await proofs.markEnded(groupOf.client(client), at)
    await each(await familiesOf(clientsOf(selector), at), (grant) => endFamily(grant, run))
    const families = run.kept.length
    await each(await signInsOf(ports, selector), (id) => endSignIn(id, run))
    // A sign-in in flight that rests on what the upstream or the person just ended must not be kept afterwards.
    const late = lateGroup(selector)
    if (late !== undefined) await store.revoke(late, ports.refuseFor)
    // Also where nobody was signed in: what was written at a target may have outlived the sign-in for which it was.
    if (selector.kind === 'subject') await touched(selector.sub, 0)
    await lines.write(run.kept)
    return { signIns: run.kept.length - families, families }
  }

  return {
    async find(selector: Selector): Promise<Found> {
      const signIns = await Promise.all((await signInsOf(ports, selector)).map(signInOf))
      const families = await familiesOf(clientsOf(selector), ports.now())
      return { signIns: signIns.flat(), families: families.map(familyOf) }
    },

    async carryOut(ending: Ending, how: 'first' | 'again'): Promise<Ended> {
      const run: Run = { ending, how, kept: [] }
      try {
        return await carry(run)
      } catch (error) {
        lines.release(run.kept)
        throw error
      }
    },

    /** Writes lines of earlier ends that the audit log did not take. */
    flush: (before: number) => lines.flush(before),

    /** The proofs that ended by a minute of Unix time. */
    async ranOut(minute: number): Promise<readonly string[]> {
      const over: string[] = []
      for (const id of await proofs.ids(groupOf.ends(minute))) {
        const proof = await proofs.get(id)
        if (proof && proof.goodUntil <= ports.now()) over.push(id)
      }
      return over
    },
  }
}

/**
 * Whether somebody signed in after an end was asked for that is carried out only now. The first time all are ended that are there:
 * a clock that was set back must not keep anybody in.
 */
const isLater = ({ signedInAt }: StoredProof, { selector, at }: Ending) => selector.kind !== 'proof' && signedInAt > at

/** The clients whose tokens a selector names. */
function clientsOf(selector: Selector): readonly string[] {
  if (selector.kind === 'client') return [selector.id]
  return selector.kind === 'key' ? selector.clients : []
}

const familyOf = ({ clientId: client, accountId: sub, iat: since = 0, proof }: GrantPayload): Family => ({
  client,
  sub,
  since,
  ...(proof !== undefined && { proof }),
})

/** The sign-ins that a selector names, by the ids of their proofs. */
async function signInsOf({ store, proofs }: EndsPorts, selector: Selector): Promise<readonly string[]> {
  switch (selector.kind) {
    case 'proof':
      return [selector.id]
    case 'subject':
      return proofs.ids(groupOf.subject(selector.sub))
    case 'connector':
      return proofs.ids(groupOf.connector(selector.id))
    case 'upstream':
      return [
        ...(await proofs.ids(groupOf.upstream(selector.connector, selector.session))),
        ...(selector.sub === undefined ? [] : await unnamed(proofs, selector.sub)),
      ]
    case 'name':
      return named(proofs, selector)
    case 'session': {
      const ids = new Set<string>()
      for (const { kind, id } of await store.members(groupOf.session(selector.uid))) {
        const entry = kind === 'Session' || kind === 'Grant' ? await store.get(kinds[kind], id) : undefined
        const { proof } = entry ? (JSON.parse(entry.value) as { proof?: string }) : {}
        if (proof !== undefined) ids.add(proof)
      }
      return [...ids]
    }
    case 'client':
    case 'key':
      return []
  }
}

/** An upstream may name its sessions when it ends them and not when it begins them: then nothing tells them apart. */
async function unnamed(proofs: ProofShelf, sub: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const id of await proofs.ids(groupOf.subject(sub))) {
    const proof = await proofs.get(id)
    if (proof && proof.upstreamSession === undefined) found.push(id)
  }
  return found
}

/** Sign-ins of a name; of those only with one of these sessions, or without any. */
async function named(proofs: ProofShelf, { connector, name, sessions }: Extract<Selector, { kind: 'name' }>) {
  const found: string[] = []
  for (const id of await proofs.ids(groupOf.name(connector, name))) {
    const session = (await proofs.get(id))?.upstreamSession
    if (sessions.length === 0 || session === undefined || sessions.includes(session)) found.push(id)
  }
  return found
}

/** The people of whom sign-ins on the way must not be kept either. */
function peopleOf(selector: Selector): string | undefined {
  if (selector.kind === 'name') return groupOf.name(selector.connector, selector.name)
  if (selector.kind === 'connector') return groupOf.connector(selector.id)
  const sub = selector.kind === 'subject' || selector.kind === 'upstream' ? selector.sub : undefined
  return sub === undefined ? undefined : groupOf.subject(sub)
}

function lateGroup(selector: Selector): string | undefined {
  if (selector.kind === 'session') return groupOf.session(selector.uid)
  return selector.kind === 'upstream' ? groupOf.upstream(selector.connector, selector.session) : undefined
}

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
