import { createHash, timingSafeEqual } from 'node:crypto'
import { type Account, type AccountClaims, type Configuration, errors } from 'oidc-provider'
import type { ClientConfig } from '../config/clients.ts'
import type { Decision } from '../core/decision.ts'
import { LoginError } from '../core/errors.ts'
import { accountId, type Subject } from '../core/subject.ts'
import type { Target, TokenForm } from '../targets/target.ts'
import type { Parts } from './parts.ts'
import { type Bound, type Context, type Proofs, proofIdOf, reaches, reachesAny, signedInOf } from './proofs.ts'
import { errorIdOf } from './render.ts'
import { idTokenTarget, mayAskFor, oneResource, targetByResource, wantedTargets } from './resources.ts'

interface Source {
  readonly kind: string
  readonly grantId?: string
  readonly resource?: string | readonly string[]
  readonly deviceInfo?: { readonly challenge?: string }
}

/** The target that a client speaks for. */
export function targetOf(parts: Pick<Parts, 'targets'>, client: ClientConfig | undefined): Target | undefined {
  return client?.target === undefined ? undefined : parts.targets.get(client.target)
}

/** PKCE in the device flow: the library drops the challenge, so it was kept with the device code (RFC 7636, section 4.6). */
function checkDeviceVerifier(ctx: Context, source: Source): void {
  const challenge = source.deviceInfo?.challenge
  if (challenge === undefined) return
  const verifier = ctx.oidc.body?.['code_verifier']
  const made = createHash('sha256')
    .update(typeof verifier === 'string' ? verifier : '')
    .digest()
  const wanted = Buffer.from(challenge, 'base64url')
  if (wanted.length !== made.length || !timingSafeEqual(wanted, made)) {
    throw new errors.InvalidGrant('PKCE verification failed')
  }
}

/** Which proof stands behind a request: that of the grant at the token endpoint, that of the session (or of a login just done) before. */
async function proofIdFor(ctx: Context, source: Source | undefined): Promise<string | undefined> {
  if (source?.grantId === undefined) return proofIdOf(ctx.oidc.result) ?? proofIdOf(ctx.oidc.session)
  return proofIdOf(ctx.oidc.entities.Grant ?? (await ctx.oidc.provider.Grant.find(source.grantId)))
}

/** What was said of a decision, which is made anew for each request: looked at before a token is consumed, and put into it after. In no WeakMap, as in `proofs.ts`. */
const SAID = Symbol('said')
interface Spoken {
  [SAID]?: Map<string, Readonly<Record<string, unknown>>>
}

/** The target's words for a decision; a decision that does not fit into a token refuses it, in words that may be told. */
function said(target: Target, decision: Decision, form: TokenForm): Readonly<Record<string, unknown>> {
  const spoken = decision as Decision & Spoken
  spoken[SAID] ??= new Map()
  const before = spoken[SAID]
  const key = `${form} ${target.id}`
  try {
    const words = before.get(key) ?? target.claims(decision, form)
    before.set(key, words)
    return words
  } catch (cause) {
    if (!(cause instanceof LoginError)) throw cause
    throw Object.assign(new errors.AccessDenied(`the decision cannot be said to ${target.label} (${cause.code})`), {
      cause,
    })
  }
}

function claimsOf(parts: Parts, proofs: Proofs, ctx: Context, bound: Bound) {
  return (use: string): AccountClaims => {
    const own = targetOf(parts, parts.clients.get(ctx.oidc.client?.clientId ?? ''))
    const target = (use === 'id_token' ? idTokenTarget(parts.targets)(ctx) : undefined) ?? own
    const decision = (proofs.seen(ctx) ?? bound).decision
    const { username, email, emailVerified, name } = decision.identity
    return {
      sub: accountId(bound.proof.subject),
      preferred_username: username,
      ...(email === undefined ? {} : { email, email_verified: emailVerified ?? false }),
      ...(name === undefined ? {} : { name }),
      ...(target && said(target, decision, use === 'userinfo' ? 'userinfo' : 'id_token')),
      ...(use === 'id_token' ? { jti: parts.random() } : {}),
    }
  }
}

/** Nothing is consumed and nobody is refused for good: the client may try again (law 4). */
const comeBack = (words: string, cause?: unknown): Error =>
  Object.assign(new errors.TemporarilyUnavailable(words), { cause, status: 503, statusCode: 503 })

function upstreamIsDown(error: unknown): never {
  if (!(error instanceof LoginError) || error.status !== 503) throw error
  throw comeBack('the upstream cannot be asked whether this sign-in still holds', error)
}

/**
 * The rules allow nothing any more: what the person still holds ends here, so that a rule that comes back revives nothing. A connector
 * that is not there (its tenant's file is broken) is no rule: who came by it waits until it is back.
 */
async function endByRule(parts: Parts, ctx: Context, { id, proof }: Bound): Promise<void> {
  if (!parts.connectors.has(proof.subject.connector)) return
  const client = ctx.oidc.client?.clientId
  const by = { reference: errorIdOf(ctx), address: ctx.ip, ...(client === undefined ? {} : { client }) }
  await parts.ends.end({ kind: 'proof', id }, 'rule', by)
}

/** What to do about a refusal stands in it, since a command line has no page. */
function nothingHere({ wantsAcr }: Decision): string {
  const words = 'the rules give this person nothing at the target of this client'
  return wantsAcr === undefined ? words : `${words}; sign in again with acr ${wantsAcr} or higher`
}

/** The library tells every `invalid_grant` in the same words. */
const saying = (error: errors.InvalidGrant, decision: Decision) =>
  Object.assign(error, { error_description: nothingHere(decision) })

/**
 * The resource of the token to come, as the library will choose it; what is not granted is refused before anything is consumed.
 * @throws {errors.InvalidTarget}
 */
function resourceToCome(parts: Parts, ctx: Context, client: ClientConfig, source: Source): string | undefined {
  const named = [(ctx.oidc.params?.['resource'] as string | readonly string[] | undefined) ?? []].flat()
  const granted = [source.resource ?? []].flat()
  const oneOf = named.length > 0 ? named : granted
  const resource = oneResource(parts, client, { oneOf, scope: ctx.oidc.params?.['scope'] })
  if (resource === undefined) return undefined
  const target = typeof resource === 'string' ? targetByResource(parts.targets)(resource) : undefined
  if (typeof resource === 'string' && granted.includes(resource) && target && mayAskFor(client, target.id))
    return resource
  throw new errors.InvalidTarget('name one resource, which was granted')
}

/**
 * Refuses before anything is consumed: a refresh token that went for a refusal would come again, and count as stolen. The target
 * of the token to come has to be reached, and what is said to it has to fit.
 * @throws {errors.AccessDenied}
 * @throws {errors.InvalidTarget}
 */
function mustReach(parts: Parts, ctx: Context, source: Source, decision: Decision): void {
  const client = parts.clients.get(ctx.oidc.client?.clientId ?? '')
  if (!client) return
  const resource = resourceToCome(parts, ctx, client, source)
  const targets = wantedTargets(parts, client.id, resource === undefined ? [] : [resource])
  if (!reachesAny(decision, targets)) throw new errors.AccessDenied(nothingHere(decision))
  const own = targetOf(parts, client)
  if (own) said(own, decision, 'id_token')
  const target = targetByResource(parts.targets)(resource)
  if (target) said(target, decision, 'access_token')
}

/** A lifetime of an entry is a second at least, and each use renews it: what is over after all is said here. */
function isOver(parts: Parts, ctx: Context, source: Source | undefined, { proof }: Bound): boolean {
  const age = parts.now() - proof.signedInAt
  if (source?.kind === 'RefreshToken') {
    const client = parts.clients.get(ctx.oidc.client?.clientId ?? '')
    return age >= (client?.refreshLifetime ?? parts.lifetimes.refresh)
  }
  const { sessionMax = parts.lifetimes.sessionMax } = parts.connectors.get(proof.subject.connector) ?? {}
  return source === undefined && age >= sessionMax
}

/**
 * The person behind a session or a grant, decided anew by the rules of this moment. Undefined where no fresh proof stands behind
 * it, which the library answers with `login_required` or `invalid_grant`.
 */
export function findAccount(parts: Parts, proofs: Proofs): NonNullable<Configuration['findAccount']> {
  return async (anyCtx, sub, token) => {
    const ctx = anyCtx as Context
    const source = token as unknown as Source | undefined
    if (source?.kind === 'DeviceCode') checkDeviceVerifier(ctx, source)
    // Codes were given a moment ago, access tokens are short: what goes on for long is what has to be asked about again.
    const how = source === undefined || source.kind === 'RefreshToken' ? 'fresh' : 'stored'
    const bound = await proofs.of(ctx, await proofIdFor(ctx, source), how).catch(upstreamIsDown)
    // The session goes on as nobody's: with the proof that ended it could not be stored any more.
    if (!bound && !source && ctx.oidc.session) Object.assign(ctx.oidc.session, { proof: undefined })
    if (!bound || accountId(bound.proof.subject) !== sub) return undefined
    if (isOver(parts, ctx, source, bound)) return undefined
    if (source && !bound.decision.allowed) {
      if (source.kind === 'RefreshToken') await endByRule(parts, ctx, bound)
      if (ctx.oidc.route === 'token') throw saying(new errors.InvalidGrant('the rules allow nothing'), bound.decision)
      return undefined
    }
    if (source) mustReach(parts, ctx, source, bound.decision)
    return { accountId: sub, claims: claimsOf(parts, proofs, ctx, bound) } satisfies Account
  }
}

/** The subject that a client's own credentials stand for. */
export function serviceSubject(client: ClientConfig, now: number): Subject | undefined {
  const account = client.serviceAccount
  return account && { connector: account.connector, id: account.id, claims: account.claims, records: {}, authTime: now }
}

/**
 * What an access token says beside the protocol's own claims: the decision in the words of exactly one target.
 * @throws {errors.AccessDenied} where the decision gives nothing there
 */
export function tokenClaims(parts: Parts, proofs: Proofs): NonNullable<Configuration['extraTokenClaims']> {
  const targetFor = targetByResource(parts.targets)
  return async (anyCtx, token) => {
    const ctx = anyCtx as unknown as Context
    const identifier = (token as unknown as { resourceServer?: { identifier(): string } }).resourceServer?.identifier()
    const target = targetFor(identifier)
    if (!target) return undefined
    const client = parts.clients.get(token.clientId ?? '')
    if (token.kind === 'ClientCredentials') {
      const subject = client && serviceSubject(client, parts.now())
      const decision = subject && parts.decide(subject, parts.now())
      if (!decision || !reaches(decision, target.id))
        throw new errors.AccessDenied('the rules give this client nothing here')
      // The target's configuration lets nobody go on without it.
      if ((await parts.leases.served(accountId(subject), target.id, errorIdOf(ctx))) === 'refused')
        throw comeBack(`${target.label} does not answer; try again in a moment`)
      return { ...said(target, decision, 'access_token'), sub: accountId(subject) }
    }
    const bound = proofs.seen(ctx)
    if (!bound) throw new errors.AccessDenied('no proof stands behind this person')
    if (!reaches(bound.decision, target.id)) throw new errors.AccessDenied(nothingHere(bound.decision))
    return { ...said(target, bound.decision, 'access_token'), azp: token.clientId }
  }
}

/** Lifetimes in seconds: nothing outlives the proof or the decision behind it, and nothing is without end. */
export function lifetimes(parts: Parts, proofs: Proofs): NonNullable<Configuration['ttl']> {
  const targetFor = targetByResource(parts.targets)
  const idTarget = idTokenTarget(parts.targets)
  const left = (ctx: object | undefined, wish: number) => {
    const until = ctx ? proofs.seen(ctx)?.until : undefined
    return Math.max(1, Math.min(wish, (until ?? Number.POSITIVE_INFINITY) - parts.now()))
  }
  const since = (ctx: object | undefined) => (ctx && proofs.seen(ctx)?.proof.signedInAt) ?? parts.now()
  const clientOf = (id: string | undefined) => parts.clients.get(id ?? '')
  const targetTtl = (token: unknown, clientId: string | undefined) => {
    const identifier = (token as { resourceServer?: { identifier(): string } }).resourceServer?.identifier()
    return (targetFor(identifier) ?? targetOf(parts, clientOf(clientId)))?.ttl ?? 600
  }
  return {
    AccessToken: (ctx, token, client) => left(ctx, targetTtl(token, client?.clientId)),
    ClientCredentials: (_ctx, token, client) => {
      const config = clientOf(client?.clientId)
      const subject = config && serviceSubject(config, parts.now())
      const until = subject ? parts.decide(subject, parts.now()).until : Number.POSITIVE_INFINITY
      return Math.max(1, Math.min(targetTtl(token, client?.clientId), Math.floor(until) - parts.now()))
    },
    IdToken: (ctx, token, client) => left(ctx, idTarget(ctx as Context)?.ttl ?? targetTtl(token, client?.clientId)),
    RefreshToken: (ctx, _token, client) => {
      const { refreshLifetime = parts.lifetimes.refresh, refreshIdle = refreshLifetime } =
        clientOf(client?.clientId) ?? {}
      return left(ctx, Math.min(refreshIdle, since(ctx) + refreshLifetime - parts.now()))
    },
    // No token: what rests on it asks for the proof at each use, and a recheck may make that last longer.
    Grant: (_ctx, grant) => {
      const { refreshLifetime = parts.lifetimes.refresh } = clientOf((grant as { clientId?: string }).clientId) ?? {}
      return Math.max(refreshLifetime, parts.lifetimes.sessionMax)
    },
    // By what the session itself carries: not every request that prolongs it looks at the proof.
    Session: (ctx, session) => {
      const { at = parts.now(), connector = '' } = signedInOf(session) ?? {}
      const { sessionIdle = parts.lifetimes.sessionIdle, sessionMax = parts.lifetimes.sessionMax } =
        parts.connectors.get(connector) ?? {}
      return left(ctx, Math.min(sessionIdle, at + sessionMax - parts.now()))
    },
    AuthorizationCode: 60,
    DeviceCode: 600,
    Interaction: 600,
    PushedAuthorizationRequest: 60,
  }
}
