import { hash } from 'node:crypto'
import type { Context as KoaContext } from 'koa'
import type Provider from 'oidc-provider'
import type { Challenge, Hints, Memo } from '../connectors/connector.ts'
import type { Decision } from '../core/decision.ts'
import { LoginError } from '../core/errors.ts'
import { accountId, type Proof } from '../core/subject.ts'
import { collection, kinds } from '../store/collection.ts'
import { readForm } from './body.ts'
import { chooserPage, markOf, postFormPage, refusedPage } from './pages/index.ts'
import type { ConnectorEntry, Parts } from './parts.ts'
import { type Proofs, reachesAny } from './proofs.ts'
import { asLoginError, errorIdOf, onceOnly, sendPage, themeOf } from './render.ts'
import { wantedTargets } from './resources.ts'

/*
 * A sign-in is a walk over five requests; each knows only what the one before left in the store, and none but `finish` may end it:
 *
 *   GET  /login/:uid            chooses a connector, begins there            leaves Pending[state]
 *   POST /callback/:connector   parks a cross-site answer, which carries no Lax cookie   leaves Parked[ticket]
 *   GET  /callback/:connector   same browser? takes Pending, completes       leaves Proven[uid]
 *   GET  /login/:uid/finish     takes Proven, decides, hands over to the Provider
 *   GET  /login/:uid/leave      the person goes back to the client with `access_denied`
 */

interface Pending {
  readonly connector: string
  readonly uid: string
  /** sha256 of the browser cookie. */
  readonly browser: string
  readonly memo: Memo
}
type Proven =
  | { readonly proof: Proof }
  | { readonly connector: string; readonly code: LoginError['code']; readonly facts: Record<string, string> }
type Details = Awaited<ReturnType<Provider['interactionDetails']>>

const SIGN_IN = 600
const hashOf = (text: string) => hash('sha256', text, 'base64url')

/** Errors that the person can act upon are told on a page; the others go back to the client as OAuth errors. */
const forPeople: ReadonlySet<string> = new Set(['claims_unusable', 'acr_not_met', 'nothing_granted', 'forbidden'])
const oauthErrors: Readonly<Record<string, string>> = {
  upstream_declined: 'access_denied',
  upstream_rejected: 'access_denied',
  upstream_unavailable: 'temporarily_unavailable',
  unavailable: 'temporarily_unavailable',
}

/** The handlers of the sign-in's routes. */
export interface Login {
  begin(ctx: KoaContext, uid: string): Promise<void>
  park(ctx: KoaContext, connector: string): Promise<void>
  callback(ctx: KoaContext, connector: string): Promise<void>
  finish(ctx: KoaContext, uid: string): Promise<void>
  leave(ctx: KoaContext, uid: string): Promise<void>
}

/** Which connector a request means: by name, by the domain of an e-mail address, or because there is no other. */
function chosen(parts: Parts, details: Details, query: URLSearchParams): ConnectorEntry | 'unknown' | undefined {
  const named = query.get('connector') ?? details.params['connector']
  if (typeof named === 'string') return parts.connectors.get(named) ?? 'unknown'
  const words = query.get('organisation')
  if (words !== null) return byWords(parts, words) ?? 'unknown'
  if (query.has('choose')) return undefined
  const hint = details.params['login_hint']
  const hinted = typeof hint === 'string' && hint.includes('@') ? byWords(parts, hint) : undefined
  if (hinted) return hinted
  const all = [...parts.connectors.values()]
  return all.length === 1 ? all[0] : undefined
}

/** An organisation by its e-mail domain (exact) or by its whole name: never by a part, which would list customers. */
function byWords(parts: Parts, words: string): ConnectorEntry | undefined {
  const text = words.trim().toLowerCase()
  const domain = text.slice(text.lastIndexOf('@') + 1)
  const all = [...parts.connectors.values()]
  return all.find((c) => c.emailDomains.includes(domain)) ?? all.find((c) => c.label.toLowerCase() === text)
}

function hintsOf(details: Details): Hints {
  const { acr_values, max_age, login_hint, ui_locales } = details.params as Record<string, unknown>
  const again = details.prompt.name === 'login' && details.prompt.reasons.some((r) => r === 'login_prompt')
  return {
    ...(typeof acr_values === 'string' ? { acrValues: acr_values.split(' ') } : {}),
    ...(max_age !== undefined ? { maxAge: Number(max_age) } : {}),
    ...(again ? { prompt: 'login' as const } : {}),
    ...(typeof login_hint === 'string' ? { loginHint: login_hint } : {}),
    ...(typeof ui_locales === 'string' ? { uiLocales: ui_locales } : {}),
  }
}

/** @param provider asked anew at each use: rotation and reload swap it */
export function openLogin(parts: Parts, proofs: Proofs, provider: () => Provider): Login {
  const pending = collection<Pending>(parts.store, kinds.Pending, SIGN_IN)
  const parked = collection<Record<string, string>>(parts.store, kinds.Parked, 120)
  const proven = collection<Proven>(parts.store, kinds.Proven, 120)
  const secure = parts.issuer.protocol === 'https:'
  const browserCookie = secure ? '__Host-lotse-browser' : 'lotse-browser'

  /** The uid comes from the Provider's cookie; the path must merely agree, so that nobody finishes another browser's sign-in. */
  const details = async (ctx: KoaContext, uid: string): Promise<Details> => {
    const found = await provider()
      .interactionDetails(ctx.req, ctx.res)
      .catch((cause: unknown) => {
        if ((cause as { status?: number }).status === 503) throw cause
        throw new LoginError('login_expired', 'no interaction behind this cookie', { cause })
      })
    if (found.uid !== uid) throw new LoginError('login_expired', 'the interaction cookie names another sign-in')
    return found
  }

  const goOn = async (ctx: KoaContext, result: Parameters<Provider['interactionResult']>[2]) => {
    const to = await provider().interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: false })
    ctx.status = 303
    ctx.redirect(to)
  }

  const clientLabel = (id: unknown) => {
    const client = parts.clients.get(String(id))
    return client?.label ?? String(id)
  }

  const choose = (ctx: KoaContext, at: Details, search: { value: string; notFound: boolean }) => {
    const action = new URL(`/login/${at.uid}`, parts.issuer).href
    const all = [...parts.connectors.values()]
    const listed = all.filter((c) => !c.unlisted)
    const model = {
      clientLabel: clientLabel(at.params['client_id']),
      connectors: listed.map(({ id, label, hint }) => ({
        label,
        ...(hint === undefined ? {} : { hint }),
        href: `${action}?connector=${encodeURIComponent(id)}`,
        mark: markOf(label),
      })),
      ...(all.length > listed.length ? { search: { action, ...search } } : {}),
    }
    sendPage(ctx, chooserPage(model, themeOf(parts, ctx)))
  }

  const browserOf = (ctx: KoaContext): string => {
    const known = ctx.cookies.get(browserCookie, { signed: false })
    if (known !== undefined && known.length >= 43) return known
    const made = parts.random()
    ctx.cookies.set(browserCookie, made, {
      httpOnly: true,
      sameSite: 'lax',
      secure,
      path: '/',
      signed: false,
      overwrite: true,
    })
    return made
  }

  const send = (ctx: KoaContext, challenge: Challenge, label: string) => {
    if (challenge.kind === 'redirect') {
      ctx.status = 303
      ctx.redirect(challenge.url.href)
    } else if (challenge.kind === 'form') {
      const model = { action: challenge.action.href, fields: challenge.fields, label }
      sendPage(ctx, postFormPage(model, onceOnly(themeOf(parts, ctx))))
    } else throw new LoginError('internal', 'wallet challenges have no page yet')
  }

  const begin: Login['begin'] = async (ctx, uid) => {
    const at = await details(ctx, uid)
    // A configured client has its operator's consent; `prompt=consent` is answered, not shown.
    if (at.prompt.name === 'consent') return goOn(ctx, { consent: {} })
    const query = new URLSearchParams(ctx.querystring)
    const connector = chosen(parts, at, query)
    if (connector === undefined || connector === 'unknown') {
      const value = query.get('organisation') ?? ''
      if (connector === 'unknown' && value === '')
        throw new LoginError('unknown_connector', 'no connector of this name')
      return choose(ctx, at, { value, notFound: connector === 'unknown' })
    }
    const state = parts.random()
    const challenge = await (await connector.open()).begin(state, hintsOf(at))
    const browser = hashOf(browserOf(ctx))
    await pending.put(state, { connector: connector.id, uid, browser, memo: challenge.memo })
    send(ctx, challenge, connector.label)
  }

  const park: Login['park'] = async (ctx, connector) => {
    const form = await readForm(ctx.req)
    const state = form.get('state') ?? form.get('RelayState') ?? ''
    const known = await pending.get(state)
    // Nothing is kept for somebody who did not begin here.
    if (!known || known.connector !== connector)
      throw new LoginError('login_expired', 'no sign-in waits for this answer')
    const ticket = parts.random()
    await parked.put(ticket, Object.fromEntries(form))
    ctx.status = 303
    ctx.redirect(`/callback/${connector}?ticket=${ticket}`)
  }

  /** The answer, and the sign-in that waits for it in this very browser (against login CSRF and stolen links). */
  const arrive = async (ctx: KoaContext, connector: string) => {
    const url = new URL(`/callback/${connector}`, parts.issuer)
    url.search = ctx.search
    const ticket = url.searchParams.get('ticket')
    const fields = ticket === null ? undefined : await parked.take(ticket)
    if (ticket !== null && !fields) throw new LoginError('login_expired', 'this answer was already used')
    if (ticket !== null) url.search = ''
    const form = fields && new URLSearchParams(fields)
    const state = (form?.get('state') ?? form?.get('RelayState') ?? url.searchParams.get('state')) || ''
    const waiting = await pending.get(state)
    if (!waiting) throw new LoginError('login_expired', 'no sign-in waits for this state')
    const browser = ctx.cookies.get(browserCookie, { signed: false })
    if (browser === undefined || hashOf(browser) !== waiting.browser) {
      throw new LoginError('wrong_browser', 'the answer arrived in a browser that did not begin this sign-in')
    }
    if (waiting.connector !== connector) throw new LoginError('bad_request', 'the answer of another connector (mix-up)')
    if (!(await pending.take(state))) throw new LoginError('login_expired', 'this state was already used')
    return { waiting, answer: { url, ...(form ? { form } : {}), memo: waiting.memo } }
  }

  const callback: Login['callback'] = async (ctx, id) => {
    const entry = parts.connectors.get(id)
    if (!entry) throw new LoginError('unknown_connector', 'no connector of this name')
    const { waiting, answer } = await arrive(ctx, id)
    const outcome = await completed(entry, answer).catch((thrown: unknown): Proven => {
      const error = asLoginError(thrown)
      const cause = String((error.cause as Error | undefined)?.message ?? '')
      parts.log('warn', 'sign-in failed at its upstream', {
        id: errorIdOf(ctx),
        connector: id,
        code: error.code,
        detail: error.message,
        cause,
      })
      return { connector: id, code: error.code, facts: { ...error.facts } }
    })
    await proven.put(waiting.uid, outcome)
    ctx.status = 303
    ctx.redirect(`/login/${waiting.uid}/finish`)
  }

  const finish: Login['finish'] = async (ctx, uid) => {
    const at = await details(ctx, uid)
    const outcome = await proven.take(at.uid)
    if (!outcome) throw new LoginError('login_expired', 'nothing was proved for this sign-in, or it was already used')
    return 'proof' in outcome ? enter(ctx, at, outcome.proof) : failed(ctx, at, outcome)
  }

  const failed = async (ctx: KoaContext, at: Details, outcome: Exclude<Proven, { proof: Proof }>) => {
    const { connector, code, facts } = outcome
    const event = { event: 'login.refused', client: String(at.params['client_id']), connector, code } as const
    await parts.audit(errorIdOf(ctx), { ...event, personal: { address: ctx.ip } })
    parts.meter.login(connector, code)
    if (forPeople.has(code)) {
      await refuseDevice(provider(), at)
      throw Object.assign(new LoginError(code, 'refused', { facts }), againOf(at))
    }
    const description = `the sign-in failed (${code}); reference ${errorIdOf(ctx)}`
    return goOn(ctx, { error: oauthErrors[code] ?? 'server_error', error_description: description })
  }

  const enter = async (ctx: KoaContext, at: Details, proof: Proof) => {
    const decision = parts.decide(proof.subject, parts.now())
    const client = String(at.params['client_id'])
    const resources = [at.params['resource'] ?? []].flat() as string[]
    const sub = accountId(proof.subject)
    const personal = {
      sub,
      upstreamId: proof.subject.id,
      username: decision.identity.username,
      address: ctx.ip,
      userAgent: ctx.get('user-agent').slice(0, 200),
    }
    const { connector } = proof.subject
    if (!reachesAny(decision, wantedTargets(parts, client, resources))) {
      const code = decision.because.some((o) => o.effect === 'forbade') ? 'forbidden' : 'nothing_granted'
      await parts.audit(errorIdOf(ctx), {
        event: 'login.refused',
        client,
        connector,
        code,
        because: decision.because,
        personal,
      })
      parts.meter.login(connector, code)
      await refuseDevice(provider(), at)
      return refuse(ctx, at, { proof, decision, code })
    }
    const broke = decision.because.some((o) => o.effect === 'broke-glass')
    await parts.audit(errorIdOf(ctx), {
      event: broke ? 'break-glass' : 'login.success',
      client,
      connector,
      because: decision.because,
      personal,
    })
    const id = parts.random()
    await proofs.keep(id, proof)
    await leaveOther(provider(), at, sub)
    parts.meter.login(connector, 'success')
    const { authTime: ts, acr, amr } = proof.subject
    return goOn(ctx, {
      login: {
        accountId: sub,
        ts,
        remember: true,
        ...(acr === undefined ? {} : { acr }),
        ...(amr ? { amr: [...amr] } : {}),
      },
      consent: {},
      proof: id,
    })
  }

  const refuse = (
    ctx: KoaContext,
    at: Details,
    why: { proof: Proof; decision: Decision; code: 'nothing_granted' | 'forbidden' },
  ) => {
    const { subject } = why.proof
    const because = why.decision.because.flatMap((o) => (o.effect === 'forbade' && o.because ? [o.because] : []))
    const model = {
      error: why.code,
      organisation: parts.connectors.get(subject.connector)?.label ?? subject.connector,
      clientLabel: clientLabel(at.params['client_id']),
      claims: Object.entries(subject.claims).map(([name, values]) => ({ name, values })),
      grants: why.decision.grants,
      ...(because.length > 0 ? { because } : {}),
      reference: errorIdOf(ctx),
      now: parts.now(),
      ...(why.decision.wantsAcr === undefined ? {} : { wantsAcr: why.decision.wantsAcr }),
      ...againOf(at),
    }
    sendPage(ctx, refusedPage(model, onceOnly(themeOf(parts, ctx))))
  }

  const leave: Login['leave'] = async (ctx, uid) => {
    await details(ctx, uid)
    return goOn(ctx, { error: 'access_denied', error_description: 'the rules give this person nothing here' })
  }

  return { begin, park, callback, finish, leave }
}

async function completed(
  entry: ConnectorEntry,
  answer: { url: URL; form?: URLSearchParams; memo: Memo },
): Promise<Proven> {
  return { proof: await (await entry.open()).complete(answer) }
}

/** Ways on from a refusal: another account, or back to the client. A command line was told already and asks again by itself. */
function againOf(at: Details): { retryHref?: string; leaveHref?: string } {
  return at.deviceCode === undefined
    ? { retryHref: `/login/${at.uid}?choose=1`, leaveHref: `/login/${at.uid}/leave` }
    : {}
}

/** A command line that waits for a refused person is told at once. */
async function refuseDevice(provider: Provider, at: Details): Promise<void> {
  if (at.deviceCode === undefined) return
  const code = await provider.DeviceCode.find(at.deviceCode, { ignoreExpiration: true })
  if (!code) return
  Object.assign(code, { error: 'access_denied', errorDescription: 'the rules give this person nothing here' })
  await code.save()
}

/** Another person signs in in this browser: her session takes the place of the earlier one, without a page in between. */
async function leaveOther(provider: Provider, at: Details, sub: string): Promise<void> {
  if (at.session?.accountId === undefined || at.session.accountId === sub) return
  await (await provider.Session.findByUid(at.session.uid))?.destroy()
  Object.assign(at, { session: undefined })
  await at.persist()
}
