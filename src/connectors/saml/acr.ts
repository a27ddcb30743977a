import { LoginError } from '../../core/errors.ts'
import type { SamlConfig } from './options.ts'
import type { Asked } from './request.ts'
import type { Verified } from './verify.ts'

/** What the answer says about the authentication itself. */
export interface Authentication {
  /** Unix seconds. */
  readonly authTime: number
  readonly acr?: string
}

/** The upstream's contexts that mean what the client asked for, in the client's order of preference. */
export function upstreamContexts({ acr }: Pick<SamlConfig, 'acr'>, asked: readonly string[]): readonly string[] {
  if (!acr) return asked
  const known = Object.entries(acr)
  return [...new Set(asked.flatMap((want) => known.filter(([, ours]) => ours === want).map(([theirs]) => theirs)))]
}

/**
 * When and how strongly the person was authenticated, held against what was asked.
 * @param skew seconds by which the identity provider's clock may be wrong
 * @throws {LoginError} `upstream_rejected` where it was too long ago, `acr_not_met`
 */
export function authenticationOf(
  config: Pick<SamlConfig, 'acr' | 'acrNotMet'>,
  { authnInstant, contextClass }: Pick<Verified, 'authnInstant' | 'contextClass'>,
  asked: Asked,
  { now, skew }: { readonly now: number; readonly skew: number },
): Authentication {
  // The age counts from the request, since the person may have taken her time at a second factor.
  if (asked.maxAge !== undefined && authnInstant < asked.requestedAt - asked.maxAge - skew)
    throw new LoginError('upstream_rejected', 'the authentication is older than was asked for')
  const { acr: map } = config
  const ours = map && contextClass !== undefined ? own(map, contextClass) : contextClass
  const met = asked.acrValues.length === 0 || (ours !== undefined && asked.acrValues.includes(ours))
  if (!met && config.acrNotMet === 'refuse') {
    const said = `the upstream reached ${JSON.stringify(contextClass ?? null)}, asked was ${asked.acrValues.join(' ')}`
    throw new LoginError('acr_not_met', said, { facts: { acr: asked.acrValues[0]! } })
  }
  return { authTime: Math.min(authnInstant, now), ...(ours !== undefined && { acr: ours }) }
}

const own = (map: Readonly<Record<string, string>>, key: string) => (Object.hasOwn(map, key) ? map[key] : undefined)
