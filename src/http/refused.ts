import type { Context as KoaContext } from 'koa'
import type Provider from 'oidc-provider'
import type { Decision } from '../core/decision.ts'
import { LoginError } from '../core/errors.ts'
import type { Proof } from '../core/subject.ts'
import { clientLabel, type Details } from './choose.ts'
import { type Desk, type Entry, personalOf } from './entering.ts'
import { refusedPage } from './pages/index.ts'
import type { Parts } from './parts.ts'
import { asLoginError, errorIdOf, onceOnly, sendPage, themeOf, underErrorId } from './render.ts'
import { goOn } from './resume.ts'

/** What went wrong at an upstream, as its connector says. */
export interface Failed {
  readonly connector: string
  readonly code: LoginError['code']
  readonly facts: Record<string, string>
  /** Of the log line with the cause; whoever is told reads out the same. */
  readonly errorId: string
}

/** Why a sign-in came to nothing at its upstream: in the log the whole of it, and for the person what she may know. */
export function failedAt(parts: Parts, ctx: KoaContext, connector: string, thrown: unknown): Failed {
  const error = asLoginError(thrown)
  const { code, message: detail, facts } = error
  const cause = (error.cause as Error | undefined)?.message
  const errorId = errorIdOf(ctx)
  const why = { code, detail, ...(cause ? { cause: String(cause) } : {}) }
  parts.log('warn', 'sign-in failed at its upstream', { id: errorId, connector, ...why })
  return { connector, code, facts: { ...facts }, errorId }
}

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

/** Ends a sign-in that failed at its upstream. @throws {LoginError} for the page, where the person herself is told */
export async function tellFailed(
  { parts, provider }: Desk,
  ctx: KoaContext,
  at: Details,
  { connector, code, facts, errorId }: Failed,
): Promise<void> {
  underErrorId(ctx, errorId)
  const event = { event: 'login.refused', client: String(at.params['client_id']), connector, code } as const
  await parts.audit(errorIdOf(ctx), { ...event, personal: { address: ctx.ip } })
  parts.meter.login(connector, code)
  const description = `the sign-in failed (${code}); reference ${errorIdOf(ctx)}`
  // A command line cannot show why, and its person would be told that she had declined.
  if (forPeople.has(code) || at.deviceCode !== undefined) {
    await refuseDevice(provider, at, description)
    throw Object.assign(new LoginError(code, 'the sign-in failed at its upstream', { facts }), againOf(at))
  }
  const error = facts['error'] ?? oauthErrors[code] ?? 'server_error'
  return goOn(provider, ctx, { error, error_description: description })
}

/** Ends the sign-in of somebody to whom the rules give nothing here. */
export async function turnAway(
  { parts, provider }: Desk,
  ctx: KoaContext,
  { at, came: { proof }, judged: { decision, client } }: Entry,
): Promise<void> {
  const { connector } = proof.subject
  const { because } = decision
  const code = because.some((o) => o.effect === 'forbade') ? 'forbidden' : 'nothing_granted'
  const personal = personalOf(ctx, proof, decision)
  await parts.audit(errorIdOf(ctx), { event: 'login.refused', client, connector, code, because, personal })
  parts.meter.login(connector, code)
  await refuseDevice(provider, at, 'the rules give this person nothing here')
  showRefusal(parts, ctx, at, { proof, decision, code })
}

/** A command line that waits for a refused person is told at once. */
async function refuseDevice(provider: Provider, at: Details, errorDescription: string): Promise<void> {
  if (at.deviceCode === undefined) return
  const code = await provider.DeviceCode.find(at.deviceCode, { ignoreExpiration: true })
  if (!code) return
  Object.assign(code, { error: 'access_denied', errorDescription })
  await code.save()
}

interface Why {
  readonly proof: Proof
  readonly decision: Decision
  readonly code: 'nothing_granted' | 'forbidden'
}

/** Tells a person whom the rules turn away what was said of her, what she has elsewhere, and the ways on. */
function showRefusal(parts: Parts, ctx: KoaContext, at: Details, { proof, decision, code }: Why): void {
  const { subject } = proof
  const because = decision.because.flatMap((o) => (o.effect === 'forbade' && o.because ? [o.because] : []))
  const model = {
    error: code,
    organisation: parts.connectors.get(subject.connector)?.label ?? subject.connector,
    clientLabel: clientLabel(parts, at.params['client_id']),
    claims: Object.entries(subject.claims).map(([name, values]) => ({ name, values })),
    grants: decision.grants,
    ...(because.length > 0 ? { because } : {}),
    reference: errorIdOf(ctx),
    now: parts.now(),
    ...(decision.wantsAcr === undefined ? {} : { wantsAcr: decision.wantsAcr }),
    ...againOf(at),
  }
  sendPage(ctx, refusedPage(model, onceOnly(themeOf(parts, ctx))))
}

/** Ways on from a refusal: another account, or back to the client. A command line was told already and asks again by itself. */
function againOf(at: Details): { retryHref?: string; leaveHref?: string } {
  return at.deviceCode === undefined
    ? { retryHref: `/login/${at.uid}?choose=1`, leaveHref: `/login/${at.uid}/leave` }
    : {}
}

/** Ways on before an upstream has answered: the same once more, or back to the client, which a command line is not. */
export function waysOn(begun: { readonly uid: string; readonly connector: string; readonly device?: true }): {
  readonly retryHref: string
  readonly leaveHref?: string
} {
  const { uid, connector, device } = begun
  return {
    retryHref: `/login/${uid}?${new URLSearchParams({ connector })}`,
    ...(device ? {} : { leaveHref: `/login/${uid}/leave?before=answer` }),
  }
}
