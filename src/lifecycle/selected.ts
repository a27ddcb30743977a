import { kinds } from '../store/kinds.ts'
import type { Store } from '../store/store.ts'
import type { EndsPorts, Family, Found, Selector, SignIn } from './end.ts'
import { groupOf, type ProofShelf } from './proofs.ts'

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

/** What rests on a sign-in, or on a client. */
export interface Resting {
  readonly sessions: readonly SessionPayload[]
  readonly grants: readonly (GrantPayload & { readonly id: string })[]
}

type Where = Pick<EndsPorts, 'store' | 'proofs'>

/** All that a selector names at this moment. */
export async function find(ports: Where & Pick<EndsPorts, 'now'>, selector: Selector): Promise<Found> {
  const ids = await signInsOf(ports, selector)
  const signIns = await Promise.all(ids.map((id) => signInOf(ports, id)))
  const families = await familiesOf(ports.store, selector, ports.now())
  return { signIns: signIns.flat(), families: families.map(familyOf) }
}

async function signInOf({ store, proofs }: Where, id: string): Promise<readonly SignIn[]> {
  const proof = await proofs.get(id)
  if (!proof) return []
  const { sessions, grants } = await restingIn(store, groupOf.proof(id))
  return [{ id, proof, sessions: sessions.flatMap(({ uid }) => uid ?? []), families: grants.map(familyOf) }]
}

const familyOf = ({ clientId: client, accountId: sub, iat: since = 0, proof }: GrantPayload): Family => ({
  client,
  sub,
  since,
  ...(proof !== undefined && { proof }),
})

/** The sessions and grants of a group. */
export async function restingIn(store: Store, group: string): Promise<Resting> {
  const sessions: SessionPayload[] = []
  const grants: (GrantPayload & { readonly id: string })[] = []
  for (const { kind, id } of await store.members(group)) {
    const session = kind === 'Session' ? await read<SessionPayload>(store, 'Session', id) : undefined
    const grant = kind === 'Grant' ? await read<GrantPayload>(store, 'Grant', id) : undefined
    if (session) sessions.push(session)
    if (grant) grants.push({ ...grant, id })
  }
  return { sessions, grants }
}

async function read<T>(store: Store, kind: keyof typeof kinds, id: string): Promise<T | undefined> {
  const entry = await store.get(kinds[kind], id)
  return entry && (JSON.parse(entry.value) as T)
}

/** The clients whose tokens a selector names. */
export function clientsOf(selector: Selector): readonly string[] {
  if (selector.kind === 'client') return [selector.id]
  return selector.kind === 'key' ? selector.clients : []
}

/** What the clients that a selector names hold. @param before Unix seconds: nothing that began later */
export async function familiesOf(store: Store, selector: Selector, before: number): Promise<Resting['grants']> {
  const found = await Promise.all(clientsOf(selector).map((client) => restingIn(store, groupOf.client(client))))
  return found.flatMap(({ grants }) => grants).filter(({ iat = 0 }) => iat <= before)
}

/** The sign-ins that a selector names, by the ids of their proofs. */
export async function signInsOf({ store, proofs }: Where, selector: Selector): Promise<readonly string[]> {
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
      const { sessions, grants } = await restingIn(store, groupOf.session(selector.uid))
      return [...new Set([...sessions, ...grants].flatMap(({ proof }) => proof ?? []))]
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

/** The proofs that ended by a minute of Unix time. */
export async function ranOut({ proofs, now }: Pick<EndsPorts, 'proofs' | 'now'>, minute: number) {
  const over: string[] = []
  for (const id of await proofs.ids(groupOf.ends(minute))) {
    const proof = await proofs.get(id)
    if (proof && proof.goodUntil <= now()) over.push(id)
  }
  return over
}

/** The people of whom sign-ins on the way must not be kept either. */
export function peopleOf(selector: Selector): string | undefined {
  if (selector.kind === 'name') return groupOf.name(selector.connector, selector.name)
  if (selector.kind === 'connector') return groupOf.connector(selector.id)
  const sub = selector.kind === 'subject' || selector.kind === 'upstream' ? selector.sub : undefined
  return sub === undefined ? undefined : groupOf.subject(sub)
}

/** The group of which nothing that is written late may be kept either. */
export function lateGroup(selector: Selector): string | undefined {
  if (selector.kind === 'session') return groupOf.session(selector.uid)
  return selector.kind === 'upstream' ? groupOf.upstream(selector.connector, selector.session) : undefined
}
