import type { Idp } from './idp.ts'
import { type Saml, SKEW } from './parts.ts'
import type { Expected } from './profile.ts'
import type { Asked } from './request.ts'

/** One sign-in: whom it was begun at, by which request, and when its answer came (Unix seconds). */
export interface Exchange {
  readonly idp: Idp
  readonly request: string
  readonly asked: Asked
  readonly at: number
}

/** What the answer of one sign-in must be: nothing of it is chosen by the answer. */
export function expectedOf({ config, ports }: Saml, { idp, request, asked, at }: Exchange): Expected {
  const strict = config.acrNotMet === 'refuse' && asked.contexts.length > 0
  return {
    idp,
    entityId: ports.sp.entityId,
    acs: ports.callback.href,
    requestId: request,
    now: at,
    skew: SKEW,
    decryption: ports.sp.keys().map(({ privateKey }) => privateKey),
    asked: {
      requestedAt: asked.requestedAt,
      ...(asked.forceAuthn && { forceAuthn: asked.forceAuthn }),
      ...(strict && { contexts: asked.contexts }),
    },
    policy: {
      signed: config.signed,
      ...(config.sha1 === 'allowed' && { sha1: true as const }),
      ...(config.encrypted === 'required' && { encrypted: true as const }),
    },
  }
}
