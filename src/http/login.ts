import type { Context as KoaContext, Next } from 'koa'
import type Provider from 'oidc-provider'
import { LoginError } from '../core/errors.ts'
import { accountId } from '../core/subject.ts'
import { collection, kinds } from '../store/collection.ts'
import type { Arrival } from './arrival.ts'
import { chooserModel, chosen, type Details, hintsOf } from './choose.ts'
import { mustBeConfirmer } from './device.ts'
import { askWhere, setLast, wayOf } from './discovery.ts'
import {
  type Came,
  claim,
  type Entry,
  judge,
  keepToLimit,
  personalOf,
  refuseDevice,
  settled,
  undoneUnless,
} from './entering.ts'
import { isHinted } from './hinted.ts'
import { endForOther } from './logout.ts'
import { chooserPage } from './pages/index.ts'
import type { ConnectorEntry, Parts } from './parts.ts'
import type { Context, Proofs } from './proofs.ts'
import { againOf, refuse } from './refused.ts'
import { asLoginError, errorIdOf, sendPage, themeOf } from './render.ts'
import { resume } from './resume.ts'

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

type Proven =
  | Came
  | { readonly connector: string; readonly code: LoginError['code']; readonly facts: Record<string, string> }

/** Errors that the person can act upon are told on a page; the others go back to the client as OAuth errors. */
const forPeople: ReadonlySet<string> = new Set([
  'claims_unusable',
  'credential_revoked',
  'acr_not_met',
  'nothing_granted',
  'forbidden',
])
const oauthErrors: Readonly<Record<string, string>> = {
  upstream_declined: 'access_denied',
  upstream_rejected: 'access_denied',
  upstream_unavailable: 'temporarily_unavailable',
  unavailable: 'temporarily_unavailable',
}

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

/** @param provider asked anew at each use: rotation and reload swap it */
export function openLogin(parts: Parts, proofs: Proofs, arrival: Arrival, provider: () => Provider): Login {
  const proven = collection<Proven>(parts.store, kinds.Proven, 120)
  const wanted = collection<string>(parts.store, kinds.Wanted, 600)

  /** The uid comes from the Provider's cookie; the path must merely agree, so that nobody finishes another browser's sign-in. */
  const details = async (ctx: KoaContext, uid: string): Promise<Details> => {
    const found = await provider()
      .interactionDetails(ctx.req, ctx.res)
      .catch((cause: unknown) => {
        if ((cause as { status?: number }).status === 503) throw cause
        throw new LoginError('login_expired', 'no interaction behind this cookie', { cause })
      })
    if (found.uid !== uid) throw new LoginError('login_expired', 'the interaction cookie names another sign-in')
    mustBeConfirmer(parts, ctx, found)
    return found
  }

  /**
   * Another person signs in in this browser: her session takes the place of the earlier one, without a page in between. A sign-in that
   * was begun in a session that is over, as one that made room for this very sign-in, gets a new one.
   */
  const leaveOther = async (ctx: KoaContext, at: Details, sub: string) => {
    // The session that the browser has now: another tab may have begun one since this sign-in was.
    const { accountId: other, uid } = await provider().Session.get(ctx as never)
    if (other === sub) return
    if (other !== undefined) await endForOther(provider(), parts, { ctx, uid })
    else if (at.session === undefined) return
    Object.assign(at, { session: undefined })
    await at.persist()
  }

  const goOn = async (ctx: KoaContext, result: Parameters<Provider['interactionResult']>[2]) => {
    const to = await provider().interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: false })
    ctx.status = 303
    ctx.redirect(to)
  }

  const begin: Login['begin'] = async (ctx, uid) => {
    const at = await details(ctx, uid)
    // A configured client has its operator's consent; `prompt=consent` is answered, not shown.
    if (at.prompt.name === 'consent') return goOn(ctx, { consent: {} })
    const query = new URLSearchParams(ctx.querystring)
    const connector = chosen(parts, at, query)
    if (connector === 'unknown' && !query.get('organisation'))
      throw new LoginError('unknown_connector', 'no such connector')
    if (connector === undefined || connector === 'unknown') {
      return sendPage(ctx, chooserPage(chooserModel(parts, at, query), themeOf(parts, ctx)))
    }
    const way = await depart(ctx, at, query, connector)
    if (way) await askWhere(parts, ctx, { at, query, connector, way })
  }

  /** Sends the browser off; or says whom to ask first where that is. */
  const depart = async (ctx: KoaContext, at: Details, query: URLSearchParams, connector: ConnectorEntry) => {
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

  const sendOn: Login['sendOn'] = async (ctx) => {
    const { oidc } = ctx as unknown as Partial<Context>
    const at = oidc?.route === 'authorization' ? oidc.entities.Interaction : undefined
    if (at?.prompt.name !== 'login') return
    const query = new URLSearchParams()
    const connector = chosen(parts, at, query)
    if (connector === undefined || connector === 'unknown') return
    // What fails here is tried again, and told, where the Provider's own redirect leads; there a person is asked, too.
    await depart(ctx, at, query, connector).catch(() => {})
  }

  /** Undefined where something is to be shown first, or a session of before or a command line looked after: `finish` does that. */
  const straightOn = async (uid: string, came: Came): Promise<Entry | undefined> => {
    const at = await provider().Interaction.find(uid)
    if (!at || at.session !== undefined || at.deviceCode !== undefined) return undefined
    const entry = { at, came, judged: judge(parts, at, came.proof) }
    return entry.judged.welcome && isHinted(at.params, accountId(came.proof.subject)) ? entry : undefined
  }

  const callback: Login['callback'] = async (ctx, id, next) => {
    const entry = parts.connectors.get(id)
    if (!entry) throw new LoginError('unknown_connector', 'no connector of this name')
    const { uid, answer, ...came } = await arrival.arrive(ctx, id)
    const opened = await entry.open()
    const outcome = await opened
      .complete(answer)
      .then((proved) => claim(parts, id, proved))
      .then(
        (proof): Proven => ({ proof, ...came }),
        (thrown: unknown): Proven => {
          const error = asLoginError(thrown)
          const { code, message: detail, facts } = error
          const cause = String((error.cause as Error | undefined)?.message ?? '')
          parts.log('warn', 'sign-in failed at its upstream', {
            id: errorIdOf(ctx),
            connector: id,
            code,
            detail,
            cause,
          })
          return { connector: id, code, facts: { ...facts } }
        },
      )
    const on = 'proof' in outcome && (await straightOn(uid, outcome))
    if (on) return admit(ctx, on, (result) => resume(provider(), ctx, { at: on.at, result }, next))
    await proven.put(uid, outcome)
    ctx.status = 303
    ctx.redirect(`/login/${uid}/finish`)
  }

  const finish: Login['finish'] = async (ctx, uid) => {
    const at = await details(ctx, uid)
    const outcome = await proven.take(at.uid)
    if (!outcome) throw new LoginError('login_expired', 'nothing was proved for this sign-in, or it was already used')
    return 'proof' in outcome ? enter(ctx, at, outcome) : failed(ctx, at, outcome)
  }

  const failed = async (ctx: KoaContext, at: Details, outcome: Exclude<Proven, Came>) => {
    const { connector, code, facts } = outcome
    const event = { event: 'login.refused', client: String(at.params['client_id']), connector, code } as const
    await parts.audit(errorIdOf(ctx), { ...event, personal: { address: ctx.ip } })
    parts.meter.login(connector, code)
    const description = `the sign-in failed (${code}); reference ${errorIdOf(ctx)}`
    // A command line cannot show why, and its person would be told that she had declined.
    if (forPeople.has(code) || at.deviceCode !== undefined) {
      await refuseDevice(provider(), at, description)
      throw Object.assign(new LoginError(code, 'refused', { facts }), againOf(at))
    }
    return goOn(ctx, { error: facts['error'] ?? oauthErrors[code] ?? 'server_error', error_description: description })
  }

  const enter = async (ctx: KoaContext, at: Details, came: Came) => {
    const { subject } = came.proof
    if (!isHinted(at.params, accountId(subject))) {
      const { connector } = subject
      return failed(ctx, at, { connector, code: 'upstream_rejected', facts: { error: 'login_required' } })
    }
    const entry = { at, came, judged: judge(parts, at, came.proof) }
    return entry.judged.welcome ? admit(ctx, entry, (result) => goOn(ctx, result)) : turnAway(ctx, entry)
  }

  const turnAway = async (
    ctx: KoaContext,
    { at, came: { proof, stepUp, idp }, judged: { decision, client } }: Entry,
  ) => {
    const { connector } = proof.subject
    // A stronger sign-in would do: back to the upstream, once, and asking for it.
    if (decision.wantsAcr !== undefined && !stepUp) {
      await wanted.put(at.uid, decision.wantsAcr)
      ctx.status = 303
      return ctx.redirect(
        `/login/${at.uid}?${new URLSearchParams({ connector, ...(idp === undefined ? {} : { idp }) })}`,
      )
    }
    const code = decision.because.some((o) => o.effect === 'forbade') ? 'forbidden' : 'nothing_granted'
    await parts.audit(errorIdOf(ctx), {
      event: 'login.refused',
      client,
      connector,
      code,
      because: decision.because,
      personal: personalOf(ctx, proof, decision),
    })
    parts.meter.login(connector, code)
    await refuseDevice(provider(), at, 'the rules give this person nothing here')
    return refuse(parts, ctx, at, { proof, decision, code })
  }

  /** @param handOver gets what the Provider is to know of the sign-in */
  const admit = async (
    ctx: KoaContext,
    { at, came: { proof, begunAt }, judged }: Entry,
    handOver: (result: Parameters<Provider['interactionResult']>[2]) => Promise<void>,
  ) => {
    const { decision, client, targets } = judged
    // One authorization gives one code, however many answers come for it: a browser may have begun it in two tabs.
    if ((await parts.store.consume(kinds.Interaction, at.uid)) !== 'first')
      throw new LoginError('login_expired', 'another answer ended this sign-in')
    const { connector, authTime: ts, acr, amr } = proof.subject
    const personal = personalOf(ctx, proof, decision)
    const { sub } = personal
    const id = parts.random()
    // Ended while the person was on the way here: her session at the upstream, she herself, or all of her connector.
    if (!(await proofs.keep(ctx, id, proof, { client, address: ctx.ip, begunAt })))
      throw new LoginError('login_expired', 'it was ended since it began')
    await undoneUnless(parts, { id, sub }, async () => {
      await settled(parts, ctx, { client, connector, personal, targets })
      const broke = decision.because.some((o) => o.effect === 'broke-glass')
      const event = broke ? 'break-glass' : 'login.success'
      await parts.audit(errorIdOf(ctx), { event, client, connector, because: decision.because, personal })
      await keepToLimit(parts, ctx, { id, sub })
      await leaveOther(ctx, at, sub)
      const optional = { ...(acr === undefined ? {} : { acr }), ...(amr ? { amr: [...amr] } : {}) }
      await handOver({ login: { accountId: sub, ts, remember: true, ...optional }, consent: {}, proof: id })
      parts.meter.login(connector, 'success')
    })
  }

  const leave: Login['leave'] = async (ctx, uid) => {
    await details(ctx, uid)
    const early = ctx.query['before'] === 'answer' // by a page that only waited
    const why = early ? 'the person left before the sign-in was over' : 'the rules give this person nothing here'
    return goOn(ctx, { error: 'access_denied', error_description: why })
  }

  return { sendOn, begin, park: arrival.park, callback, finish, leave }
}
