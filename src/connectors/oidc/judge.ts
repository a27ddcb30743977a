import { LoginError } from '../../core/errors.ts'
import type { Hints } from '../connector.ts'
import type { OidcConfig } from './options.ts'

/** Seconds by which an upstream's clock may be wrong. */
export const SKEW = 60

/** The claims of an ID token whose signature, issuer, audience, nonce and expiry were checked. */
export type IdTokenClaims = Readonly<Record<string, unknown>>

/** What was asked of the upstream when the sign-in began; kept in the memo, so that the answer is held against it. */
export interface Asked {
  /** Unix seconds. */
  readonly begunAt: number
  /** Seconds. */
  readonly maxAge?: number
  readonly freshLogin: boolean
  /** In our names, not the upstream's. */
  readonly acrValues: readonly string[]
}

/** What the answer says about the authentication itself. */
export interface Authentication {
  readonly authTime: number
  readonly acr?: string
  readonly amr?: readonly string[]
}

/** What a client's hints and the connector's defaults ask of the upstream together. */
export function whatToAsk(config: OidcConfig, hints: Hints, now: number): Asked {
  const ages = [hints.maxAge, config.maxAge].filter((age) => age !== undefined)
  return {
    begunAt: now,
    ...(ages.length && { maxAge: Math.min(...ages) }),
    freshLogin: (hints.prompt ?? config.prompt) === 'login' && config.promptLogin === 'checked',
    acrValues: (hints.acrValues ?? []).filter((value) => value !== ''),
  }
}

/** The upstream's values that mean what the client asked for, in the client's order of preference. */
export function upstreamAcr(config: OidcConfig, asked: readonly string[]): readonly string[] {
  if (!config.acr) return asked
  const known = Object.entries(config.acr)
  return [...new Set(asked.flatMap((want) => known.filter(([, ours]) => ours === want).map(([theirs]) => theirs)))]
}

/**
 * The checks of a valid ID token that the library leaves to us.
 * @throws {LoginError} `upstream_rejected`, `acr_not_met`
 */
export function judge(config: OidcConfig, claims: IdTokenClaims, asked: Asked, now: number): Authentication {
  // OpenID Connect Core 3.1.3.7 (5): a token made for another client, even where we are its only audience.
  if (claims['azp'] !== undefined && claims['azp'] !== config.clientId) throw rejected('its azp is another client')
  const ahead = typeof claims['iat'] === 'number' ? claims['iat'] - now : 0
  if (ahead > SKEW) throw rejected(`its iat lies in the future, by ${ahead} s: the clock there or here is wrong`)
  const authTime = judgeAge(claims, asked, now)
  const acr = judgeAcr(config, claims['acr'], asked.acrValues)
  const amr = Array.isArray(claims['amr']) ? claims['amr'].filter((one) => typeof one === 'string').slice(0, 20) : []
  return { authTime, ...(acr !== undefined && { acr }), ...(amr.length && { amr }) }
}

/**
 * An upstream may ignore `max_age` and `prompt=login` and answer from its old session: `auth_time` tells. The age counts
 * from the request, since the person may have taken her time at a second factor.
 */
function judgeAge(claims: IdTokenClaims, asked: Asked, now: number): number {
  const authTime = claims['auth_time']
  const stated = typeof authTime === 'number' && Number.isFinite(authTime) ? Math.floor(authTime) : undefined
  if (authTime !== undefined && stated === undefined) throw rejected('its auth_time is no number')
  if (stated !== undefined && (stated > now + SKEW || stated < 0)) throw rejected('its auth_time lies in the future')
  const oldest = asked.freshLogin
    ? asked.begunAt
    : asked.maxAge === undefined
      ? undefined
      : asked.begunAt - asked.maxAge
  if (oldest !== undefined && stated === undefined)
    throw rejected('it has no auth_time, though max_age or prompt=login asked for a fresh authentication')
  if (oldest !== undefined && stated! < oldest - SKEW) throw rejected('the authentication is older than was asked for')
  // Without auth_time all that is known is that a session was there when the token was issued.
  const issued = typeof claims['iat'] === 'number' ? Math.floor(claims['iat']) : now
  return Math.min(stated ?? issued, now)
}

function judgeAcr(config: OidcConfig, theirs: unknown, asked: readonly string[]): string | undefined {
  const text = typeof theirs === 'string' && theirs.length <= 255 ? theirs : undefined
  const ours = config.acr && text !== undefined ? own(config.acr, text) : text
  const met = asked.length === 0 || (ours !== undefined && asked.includes(ours))
  if (!met && config.acrNotMet === 'refuse')
    throw new LoginError(
      'acr_not_met',
      `the upstream reached acr ${JSON.stringify(text ?? null)}, asked was ${asked.join(' ')}`,
      {
        facts: { acr: asked[0]! },
      },
    )
  return ours
}

const own = (map: Readonly<Record<string, string>>, key: string) => (Object.hasOwn(map, key) ? map[key] : undefined)

/** @param why without secrets, tokens or values of the person */
export function rejected(why: string, facts: Readonly<Record<string, string>> = {}): LoginError {
  return new LoginError('upstream_rejected', `the upstream's answer was refused: ${why}`, { facts })
}
