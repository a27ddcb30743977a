import type { Adapter, AdapterPayload } from 'oidc-provider'
import type { Clock } from '../core/ports.ts'
import { groupOf } from '../lifecycle/proofs.ts'
import { kinds } from '../store/kinds.ts'
import type { Entry, Kind, Links, Store } from '../store/store.ts'

export interface AdapterOptions {
  readonly now: Clock
  /** Makes the error by which the library answers `invalid_grant`; it stays with the file that knows the library. */
  readonly invalidGrant: (message: string) => Error
  /** Makes the error for a client assertion or DPoP proof that was used before. @param id what the library stores its jti under */
  readonly replayed: (id: string) => Error
  /** The id of the one refresh token that may follow another: a keyed hash, so that who has one token cannot make the next. */
  readonly successor: (id: string) => string
}

/** Seconds in which parallel refreshes by one token get the same successor; used later, the token is taken for stolen. */
export const refreshWindow = 10

/** Seconds in which a used token whose successor was never written is taken again: a command line comes back minutes after a 503. */
const unanswered = 600

/**
 * Seconds in which further uses of a code are refused, and no more: a double click or a proxy's retry is still under way when the
 * first use ends, and must not cost the winner its tokens. A use after that revokes all that the code gave (RFC 6749 §4.1.2: SHOULD).
 */
export const codeWindow = 2

/**
 * Seconds for which a revoked grant refuses late tokens: longer than any request that had read the grant before. What comes
 * later reads the grant first, and finds it gone.
 */
const revokedFor = 86_400

/**
 * Seconds that some kinds are kept beyond their own end, which the library checks itself: so that a device that polls too long
 * hears `expired_token` (RFC 8628 §3.5) and not `invalid_grant`, and that a jti within the clock tolerance of its assertion is still known.
 */
const keptBeyond: Readonly<Record<string, number>> = { DeviceCode: 600, ReplayDetection: 60 }

/** Payloads of the library, and the field that our own overrides add to sessions and grants. */
type Payload = AdapterPayload & { readonly proof?: string }

/** Models whose entries die with their grant; an Interaction names a grant too, but is no token. */
const ofGrant = new Set(['AccessToken', 'AuthorizationCode', 'DeviceCode', 'RefreshToken'])

/**
 * The storage of oidc-provider on our store. The library reads, checks and then writes, and ignores what a write returns; so what
 * must happen once is decided here, and the loser is told by an error.
 *
 * - `consume` is a compare-and-set; the loser gets `invalid_grant`.
 * - A jti is stored where nothing is, or `replayed` (RFC 9449 §11.1, RFC 7523 §3).
 * - What rests on a grant or a proof that was revoked meanwhile is not stored; its request gets `invalid_grant`.
 * - A refresh token has one successor, whose id follows from its own: see `refreshTokens`.
 *
 * A StoreUnavailable passes through unchanged.
 * @returns the adapter of a model; throws for a model that has no kind, which is a feature that nobody has stored yet
 */
export function oidcAdapter(store: Store, options: AdapterOptions): (model: string) => Adapter {
  return (model) => {
    if (model === 'Client') return noClients
    const kind = (kinds as Readonly<Record<string, Kind>>)[model]
    if (!kind) throw new Error(`oidc-provider asks to store ${model}, which has no kind in store/kinds.ts`)
    const plain = plainModel(store, kind, options)
    if (model === 'RefreshToken') return { ...plain, ...refreshTokens(store, options) }
    const find = findCode(store, kind, options)
    if (model === 'AuthorizationCode') return { ...plain, find }
    if (model === 'DeviceCode') return { ...plain, find, upsert: spared(plain.upsert) }
    if (model === 'ReplayDetection') return { ...plain, ...onceOnly(store, options) }
    return plain
  }
}

function plainModel(store: Store, kind: Kind, { invalidGrant }: AdapterOptions): Adapter {
  return {
    async upsert(id, payload, expiresIn) {
      const written = await store.put(
        kind,
        id,
        JSON.stringify(payload),
        ttlOf(kind, expiresIn),
        linksOf(kind, id, payload),
      )
      if (!written) throw invalidGrant('what it rests on was revoked')
    },
    find: async (id) => payloadOf(await store.get(kind, id)),
    findByUid: async (uid) => payloadOf(await store.find(kind, uid)),
    findByUserCode: async (userCode) => payloadOf(await store.find(kind, userCode)),
    // the library found it unused a moment ago and is about to issue tokens for it (RFC 6749 §4.1.2: MUST NOT be used more than once)
    async consume(id) {
      if ((await store.consume(kind, id)) !== 'first') throw invalidGrant('it was already used')
    },
    destroy: (id) => store.delete(kind, id),
    revokeByGrantId: (grantId) => store.revoke(groupOf.grant(grantId), revokedFor),
  }
}

/**
 * Rotation in which honest clients may be parallel or lose an answer (kubectl beside Terraform), and a thief is still found out:
 * of a token used more than once within the window all users get the same successor, as nobody has shown yet that he has it. Once
 * the successor was used, or the window is over, the token is shown as used, and the library revokes the family (RFC 9700 §4.14.2).
 * Nothing is cached and nobody waits, so replicas agree, and a crash between `consume` and `upsert` is healed by a retry within minutes.
 */
function refreshTokens(store: Store, { now, invalidGrant, successor }: AdapterOptions): Partial<Adapter> {
  const kind = kinds.RefreshToken
  const inWindow = async (id: string, consumedAt: number): Promise<boolean> => {
    const next = await store.get(kind, successor(id))
    // The request that used it died, or the store failed it, before anybody got anything: whoever comes again is who came first.
    if (!next && now() - consumedAt < unanswered) return true
    return now() - consumedAt < refreshWindow && next?.consumedAt === undefined
  }
  return {
    async find(id) {
      const entry = await store.get(kind, id)
      const payload = payloadOf(entry)
      if (payload && entry?.consumedAt !== undefined && (await inWindow(id, entry.consumedAt))) delete payload.consumed
      return payload
    },
    async consume(id) {
      const outcome = await store.consume(kind, id)
      if (outcome === 'first') return
      if (outcome === undefined || !(await inWindow(id, outcome))) throw invalidGrant('it was already used')
    },
    // a late loser must not make a successor unused again, so only the first writes it
    async upsert(id, payload, expiresIn) {
      const links = linksOf(kind, id, payload)
      if (await store.add(kind, id, JSON.stringify(payload), ttlOf(kind, expiresIn), links)) return
      if (!(await store.get(kind, id))) throw invalidGrant('what it rests on was revoked')
    },
  }
}

/** Shows a code as unused for a moment: what decides is `consume`, and what the library does with a used one is to revoke. */
function findCode(store: Store, kind: Kind, { now }: AdapterOptions): Adapter['find'] {
  return async (id) => {
    const entry = await store.get(kind, id)
    const payload = payloadOf(entry)
    if (payload && entry?.consumedAt !== undefined && now() - entry.consumedAt < codeWindow) delete payload.consumed
    return payload
  }
}

/**
 * The library ends a device code with whatever failed while it was confirmed. An outage ends none: the code is as before, and may be
 * confirmed again while its command line waits.
 */
function spared(upsert: Adapter['upsert']): Adapter['upsert'] {
  return (id, payload, expiresIn) => {
    if (payload.error !== 'temporarily_unavailable') return upsert(id, payload, expiresIn)
    const { error: _error, errorDescription: _why, inFlight: _confirmed, ...before } = payload
    return upsert(id, before, expiresIn)
  }
}

/**
 * The library looks a jti up and then stores it: of two requests at once with one assertion, both would pass. Nothing is found
 * here, so that storing alone decides, and a replay hears the same whether it comes at once or later.
 */
function onceOnly(store: Store, { replayed }: AdapterOptions): Partial<Adapter> {
  const kind = kinds.ReplayDetection
  return {
    find: async () => undefined,
    async upsert(id, payload, expiresIn) {
      if (await store.add(kind, id, JSON.stringify(payload), ttlOf(kind, expiresIn))) return
      throw replayed(id)
    },
  }
}

/** Clients stand in the configuration alone. */
const noClients: Adapter = {
  upsert: () => Promise.reject(new Error('clients are configured, not stored')),
  find: async () => undefined,
  findByUid: async () => undefined,
  findByUserCode: async () => undefined,
  consume: async () => {},
  destroy: async () => {},
  revokeByGrantId: async () => {},
}

/** The keys and groups by which an entry is found and revoked. */
function linksOf(kind: Kind, id: string, payload: Payload): Links {
  const { grantId, sessionUid, proof, uid, userCode, clientId } = payload
  const groups: string[] = []
  if (proof !== undefined) groups.push(groupOf.proof(proof))
  if (kind.name === 'Session' && uid !== undefined) groups.push(groupOf.session(uid), groupOf.browser(uid))
  if (kind.name === 'Grant') groups.push(groupOf.grant(id))
  if (kind.name === 'Grant' && sessionUid !== undefined) groups.push(groupOf.session(sessionUid))
  if (kind.name === 'Grant' && clientId !== undefined) groups.push(groupOf.client(clientId))
  if (ofGrant.has(kind.name) && grantId !== undefined) groups.push(groupOf.grant(grantId))
  const alias = kind.name === 'Session' ? uid : userCode
  return alias === undefined ? { groups } : { groups, alias }
}

/** The library counts in whole seconds and may ask to keep something for none. */
function ttlOf(kind: Kind, expiresIn: number | undefined): number {
  if (expiresIn === undefined) return Number.POSITIVE_INFINITY
  return Math.max(1, expiresIn) + (keptBeyond[kind.name] ?? 0)
}

/** `consumed` is what the store knows, whatever the payload said when it was written. */
function payloadOf(entry: Entry | undefined): AdapterPayload | undefined {
  if (!entry) return undefined
  const payload = JSON.parse(entry.value) as AdapterPayload // only this adapter writes these kinds
  if (entry.consumedAt === undefined) delete payload.consumed
  else payload.consumed = entry.consumedAt
  return payload
}
