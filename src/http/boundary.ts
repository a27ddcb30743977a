import type { Middleware } from 'koa'
import type Provider from 'oidc-provider'
import type { AuditEvent } from '../audit.ts'
import { LoginError } from '../core/errors.ts'
import { readForm } from './body.ts'
import { type DeviceGuard, rememberConfirmer } from './device.ts'
import { dressFormPost } from './form-post.ts'
import { openIntrospection } from './introspection.ts'
import type { Parts } from './parts.ts'
import type { Context, Proofs } from './proofs.ts'
import { asLoginError, errorIdOf, sendError } from './render.ts'
import { targetByResource } from './resources.ts'
import { completeRevocation } from './revocation.ts'
import { leadOverUpstream } from './upstream-logout.ts'

/** Refusals at the token endpoint that say something about security; polls and typing errors are not written down. */
const telling: ReadonlySet<string> = new Set([
  'invalid_grant',
  'access_denied',
  'invalid_client',
  'invalid_dpop_proof',
  'unauthorized_client',
  'invalid_target',
])

interface TokenAnswer {
  readonly error?: string
  readonly access_token?: string
  readonly expires_in?: number
  readonly id_token?: string
  readonly refresh_token?: string
}

/** Headers of every answer; pages add their own. */
export function baseHeaders(parts: Pick<Parts, 'issuer'>): Record<string, string> {
  return {
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'X-Frame-Options': 'DENY',
    // The library's own page (form_post) adds the hash of its one script to `script-src`, should ours not take its place.
    'Content-Security-Policy':
      "default-src 'none'; script-src 'report-sample'; base-uri 'none'; frame-ancestors 'none'",
    ...(parts.issuer.protocol === 'https:' ? { 'Strict-Transport-Security': 'max-age=63072000' } : {}),
  }
}

function personOf(proofs: Proofs, ctx: Context): AuditEvent['personal' & keyof AuditEvent] {
  const bound = proofs.seen(ctx)
  const sub = ctx.oidc.account?.accountId
  return {
    ...(sub === undefined ? {} : { sub }),
    ...(bound ? { upstreamId: bound.proof.subject.id, username: bound.decision.identity.username } : {}),
    address: ctx.ip,
  } as never
}

/** The audit event of an answer of the token endpoint, if it is one to be written down. */
function tokenEvent(parts: Parts, proofs: Proofs, ctx: Context): AuditEvent | undefined {
  const answer = (ctx.body ?? {}) as TokenAnswer
  const client = ctx.oidc.client?.clientId
  const grantType = String(ctx.oidc.params?.['grant_type'] ?? '')
  const personal = personOf(proofs, ctx)
  const { AccessToken, ClientCredentials, RefreshToken } = ctx.oidc.entities
  if (answer.error !== undefined) {
    const reused = answer.error === 'invalid_grant' && (RefreshToken as { consumed?: unknown } | undefined)?.consumed
    if (reused && client) return { event: 'family.revoked', client, cause: 'theft', personal }
    if (!telling.has(answer.error)) return undefined
    return { event: 'token.refused', ...(client ? { client } : {}), grantType, code: answer.error, personal }
  }
  const token = AccessToken ?? ClientCredentials
  const { resourceServer } = (token ?? {}) as { readonly resourceServer?: { identifier(): string } }
  const target =
    targetByResource(parts.targets)(resourceServer?.identifier())?.id ?? parts.clients.get(client ?? '')?.target
  const until = answer.expires_in === undefined ? undefined : parts.now() + answer.expires_in
  return {
    event: 'token.issued',
    client: client ?? '',
    grantType,
    ...(target === undefined ? {} : { target }),
    // An opaque token's id is the token itself (law 12).
    ...(token?.jti && token.jti !== answer.access_token ? { jti: token.jti } : {}),
    kinds: (['access_token', 'id_token', 'refresh_token'] as const).filter((kind) => answer[kind] !== undefined),
    ...(until === undefined ? {} : { until }),
    personal,
  }
}

/** Writes the audit line of a token answer before the answer leaves; where it cannot be written, nothing is handed out. */
async function auditTokens(parts: Parts, proofs: Proofs, ctx: Context): Promise<void> {
  const event = tokenEvent(parts, proofs, ctx)
  if (!event) return
  if (event.event === 'token.issued') parts.meter.token(event.grantType, event.target ?? 'none')
  await parts.audit(errorIdOf(ctx), event).catch(async (error: unknown) => {
    const grant = ctx.oidc.entities.Grant?.jti
    if (event.event === 'token.issued' && grant) await parts.store.revoke(`grant:${grant}`, parts.lifetimes.refresh)
    throw error
  })
}

/** An ID token that leaves through the browser (implicit, form_post) is audited like one of the token endpoint. */
async function auditFrontChannel(parts: Parts, proofs: Proofs, ctx: Context): Promise<void> {
  if (ctx.oidc.params?.['response_type'] !== 'id_token' || !ctx.oidc.grant || ctx.status !== 200) return
  // A sign-in began instead, and the page leads to its upstream.
  if (ctx.oidc.route === 'authorization' && ctx.oidc.entities.Interaction) return
  const client = ctx.oidc.client?.clientId ?? ''
  const personal = personOf(proofs, ctx)
  await parts.audit(errorIdOf(ctx), {
    event: 'token.issued',
    client,
    grantType: 'implicit',
    kinds: ['id_token'],
    personal,
  })
}

const afterRoutes: Readonly<Record<string, (parts: Parts, proofs: Proofs, ctx: Context) => Promise<void>>> = {
  token: auditTokens,
  authorization: auditFrontChannel,
  resume: auditFrontChannel,
  code_verification: (parts, _proofs, ctx) => rememberConfirmer(parts, ctx),
  end_session_confirm: (parts, _proofs, ctx) => leadOverUpstream(parts, ctx),
  revocation: (parts, _proofs, ctx) => completeRevocation(parts, ctx),
}

/** Routes that only programs ask: they read OAuth's words (RFC 6749, section 5.2; RFC 7009, section 2.2.1), never a page. */
const toPrograms: ReadonlySet<string> = new Set(['token', 'introspection', 'revocation'])

/** Without its cookie `/device` fails inside the library when it saves a session that never was: it is an expired sign-in. */
function escaped(ctx: Context, thrown: unknown): LoginError {
  const own = asLoginError(thrown)
  const route = ctx.oidc?.route
  const unsaved = typeof (ctx.oidc?.session as { exp?: unknown } | undefined)?.exp !== 'number'
  if (own.code === 'internal' && (route === 'device_resume' || (route === 'code_verification' && unsaved)))
    return new LoginError('login_expired', 'no device sign-in', { cause: thrown })
  return own
}

/**
 * The library's router takes `/DEVICE` and `/device/` for `/device`, and what stands in front of its routes would not: each
 * endpoint has one spelling. Ids in later segments keep their case.
 */
function refuseOtherSpellings(ctx: Context): void {
  const { path } = ctx
  if ((path !== '/' && path.endsWith('/')) || /^\/[^/]*[A-Z]/.test(path))
    throw new LoginError('not_found', 'no such spelling')
}

function tellFailure(parts: Parts, ctx: Context, thrown: unknown): void {
  const error = escaped(ctx, thrown)
  ctx.remove('Location') // of an answer that was made before something failed: there may be a code in it
  const { retryHref, leaveHref } = thrown as { retryHref?: string; leaveHref?: string }
  const cause = error.cause as Error | undefined
  const level = error.status >= 500 ? 'error' : 'info'
  parts.log(level, 'request failed', {
    id: errorIdOf(ctx),
    method: ctx.method,
    path: ctx.path,
    code: error.code,
    detail: error.message,
    ...(cause ? { cause: String(cause.message), stack: error.code === 'internal' ? cause.stack : undefined } : {}),
  })
  if (toPrograms.has(ctx.oidc?.route ?? '')) {
    // Device clients die of anything but `authorization_pending` (law 4).
    const poll = error.status === 503 && ctx.oidc.params?.['device_code'] !== undefined
    ctx.status = poll ? 400 : error.status
    const told = poll ? 'authorization_pending' : error.status === 503 ? 'temporarily_unavailable' : 'server_error'
    ctx.body = { error: told, error_id: errorIdOf(ctx) }
    return
  }
  sendError(parts, ctx, error, { ...(retryHref ? { retryHref } : {}), ...(leaveHref ? { leaveHref } : {}) })
}

/** A name from a closed list for metrics: our route, also where it goes on as one of the library's, or the library's. */
function routeOf(ctx: Context): string {
  return (ctx.state as { route?: string }).route ?? ctx.oidc?.route ?? 'other'
}

/** A request without a body has no type of one, and is a form without fields: keystoneauth 5.2 asks for a device code so. */
function callFormWhereEmpty({ headers }: Context['req']): void {
  if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0) return
  Object.assign(headers, { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '0' })
}

/**
 * RFC 6749, section 2.3.1 lets a public client send `Basic id:`; the library refuses a secret of such a client. keystoneauth before 5.8
 * always sends one: empty, or Python's `None`.
 */
async function dropEmptySecret(parts: Parts, ctx: Context): Promise<void> {
  const header = ctx.get('authorization')
  if (ctx.method !== 'POST' || !header.startsWith('Basic ')) return
  const [id, secret] = Buffer.from(header.slice(6), 'base64').toString('utf8').split(':', 2)
  // Only ids that need no decoding: others are told apart by the library, which refuses them.
  if ((secret !== '' && secret !== 'None') || id === undefined || parts.clients.get(id)?.auth !== 'none') return
  callFormWhereEmpty(ctx.req)
  const form = await readForm(ctx.req)
  // Two clients in one request: the library refuses the pair of header and body.
  if ((form.get('client_id') ?? id) === id) {
    form.set('client_id', id)
    delete ctx.req.headers.authorization
  }
  Object.assign(ctx.request, { body: Object.fromEntries(form) })
}

/** What stands around the routes beside the boundary itself. */
interface Around {
  /** `baseHeaders`. */
  readonly headers: Readonly<Record<string, string>>
  readonly guard: DeviceGuard
}

/**
 * The one boundary around every route, ours and the library's: an id for each request, security headers, the audit lines that
 * must be written before an answer leaves, and one way to tell a failure.
 */
export function boundary(parts: Parts, proofs: Proofs, { headers, guard }: Around): Middleware {
  const introspect = openIntrospection(parts, proofs)
  return async (anyCtx, next) => {
    const ctx = anyCtx as unknown as Context
    const started = performance.now()
    ctx.set(headers)
    try {
      refuseOtherSpellings(ctx)
      await guard.before(ctx)
      await dropEmptySecret(parts, ctx)
      await next()
      await guard.after(ctx)
      if (ctx.oidc?.route === 'introspection') await introspect(ctx)
      else await afterRoutes[ctx.oidc?.route ?? '']?.(parts, proofs, ctx)
      dressFormPost(parts, ctx)
      if (ctx.status === 404 && ctx.body === undefined) throw new LoginError('not_found', 'no such page')
    } catch (thrown) {
      tellFailure(parts, ctx, thrown)
    }
    const body = ctx.body as { error?: string } | undefined
    if (body !== null && typeof body === 'object' && typeof body.error === 'string') {
      ctx.body = { ...body, error_id: errorIdOf(ctx) }
    }
    if (ctx.status === 503) {
      ctx.set('Retry-After', '2')
      parts.meter.storeError()
    }
    parts.meter.request(routeOf(ctx), ctx.status, (performance.now() - started) / 1000)
  }
}

/** Tells the log what the library only emits. */
export function logLibrary(provider: Provider, parts: Parts): void {
  provider.on('server_error', (ctx, error: Error & { detail?: string }) => {
    const fields = {
      id: errorIdOf(ctx),
      path: ctx.path,
      error: error.message,
      detail: error.detail,
      stack: error.stack,
    }
    parts.log('error', 'the provider failed', fields)
  })
  for (const event of ['authorization.error', 'grant.error', 'device_authorization.error', 'end_session.error']) {
    provider.on(event as 'grant.error', (ctx: Context, error: Error) => {
      const { error_description, error_detail } = error as { error_description?: string; error_detail?: string }
      const said = { error: error.message, error_description, error_detail }
      parts.log('info', event, { id: errorIdOf(ctx), ...askedBy(ctx, error), ...said })
    })
  }
}

/** Which client asked, as far as it said, and the redirect URI where that is what does not fit: else nobody finds whom to tell. */
function askedBy({ oidc }: Context, { message }: Error): { readonly client?: string; readonly redirectUri?: string } {
  const cut = (value: unknown) => (typeof value === 'string' ? value.slice(0, 200) : undefined)
  const client = oidc?.client?.clientId ?? cut(oidc?.params?.['client_id'])
  const redirectUri = message === 'invalid_redirect_uri' ? cut(oidc?.params?.['redirect_uri']) : undefined
  return { ...(client === undefined ? {} : { client }), ...(redirectUri === undefined ? {} : { redirectUri }) }
}
