import { hash } from 'node:crypto'
import type { Context as KoaContext } from 'koa'
import { type Configuration, errors } from 'oidc-provider'
import { LoginError } from '../core/errors.ts'
import { collection, kinds } from '../store/collection.ts'
import { targetOf } from './account.ts'
import { subscriberOf } from './origin.ts'
import { deviceConfirmPage, deviceDeclinedPage, deviceDonePage, deviceEntryPage } from './pages/index.ts'
import type { Parts } from './parts.ts'
import type { Context } from './proofs.ts'
import { errorIdOf, onceOnly, sendPage, themeOf } from './render.ts'

type DeviceFlow = NonNullable<NonNullable<Configuration['features']>['deviceFlow']>

/** Who asked for a code, from where and when: shown before anybody confirms it (RFC 10027, section 6.1). */
interface DeviceInfo {
  readonly address: string
  readonly at: number
  readonly challenge?: string
}

/** Wrong codes from one subscriber within `WINDOW` seconds after which no more are looked at: 20 of 2.56 × 10^10. */
const ATTEMPTS = 20
const WINDOW = 600
/** Seconds between polls. */
const INTERVAL = 5

const problems: Readonly<Record<string, 'not_found' | 'expired'>> = {
  NotFoundError: 'not_found',
  NoCodeError: 'not_found',
  ExpiredError: 'expired',
  AlreadyUsedError: 'expired',
}

function deviceInfo(parts: Parts): (ctx: KoaContext) => DeviceInfo & Record<string, unknown> {
  return (ctx) => {
    const { body } = (ctx as unknown as Context).oidc
    const challenge = body?.['code_challenge']
    if (challenge !== undefined && body?.['code_challenge_method'] !== 'S256') {
      throw new errors.InvalidRequest('code_challenge_method must be S256')
    }
    return { address: ctx.ip, at: parts.now(), ...(typeof challenge === 'string' ? { challenge } : {}) }
  }
}

const xsrfOf = (ctx: Context) => (ctx.oidc.session as unknown as { state?: { secret?: string } })?.state?.secret ?? ''

/** Device flow (RFC 8628) with own pages; the code is confirmed before the sign-in that follows. */
export function deviceFlow(parts: Parts): DeviceFlow {
  const attempts = collection<number>(parts.store, kinds.Attempts, WINDOW)
  return {
    enabled: true,
    charset: 'base-20',
    mask: '****-****',
    deviceInfo: deviceInfo(parts),
    async userCodeInputSource(anyCtx, _form, _out, error) {
      const ctx = anyCtx as unknown as Context
      // Said as what it is: the library would show the form again, as after a code that nobody knows (law 4).
      if ((error as { readonly status?: number } | undefined)?.status === 503) throw error
      const theme = onceOnly(themeOf(parts, ctx))
      if (error?.name === 'AbortedError') {
        // So the library calls every refusal after a code was confirmed; this person declined nothing.
        if (error.cause)
          throw new LoginError('nothing_granted', 'refused after the confirmation', { cause: error.cause })
        // The library looks the client up only for a code that is confirmed.
        const { clientId: client = '' } = ctx.oidc.entities.DeviceCode ?? {}
        await parts.audit(errorIdOf(ctx), { event: 'device.declined', client, personal: { address: ctx.ip } })
        const label = parts.clients.get(client)?.label
        return sendPage(ctx, deviceDeclinedPage(label === undefined ? {} : { clientLabel: label }, theme))
      }
      if (error?.name === 'NotFoundError') await attempts.update(subscriberOf(ctx.ip), (n) => (n ?? 0) + 1, WINDOW)
      const problem = error && (problems[error.name] ?? 'not_found')
      const value = (ctx.state as { userCode?: string }).userCode
      const model = {
        action: new URL('/device', parts.issuer).href,
        xsrf: xsrfOf(ctx),
        ...(value ? { value } : {}),
        ...(problem ? { problem } : {}),
      }
      const here = value ? `/device?${new URLSearchParams({ user_code: value })}` : '/device'
      sendPage(ctx, deviceEntryPage(model, ctx.method === 'GET' ? { ...theme, here } : theme))
    },
    async userCodeConfirmSource(anyCtx, _form, client, info, userCode) {
      const ctx = anyCtx as unknown as Context
      const { address, at } = info as unknown as DeviceInfo
      const config = parts.clients.get(client.clientId)
      const targetLabel = targetOf(parts, config)?.label
      const model = {
        action: new URL('/device', parts.issuer).href,
        xsrf: xsrfOf(ctx),
        userCode,
        clientLabel: config?.label ?? client.clientId,
        ...(targetLabel === undefined ? {} : { targetLabel }),
        askedFrom: address,
        askedAt: at,
        now: parts.now(),
      }
      sendPage(ctx, deviceConfirmPage(model, onceOnly(themeOf(parts, ctx))))
    },
    async successSource(anyCtx) {
      const ctx = anyCtx as unknown as Context
      const client = ctx.oidc.client?.clientId ?? ''
      const sub = ctx.oidc.account?.accountId
      await parts.audit(errorIdOf(ctx), {
        event: 'device.confirmed',
        client,
        personal: { ...(sub ? { sub } : {}), address: ctx.ip },
      })
      const label = parts.clients.get(client)?.label
      sendPage(ctx, deviceDonePage(label === undefined ? {} : { clientLabel: label }, onceOnly(themeOf(parts, ctx))))
    },
  }
}

/** Of the library's interaction: a device's, and the sha256 of the cookie of the browser in which its code was confirmed. */
interface Confirmed {
  readonly deviceCode?: string | undefined
  readonly confirmedIn?: string
}

const confirmer = ({ issuer }: Pick<Parts, 'issuer'>) => `${issuer.protocol === 'https:' ? '__Host-' : ''}lotse-device`
const hashOf = (text: string) => hash('sha256', text, 'base64url')

/**
 * Remembers which browser confirmed a code, where a sign-in has to follow. The library knows it by cookies that are scoped to a path, so
 * that any host of this domain could plant them: whoever confirms the code of a terminal of his would have somebody else sign in for
 * it, who was asked nothing (RFC 10027), or sign her in as himself.
 */
export async function rememberConfirmer(parts: Parts, ctx: Context): Promise<void> {
  const at = ctx.oidc.entities.Interaction
  if (!at) return
  const name = confirmer(parts)
  const sent = ctx.cookies.get(name, { signed: false }) ?? ''
  const browser = /^[\w-]{43}$/.test(sent) ? sent : parts.random() // one for all codes that a browser confirms meanwhile
  const secure = parts.issuer.protocol === 'https:'
  ctx.cookies.set(name, browser, { httpOnly: true, sameSite: 'lax', secure, path: '/', signed: false, maxAge: 600_000 })
  Object.assign(at, { confirmedIn: hashOf(browser) })
  await at.persist()
}

/** @throws {LoginError} `login_expired` where a code was confirmed in another browser */
export function mustBeConfirmer(parts: Pick<Parts, 'issuer'>, ctx: KoaContext, at: Confirmed): void {
  if (at.deviceCode === undefined) return
  const sent = ctx.cookies.get(confirmer(parts), { signed: false })
  if (sent === undefined || hashOf(sent) !== at.confirmedIn)
    throw new LoginError('login_expired', 'the code was confirmed in another browser')
}

/** What the device flow needs around the library's routes. */
export interface DeviceGuard {
  /** Before a route. @throws {LoginError} `too_many_attempts`, `login_expired` */
  before(ctx: KoaContext): Promise<void>
  /** After a route: `interval`, and the pace of polls. */
  after(ctx: Context): Promise<void>
}

/** Guessing is bounded, a code in a link is filled in but never submitted by itself, and every answer says how fast to poll. */
export function deviceGuard(parts: Parts): DeviceGuard {
  const attempts = collection<number>(parts.store, kinds.Attempts, WINDOW)
  const polls = collection<number>(parts.store, kinds.Attempts, 60)
  const interactions = collection<Confirmed>(parts.store, kinds.Interaction)

  /** The library goes on with whatever sign-in its cookie names, on the path of any. */
  const resumed = async (ctx: KoaContext) => {
    const uid = ctx.cookies.get('lotse-resume', { signed: true })
    const at = uid ? await interactions.get(uid) : undefined
    if (at) mustBeConfirmer(parts, ctx, at)
  }

  const pace = async (ctx: Context) => {
    const body = ctx.body as { error?: string; error_description?: string } | undefined
    const code = ctx.oidc.params?.['device_code']
    if (body?.error === 'temporarily_unavailable' && code !== undefined) {
      // Device clients die of anything but these words (law 4); they ask again.
      ctx.status = 400
      ctx.body = { error: 'authorization_pending', error_description: 'the gateway is busy' }
    }
    if (body?.error !== 'authorization_pending' || typeof code !== 'string') return
    if (parts.clients.get(ctx.oidc.client?.clientId ?? '')?.neverSlowDown) return
    const key = `poll:${hashOf(code)}`
    const last = await polls.get(key)
    await polls.put(key, parts.now())
    if (last !== undefined && parts.now() - last < INTERVAL - 1) {
      ctx.body = { error: 'slow_down', error_description: `wait ${INTERVAL} seconds between requests` }
    }
  }

  return {
    async before(ctx) {
      if (/^\/(?:auth|device)\/./.test(ctx.path)) await resumed(ctx)
      if (ctx.path !== '/device') return
      if (ctx.method === 'POST' && ((await attempts.get(subscriberOf(ctx.ip))) ?? 0) >= ATTEMPTS) {
        throw new LoginError('too_many_attempts', 'too many wrong user codes from one subscriber')
      }
      const code = ctx.method === 'GET' ? ctx.query['user_code'] : undefined
      if (typeof code === 'string') {
        ;(ctx.state as { userCode?: string }).userCode = code.slice(0, 32)
        const rest = new URLSearchParams(ctx.querystring)
        rest.delete('user_code')
        ctx.querystring = String(rest)
      }
    },
    async after(ctx) {
      if (ctx.oidc?.route === 'device_authorization' && ctx.status === 200) {
        ctx.body = { ...(ctx.body as object), interval: INTERVAL }
      }
      if (ctx.oidc?.route === 'token') await pace(ctx)
    },
  }
}
