import { atLeast } from '../core/acr.ts'
import type { Parts } from './parts.ts'
import { type Context, type Proofs, reachesAny } from './proofs.ts'
import { wantedTargets } from './resources.ts'

/** A stronger sign-in that a session needs before it goes on: which strength, and at which upstream. */
export interface StepUp {
  readonly acr: readonly string[]
  readonly connector: string
}

/**
 * What a session lacks: the rules would give something at the client's target to a stronger sign-in, or the client asked for a strength
 * (`acr_values`) that the session has not reached. Undefined for somebody who comes from a sign-in at this moment: what that reached is judged there.
 */
export function stepUpFor(parts: Parts, proofs: Proofs, ctx: Context): StepUp | undefined {
  const { client, result, params, resourceServers } = ctx.oidc
  const bound = proofs.seen(ctx)
  if (!bound || !client || result?.login !== undefined) return undefined
  const { decision, proof } = bound
  const { connector, acr } = proof.subject
  const wanted = wantedTargets(parts, client.clientId, Object.keys(resourceServers ?? {}))
  if (!reachesAny(decision, wanted))
    return decision.wantsAcr === undefined ? undefined : { acr: strengths(parts, [decision.wantsAcr]), connector }
  const asked = strengths(parts, typeof params?.['acr_values'] === 'string' ? params['acr_values'].split(' ') : [])
  return asked.length === 0 || asked.includes(acr ?? '') ? undefined : { acr: asked, connector }
}

/** What is wanted, and whatever is as strong: an upstream that reaches more has reached enough. */
export function strengths({ assurance }: Pick<Parts, 'assurance'>, wanted: readonly string[]): readonly string[] {
  return [...new Set(wanted.filter(Boolean).flatMap((acr) => atLeast(assurance, acr)))]
}

/** The step-up for which an interaction was begun. */
export function stepUpOf(details: { readonly prompt: { readonly details: object } }): StepUp | undefined {
  return (details.prompt.details as { stepUp?: StepUp }).stepUp
}
