import type { Context as KoaContext } from 'koa'
import type { Asked, Relayed } from '../connectors/connector.ts'
import { LoginError } from '../core/errors.ts'
import { accountId } from '../core/subject.ts'
import type { Found, Selector } from '../lifecycle/end.ts'
import { isWaiting } from '../lifecycle/notices.ts'
import { readForm } from './body.ts'
import type { ConnectorEntry, Parts } from './parts.ts'
import { asLoginError, errorIdOf, sendForm } from './render.ts'
import { entryOf, late, PATIENCE } from './upstream-logout.ts'

/*
 * Single Logout with SAML upstreams, by the person's browser:
 *
 *   GET, POST /logout/saml/:id  it brings the upstream's request, and takes our response back; or it brings the response to ours.
 *                               Without an id: to whichever connectors have its sender, since an entity has one such address for all
 */

/** Milliseconds that an upstream, with the browser, waits for clients to be told. */
const TELLING = 2000

/** Tells these clients what they have yet to hear of logouts. */
type Deliver = (clients: readonly string[]) => Promise<void>

/** The handler of the route. */
export type SamlLogout = (ctx: KoaContext, connector: string) => Promise<void>

export function openSamlLogout(parts: Parts, deliver: Deliver): SamlLogout {
  return async (ctx, id) => {
    ctx.set('Cache-Control', 'no-store')
    const message = await relayedBy(ctx, parts.issuer)
    const { read, silent } = await readBy(id === '' ? [...parts.connectors.values()] : [entryOf(parts, id)], message)
    const [first] = read
    if (!first) throw new LoginError('not_found', 'no connector takes such messages')
    if ('state' in first.read) {
      ctx.status = 303
      return ctx.redirect(`/logout/returned?${new URLSearchParams({ state: first.read.state })}`)
    }
    const requests = read.flatMap(({ id, read }) => ('state' in read ? [] : [{ id, asked: read }]))
    const how = await Promise.all([
      ...requests.map(async ({ id, asked }) => wereTold(parts, await endAsked(parts, ctx, id, asked), deliver)),
      ...silent.flatMap((id) => requests.map(({ asked }) => leftAt(parts, id, asked))),
    ])
    const to = await first.read.reply(how.includes('partly') ? 'partly' : 'wholly')
    if (to.kind === 'form') return sendForm(parts, ctx, to, first.label)
    ctx.status = 303
    ctx.redirect(to.url.href)
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

/** Ends what a browser was sent here to end. @returns what there was of it */
async function endAsked(parts: Parts, ctx: KoaContext, id: string, asked: Asked): Promise<Found> {
  const { name, sessions, once } = asked
  const selector: Selector = { kind: 'name', connector: id, name, sessions }
  const found = await parts.ends.find(selector)
  const unique = { id: `${id}\n${once.id}`, until: once.until }
  if (!(await parts.ends.endOnce(unique, selector, 'upstream', { reference: errorIdOf(ctx) })))
    throw new LoginError('upstream_rejected', 'this logout request came before')
  return found
}

/** Tells the clients of what was ended. @returns whether all know it: one that has no back channel does not, and holds what it has until that ends. */
async function wereTold(parts: Parts, { signIns }: Found, deliver: Deliver): Promise<'wholly' | 'partly'> {
  const clients = [...new Set(signIns.flatMap(({ families }) => families.map(({ client }) => client)))]
  const subs = new Set(signIns.map(({ proof }) => accountId(proof.subject)))
  if (clients.length === 0) return 'wholly'
  await Promise.race([deliver(clients), late(TELLING)])
  const deaf = clients.some((id) => parts.clients.get(id)?.backchannelLogout === undefined)
  return deaf || (await isWaiting(parts.store, clients, subs)) ? 'partly' : 'wholly'
}

/** What is left of it at a connector that could not be asked whether its upstream says so, too: it has the same name there. */
async function leftAt(parts: Parts, connector: string, { name, sessions }: Asked): Promise<'wholly' | 'partly'> {
  const { signIns } = await parts.ends.find({ kind: 'name', connector, name, sessions })
  return signIns.length > 0 ? 'partly' : 'wholly'
}
