import { randomUUID } from 'node:crypto'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Clock, Log } from '../../core/ports.ts'
import { type Html, html } from '../../http/pages/html.ts'
import type { Page } from '../../http/pages/index.ts'
import { layout } from '../../http/pages/layout.ts'
import { answering, readFields, redirect, sendPage } from '../server.ts'
import { demoLook } from '../style.ts'
import type { Held, Shelf } from './held.ts'
import { answer, fitting, type Request, readRequest } from './protocol.ts'

/** Where the demo's wallet stands, and whom it answers. */
export interface WalletOptions {
  readonly shelf: Shelf
  /** Its own origin. */
  readonly origin: string
  /** The gateway's origin. */
  readonly gateway: string
  /** Source expressions to which a sign-in may lead in the end, for `form-action`. */
  readonly leadsTo: readonly string[]
  readonly now: Clock
  readonly log: Log
}

/** Requests kept at once; the oldest goes first. */
const REQUESTS = 100

/** Ada's wallet as a site of its own, for demonstrations on loopback only: who opens it is Ada. */
export function openWallet(options: WalletOptions): RequestListener {
  const asked = new Map<string, Request>()
  return answering(async (request, response) => {
    const url = new URL(request.url ?? '/', options.origin)
    if (request.headers.host !== new URL(options.origin).host || url.pathname !== '/')
      return sendPage(response, page('Nothing is here', html`<p>The wallet has one page.</p>`, { status: 404 }))
    if (request.method === 'POST') return send(options, asked, request, response)
    sendPage(response, ask(options, asked, url.searchParams))
  }, options.log)
}

/** Requests under way. */
type Memory = Map<string, Request>

function ask(options: WalletOptions, asked: Memory, link: URLSearchParams): Page {
  const { shelf } = options
  if (!link.has('client_id')) return page('Ada’s wallet', html`${shelf.held.map(card)}`)
  const request = requestIn(link, options.gateway)
  if (request instanceof Error) return failed(request)
  const id = randomUUID()
  asked.set(id, request)
  const [oldest] = asked.keys()
  if (asked.size > REQUESTS && oldest !== undefined) asked.delete(oldest)
  const offers = fitting(request, shelf).map(
    ({ one, as }) =>
      html`<li class="other"><form method="post"><input type="hidden" name="request" value="${id}"><input type="hidden" name="credential" value="${one.id}">
<button><span><span class="name">${one.title}, ${one.organisation}</span> <small>${state(one)} It would show: ${as.claims.join(', ')}.</small></span></button></form></li>`,
  )
  return page(
    'What may be shown?',
    html`<p>The Lotse demo cloud asks Ada’s wallet for a credential. A phone would ask for her finger now; here a click is enough.</p>
<ul class="crowd">${offers}</ul>`,
    { formAction: ["'self'", ...options.leadsTo] },
  )
}

function requestIn(link: URLSearchParams, gateway: string): Request | Error {
  try {
    return readRequest(link, gateway)
  } catch (error) {
    return error as Error
  }
}

async function send(options: WalletOptions, asked: Memory, from: IncomingMessage, to: ServerResponse): Promise<void> {
  const { shelf } = options
  const fields = await readFields(from)
  const request = asked.get(fields.get('request') ?? '')
  const chosen = request && fitting(request, shelf).find(({ one }) => one.id === fields.get('credential'))
  if (!request || !chosen) return sendPage(to, failed(new Error('the question is gone')))
  asked.delete(fields.get('request') ?? '')
  const next = await answer(request, shelf, chosen, options.now()).catch((error: Error) => error)
  if (next instanceof Error) return sendPage(to, failed(next))
  redirect(to, next.href)
}

const state = ({ standing }: Held) => (standing === 'revoked' ? 'Revoked by its issuer.' : 'Good.')

function card(one: Held): Html {
  const said = Object.entries(one.claims).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)
  return html`<h2 class="org">${one.title}, ${one.organisation}</h2><p>${state(one)}</p><dl>${said}</dl>`
}

const look = demoLook({ name: 'Wallet of the demo', color: '#8a5a00' })

function page(
  heading: string,
  content: Html,
  more: { readonly status?: number; readonly formAction?: readonly string[] } = {},
): Page {
  return layout({ look, language: 'en' }, { heading, card: content, ...more })
}

const failed = ({ message }: Error) =>
  page(
    'This did not work',
    html`<p>The wallet of the demo says: ${message}. Begin again at the demo’s start page.</p>`,
    { status: 400 },
  )
