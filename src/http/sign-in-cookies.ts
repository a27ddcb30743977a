import type { Context as KoaContext } from 'koa'
import type { Parts } from './parts.ts'

/*
 * Each sign-in has a cookie of its own, made anew, so that it knows the browser that began it from all others, and from whoever planted
 * cookies there before. `__Host-`: no other host of this domain can plant one and so finish its own sign-in here. Its name comes from
 * the state, so that several tabs can sign in at once.
 */

/** Seconds that a person may spend at the upstream. */
export const SIGN_IN = 600
/**
 * Sign-ins that one browser may have under way. Each has a cookie that goes along with every request: a site that opens the gateway over and
 * over in a window would soon fill the 8 KiB that proxies take, and lock the person out.
 */
const UNDER_WAY = 16

/** The cookies by which sign-ins know their browsers. */
export interface SignInCookies {
  /** To the browser that begins it. */
  give(ctx: KoaContext, state: string, value: string): void
  /** What this browser has of it. */
  sent(ctx: KoaContext, state: string): string | undefined
  /** Its answer has arrived. */
  drop(ctx: KoaContext, state: string): void
}

export function signInCookies({ issuer }: Pick<Parts, 'issuer'>): SignInCookies {
  const secure = issuer.protocol === 'https:'
  const prefix = `${secure ? '__Host-' : ''}lotse-browser-`
  const nameOf = (state: string) => prefix + state.slice(0, 8)
  const options = { httpOnly: true, sameSite: 'lax', secure, path: '/', signed: false, maxAge: SIGN_IN * 1000 } as const
  return {
    give(ctx, state, value) {
      ctx.cookies.set(nameOf(state), value, options)
      for (const name of surplus(ctx, prefix)) ctx.cookies.set(name, null, options)
    },
    sent: (ctx, state) => sentCookie(ctx, nameOf(state)),
    drop(ctx, state) {
      ctx.cookies.set(nameOf(state), null, options)
    },
  }
}

/** Read here: koa's own way keeps a regular expression for each name that it was ever asked for. */
function sentCookie(ctx: KoaContext, name: string): string | undefined {
  const pairs = ctx.get('cookie').split(/; ?/)
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1)
}

/** The oldest cookies of sign-ins under way, where they are too many: browsers send first what they got first (RFC 6265, section 5.4). */
function surplus(ctx: KoaContext, prefix: string): readonly string[] {
  const names = ctx.get('cookie').match(/[^\s;=]+(?==)/g) ?? []
  const own = names.filter((name) => name.startsWith(prefix) && /^[\w-]+$/.test(name))
  // Two for each new one, so that they become fewer: an answer with a hundred headers is refused by proxies as well.
  return own.slice(0, -(UNDER_WAY - 1)).slice(0, 2)
}
