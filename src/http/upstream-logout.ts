import { setTimeout } from 'node:timers/promises'
import type { Context as KoaContext } from 'koa'
import type { Departure, Message } from '../connectors/connector.ts'
import { LoginError } from '../core/errors.ts'
import { accountId } from '../core/subject.ts'
import type { Selector } from '../lifecycle/end.ts'
import { collection, kinds } from '../store/collection.ts'
import { readForm } from './body.ts'
import { awayPage, signedOutPage } from './pages/index.ts'
import type { ConnectorEntry, Parts } from './parts.ts'
import { asLoginError, errorIdOf, onceOnly, sendForm, sendPage, themeOf } from './render.ts'

/*
 * Logout between the gateway and its upstreams, in both directions:
 *
 *   after a confirmed logout    the browser is sent to the upstream's own end of session, and comes back to `/logout/returned`
 *   POST /logout/back/:id       the upstream says from server to server that it ended something
 *   GET  /logout/front/:id      the upstream says so through a frame in the person's browser
 *   GET, POST /logout/saml/:id  a SAML upstream says so through the person's browser: see saml-logout.ts
 */

/** The way to an upstream that ends its session too. */
interface Away {
  readonly to: Departure
  readonly state: string
  readonly label: string
}

/** Seconds that a person may spend at the upstream's own logout. */
const AWAY = 600
/** Milliseconds: nobody's logout waits longer for an upstream that has to be discovered first. */
export const PATIENCE = 1000

/** Where to end the upstream's session of a proof; undefined where there is none, or the upstream does not answer. */
export async function upstreamLogout(parts: Parts, proofId: string | undefined): Promise<Away | undefined> {
  const proof = proofId === undefined ? undefined : await parts.proofs.get(proofId)
  const entry = proof && parts.connectors.get(proof.subject.connector)
  if (!entry) return undefined
  const state = parts.random()
  const returnTo = new URL('/logout/returned', parts.issuer)
  const asked = entry.open().then((connector) => connector.logout?.(proof, { returnTo, state }))
  const to = await Promise.race([asked, late(PATIENCE)]).catch((error: unknown) => {
    parts.log('warn', 'upstream logout left out', { connector: entry.id, error: String(error) })
    return undefined
  })
  return to && { to, state, label: entry.label }
}

/** Nothing, after a while; keeps no process alive. */
export const late = (milliseconds: number) => setTimeout(milliseconds, undefined, { ref: false })

/** Kept from the end of the session to the answer of its request. */
export function rememberUpstream(ctx: KoaContext, away: Away | undefined): void {
  ;(ctx.state as { away?: Away | undefined }).away = away
}

/** Puts the way over the upstream in the place of the way straight back to the client. */
export async function leadOverUpstream(parts: Parts, ctx: KoaContext): Promise<void> {
  const { away } = ctx.state as { away?: Away }
  const to = ctx.response.get('Location')
  if (!away || ctx.status !== 303 || to === '') return
  await collection<string>(parts.store, kinds.Returning, AWAY).put(away.state, to)
  ctx.remove('Location')
  if (away.to.kind === 'form') return sendForm(parts, ctx, away.to, away.label)
  // A page of its own: Chromium holds every redirect after a form against its `form-action`, and nobody knows them all.
  const { href } = away.to.url
  sendPage(ctx, awayPage({ href, label: away.label }, onceOnly(themeOf(parts, ctx))))
  ctx.set('Refresh', `0; url=${href}`)
}

/** The handlers of the routes. */
export interface UpstreamLogout {
  returned(ctx: KoaContext): Promise<void>
  back(ctx: KoaContext, connector: string): Promise<void>
  front(ctx: KoaContext, connector: string): Promise<void>
}

export function openUpstreamLogout(parts: Parts): UpstreamLogout {
  const returning = collection<string>(parts.store, kinds.Returning, AWAY)
  return {
    async returned(ctx) {
      const { state } = ctx.query
      const to = typeof state === 'string' ? await returning.take(state) : undefined
      if (to === undefined) return sendPage(ctx, signedOutPage({}, onceOnly(themeOf(parts, ctx))))
      ctx.status = 303
      ctx.redirect(to)
    },

    // OpenID Connect Back-Channel Logout 1.0, section 2.8: 200 once it is done, 400 with an error for what is not valid.
    async back(ctx, id) {
      ctx.set('Cache-Control', 'no-store')
      const entry = entryOf(parts, id)
      const form = await readForm(ctx.req)
      try {
        await obey(parts, ctx, entry, { kind: 'back-channel', form })
        ctx.status = 200
        ctx.body = ''
      } catch (thrown) {
        const error = asLoginError(thrown)
        if (error.status === 503) throw thrown
        parts.log('warn', 'a logout token was refused', { id: errorIdOf(ctx), connector: id, detail: error.message })
        ctx.status = 400
        ctx.body = { error: 'invalid_request', error_description: 'this logout token is not valid here' }
      }
    },

    // OpenID Connect Front-Channel Logout 1.0: nothing but `iss` and `sid` says who it is, since a frame carries no Lax cookie.
    async front(ctx, id) {
      ctx.set('Cache-Control', 'no-store')
      const query = new URLSearchParams(ctx.search)
      await obey(parts, ctx, entryOf(parts, id), { kind: 'front-channel', query })
      // The upstream's page loads this in a frame, and it shows nothing that could be framed for another end.
      ctx.remove('X-Frame-Options')
      ctx.set('Content-Security-Policy', "default-src 'none'")
      ctx.type = 'html'
      ctx.body = '<!doctype html><title>-</title>'
    },
  }
}

/** @throws {LoginError} `unknown_connector` */
export function entryOf(parts: Parts, id: string): ConnectorEntry {
  const entry = parts.connectors.get(id)
  if (!entry) throw new LoginError('unknown_connector', 'no connector of this name')
  return entry
}

/** Everything that the upstream says it ended has ended here when this resolves. */
async function obey(parts: Parts, ctx: KoaContext, entry: ConnectorEntry, message: Message): Promise<void> {
  const connector = await entry.open()
  if (!connector.hear) throw new LoginError('not_found', 'this kind of upstream sends no such messages')
  const { session, id, once } = await connector.hear(message)
  const sub = id === undefined ? undefined : accountId({ connector: entry.id, id })
  const selector: Selector =
    session === undefined
      ? { kind: 'subject', sub: sub ?? '' }
      : { kind: 'upstream', connector: entry.id, session, ...(sub === undefined ? {} : { sub }) }
  const by = { reference: errorIdOf(ctx) }
  // Unsigned, from anywhere: what names nobody leaves nothing behind, or a flood of guesses would fill the store.
  if (!once && (await parts.ends.find(selector)).signIns.length === 0) return
  if (!once) return void (await parts.ends.end(selector, 'upstream', by))
  const unique = { id: `${entry.id}\n${once.id}`, until: once.until }
  if (!(await parts.ends.endOnce(unique, selector, 'upstream', by)))
    throw new LoginError('upstream_rejected', 'this logout token came before')
}
