import { hash } from 'node:crypto'
import type { Context as KoaContext } from 'koa'
import type Provider from 'oidc-provider'
import type { Personal } from '../audit.ts'
import type { Proved } from '../connectors/connector.ts'
import type { Decision } from '../core/decision.ts'
import { LoginError } from '../core/errors.ts'
import { accountId, type Proof } from '../core/subject.ts'
import { groupOf, REFUSED } from '../lifecycle/proofs.ts'
import { collection, kinds } from '../store/collection.ts'
import type { Details } from './choose.ts'
import { endForOther } from './logout.ts'
import type { Parts } from './parts.ts'
import { type Proofs, reachesAny } from './proofs.ts'
import { errorIdOf } from './render.ts'
import { wantedTargets } from './resources.ts'
import type { Result } from './resume.ts'

/** What it takes to let somebody in, or to turn her away. */
export interface Desk {
  readonly parts: Parts
  readonly proofs: Proofs
  readonly provider: Provider
}

/** Somebody whom an upstream proved. */
export interface Came {
  readonly proof: Proof
  /** Unix seconds. */
  readonly begunAt: number
  /** The rules wanted this stronger sign-in. */
  readonly stepUp?: true
  /** The identity provider of a federation that she came from. */
  readonly idp?: string
}

/** What the rules say of her at the client that she comes from. */
export interface Judged {
  readonly decision: Decision
  readonly client: string
  readonly targets: readonly string[]
  readonly welcome: boolean
}

export interface Entry {
  readonly at: Details
  readonly came: Came
  readonly judged: Judged
}

export function judge(parts: Parts, at: Details, proof: Proof): Judged {
  const decision = parts.decide(proof.subject, parts.now())
  const client = String(at.params['client_id'])
  const targets = wantedTargets(parts, client, [at.params['resource'] ?? []].flat() as string[])
  return { decision, client, targets, welcome: reachesAny(decision, targets) }
}

/**
 * An answer that may come once is its who is first to say so, in whatever process.
 * @throws {LoginError} `upstream_rejected` for everybody else, and where what it rests on is over by our clock, whatever skew its times were given
 */
export async function claim(parts: Parts, connector: string, { once, ...proof }: Proved): Promise<Proof> {
  // Else she would be in and out at once, and sent to her upstream again, without end.
  if (proof.goodUntil <= parts.now()) throw new LoginError('upstream_rejected', 'what this answer rests on is over')
  if (once === undefined) return proof
  const key = hash('sha256', `answer\n${connector}\n${once.id}`, 'base64url')
  const ttl = Math.max(60, once.until - parts.now())
  if (!(await collection<true>(parts.store, kinds.ReplayDetection).add(key, true, ttl)))
    throw new LoginError('upstream_rejected', 'this answer came before')
  return proof
}

/** What the audit log is to have of the person. */
export function personalOf(ctx: KoaContext, { subject }: Proof, { identity }: Decision): Personal & { sub: string } {
  return {
    sub: accountId(subject),
    upstreamId: subject.id,
    username: identity.username,
    address: ctx.ip,
    userAgent: ctx.get('user-agent').slice(0, 200),
  }
}

/**
 * Lets somebody in who is welcome.
 * @param handOver gets what the Provider is to know of the sign-in
 * @throws {LoginError} `login_expired` where the sign-in is over, by another answer or by an end since it began
 */
export async function admit(
  desk: Desk,
  ctx: KoaContext,
  { at, came: { proof, begunAt }, judged }: Entry,
  handOver: (result: Result) => Promise<void>,
): Promise<void> {
  const { parts, proofs } = desk
  const { decision, client, targets } = judged
  // One authorization gives one code, however many answers come for it: a browser may have begun it in two tabs.
  if ((await parts.store.consume(kinds.Interaction, at.uid)) !== 'first')
    throw new LoginError('login_expired', 'another answer ended this sign-in')
  const { connector, authTime: ts, acr, amr } = proof.subject
  const personal = personalOf(ctx, proof, decision)
  const { sub } = personal
  const id = parts.random()
  // Ended while the person was on the way here: her session at the upstream, she herself, or all of her connector.
  if (!(await proofs.keep(ctx, id, proof, { client, address: ctx.ip, begunAt })))
    throw new LoginError('login_expired', 'it was ended since it began')
  await undoneUnless(parts, { id, sub }, async () => {
    await settled(parts, ctx, { client, connector, personal, targets })
    const broke = decision.because.some((o) => o.effect === 'broke-glass')
    const event = broke ? 'break-glass' : 'login.success'
    await parts.audit(errorIdOf(ctx), { event, client, connector, because: decision.because, personal })
    await keepToLimit(parts, ctx, { id, sub })
    await leaveOther(desk, ctx, at, sub)
    const optional = { ...(acr === undefined ? {} : { acr }), ...(amr ? { amr: [...amr] } : {}) }
    await handOver({ login: { accountId: sub, ts, remember: true, ...optional }, consent: {}, proof: id })
    parts.meter.login(connector, 'success')
  })
}

/** A sign-in that comes to nothing leaves no proof behind, on which grants at targets would rest for hours. */
async function undoneUnless(
  parts: Parts,
  made: { readonly id: string; readonly sub: string },
  work: () => Promise<void>,
) {
  try {
    await work()
  } catch (error) {
    await parts.leases.mark(made.sub, 2) // before, so that a crash forgets nobody
    await parts.store.revoke(groupOf.proof(made.id), REFUSED)
    throw error
  }
}

interface Arriving {
  readonly client: string
  readonly connector: string
  readonly personal: Personal & { readonly sub: string }
  readonly targets: readonly string[]
}

/**
 * What the rules give is there before the person is, or follows where the target's configuration lets her go on.
 * @throws {LoginError} `unavailable` where it does not
 */
async function settled(
  parts: Parts,
  ctx: KoaContext,
  { client, connector, personal, targets }: Arriving,
): Promise<void> {
  if ((await parts.leases.arrived(personal.sub, targets, errorIdOf(ctx))) !== 'refused') return
  const code = 'unavailable'
  await parts.audit(errorIdOf(ctx), { event: 'login.refused', client, connector, code, personal })
  parts.meter.login(connector, code)
  throw new LoginError(code, 'a target cannot be written into, and its configuration says ifUnreachable: refuse')
}

/** A further sign-in is welcome, the person's oldest goes for it (`sessions.perPerson`). */
async function keepToLimit(
  parts: Parts,
  ctx: KoaContext,
  made: { readonly id: string; readonly sub: string },
): Promise<void> {
  const { perPerson } = parts.lifetimes
  if (perPerson === undefined) return
  const others = (await parts.proofs.ids(groupOf.subject(made.sub))).filter((id) => id !== made.id)
  if (others.length < perPerson) return
  const held = await Promise.all(
    others.map(async (id) => ({ id, since: (await parts.proofs.get(id))?.signedInAt ?? 0 })),
  )
  const surplus = held.sort((one, other) => one.since - other.since).slice(0, held.length - perPerson + 1)
  for (const { id } of surplus)
    await parts.ends.end({ kind: 'proof', id }, 'limit', { reference: errorIdOf(ctx), address: ctx.ip })
}

/**
 * Another person signs in in this browser: her session takes the place of the earlier one, without a page in between. A sign-in that
 * was begun in a session that is over, as one that made room for this very sign-in, gets a new one.
 */
async function leaveOther({ parts, provider }: Desk, ctx: KoaContext, at: Details, sub: string): Promise<void> {
  // The session that the browser has now: another tab may have begun one since this sign-in was.
  const { accountId: other, uid } = await provider.Session.get(ctx as never)
  if (other === sub) return
  if (other !== undefined) await endForOther(provider, parts, { ctx, uid })
  else if (at.session === undefined) return
  Object.assign(at, { session: undefined })
  await at.persist()
}
