import { setTimeout } from 'node:timers/promises'
import type { Context as KoaContext } from 'koa'
import type { Asked, Departure, Message, Relayed } from '../connectors/connector.ts'
import { LoginError } from '../core/errors.ts'
import { accountId } from '../core/subject.ts'
import type { Found, Selector } from '../lifecycle/end.ts'
import { isWaiting } from '../lifecycle/notices.ts'
import { collection, kinds } from '../store/collection.ts'
import { readForm } from './body.ts'
import { awayPage, postFormPage, signedOutPage } from './pages/index.ts'
import type { ConnectorEntry, Parts } from './parts.ts'
import { asLoginError, errorIdOf, onceOnly, sendPage, themeOf } from './render.ts'

/*
 * Logout between the gateway and its upstreams, in both directions:
 *
 *   after a confirmed logout    the browser is sent to the upstream's own end of session, and comes back to `/logout/returned`
 *   POST /logout/back/:id       the upstream says from server to server that it ended something
 *   GET  /logout/front/:id      the upstream says so through a frame in the person's browser
 *   GET, POST /logout/saml/:id  the browser brings a SAML upstream's request, and takes our response back; or its response to ours.
 *                               Without an id: to whichever connectors have its sender, since an entity has one such address for all
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
const PATIENCE = 1000

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

const late = (milliseconds: number) => setTimeout(milliseconds, undefined, { ref: false })

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

function sendForm(parts: Parts, ctx: KoaContext, form: Extract<Departure, { kind: 'form' }>, label: string): void {
  const model = { action: form.action.href, fields: form.fields, label }
  sendPage(ctx, postFormPage(model, onceOnly(themeOf(parts, ctx))))
}

/** Milliseconds that an upstream, with the browser, waits for clients to be told. */
const TELLING = 2000

/** The handlers of the routes. */
export interface UpstreamLogout {
  returned(ctx: KoaContext): Promise<void>
  back(ctx: KoaContext, connector: string): Promise<void>
  front(ctx: KoaContext, connector: string): Promise<void>
  saml(ctx: KoaContext, connector: string): Promise<void>
}

/** @param deliver tells these clients what they have yet to hear of logouts */
export function openUpstreamLogout(
  parts: Parts,
  deliver: (clients: readonly string[]) => Promise<void>,
): UpstreamLogout {
  const returning = collection<string>(parts.store, kinds.Returning, AWAY)

  const entryOf = (id: string): ConnectorEntry => {
    const entry = parts.connectors.get(id)
    if (!entry) throw new LoginError('unknown_connector', 'no connector of this name')
    return entry
  }

  /** Everything that the upstream says it ended has ended here when this resolves. */
  const obey = async (ctx: KoaContext, entry: ConnectorEntry, message: Message): Promise<void> => {
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

  /** Ends what a browser was sent here to end; clients are told meanwhile, as far as they answer. */
  const obeyAsked = async (ctx: KoaContext, id: string, asked: Asked): Promise<'wholly' | 'partly'> => {
    const { name, sessions, once } = asked
    const selector: Selector = { kind: 'name', connector: id, name, sessions }
    const found = await parts.ends.find(selector)
    const by = { reference: errorIdOf(ctx) }
    if (!(await parts.ends.endOnce({ id: `${id}\n${once.id}`, until: once.until }, selector, 'upstream', by)))
      throw new LoginError('upstream_rejected', 'this logout request came before')
    return wereTold(parts, found, deliver)
  }

  /** What is left of it at a connector that could not be asked whether its upstream says so, too: it has the same name there. */
  const leftAt = async (connector: string, { name, sessions }: Asked): Promise<'wholly' | 'partly'> => {
    const { signIns } = await parts.ends.find({ kind: 'name', connector, name, sessions })
    return signIns.length > 0 ? 'partly' : 'wholly'
  }

  return {
    async saml(ctx, id) {
      ctx.set('Cache-Control', 'no-store')
      const message = await relayedBy(ctx, parts.issuer)
      const { read, silent } = await readBy(id === '' ? [...parts.connectors.values()] : [entryOf(id)], message)
      const [first] = read
      if (!first) throw new LoginError('not_found', 'no connector takes such messages')
      if ('state' in first.read) {
        ctx.status = 303
        return ctx.redirect(`/logout/returned?${new URLSearchParams({ state: first.read.state })}`)
      }
      const requests = read.flatMap(({ id, read }) => ('state' in read ? [] : [{ id, asked: read }]))
      const how = await Promise.all([
        ...requests.map(({ id, asked }) => obeyAsked(ctx, id, asked)),
        ...silent.flatMap((id) => requests.map(({ asked }) => leftAt(id, asked))),
      ])
      const to = await first.read.reply(how.includes('partly') ? 'partly' : 'wholly')
      if (to.kind === 'form') return sendForm(parts, ctx, to, first.label)
      ctx.status = 303
      ctx.redirect(to.url.href)
    },

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
      const entry = entryOf(id)
      const form = await readForm(ctx.req)
      try {
        await obey(ctx, entry, { kind: 'back-channel', form })
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
      await obey(ctx, entryOf(id), { kind: 'front-channel', query: new URLSearchParams(ctx.search) })
      // The upstream's page loads this in a frame, and it shows nothing that could be framed for another end.
      ctx.remove('X-Frame-Options')
      ctx.set('Content-Security-Policy', "default-src 'none'")
      ctx.type = 'html'
      ctx.body = '<!doctype html><title>-</title>'
    },
  }
}

async function relayedBy(ctx: KoaContext, issuer: URL): Promise<Relayed> {
  const to = new URL(ctx.path, issuer)
  return ctx.method === 'POST'
    ? { kind: 'form', form: await readForm(ctx.req), to }
    : { kind: 'redirect', query: ctx.search.slice(1), to }
}

/**
 * What those say to a message who have its sender among their upstreams: several may lead to the same one.
 * @returns `silent`: those whose upstreams cannot be known now, which hold nobody else up
 * @throws where none has its sender; `upstream_unavailable` rather, where one that is silent may (law 4)
 */
async function readBy(entries: readonly ConnectorEntry[], message: Relayed) {
  const asked = entries.map(async ({ id, label, open }) => {
    const connector = await open()
    return connector.relay ? [{ id, label, read: await connector.relay(message) }] : []
  })
  const slow = () => late(PATIENCE).then(() => Promise.reject(new LoginError('upstream_unavailable', 'it is too slow')))
  const answers = await Promise.allSettled(
    entries.length > 1 ? asked.map((each) => Promise.race([each, slow()])) : asked,
  )
  const read = answers.flatMap((each) => (each.status === 'fulfilled' ? each.value : []))
  const refusals = answers.flatMap((each) => (each.status === 'rejected' ? [asLoginError(each.reason)] : []))
  const refusal = refusals.find(({ status }) => status === 503) ?? refusals[0]
  if (read.length === 0 && refusal) throw refusal
  const isSilent = (each: (typeof answers)[number]) =>
    each.status === 'rejected' && asLoginError(each.reason).status >= 500
  return { read, silent: entries.flatMap(({ id }, at) => (isSilent(answers[at]!) ? [id] : [])) }
}

/** Whether every client of what was ended knows it: one that has no back channel does not, and holds what it has until that ends. */
async function wereTold(
  parts: Parts,
  { signIns }: Found,
  deliver: (clients: readonly string[]) => Promise<void>,
): Promise<'wholly' | 'partly'> {
  const clients = [...new Set(signIns.flatMap(({ families }) => families.map(({ client }) => client)))]
  const subs = new Set(signIns.map(({ proof }) => accountId(proof.subject)))
  if (clients.length === 0) return 'wholly'
  await Promise.race([deliver(clients), late(TELLING)])
  const deaf = clients.some((id) => parts.clients.get(id)?.backchannelLogout === undefined)
  return deaf || (await isWaiting(parts.store, clients, subs)) ? 'partly' : 'wholly'
}
