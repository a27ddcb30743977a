import type { Context as KoaContext } from 'koa'
import Provider, { type Configuration } from 'oidc-provider'
import { addNotice, type Notice } from '../lifecycle/notices.ts'
import { groupOf, REFUSED } from '../lifecycle/proofs.ts'
import { logoutConfirmPage, signedOutPage, stillSignedInPage } from './pages/index.ts'
import type { Parts } from './parts.ts'
import type { Context } from './proofs.ts'
import { errorIdOf, onceOnly, sendPage, themeOf } from './render.ts'
import { rememberUpstream, upstreamLogout } from './upstream-logout.ts'

/** What the library keeps in the session while a logout waits to be confirmed, and what we add. */
interface LogoutState {
  readonly secret: string
  readonly postLogoutRedirectUri?: string
  clientId: string | undefined
  askedBy?: string | undefined
}

interface LogoutSession {
  readonly uid: string
  readonly proof?: string
  readonly state?: LogoutState
}

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
        const theme = themeOf(parts, ctx)
        // Who declined comes here too.
        const { accountId } = await ctx.oidc.provider.Session.get(ctx)
        sendPage(ctx, accountId === undefined ? signedOutPage({}, theme) : stillSignedInPage(theme))
      },
    },
  }
}

/**
 * A confirmed logout is an end like any other: sessions, tokens and leases go together, clients are told from the durable queue, and
 * a logout that failed half way goes on by itself. So nothing is left of what the library does by itself: telling clients once, and
 * forgetting those that did not answer.
 */
export function endAtLogout(provider: Provider, parts: Parts): void {
  const client = provider.Client.prototype as unknown as { backchannelLogout(): Promise<void> }
  client.backchannelLogout = async () => {}
  const session = provider.Session.prototype as unknown as { destroy(): Promise<void> } & LogoutSession
  const { destroy } = session
  session.destroy = async function () {
    const ctx = Provider.ctx as unknown as Context | undefined
    if (ctx?.oidc.route === 'end_session_confirm') {
      rememberUpstream(ctx, await upstreamLogout(parts, this.proof))
      const client = this.state?.askedBy
      const by = { reference: errorIdOf(ctx), address: ctx.ip, ...(client === undefined ? {} : { client }) }
      await parts.ends.end({ kind: 'session', uid: this.uid }, 'person', by)
    }
    await destroy.call(this)
  }
}

/** @throws where the client does not answer, or has a fault of its own */
async function tell(provider: Provider, parts: Parts, notice: Notice): Promise<'told' | 'refused'> {
  const client = await provider.Client.find(notice.client)
  const uri = client?.backchannelLogoutUri
  if (!client || uri === undefined) return 'told'
  // A fresh token for each try: it lives two minutes (OpenID Connect Back-Channel Logout, section 2.4).
  const token = new provider.IdToken({ sub: notice.sub }, { client, ctx: undefined as never })
  Object.assign(token, { mask: { sub: null } })
  token.set('events', { 'http://schemas.openid.net/event/backchannel-logout': {} })
  token.set('jti', parts.random())
  if (client.backchannelLogoutSessionRequired) token.set('sid', notice.sid)
  const body = new URLSearchParams({ logout_token: await token.issue({ use: 'logout' }) })
  const answer = await parts.fetch(uri, { method: 'POST', body, redirect: 'error' })
  await answer.body?.cancel()
  if (answer.status === 200 || answer.status === 204) return 'told'
  if (answer.status >= 400 && answer.status < 500 && answer.status !== 429) return 'refused'
  throw new Error(`it answered ${answer.status}`)
}

/**
 * Tells clients of logouts that they have yet to hear of, all clients at once: one that is down holds up nobody else.
 * @param only these clients; all where absent
 */
export async function deliverLogouts(provider: Provider, parts: Parts, only?: readonly string[]): Promise<void> {
  const told = [...parts.clients.values()].filter(
    ({ id, backchannelLogout }) => backchannelLogout !== undefined && (only?.includes(id) ?? true),
  )
  await Promise.all(told.map(({ id }) => parts.delivery.deliver(id, (notice) => tell(provider, parts, notice))))
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
      await addNotice(parts.store, { client: id, sub: session.accountId, sid })
    }
  }
  // Not by deleting it: a request of hers that is still on the way would put it back.
  await parts.store.revoke(groupOf.browser(uid), REFUSED)
}
