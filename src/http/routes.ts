import type { Context as KoaContext, Middleware, Next } from 'koa'
import { LoginError } from '../core/errors.ts'
import { readForm } from './body.ts'
import { discovered } from './discovery.ts'
import { type Documents, METADATA_CACHE } from './documents.ts'
import type { Login } from './login.ts'
import type { Parts } from './parts.ts'
import type { SamlLogout } from './saml-logout.ts'
import type { UpstreamLogout } from './upstream-logout.ts'
import type { Wallets } from './wallet.ts'

/** @param next the library's own routes */
type Handler = (ctx: KoaContext, part: string, next: Next) => Promise<void> | void
type Route = readonly [method: 'GET' | 'POST', name: string, pattern: RegExp, handler: Handler]

async function ready(parts: Parts, ctx: KoaContext): Promise<void> {
  ctx.set('Cache-Control', 'no-store')
  try {
    await parts.store.check()
    ctx.body = { status: 'ready' }
  } catch {
    ctx.status = 503
    ctx.body = { status: 'store unavailable' }
  }
}

/** The gateway as its SAML upstreams know it: with the endpoints of all of them, or of one. */
async function samlMetadata(parts: Parts, ctx: KoaContext, connector: string): Promise<void> {
  const text = await parts.samlMetadata(connector === '' ? undefined : connector)
  if (text === undefined) throw new LoginError('not_found', 'no such SAML connector')
  ctx.set('Cache-Control', METADATA_CACHE)
  ctx.type = 'application/samlmetadata+xml'
  ctx.body = text
}

/**
 * OpenID Connect Core, section 3.1.2.1, wants POST at these endpoints too. The library would need SameSite=None cookies for it;
 * a 303 to the same request by GET carries the Lax ones.
 */
async function postToGet(ctx: KoaContext): Promise<void> {
  const form = await readForm(ctx.req)
  if (form.size === 0 || `${form}`.length > 16_384) throw new LoginError('bad_request', 'no parameters, or too many')
  ctx.set('Cache-Control', 'no-store')
  ctx.status = 303
  ctx.redirect(`${ctx.path}?${form}`)
}

/** What handles our own routes. */
interface Handlers {
  readonly login: Login
  readonly upstream: UpstreamLogout
  readonly samlLogout: SamlLogout
  readonly wallets: Wallets
  readonly documents: Documents
}

/** Our own routes; everything else is the library's. Segments are at most 128 characters of the URL-safe alphabet. */
export function routes(parts: Parts, { login, upstream, samlLogout, wallets, documents }: Handlers): Middleware {
  // biome-ignore format: the columns are read downwards
  const table: readonly Route[] = [
    ['GET',  'login',          /^\/login\/([\w-]{1,128})$/,        login.begin],
    ['GET',  'login_finish',   /^\/login\/([\w-]{1,128})\/finish$/, login.finish],
    ['GET',  'login_leave',    /^\/login\/([\w-]{1,128})\/leave$/,  login.leave],
    ['GET',  'callback',       /^\/callback\/([\w.-]{1,128})$/,    login.callback],
    ['GET',  'discovery_answer', /^\/discovery\/([\w.-]{1,128})$/,   (ctx, id) => discovered(parts, ctx, id)],
    ['POST', 'callback_post',  /^\/callback\/([\w.-]{1,128})$/,    login.park],
    ['GET',  'wallet_wait',    /^\/wallet\/wait\/([\w-]{1,128})$/,     wallets.wait],
    ['GET',  'wallet_request', /^\/wallet\/request\/([\w-]{1,128})$/,  wallets.request],
    ['POST', 'wallet_request_post', /^\/wallet\/request\/([\w-]{1,128})$/, wallets.request],
    ['POST', 'wallet_response', /^\/wallet\/response\/([\w-]{1,128})$/, wallets.respond],
    ['POST', 'authorization',  /^\/auth$/,                         postToGet],
    ['POST', 'end_session',    /^\/logout$/,                       postToGet],
    ['GET',  'logout_returned', /^\/logout\/returned$/,              (ctx) => upstream.returned(ctx)],
    ['POST', 'logout_back',    /^\/logout\/back\/([\w.-]{1,128})$/,  (ctx, id) => upstream.back(ctx, id)],
    ['GET',  'logout_front',   /^\/logout\/front\/([\w.-]{1,128})$/, (ctx, id) => upstream.front(ctx, id)],
    ['GET',  'logout_saml',    /^\/logout\/saml(?:\/([\w.-]{1,128}))?$/,  samlLogout],
    ['POST', 'logout_saml_post', /^\/logout\/saml(?:\/([\w.-]{1,128}))?$/, samlLogout],
    ['GET',  'saml_metadata',  /^\/saml\/metadata(?:\/([\w.-]{1,128}))?$/, (ctx, id) => samlMetadata(parts, ctx, id)],
    ['GET',  'healthz',        /^\/healthz$/,                      (ctx) => { ctx.body = { status: 'alive' } }],
    ['GET',  'readyz',         /^\/readyz$/,                       (ctx) => ready(parts, ctx)],
  ]
  return async (ctx, next) => {
    const method = ctx.method === 'HEAD' ? 'GET' : ctx.method
    for (const [wanted, name, pattern, handler] of table) {
      const found = wanted === method ? pattern.exec(ctx.path) : null
      if (!found) continue
      ;(ctx.state as { route?: string }).route = name
      await handler(ctx, found[1] ?? '', next)
      return
    }
    await next()
    await login.sendOn(ctx)
    documents.keep(ctx)
  }
}

/** Every route name that metrics may show: ours and the library's. */
export const routeNames: ReadonlySet<string> = new Set([
  ...[
    'login',
    'login_finish',
    'login_leave',
    'callback',
    'callback_post',
    'discovery_answer',
    'wallet_wait',
    'wallet_request',
    'wallet_request_post',
    'wallet_response',
    'logout_returned',
    'logout_back',
    'logout_front',
    'logout_saml',
    'logout_saml_post',
    'saml_metadata',
    'jwks',
    'jwks_ring',
    'healthz',
    'readyz',
  ],
  ...[
    'authorization',
    'resume',
    'token',
    'userinfo',
    'discovery',
    'introspection',
    'revocation',
    'pushed_authorization_request',
  ],
  ...[
    'device_authorization',
    'code_verification',
    'device_resume',
    'end_session',
    'end_session_confirm',
    'end_session_success',
  ],
])
