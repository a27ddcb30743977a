import type { Context as KoaContext, Next } from 'koa'
import type Provider from 'oidc-provider'
import type { Details } from './choose.ts'

/** What the Provider is to know of a sign-in that is done. */
export type Result = Parameters<Provider['interactionResult']>[2]

interface Done {
  readonly at: Details
  readonly result: Result
}

/** Sends the browser back to the Provider, which goes on with the authorization. */
export async function goOn(provider: Provider, ctx: KoaContext, result: Result): Promise<void> {
  const to = await provider.interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: false })
  ctx.status = 303
  ctx.redirect(to)
}

/**
 * Lets the Provider go on with an authorization in this very request, as the browser would have it do by one request more. The cookie
 * for which it asks there, to be sure that it is the browser that began, is scoped to another path: whoever calls this has seen that it is.
 * @param next the Provider's own routes
 */
export async function resume(provider: Provider, ctx: KoaContext, { at, result }: Done, next: Next): Promise<void> {
  at.result = result
  await at.persist()
  const { cookies } = ctx
  const get = cookies.get.bind(cookies)
  const name = provider.cookieName('resume')
  cookies.get = (asked, options) => (asked === name ? at.uid : get(asked, options))
  ctx.url = new URL(at.returnTo).pathname
  await next()
}
