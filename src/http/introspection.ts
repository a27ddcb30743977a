import type { Decision } from '../core/decision.ts'
import { LoginError } from '../core/errors.ts'
import { accountId } from '../core/subject.ts'
import type { Target } from '../targets/target.ts'
import { serviceSubject, targetOf } from './account.ts'
import { type AccessJwt, isRevoked, protocolClaims, readAccessJwt } from './jwt-tokens.ts'
import { jwtAskedFor } from './overrides.ts'
import type { Parts } from './parts.ts'
import { type Context, type Proofs, proofIdOf, reachesAny } from './proofs.ts'
import { mayAskFor, wantedTargets } from './resources.ts'

/*
 * Introspection (RFC 7662). Active is what would be issued again at this moment: a signature and a time that hold are not enough.
 * The client is authenticated by the library, also where the token is a JWT, which the library itself knows nothing of.
 */

/** Whose token it is, and for which target; a refresh token is for none. */
interface Held {
  readonly holder: string | undefined
  readonly target: string | undefined
}

/** A client asks about its own tokens; a consumer that is configured so, about access tokens for its target, whoever holds them. */
export function mayIntrospect(parts: Pick<Parts, 'clients'>, asking: string, { holder, target }: Held): boolean {
  if (asking === holder) return true
  const consumer = parts.clients.get(asking)
  return consumer?.introspect === true && consumer.auth !== 'none' && target !== undefined && consumer.target === target
}

/** An opaque token of the library, as much of it as is asked for here. */
interface Opaque {
  readonly kind: string
  readonly clientId?: string | undefined
  readonly accountId?: string | undefined
  readonly grantId?: string | undefined
  readonly iat?: number | undefined
  readonly resource?: string | readonly string[] | undefined
}

/** An opaque access token has no audience: it is for the target that its client speaks for. */
export function heldOf(parts: Pick<Parts, 'clients'>, { kind, clientId }: Opaque): Held {
  return { holder: clientId, target: kind === 'RefreshToken' ? undefined : parts.clients.get(clientId ?? '')?.target }
}

/** What a token says that it rests on. */
interface Basis {
  readonly client: string
  readonly sub: string | undefined
  /** Absent for client_credentials. */
  readonly grant: string | undefined
  /** Unix seconds. */
  readonly issuedAt: unknown
  /** It must reach one of them; none: be allowed at all. */
  readonly targets: readonly string[]
}

/** What stands behind a token at this moment. */
interface Standing {
  readonly sub: string
  readonly decision: Decision
  /** Unix seconds. */
  readonly until: number
}

/** The person's proof by way of her grant: revoked, signed out or run out, nothing of it is there any more. */
async function personBehind(proofs: Proofs, ctx: Context, basis: Basis): Promise<Standing | undefined> {
  const grant = ctx.oidc.entities.Grant ?? (await ctx.oidc.provider.Grant.find(basis.grant ?? ''))
  if (!grant || grant.clientId !== basis.client || grant.accountId !== basis.sub) return undefined
  const bound = await proofs.of(ctx, proofIdOf(grant), 'stored')
  if (!bound || accountId(bound.proof.subject) !== basis.sub) return undefined
  return { sub: basis.sub, decision: bound.decision, until: bound.until }
}

/** The account that a client's own credentials stand for; it has no proof that could end. */
async function serviceBehind(parts: Parts, { client, sub, issuedAt }: Basis): Promise<Standing | undefined> {
  const config = parts.clients.get(client)
  const subject = config && serviceSubject(config, parts.now())
  if (!subject || (sub !== undefined && sub !== accountId(subject))) return undefined
  // No grant stands behind it that could go: an operator who ended the client's tokens meant those that there were.
  if (!(Number(issuedAt) > (await parts.proofs.clientEndedAt(client)))) return undefined
  const decision = parts.decide(subject, parts.now())
  return { sub: accountId(subject), decision, until: Math.floor(decision.until) }
}

/** Undefined where the client, the grant or the proof is gone, or the rules of this moment give nothing at these targets any more. */
async function standing(parts: Parts, proofs: Proofs, ctx: Context, basis: Basis): Promise<Standing | undefined> {
  if (!parts.clients.has(basis.client)) return undefined
  const behind = basis.grant === undefined ? await serviceBehind(parts, basis) : await personBehind(proofs, ctx, basis)
  if (!behind || behind.until <= parts.now() || !reachesAny(behind.decision, basis.targets)) return undefined
  return behind
}

/** The target's words; undefined where it has none for this decision, so that no token would be issued either. */
function words(target: Target, decision: Decision): Record<string, unknown> | undefined {
  try {
    return target.claims(decision, 'introspection')
  } catch (cause) {
    if (cause instanceof LoginError) return undefined
    throw cause
  }
}

type Answer = Readonly<Record<string, unknown>> & { readonly active: boolean }

/** The one answer for what has ended, what nobody knows and what is another's (RFC 7662, section 2.2). */
const inactive: Answer = { active: false }

async function aboutJwt(parts: Parts, proofs: Proofs, ctx: Context, token: AccessJwt): Promise<Answer> {
  const { client, sub, grant, target } = token
  const config = parts.clients.get(client)
  if (!mayIntrospect(parts, ctx.oidc.client?.clientId ?? '', { holder: client, target: target.id })) return inactive
  if (!config || !mayAskFor(config, target.id) || (await isRevoked(parts, token))) return inactive
  const behind = await standing(parts, proofs, ctx, {
    client,
    sub,
    grant,
    issuedAt: token.claims['iat'],
    targets: [target.id],
  })
  const said = behind && words(target, behind.decision)
  if (!said) return inactive
  const token_type = token.claims['cnf'] === undefined ? 'Bearer' : 'DPoP'
  return { ...said, ...protocolClaims(token), exp: Math.min(token.exp, behind.until), token_type, active: true }
}

/** The library found an opaque token that has not ended, with its grant, and the client may ask: what is left are proof and rules. */
async function aboutOpaque(parts: Parts, proofs: Proofs, ctx: Context): Promise<Answer> {
  const { AccessToken, ClientCredentials, RefreshToken } = ctx.oidc.entities
  const token = (AccessToken ?? ClientCredentials ?? RefreshToken) as Opaque | undefined
  if (!token) return inactive
  const client = token.clientId ?? ''
  const targets = wantedTargets(parts, client, [token.resource ?? []].flat())
  const basis = { client, sub: token.accountId, grant: token.grantId, issuedAt: token.iat, targets }
  const behind = await standing(parts, proofs, ctx, basis)
  if (!behind) return inactive
  const target = token === RefreshToken ? undefined : targetOf(parts, parts.clients.get(client))
  const said = target ? words(target, behind.decision) : {}
  if (!said) return inactive
  const answer = ctx.body as Answer & { readonly exp: number }
  return { ...said, ...answer, sub: behind.sub, exp: Math.min(answer.exp, behind.until) }
}

/** Answers that are remembered at most. */
const REMEMBERED = 4096
/** No token of ours is longer: claims have 4 KB. */
const LONGEST = 16_384

/**
 * What was answered about a JWT in this second, as long as this process took nothing back: an API that asks at each of its requests
 * asks the same many times a second, and what another process took back is inactive within a second all the same.
 */
function memory(parts: Parts): (key: string, make: () => Promise<Answer>) => Promise<Answer> {
  let of = ''
  const answers = new Map<string, Answer>()
  return async (key, make) => {
    const moment = `${parts.now()} ${parts.withdrawn()}`
    if (of !== moment) answers.clear()
    of = moment
    const known = answers.get(key)
    if (known) return known
    const made = await make()
    // What was taken back meanwhile makes this an answer of the past.
    if (of === moment && `${parts.now()} ${parts.withdrawn()}` === moment && answers.size < REMEMBERED) {
      answers.set(key, made)
    }
    return made
  }
}

/** Completes what the library answered at the introspection endpoint. It throws StoreUnavailable, and never says "inactive" for it (law 4). */
export function openIntrospection(parts: Parts, proofs: Proofs): (ctx: Context) => Promise<void> {
  const remembered = memory(parts)
  const jwt = async (ctx: Context, jws: string): Promise<Answer> => {
    const token = readAccessJwt(parts, jws)
    return token ? aboutJwt(parts, proofs, ctx, token) : inactive
  }
  return async (ctx) => {
    if (ctx.status !== 200 || !ctx.oidc.client) return // not authenticated, or no such request
    const jws = jwtAskedFor(ctx)
    if (jws !== undefined && jws.length > LONGEST) ctx.body = inactive
    else if (jws !== undefined) ctx.body = await remembered(`${ctx.oidc.client.clientId} ${jws}`, () => jwt(ctx, jws))
    else if ((ctx.body as Answer).active) ctx.body = await aboutOpaque(parts, proofs, ctx)
  }
}
