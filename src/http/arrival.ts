import { hash } from 'node:crypto'
import type { Context as KoaContext } from 'koa'
import type { Answer, Challenge, Memo } from '../connectors/connector.ts'
import type { WalletRequest } from '../connectors/wallet/side.ts'
import { LoginError } from '../core/errors.ts'
import { collection, kinds } from '../store/collection.ts'
import { readForm } from './body.ts'
import { postFormPage } from './pages/index.ts'
import type { ConnectorEntry, Parts } from './parts.ts'
import { onceOnly, sendPage, themeOf } from './render.ts'

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

/** Seconds that a person may spend at the upstream. */
const SIGN_IN = 600
/** Bytes of a POSTed answer: a SAML response of 64 KiB, a third longer in base64 and a little more in a form. */
const ANSWER_LIMIT = 96 * 1024
/**
 * Sign-ins that one browser may have under way. Each has a cookie that goes along with every request: a site that opens the gateway over and
 * over in a window would soon fill the 8 KiB that proxies take, and lock the person out.
 */
const UNDER_WAY = 16
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

/** @throws {LoginError} from `arrive`: `login_expired`, `wrong_browser`, `bad_request` */
export function openArrival(parts: Parts): Arrival {
  const pending = collection<Pending>(parts.store, kinds.Pending, SIGN_IN)
  const parked = collection<Record<string, string>>(parts.store, kinds.Parked, PARKED)
  const turns = collection<WalletTurn>(parts.store, kinds.WalletTurn, SIGN_IN)
  const secure = parts.issuer.protocol === 'https:'
  /*
   * Each sign-in has a cookie of its own, made anew, so that it knows the browser that began it from all others, and from whoever planted
   * cookies there before. `__Host-`: no other host of this domain can plant one and so finish its own sign-in here. Its name comes from
   * the state, so that several tabs can sign in at once.
   */
  const prefix = `${secure ? '__Host-' : ''}lotse-browser-`
  const cookieOf = (state: string) => prefix + state.slice(0, 8)
  const cookie = { httpOnly: true, sameSite: 'lax', secure, path: '/', signed: false, maxAge: SIGN_IN * 1000 } as const

  const goTo = (ctx: KoaContext, href: string) => {
    ctx.status = 303
    ctx.redirect(href)
  }

  const send = async (ctx: KoaContext, challenge: Challenge, { state, label }: { state: string; label: string }) => {
    if (challenge.kind === 'redirect') goTo(ctx, challenge.url.href)
    else if (challenge.kind === 'form') {
      ctx.remove('Location') // the Provider's, where the sign-in begins at its own route
      const model = { action: challenge.action.href, fields: challenge.fields, label }
      sendPage(ctx, postFormPage(model, onceOnly(themeOf(parts, ctx))))
    } else {
      for (const { id, way, whole } of challenge.requests)
        await turns.put(id, { state, way, stage: whole ? 'to answer' : 'to fetch' }, challenge.seconds)
      goTo(ctx, `/wallet/wait/${state}`)
    }
  }

  /** Before anything is used: a victim must not finish an attacker's sign-in, nor an attacker use up the victim's. */
  const mine: Arrival['waiting'] = async (ctx, state) => {
    const waiting = await pending.get(state)
    const browser = waiting && sentCookie(ctx, cookieOf(state))
    if (waiting && (browser === undefined || hashOf(browser) !== waiting.browser))
      throw new LoginError('wrong_browser', 'the answer arrived in a browser that did not begin this sign-in')
    return waiting
  }

  return {
    async depart(ctx, { uid, connector, ...more }, begin) {
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
      ctx.cookies.set(cookieOf(state), browser, cookie)
      for (const name of surplus(ctx, prefix)) ctx.cookies.set(name, null, cookie)
      await send(ctx, challenge, { state, label: connector.label })
    },

    pending: (state) => pending.get(state),
    waiting: mine,

    async keep(fields) {
      const ticket = parts.random()
      await parked.put(ticket, { ...fields })
      return ticket
    },

    async park(ctx, connector) {
      const form = await readForm(ctx.req, ANSWER_LIMIT)
      const waiting = await pending.get(stateOf(form))
      const restartAt = parts.connectors.get(connector)?.restartAt
      if (!waiting && restartAt !== undefined) {
        // Nobody asked for this answer, and nothing of it is looked at (SAML profiles 4.1.5): its browser begins anew.
        return goTo(ctx, restartAt)
      }
      // Nothing is kept for somebody who did not begin here.
      if (waiting?.connector !== connector) throw new LoginError('login_expired', 'no sign-in waits for this answer')
      // One answer waits for one sign-in, so whoever posts a thousand keeps one; this ticket is as secret as the state.
      const ticket = hashOf(stateOf(form))
      await parked.put(ticket, Object.fromEntries(form))
      goTo(ctx, `/callback/${connector}?ticket=${ticket}`)
    },

    async arrive(ctx, connector) {
      const ticket = new URLSearchParams(ctx.search).get('ticket')
      const fields = ticket === null ? undefined : await parked.get(ticket)
      if (ticket !== null && !fields) throw new LoginError('login_expired', 'this answer was already used')
      const form = fields && new URLSearchParams(fields)
      const state = stateOf(form ?? new URLSearchParams(ctx.search))
      const waiting = await mine(ctx, state)
      if (!waiting) throw new LoginError('login_expired', 'no sign-in waits for this state')
      if (waiting.connector !== connector)
        throw new LoginError('bad_request', 'the answer of another connector (mix-up)')
      if (!(await pending.take(state))) throw new LoginError('login_expired', 'this state was already used')
      if (ticket !== null) await parked.delete(ticket)
      ctx.cookies.set(cookieOf(state), null, cookie)
      const url = new URL(`/callback/${connector}${form ? '' : ctx.search}`, parts.issuer)
      const answer = { url, ...(form ? { form } : {}), memo: waiting.memo }
      return {
        uid: waiting.uid,
        answer,
        begunAt: waiting.begunAt,
        ...(waiting.stepUp ? { stepUp: waiting.stepUp } : {}),
        ...(waiting.memo['idp'] ? { idp: waiting.memo['idp'] } : {}),
      }
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

/** OAuth calls it `state`, SAML `RelayState`. */
function stateOf(fields: URLSearchParams): string {
  return fields.get('state') ?? fields.get('RelayState') ?? ''
}
