import { randomBytes } from 'node:crypto'
import type { Context as KoaContext } from 'koa'
import type { Departure } from '../connectors/connector.ts'
import { type ErrorCode, LoginError } from '../core/errors.ts'
import { errorPage, type Page, pickLanguage, postFormPage, securityHeaders, type Theme } from './pages/index.ts'
import type { Parts } from './parts.ts'

const LANGUAGE_COOKIE = 'lotse-language'

/** A reference that people can read out: 40 random bits as `7F3K-2M9Q`, without letters that look alike. */
export function newErrorId(): string {
  const alphabet = '23456789ABCDEFGHJKMNPQRSTUVWXYZ0'
  const text = [...randomBytes(8)].map((byte) => alphabet[byte & 31]).join('')
  return `${text.slice(0, 4)}-${text.slice(4)}`
}

/** The id that ties page, answer, log line and audit event of one request together. */
export function errorIdOf(ctx: KoaContext): string {
  const state = ctx.state as { errorId?: string }
  state.errorId ??= newErrorId()
  return state.errorId
}

/** Goes on under the id of an earlier request, whose failure this one tells: what the person reads out leads to its cause. */
export function underErrorId(ctx: KoaContext, errorId: string): void {
  ctx.state['errorId'] = errorId
}

/** Look and language for this request; a choice by `?lang=` is remembered in a cookie. */
export function themeOf(parts: Pick<Parts, 'look' | 'issuer'>, ctx: KoaContext): Theme {
  const asked = ctx.query['lang']
  const query = typeof asked === 'string' ? asked : undefined
  const language = pickLanguage(ctx.get('accept-language'), query, ctx.cookies.get(LANGUAGE_COOKIE))
  if (query === language) {
    const secure = parts.issuer.protocol === 'https:'
    ctx.cookies.set(LANGUAGE_COOKIE, language, {
      maxAge: 31_536_000_000,
      sameSite: 'lax',
      httpOnly: true,
      secure,
      signed: false,
    })
  }
  return { look: parts.look, language, ...(ctx.method === 'GET' ? { here: ctx.path + withoutLanguage(ctx) } : {}) }
}

function withoutLanguage(ctx: KoaContext): string {
  const query = new URLSearchParams(ctx.querystring)
  query.delete('lang')
  return query.size > 0 ? `?${query}` : ''
}

/** The same theme for a page that must not be asked for again. */
export function onceOnly(theme: Theme): Theme {
  const { here: _here, ...rest } = theme
  return rest
}

/** Sends a page with the headers that belong to it. */
export function sendPage(ctx: KoaContext, page: Page): void {
  ctx.set(securityHeaders(page))
  ctx.status = page.status
  ctx.type = 'html'
  ctx.body = page.body
}

/** Sends a page that posts a form to an upstream by itself. @param label what the upstream is called */
export function sendForm(
  parts: Pick<Parts, 'look' | 'issuer'>,
  ctx: KoaContext,
  { action, fields }: Extract<Departure, { kind: 'form' }>,
  label: string,
): void {
  sendPage(ctx, postFormPage({ action: action.href, fields, label }, onceOnly(themeOf(parts, ctx))))
}

/** What OAuth calls an error, in the words of our own pages. */
const byOAuthError: Readonly<Record<string, ErrorCode>> = {
  temporarily_unavailable: 'unavailable',
  server_error: 'internal',
  access_denied: 'nothing_granted',
}

/** The error page of oidc-provider's own routes. */
export async function renderOAuthError(
  parts: Parts,
  ctx: KoaContext,
  out: { error: string; error_description?: string | undefined },
  error: Error,
): Promise<void> {
  const expired = error.name === 'SessionNotFound'
  const code: ErrorCode = expired ? 'login_expired' : (byOAuthError[out.error] ?? 'bad_request')
  const status = Math.max(ctx.status, 400)
  const facts = code === 'bad_request' ? { problem: `${out.error}: ${out.error_description ?? ''}` } : {}
  const theme = onceOnly(themeOf(parts, ctx))
  const model = { code, facts, errorId: errorIdOf(ctx), now: parts.now(), ...againOf(ctx, code) }
  const page = errorPage(model, theme)
  sendPage(ctx, { ...page, status })
}

/** What is out of order for a moment comes back by itself; a form is sent again by nobody but the person. */
const againOf = (ctx: KoaContext, code: ErrorCode): { readonly again?: 'by itself' } =>
  code === 'unavailable' && ctx.method === 'GET' ? { again: 'by itself' } : {}

/** Tells a failure of one of our own routes: a page for people, JSON for programs. */
export function sendError(
  parts: Parts,
  ctx: KoaContext,
  error: LoginError,
  ways: { readonly retryHref?: string; readonly leaveHref?: string } = {},
): void {
  ctx.status = error.status
  const errorId = errorIdOf(ctx)
  if (ctx.accepts('html', 'json') === 'html') {
    const model = { code: error.code, facts: error.facts, errorId, now: parts.now(), ...againOf(ctx, error.code) }
    sendPage(ctx, errorPage({ ...model, ...ways }, onceOnly(themeOf(parts, ctx))))
    return
  }
  ctx.set('Cache-Control', 'no-store')
  ctx.body = { error: error.code, error_id: errorId }
}

/** Any thrown value as a LoginError: what nobody foresaw is `internal`, and its text stays in the log. */
export function asLoginError(thrown: unknown): LoginError {
  if (thrown instanceof LoginError) return thrown
  const status = (thrown as { status?: unknown }).status
  if (status === 503) return new LoginError('unavailable', 'a part that is needed is unavailable', { cause: thrown })
  if (status === 413) return new LoginError('too_large', 'too large', { cause: thrown })
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new LoginError(status === 404 ? 'not_found' : 'bad_request', 'refused', { cause: thrown })
  }
  return new LoginError('internal', 'not foreseen', { cause: thrown })
}
