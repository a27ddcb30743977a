import type { Context as KoaContext } from 'koa'
import type { WalletSide } from '../connectors/wallet/side.ts'
import { LoginError } from '../core/errors.ts'
import { type Collection, collection, kinds } from '../store/collection.ts'
import type { Arrival, Pending, WalletTurn } from './arrival.ts'
import { readForm } from './body.ts'
import { clientLabel } from './choose.ts'
import { walletOverPage, walletPage } from './pages/index.ts'
import type { Parts } from './parts.ts'
import { waysOn } from './refused.ts'
import { asLoginError, errorIdOf, sendPage, themeOf } from './render.ts'

/*
 * A sign-in by a wallet, between `depart` and `arrive` of arrival.ts. The browser waits on a page; the wallet, which is no browser of ours,
 * fetches the request and answers it. Nothing of its answer is looked at here: it is kept for the browser that asked (HAIP 1.0, 5.1).
 *
 *   GET  /wallet/wait/:state     the page, in the browser that asked alone
 *   GET  /wallet/request/:id     (or POST, with a nonce of the wallet's) the request object, once
 *   POST /wallet/response/:id    the answer, once                              leaves Parked[ticket]
 *     here:       the wallet is told to open /callback/:connector?ticket=… in its own device's browser
 *     elsewhere:  the page that waits is told it, and the wallet nothing
 */

/** Seconds for which an answer stands beside its sign-in: as long as that. */
const KEPT = 600
/** Bytes of an answer: some presentations hold the credentials of an organisation as well. */
const ANSWER_LIMIT = 256 * 1024
/** Characters of a wallet's nonce. */
const LONGEST_NONCE = 512

/** Control characters but white space: neither in a JWE nor in JSON. */
const unwritten = /(?!\s)\p{Cc}/u

/** The handlers of the routes. */
export interface Wallets {
  wait(ctx: KoaContext, state: string): Promise<void>
  request(ctx: KoaContext, id: string): Promise<void>
  respond(ctx: KoaContext, id: string): Promise<void>
}

/** What the handlers share. */
interface Shared {
  readonly parts: Parts
  readonly arrival: Arrival
  /** By the id of the request. */
  readonly turns: Collection<WalletTurn>
  /** The tickets of answers that came from elsewhere, by the state of their sign-in. */
  readonly answers: Collection<string>
}

/** @param arrival of the sign-ins that wait here */
export function openWallets(parts: Parts, arrival: Arrival): Wallets {
  const turns = collection<WalletTurn>(parts.store, kinds.WalletTurn)
  const answers = collection<string>(parts.store, kinds.WalletAnswer, KEPT)
  const shared: Shared = { parts, arrival, turns, answers }
  return {
    wait: (ctx, state) => wait(shared, ctx, state),
    request: (ctx, id) => toWallet(parts, ctx, () => request(shared, ctx, id)),
    respond: (ctx, id) => toWallet(parts, ctx, () => respond(shared, ctx, id)),
  }
}

async function wait({ parts, arrival, answers }: Shared, ctx: KoaContext, state: string): Promise<void> {
  const waiting = await arrival.waiting(ctx, state)
  const ticket = waiting && (await answers.get(state))
  const next = ticket && `/callback/${waiting.connector}?ticket=${ticket}`
  const view = waiting && (await sideOf(parts, waiting)).view(waiting.memo)
  const late = !view || parts.now() >= view.until
  ctx.set('Cache-Control', 'no-store')
  if (ctx.accepts('html', 'json') === 'json') {
    ctx.body = next ? { state: 'answered', next } : { state: late ? 'over' : 'waiting' }
    return
  }
  if (next) {
    ctx.status = 303
    return ctx.redirect(next)
  }
  if (!waiting || late) return sendPage(ctx, walletOverPage(waiting ? waysOn(waiting) : {}, themeOf(parts, ctx)))
  const model = {
    ...view,
    ...waysOn(waiting),
    state,
    clientLabel: clientLabel(parts, waiting.client),
    answerTo: new URL(`/callback/${waiting.connector}`, parts.issuer).href,
    label: parts.connectors.get(waiting.connector)?.label ?? waiting.connector,
    here: parts.issuer.host,
  }
  sendPage(ctx, walletPage(model, themeOf(parts, ctx)))
}

async function request({ parts, arrival, turns }: Shared, ctx: KoaContext, id: string): Promise<void> {
  // Who only looks whether it is there does not use it up.
  if (ctx.method === 'HEAD') throw new LoginError('method_not_allowed', 'a request is fetched by GET or POST')
  const nonce = ctx.method === 'POST' ? await nonceIn(ctx) : undefined
  const turn = await turnOf(turns, id, 'to fetch')
  const waiting = await arrival.pending(turn.state)
  if (!waiting) throw new LoginError('login_expired', 'its sign-in is over')
  const side = await sideOf(parts, waiting)
  const left = side.view(waiting.memo).until - parts.now()
  if (left < 1) throw new LoginError('login_expired', 'it waited for too long')
  const signed = side.request(waiting.memo, { id, ...(nonce === undefined ? {} : { nonce }) })
  const next = { ...turn, stage: 'to answer' } as const
  // In one step: of several that fetch it one goes on, and a store that fails here leaves it as it was.
  if (!(await turns.update(id, (now) => (now?.stage === 'to fetch' ? next : undefined), left))) throw taken()
  ctx.type = 'application/oauth-authz-req+jwt'
  ctx.body = signed
}

async function respond({ parts, arrival, turns, answers }: Shared, ctx: KoaContext, id: string): Promise<void> {
  const form = await readForm(ctx.req, ANSWER_LIMIT)
  if (!form.has('response') && !form.has('vp_token') && !form.has('error'))
    throw new LoginError('bad_request', 'neither an answer nor an error')
  // Each of them is six characters of JSON: the store would take no more of them, after the request was used up.
  if ([...form.values()].some((value) => unwritten.test(value)))
    throw new LoginError('bad_request', 'characters that no answer has')
  const { state, way } = await turnOf(turns, id, 'to answer')
  if (!(await turns.take(id))) throw taken()
  const waiting = await arrival.pending(state)
  if (!waiting) throw new LoginError('login_expired', 'its sign-in is over')
  const said = form.get('state')
  // Its own name for the sign-in comes first: what the wallet says of it is compared by the connector.
  const fields = { ...Object.fromEntries(form), state, request: id, ...(said === null ? {} : { said }) }
  const ticket = await arrival.keep(fields)
  if (way === 'elsewhere') await answers.put(state, ticket)
  // Without it the wallet has nothing more to do (OpenID4VP 1.0, 8.2).
  const to = new URL(`/callback/${waiting.connector}?ticket=${ticket}`, parts.issuer)
  ctx.body = way === 'here' ? { redirect_uri: to.href } : {}
}

/** The connector behind a sign-in that waits. */
async function sideOf({ connectors }: Parts, { connector }: Pending): Promise<WalletSide> {
  const side = (await connectors.get(connector)?.open())?.wallet
  if (!side) throw new LoginError('login_expired', 'its connector is no wallet any more')
  return side
}

async function turnOf(turns: Collection<WalletTurn>, id: string, stage: WalletTurn['stage']): Promise<WalletTurn> {
  const turn = await turns.get(id)
  if (turn?.stage !== stage) throw new LoginError('login_expired', `no request waits ${stage}`)
  return turn
}

const taken = () => new LoginError('login_expired', 'another was faster')

/** A wallet that posts nothing has no nonce; a longer one than anybody needs is refused. */
async function nonceIn(ctx: KoaContext): Promise<string | undefined> {
  const { headers } = ctx.req
  if (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0) return undefined
  const nonce = (await readForm(ctx.req)).get('wallet_nonce') ?? undefined
  if (nonce !== undefined && nonce.length > LONGEST_NONCE) throw new LoginError('bad_request', 'its nonce is too long')
  return nonce
}

const oauthErrors: Readonly<Record<string, string>> = {
  unavailable: 'temporarily_unavailable',
  internal: 'server_error',
}

/** A wallet reads OAuth's words and no page; why is in the log. */
async function toWallet(parts: Parts, ctx: KoaContext, handle: () => Promise<void>): Promise<void> {
  ctx.set('Cache-Control', 'no-store')
  try {
    await handle()
  } catch (thrown) {
    const { code, status, message: detail } = asLoginError(thrown)
    parts.log(status >= 500 ? 'error' : 'info', 'a wallet was refused', {
      id: errorIdOf(ctx),
      // Without the request's id: until it is answered, whoever reads it could answer.
      path: ctx.path.slice(0, ctx.path.lastIndexOf('/')),
      code,
      detail,
    })
    ctx.status = status
    ctx.body = { error: oauthErrors[code] ?? 'invalid_request', error_id: errorIdOf(ctx) }
  }
}
