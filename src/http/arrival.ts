import { hash } from 'node:crypto'
import type { Context as KoaContext } from 'koa'
import type { Answer, Challenge, Memo } from '../connectors/connector.ts'
import type { WalletRequest } from '../connectors/wallet/side.ts'
import { LoginError } from '../core/errors.ts'
import { type Collection, collection, kinds } from '../store/collection.ts'
import { readForm } from './body.ts'
import type { ConnectorEntry, Parts } from './parts.ts'
import { sendForm } from './render.ts'
import { SIGN_IN, type SignInCookies, signInCookies } from './sign-in-cookies.ts'

/** A sign-in that waits for its upstream's answer. */
export interface Pending {
  readonly connector: string
  readonly uid: string
  /** The id of the OAuth client for which it was begun. */
  readonly client?: string
  /** A command line waits for it, which has no page to go back to. */
  readonly device?: true
  /** sha256 of the sign-in's own cookie. */
  readonly browser: string
  readonly memo: Memo
  /** Unix seconds. */
  readonly begunAt: number
  /** The rules wanted this stronger sign-in: they do not want it twice. */
  readonly stepUp?: true
}

/** A request to a wallet, as long as it may be fetched or answered. */
export interface WalletTurn {
  readonly state: string
  readonly way: WalletRequest['way']
  readonly stage: 'to fetch' | 'to answer'
}

/** Bytes of a POSTed answer: a SAML response of 64 KiB, a third longer in base64 and a little more in a form. */
const ANSWER_LIMIT = 96 * 1024
/** Seconds between a POSTed answer and the GET that fetches it. */
const PARKED = 120
const hashOf = (text: string) => hash('sha256', text, 'base64url')

/** The way to an upstream and back into the same browser. */
export interface Arrival {
  /** Sends the browser off with a challenge. */
  depart(ctx: KoaContext, departure: Departure, begin: Begin): Promise<void>
  /** Keeps a cross-site POST, which carries no Lax cookie, for the GET that its 303 leads to. */
  park(ctx: KoaContext, connector: string): Promise<void>
  /** Keeps an answer that came from somewhere else than this sign-in's browser, for the GET of `/callback/:connector?ticket=` there. */
  keep(fields: Readonly<Record<string, string>>): Promise<string>
  /** The sign-in of this `state`, for whomever it waits. */
  pending(state: string): Promise<Pending | undefined>
  /**
   * The sign-in that waits in this very browser; undefined where none waits any more.
   * @throws {LoginError} `wrong_browser`
   */
  waiting(ctx: KoaContext, state: string): Promise<Pending | undefined>
  /** The answer and the sign-in that waits for it in this very browser, once. */
  arrive(ctx: KoaContext, connector: string): Promise<Arrived>
}

export interface Departure {
  readonly uid: string
  readonly connector: ConnectorEntry
  readonly client: string
  readonly device?: true
  readonly stepUp?: true
}

export interface Arrived {
  readonly uid: string
  readonly answer: Answer
  /** Unix seconds at which the sign-in was begun. */
  readonly begunAt: number
  readonly stepUp?: true
  readonly idp?: string
}

/** Makes a challenge for a fresh `state`. */
type Begin = (state: string) => Promise<Challenge>

/** What lies here while the person is at the upstream, and her answer on its way. */
interface Held {
  readonly parts: Parts
  readonly cookies: SignInCookies
  /** By state. */
  readonly pending: Collection<Pending>
  /** Answers that were posted, by ticket. */
  readonly parked: Collection<Record<string, string>>
  readonly turns: Collection<WalletTurn>
}

/** @throws {LoginError} from `arrive`: `login_expired`, `wrong_browser`, `bad_request` */
export function openArrival(parts: Parts): Arrival {
  const held: Held = {
    parts,
    cookies: signInCookies(parts),
    pending: collection(parts.store, kinds.Pending, SIGN_IN),
    parked: collection(parts.store, kinds.Parked, PARKED),
    turns: collection(parts.store, kinds.WalletTurn, SIGN_IN),
  }
  return {
    depart: (ctx, departure, begin) => depart(held, ctx, departure, begin),
    pending: (state) => held.pending.get(state),
    waiting: (ctx, state) => waiting(held, ctx, state),
    async keep(fields) {
      const ticket = parts.random()
      await held.parked.put(ticket, { ...fields })
      return ticket
    },
    park: (ctx, connector) => park(held, ctx, connector),
    arrive: (ctx, connector) => arrive(held, ctx, connector),
  }
}

async function depart(held: Held, ctx: KoaContext, departure: Departure, begin: Begin): Promise<void> {
  const { parts, cookies, pending } = held
  const { uid, connector, ...more } = departure
  const state = parts.random()
  const challenge = await begin(state)
  const browser = parts.random()
  await pending.put(state, {
    connector: connector.id,
    uid,
    browser: hashOf(browser),
    memo: challenge.memo,
    begunAt: parts.now(),
    ...more,
  })
  cookies.give(ctx, state, browser)
  await send(held, ctx, challenge, { state, label: connector.label })
}

async function send(
  { parts, turns }: Held,
  ctx: KoaContext,
  challenge: Challenge,
  { state, label }: { readonly state: string; readonly label: string },
): Promise<void> {
  if (challenge.kind === 'redirect') goTo(ctx, challenge.url.href)
  else if (challenge.kind === 'form') {
    ctx.remove('Location') // the Provider's, where the sign-in begins at its own route
    sendForm(parts, ctx, challenge, label)
  } else {
    for (const { id, way, whole } of challenge.requests)
      await turns.put(id, { state, way, stage: whole ? 'to answer' : 'to fetch' }, challenge.seconds)
    goTo(ctx, `/wallet/wait/${state}`)
  }
}

function goTo(ctx: KoaContext, href: string): void {
  ctx.status = 303
  ctx.redirect(href)
}

/** Before anything is used: a victim must not finish an attacker's sign-in, nor an attacker use up the victim's. */
async function waiting({ cookies, pending }: Held, ctx: KoaContext, state: string): Promise<Pending | undefined> {
  const found = await pending.get(state)
  if (!found) return undefined
  const browser = cookies.sent(ctx, state)
  if (browser === undefined || hashOf(browser) !== found.browser)
    throw new LoginError('wrong_browser', 'the answer arrived in a browser that did not begin this sign-in')
  return found
}

async function park({ parts, pending, parked }: Held, ctx: KoaContext, connector: string): Promise<void> {
  const form = await readForm(ctx.req, ANSWER_LIMIT)
  const found = await pending.get(stateOf(form))
  const restartAt = parts.connectors.get(connector)?.restartAt
  if (!found && restartAt !== undefined) {
    // Nobody asked for this answer, and nothing of it is looked at (SAML profiles 4.1.5): its browser begins anew.
    return goTo(ctx, restartAt)
  }
  // Nothing is kept for somebody who did not begin here.
  if (found?.connector !== connector) throw new LoginError('login_expired', 'no sign-in waits for this answer')
  // One answer waits for one sign-in, so whoever posts a thousand keeps one; this ticket is as secret as the state.
  const ticket = hashOf(stateOf(form))
  await parked.put(ticket, Object.fromEntries(form))
  goTo(ctx, `/callback/${connector}?ticket=${ticket}`)
}

async function arrive(held: Held, ctx: KoaContext, connector: string): Promise<Arrived> {
  const { parts, cookies, pending, parked } = held
  const ticket = new URLSearchParams(ctx.search).get('ticket')
  const fields = ticket === null ? undefined : await parked.get(ticket)
  if (ticket !== null && !fields) throw new LoginError('login_expired', 'this answer was already used')
  const form = fields && new URLSearchParams(fields)
  const state = stateOf(form ?? new URLSearchParams(ctx.search))
  const found = await waiting(held, ctx, state)
  if (!found) throw new LoginError('login_expired', 'no sign-in waits for this state')
  if (found.connector !== connector) throw new LoginError('bad_request', 'the answer of another connector (mix-up)')
  if (!(await pending.take(state))) throw new LoginError('login_expired', 'this state was already used')
  if (ticket !== null) await parked.delete(ticket)
  cookies.drop(ctx, state)
  const { uid, memo, begunAt, stepUp } = found
  const url = new URL(`/callback/${connector}${form ? '' : ctx.search}`, parts.issuer)
  return {
    uid,
    answer: { url, ...(form ? { form } : {}), memo },
    begunAt,
    ...(stepUp ? { stepUp } : {}),
    ...(memo['idp'] ? { idp: memo['idp'] } : {}),
  }
}

/** OAuth calls it `state`, SAML `RelayState`. */
function stateOf(fields: URLSearchParams): string {
  return fields.get('state') ?? fields.get('RelayState') ?? ''
}
