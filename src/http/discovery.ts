import type { Context as KoaContext } from 'koa'
import type { Choice, Connector, Discovery } from '../connectors/connector.ts'
import { LoginError } from '../core/errors.ts'
import { clientLabel, type Details, isAgain } from './choose.ts'
import { type ConnectorChoice, discoveryPage, markOf } from './pages/index.ts'
import type { ConnectorEntry, Parts } from './parts.ts'
import { sendPage, themeOf } from './render.ts'

/*
 * Which identity provider of a federation a sign-in goes to. One that is named, by the person's choice (`idp`) or by the client's hint,
 * is taken; otherwise the person is asked, on our own page or by a discovery service (SAML Identity Provider Discovery Service Protocol).
 */

/** Seconds for which a browser remembers the last choice; the person can clear it on the page. */
const REMEMBERED = 90 * 86_400
/** Characters of an entityID, and of what is searched for. */
const LONGEST = 1024

/** Where a sign-in goes: to an identity provider (one that needs no name), or to whoever asks the person. */
export type Way = { readonly idp?: string } | { readonly ask: Discovery; readonly unknown?: true }

/** @throws {LoginError} `upstream_unavailable` */
export async function wayOf(connector: Connector, at: Details, query: URLSearchParams): Promise<Way> {
  const ask = await connector.discover?.()
  if (!ask) return {}
  const chosen = query.get('idp')
  if (chosen !== null) {
    const found = chosen.length <= LONGEST ? await ask.find(chosen, 'en') : undefined
    return found ? { idp: found.id } : { ask, unknown: true }
  }
  // Somebody who was refused there, or is already choosing, is not sent on by a hint.
  if (isAgain(query) || query.has('q') || query.has('page')) return { ask }
  const { idp_hint: idp, login_hint: login } = at.params as Record<string, unknown>
  const hints = [idp, typeof login === 'string' && login.includes('@') ? login : undefined]
  for (const hint of hints) {
    const found = typeof hint === 'string' ? await ask.find(hint, 'en') : undefined
    if (found) return { idp: found.id }
  }
  return { ask }
}

/** A sign-in whose identity provider is not known yet. */
export interface Asking {
  readonly at: Details
  readonly query: URLSearchParams
  readonly connector: ConnectorEntry
  readonly way: Extract<Way, { ask: Discovery }>
}

/** Asks the person: sends the page, or the browser to the service. */
export async function askWhere(parts: Parts, ctx: KoaContext, asking: Asking): Promise<void> {
  const { at, query, connector, way } = asking
  const { ask: discovery } = way
  const action = new URL(`/login/${at.uid}`, parts.issuer).href
  const kept = {
    connector: connector.id,
    ...(isAgain(query) ? { again: '1' } : {}),
    ...(query.has('page') ? { page: '1' } : {}),
  }
  const to = (more: Readonly<Record<string, string>>) => `${action}?${new URLSearchParams({ ...kept, ...more })}`
  if (query.has('forget')) {
    setLast(parts, ctx, { connector: connector.id })
    ctx.status = 303
    return ctx.redirect(to({}))
  }
  if (discovery.service && !query.has('page') && !query.has('q') && !way.unknown) {
    const returnTo = new URL(`/discovery/${connector.id}`, parts.issuer)
    returnTo.searchParams.set('uid', at.uid)
    ctx.status = 303
    return ctx.redirect(discovery.service(returnTo).href)
  }
  const shown = themeOf(parts, ctx)
  // What nobody knows stands nowhere on the page, nor in its links.
  const theme = way.unknown ? { ...shown, here: to({}).slice(parts.issuer.origin.length) } : shown
  const link = ({ id, name, domain }: Choice): ConnectorChoice => ({
    label: name,
    ...(domain === undefined ? {} : { hint: domain }),
    href: to({ idp: id }),
    mark: markOf(name),
  })
  const words = (query.get('q') ?? '').trim().slice(0, 100)
  const found = discovery.search(words, theme.language)
  const last = await lastOf(ctx, connector, discovery, theme.language)
  sendPage(
    ctx,
    discoveryPage(
      {
        clientLabel: clientLabel(parts, at.params['client_id']),
        federation: connector.label,
        search: { action, hidden: kept, value: words },
        // The beginning of an alphabet of thousands helps nobody.
        choices: words === '' && found.total > found.shown.length ? [] : found.shown.map(link),
        total: found.total,
        ...(last ? { last: { ...link(last), forgetHref: to({ forget: '1' }) } } : {}),
        ...(way.unknown ? { problem: 'unknown' as const } : {}),
        ...(parts.connectors.size > 1 && at.params['connector'] === undefined
          ? { elsewhereHref: `${action}?choose=1` }
          : {}),
      },
      theme,
    ),
  )
}

/** Takes the answer of a discovery service to the sign-in for which it was asked; whose it is says that sign-in's cookie. */
export function discovered(parts: Parts, ctx: KoaContext, connector: string): void {
  const { uid, entityID: idp } = ctx.query
  if (!parts.connectors.has(connector)) throw new LoginError('unknown_connector', 'no connector of this name')
  if (typeof uid !== 'string' || !/^[\w-]{1,128}$/.test(uid))
    throw new LoginError('bad_request', 'an answer of a discovery service for no sign-in')
  // The service lets people leave without a choice: they get our own page.
  const more = typeof idp === 'string' && idp !== '' ? { idp: idp.slice(0, LONGEST + 1) } : { page: '1' }
  ctx.set('Cache-Control', 'no-store')
  ctx.status = 303
  ctx.redirect(`/login/${uid}?${new URLSearchParams({ connector, ...more })}`)
}

const cookieOf = (connector: string) => `lotse-idp-${connector}`

/** Remembers what the person chose in this browser, or forgets it. */
export function setLast(
  { issuer }: Pick<Parts, 'issuer'>,
  ctx: KoaContext,
  { connector, idp }: { readonly connector: string; readonly idp?: string },
): void {
  const secure = issuer.protocol === 'https:'
  const options = { path: '/login', sameSite: 'lax', httpOnly: true, secure, signed: false } as const
  const value = idp === undefined ? null : Buffer.from(idp).toString('base64url')
  ctx.cookies.set(cookieOf(connector), value, { ...options, maxAge: REMEMBERED * 1000 })
}

async function lastOf(
  ctx: KoaContext,
  { id }: ConnectorEntry,
  discovery: Discovery,
  language: string,
): Promise<Choice | undefined> {
  const value = ctx.cookies.get(cookieOf(id))
  if (!value || value.length > 2 * LONGEST) return undefined
  // One that has left the federation since, or whose server does not answer, is not offered.
  return discovery.find(Buffer.from(value, 'base64url').toString(), language).catch(() => undefined)
}
