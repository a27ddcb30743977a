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
import type { Parts } from './parts.ts'
import { reachesAny } from './proofs.ts'
import { errorIdOf } from './render.ts'
import { wantedTargets } from './resources.ts'

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

/** A sign-in that comes to nothing leaves no proof behind, on which grants at targets would rest for hours. */
export async function undoneUnless(
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

export interface Arriving {
  readonly client: string
  readonly connector: string
  readonly personal: Personal & { readonly sub: string }
  readonly targets: readonly string[]
}

/**
 * What the rules give is there before the person is, or follows where the target's configuration lets her go on.
 * @throws {LoginError} `unavailable` where it does not
 */
export async function settled(
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
export async function keepToLimit(
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

/** A command line that waits for a refused person is told at once. */
export async function refuseDevice(provider: Provider, at: Details, errorDescription: string): Promise<void> {
  if (at.deviceCode === undefined) return
  const code = await provider.DeviceCode.find(at.deviceCode, { ignoreExpiration: true })
  if (!code) return
  Object.assign(code, { error: 'access_denied', errorDescription })
  await code.save()
}

/**
 * An answer that may come once is its who is first to say so, in whatever process.
 * @throws {LoginError} `upstream_rejected` for everybody else
 */
export async function claim(parts: Parts, connector: string, { once, ...proof }: Proved): Promise<Proof> {
  if (once === undefined) return proof
  const key = hash('sha256', `answer\n${connector}\n${once.id}`, 'base64url')
  const ttl = Math.max(60, once.until - parts.now())
  if (!(await collection<true>(parts.store, kinds.ReplayDetection).add(key, true, ttl)))
    throw new LoginError('upstream_rejected', 'this answer came before')
  return proof
}
