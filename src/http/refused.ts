import type { Context as KoaContext } from 'koa'
import type { Decision } from '../core/decision.ts'
import type { Proof } from '../core/subject.ts'
import { clientLabel, type Details } from './choose.ts'
import { refusedPage } from './pages/index.ts'
import type { Parts } from './parts.ts'
import { errorIdOf, onceOnly, sendPage, themeOf } from './render.ts'

interface Why {
  readonly proof: Proof
  readonly decision: Decision
  readonly code: 'nothing_granted' | 'forbidden'
}

/** Tells a person whom the rules turn away what was said of her, what she has elsewhere, and the ways on. */
export function refuse(parts: Parts, ctx: KoaContext, at: Details, { proof, decision, code }: Why): void {
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
export function againOf(at: Details): { retryHref?: string; leaveHref?: string } {
  return at.deviceCode === undefined
    ? { retryHref: `/login/${at.uid}?choose=1`, leaveHref: `/login/${at.uid}/leave` }
    : {}
}
