import type { Context as KoaContext } from 'koa'
import Provider, { type Configuration } from 'oidc-provider'
import { collection, type Item, kinds } from '../store/collection.ts'
import { logoutConfirmPage, signedOutPage } from './pages/index.ts'
import type { Parts } from './parts.ts'
import type { Context } from './proofs.ts'
import { errorIdOf, onceOnly, sendPage, themeOf } from './render.ts'

/** A logout that a client has yet to hear of. */
interface Notice {
  readonly client: string
  readonly sub: string
  readonly sid: string
  readonly tries: number
  /** Unix seconds. */
  readonly nextAt: number
}

/** After so many tries, over about a day, a client is given up. */
const TRIES = 12
const KEEP = 172_800
/** Notices looked at in one round. */
const BATCH = 2000

const queue = (parts: Pick<Parts, 'store'>) => collection<Notice>(parts.store, kinds.LogoutQueue, KEEP)

/** What the library keeps in the session while a logout waits to be confirmed, and what we add. */
interface LogoutState {
  readonly secret: string
  readonly postLogoutRedirectUri?: string
  clientId: string | undefined
  askedBy?: string | undefined
}

const enqueue = (parts: Parts, notice: Pick<Notice, 'client' | 'sub' | 'sid'>) =>
  queue(parts).put(parts.random(), { ...notice, tries: 0, nextAt: 0 })

/** RP-initiated logout with own pages (OpenID Connect RP-Initiated Logout 1.0). */
export function logoutFeatures(parts: Parts): Pick<NonNullable<Configuration['features']>, 'rpInitiatedLogout'> {
  return {
    rpInitiatedLogout: {
      enabled: true,
      async logoutSource(anyCtx) {
        const ctx = anyCtx as unknown as Context
        const { state } = ctx.oidc.session as unknown as { state: LogoutState }
        // With `clientId` there, the library takes a "no" for "leave this client": it forgets the client, whom a later logout
        // then does not reach, and tells it that the session is over.
        state.askedBy = state.clientId
        state.clientId = undefined
        const label = ctx.oidc.client && parts.clients.get(ctx.oidc.client.clientId)?.label
        const back = state.postLogoutRedirectUri
        const model = {
          action: new URL('/logout/confirm', parts.issuer).href,
          xsrf: state.secret,
          ...(label === undefined ? {} : { clientLabel: label }),
          ...(back === undefined ? {} : { leadsTo: [new URL(back).origin] }),
        }
        sendPage(ctx, logoutConfirmPage(model, onceOnly(themeOf(parts, ctx))))
      },
      async postLogoutSuccessSource(anyCtx) {
        const ctx = anyCtx as unknown as Context
        sendPage(ctx, signedOutPage({}, themeOf(parts, ctx)))
      },
    },
  }
}

/** Puts a back-channel logout into the durable queue instead of sending it once and forgetting it. */
export function queueLogouts(provider: Provider, parts: Parts): void {
  const client = provider.Client.prototype as unknown as {
    backchannelLogout(sub: string, sid: string): Promise<void>
    clientId: string
  }
  client.backchannelLogout = async function (sub, sid) {
    await enqueue(parts, { client: this.clientId, sub, sid })
  }
}

/**
 * With `expiresWithSession` off the library revokes no grant at logout: everything that a session gave ends here, and before the
 * session itself, so that a person whose logout failed half way can still ask again.
 */
export function revokeAtLogout(provider: Provider, parts: Parts): void {
  const session = provider.Session.prototype as unknown as { destroy(): Promise<void>; readonly uid: string }
  const { destroy } = session
  session.destroy = async function () {
    if (Provider.ctx?.oidc.route === 'end_session_confirm') {
      await parts.store.revoke(`session:${this.uid}`, Math.max(parts.lifetimes.refresh, parts.lifetimes.sessionMax))
    }
    await destroy.call(this)
  }
}

async function send(provider: Provider, parts: Parts, notice: Notice): Promise<boolean> {
  const client = await provider.Client.find(notice.client)
  const uri = client?.backchannelLogoutUri
  if (!client || uri === undefined) return true
  // A fresh token for each try: it lives two minutes (OpenID Connect Back-Channel Logout, section 2.4).
  const token = new provider.IdToken({ sub: notice.sub }, { client, ctx: undefined as never })
  Object.assign(token, { mask: { sub: null } })
  token.set('events', { 'http://schemas.openid.net/event/backchannel-logout': {} })
  token.set('jti', parts.random())
  if (client.backchannelLogoutSessionRequired) token.set('sid', notice.sid)
  const body = new URLSearchParams({ logout_token: await token.issue({ use: 'logout' }) })
  const answer = await parts.fetch(uri, { method: 'POST', body, redirect: 'error' })
  await answer.body?.cancel()
  return answer.status === 200 || answer.status === 204
}

/**
 * Tells clients of logouts that they have yet to hear of, all clients at once: one that is down holds up nobody else, and is asked
 * once. What failed is tried again later, twice as late each time.
 */
export async function deliverLogouts(provider: Provider, parts: Parts): Promise<void> {
  const now = parts.now()
  const due = (await queue(parts).list(BATCH)).filter(({ value }) => value.nextAt <= now)
  await Promise.all(
    [...Map.groupBy(due, ({ value }) => value.client).values()].map((each) => deliver(provider, parts, each)),
  )
}

async function deliver(provider: Provider, parts: Parts, notices: readonly Item<Notice>[]): Promise<void> {
  for (const { id, value } of notices) {
    const { client, tries } = value
    const done = await send(provider, parts, value).catch((error: unknown) => {
      parts.log('warn', 'a client could not be told of a logout', { client, tries, error: String(error) })
      return false
    })
    if (done || tries + 1 >= TRIES) await queue(parts).delete(id)
    else await queue(parts).put(id, { ...value, tries: tries + 1, nextAt: parts.now() + 5 * 2 ** tries })
    if (!done) return
  }
}

/** Writes down that a session ended, before the answer leaves. */
export async function endSession(parts: Parts, ctx: Context): Promise<void> {
  const session = ctx.oidc.session as unknown as
    | { uid: string; destroyed?: boolean; accountId?: string; state?: LogoutState }
    | undefined
  if (!session?.destroyed) return
  const client = session.state?.askedBy
  await parts.audit(errorIdOf(ctx), {
    event: 'session.ended',
    cause: 'person',
    ...(client === undefined ? {} : { client }),
    personal: { ...(session.accountId === undefined ? {} : { sub: session.accountId }), address: ctx.ip },
  })
}

/**
 * Ends the session of somebody in whose browser another person signs in. Its clients hear of it, so that no dashboard goes on as
 * the one before; refresh tokens live on, since a program of hers is no part of this browser.
 */
export async function endForOther(
  provider: Provider,
  parts: Parts,
  { ctx, uid }: { readonly ctx: KoaContext; readonly uid: string },
): Promise<void> {
  const session = await provider.Session.findByUid(uid)
  if (!session?.accountId) return
  await parts.audit(errorIdOf(ctx), {
    event: 'session.ended',
    cause: 'other-person',
    personal: { sub: session.accountId, address: ctx.ip },
  })
  for (const id of Object.keys(session.authorizations ?? {})) {
    const client = await provider.Client.find(id)
    const sid = session.sidFor(id)
    if (client?.backchannelLogoutUri && sid !== undefined) {
      await enqueue(parts, { client: id, sub: session.accountId, sid })
    }
  }
  await session.destroy()
}
