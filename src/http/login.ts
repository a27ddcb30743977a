import type { Context as KoaContext, Next } from 'koa'
import type Provider from 'oidc-provider'
import { LoginError } from '../core/errors.ts'
import { accountId } from '../core/subject.ts'
import { type Collection, collection, kinds } from '../store/collection.ts'
import type { Arrival } from './arrival.ts'
import { chooserModel, chosen, type Details, hintsOf } from './choose.ts'
import { mustBeConfirmer } from './device.ts'
import { askWhere, setLast, type Way, wayOf } from './discovery.ts'
import { admit, type Came, claim, type Desk, type Entry, judge } from './entering.ts'
import { isHinted } from './hinted.ts'
import { chooserPage } from './pages/index.ts'
import type { ConnectorEntry, Parts } from './parts.ts'
import type { Context, Proofs } from './proofs.ts'
import { type Failed, failedAt, tellFailed, turnAway, waysOn } from './refused.ts'
import { asLoginError, sendPage, themeOf } from './render.ts'
import { goOn, resume } from './resume.ts'

/*
 * A sign-in is a walk over a few requests; each knows only what the one before left in the store:
 *
 *   GET  /auth                  the Provider's; where one organisation alone can be meant, begins there at once
 *   GET  /login/:uid            else: chooses a connector, begins there      leaves Pending[state]
 *   POST /callback/:connector   parks a cross-site answer, which carries no Lax cookie   leaves Parked[ticket]
 *   GET  /callback/:connector   same browser? takes Pending, completes; who is welcome goes back to the client
 *                               else                                         leaves Proven[uid]
 *   /wallet/…                   where the upstream is a wallet, between the two: see wallet.ts
 *   GET  /login/:uid/finish     takes Proven, decides, hands over to the Provider
 *   GET  /login/:uid/leave      the person goes back to the client with `access_denied`
 */

/** The handlers of the sign-in's routes. */
export interface Login {
  /** After the Provider's own routes: spares the browser the way over `begin`, where nothing is to be chosen or shown there. */
  sendOn(ctx: KoaContext): Promise<void>
  begin(ctx: KoaContext, uid: string): Promise<void>
  park(ctx: KoaContext, connector: string): Promise<void>
  callback(ctx: KoaContext, connector: string, next: Next): Promise<void>
  finish(ctx: KoaContext, uid: string): Promise<void>
  leave(ctx: KoaContext, uid: string): Promise<void>
}

/** What came of the way to the upstream. */
type Proven = Came | Failed

/** What the handlers share. */
interface Walk extends Desk {
  readonly arrival: Arrival
  /** By the uid of the sign-in. */
  readonly proven: Collection<Proven>
  /** The strength that the rules want, by the uid of the sign-in. */
  readonly wanted: Collection<string>
}

export function openLogin(parts: Parts, proofs: Proofs, arrival: Arrival, provider: Provider): Login {
  const proven = collection<Proven>(parts.store, kinds.Proven, 120)
  const wanted = collection<string>(parts.store, kinds.Wanted, 600)
  const walk: Walk = { parts, proofs, arrival, provider, proven, wanted }
  return {
    sendOn: (ctx) => sendOn(walk, ctx),
    begin: (ctx, uid) => begin(walk, ctx, uid),
    park: arrival.park,
    callback: (ctx, connector, next) => callback(walk, ctx, connector, next),
    finish: (ctx, uid) => finish(walk, ctx, uid),
    leave: (ctx, uid) => leave(walk, ctx, uid),
  }
}

/**
 * The sign-in of this browser. The uid comes from the Provider's cookie; the path must merely agree, so that nobody finishes another
 * browser's sign-in.
 * @throws {LoginError} `login_expired`
 */
async function detailsOf({ parts, provider }: Walk, ctx: KoaContext, uid: string): Promise<Details> {
  const found = await provider.interactionDetails(ctx.req, ctx.res).catch((cause: unknown) => {
    if ((cause as { status?: number }).status === 503) throw cause
    throw new LoginError('login_expired', 'no interaction behind this cookie', { cause })
  })
  if (found.uid !== uid) throw new LoginError('login_expired', 'the interaction cookie names another sign-in')
  mustBeConfirmer(parts, ctx, found)
  return found
}

async function sendOn(walk: Walk, ctx: KoaContext): Promise<void> {
  const { oidc } = ctx as unknown as Partial<Context>
  const at = oidc?.route === 'authorization' ? oidc.entities.Interaction : undefined
  if (at?.prompt.name !== 'login') return
  const query = new URLSearchParams()
  const connector = chosen(walk.parts, at, query)
  if (connector === undefined || connector === 'unknown') return
  // What fails here is tried again, and told, where the Provider's own redirect leads; there a person is asked, too.
  await depart(walk, ctx, { at, query, connector }).catch(() => {})
}

async function begin(walk: Walk, ctx: KoaContext, uid: string): Promise<void> {
  const { parts, provider } = walk
  const at = await detailsOf(walk, ctx, uid)
  // A configured client has its operator's consent; `prompt=consent` is answered, not shown.
  if (at.prompt.name === 'consent') return goOn(provider, ctx, { consent: {} })
  const query = new URLSearchParams(ctx.querystring)
  const connector = chosen(parts, at, query)
  if (connector === 'unknown' && !query.get('organisation'))
    throw new LoginError('unknown_connector', 'no such connector')
  if (connector === undefined || connector === 'unknown') {
    return sendPage(ctx, chooserPage(chooserModel(parts, at, query), themeOf(parts, ctx)))
  }
  const way = await depart(walk, ctx, { at, query, connector }).catch((thrown: unknown) => {
    const device = at.deviceCode === undefined ? {} : { device: true as const }
    throw Object.assign(asLoginError(thrown), waysOn({ uid, connector: connector.id, ...device }))
  })
  if (way) await askWhere(parts, ctx, { at, query, connector, way })
}

interface Beginning {
  readonly at: Details
  readonly query: URLSearchParams
  readonly connector: ConnectorEntry
}

/** Sends the browser off; or says whom to ask first where that is. */
async function depart(
  { parts, arrival, wanted }: Walk,
  ctx: KoaContext,
  { at, query, connector }: Beginning,
): Promise<Extract<Way, { ask: unknown }> | undefined> {
  const { uid } = at
  const opened = await connector.open()
  const way = await wayOf(opened, at, query)
  if ('ask' in way) return way
  if (query.has('idp') && way.idp !== undefined) setLast(parts, ctx, { connector: connector.id, ...way })
  const strength = await wanted.get(uid)
  const departure = {
    uid,
    connector,
    client: String(at.params['client_id']),
    ...(at.deviceCode === undefined ? {} : { device: true as const }),
    ...(strength === undefined ? {} : { stepUp: true as const }),
  }
  await arrival.depart(ctx, departure, (state) =>
    opened.begin(state, { ...hintsOf(parts, at, query, strength), ...way }),
  )
  return undefined
}

async function callback(walk: Walk, ctx: KoaContext, id: string, next: Next): Promise<void> {
  const { parts, arrival, provider, proven } = walk
  const entry = parts.connectors.get(id)
  if (!entry) throw new LoginError('unknown_connector', 'no connector of this name')
  const { uid, answer, ...came } = await arrival.arrive(ctx, id)
  const opened = await entry.open()
  const outcome = await opened
    .complete(answer)
    .then((proved) => claim(parts, id, proved))
    .then(
      (proof): Proven => ({ proof, ...came }),
      (thrown: unknown): Proven => failedAt(parts, ctx, id, thrown),
    )
  const on = 'proof' in outcome && (await straightOn(walk, uid, outcome))
  if (on) return admit(walk, ctx, on, (result) => resume(provider, ctx, { at: on.at, result }, next))
  await proven.put(uid, outcome)
  ctx.status = 303
  ctx.redirect(`/login/${uid}/finish`)
}

/** Undefined where something is to be shown first, or a session of before or a command line looked after: `finish` does that. */
async function straightOn({ parts, provider }: Walk, uid: string, came: Came): Promise<Entry | undefined> {
  const at = await provider.Interaction.find(uid)
  if (!at || at.session !== undefined || at.deviceCode !== undefined) return undefined
  const entry = { at, came, judged: judge(parts, at, came.proof) }
  return entry.judged.welcome && isHinted(at.params, accountId(came.proof.subject)) ? entry : undefined
}

async function finish(walk: Walk, ctx: KoaContext, uid: string): Promise<void> {
  const at = await detailsOf(walk, ctx, uid)
  const outcome = await walk.proven.take(at.uid)
  if (!outcome) throw new LoginError('login_expired', 'nothing was proved for this sign-in, or it was already used')
  return 'proof' in outcome ? enter(walk, ctx, at, outcome) : tellFailed(walk, ctx, at, outcome)
}

async function enter(walk: Walk, ctx: KoaContext, at: Details, came: Came): Promise<void> {
  const { parts, provider, wanted } = walk
  const { subject } = came.proof
  const { connector } = subject
  if (!isHinted(at.params, accountId(subject))) {
    const facts = { error: 'login_required' }
    const other = new LoginError('upstream_rejected', 'another person came than the client had asked for', { facts })
    return tellFailed(walk, ctx, at, failedAt(parts, ctx, connector, other))
  }
  const entry = { at, came, judged: judge(parts, at, came.proof) }
  const { welcome, decision } = entry.judged
  if (welcome) return admit(walk, ctx, entry, (result) => goOn(provider, ctx, result))
  if (decision.wantsAcr === undefined || came.stepUp) return turnAway(walk, ctx, entry)
  // A stronger sign-in would do: back to the upstream, once, and asking for it.
  await wanted.put(at.uid, decision.wantsAcr)
  const query = new URLSearchParams({ connector, ...(came.idp === undefined ? {} : { idp: came.idp }) })
  ctx.status = 303
  ctx.redirect(`/login/${at.uid}?${query}`)
}

async function leave(walk: Walk, ctx: KoaContext, uid: string): Promise<void> {
  await detailsOf(walk, ctx, uid)
  const early = ctx.query['before'] === 'answer' // by a page that only waited
  const why = early ? 'the person left before the sign-in was over' : 'the rules give this person nothing here'
  return goOn(walk.provider, ctx, { error: 'access_denied', error_description: why })
}
