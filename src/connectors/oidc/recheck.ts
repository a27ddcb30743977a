import { hash } from 'node:crypto'
import { decodeJwt } from 'jose'
import * as client from 'openid-client'
import type { LoginError } from '../../core/errors.ts'
import type { Proof, Subject } from '../../core/subject.ts'
import { mergeUserinfo, readClaims, readSubjectId } from '../claims.ts'
import type { ConnectorPorts, Gone } from '../connector.ts'
import { failure, refusalOf } from './failure.ts'
import { type Authentication, type IdTokenClaims, judge, rejected, SKEW } from './judge.ts'
import type { OidcConfig } from './options.ts'
import { believed } from './preset.ts'
import { isOfHere, type Kept, keptOf, proofOf, sessionOf } from './proof.ts'
import type { Upstream } from './upstream.ts'

/** Refresh tokens remembered at once; the oldest make room. */
const REMEMBERED = 1000

/** Asks the upstream again about one proof; see `Connector.recheck`. */
export type Recheck = (proof: Proof) => Promise<Proof | Gone | 'gone' | 'unknown'>

/** What the upstream said this time. */
interface Fresh {
  readonly idToken?: string
  readonly refreshToken?: string
  readonly signed?: IdTokenClaims
  readonly userinfo?: IdTokenClaims
}

/**
 * Asks by the refresh token that came with the last answer. `invalid_grant` alone says that the person or her session are
 * over (RFC 6749 5.2: "invalid, expired, revoked"); every other refusal is about the gateway, and nothing was learnt.
 * Not checked: a `nonce`, which a refreshed ID token SHOULD NOT have.
 * @see OpenID Connect Core 12.2
 */
export function openRecheck(config: OidcConfig, ports: ConnectorPorts, upstream: Upstream): Recheck {
  const rotated = rememberRotated(ports.now)
  return async (proof) => {
    const kept = keptOf(config, ports, proof)
    if (kept && !isOfHere(config, kept)) return { kind: 'gone', why: 'the connector leads to another upstream now' }
    if (!kept?.refreshToken) return 'unknown'
    const used = rotated.newest(kept.refreshToken)
    const { sub } = decodeJwt(kept.idToken)
    try {
      const fresh = await upstream.exchange(
        (configuration) => ask(config, upstream, configuration, { refreshToken: used, sub: sub! }),
        (answer) => {
          const successor = refreshTokenIn(answer)
          if (successor) rotated.remember(kept.refreshToken!, successor, proof.goodUntil)
        },
      )
      const found =
        typeof fresh === 'string' ? fresh : renew(config, ports, proof, { ...kept, refreshToken: used, ...fresh })
      if (found !== 'changed') return found
      ports.log('error', 'the upstream answered a refresh with another person than the one who signed in; she is out', {
        connector: config.id,
      })
      return 'gone'
    } catch (thrown) {
      throw nothingLearnt(config, ports, failure(thrown))
    }
  }
}

async function ask(
  config: OidcConfig,
  upstream: Upstream,
  configuration: client.Configuration,
  { refreshToken, sub }: { readonly refreshToken: string; readonly sub: string },
): Promise<Fresh | 'gone' | 'changed'> {
  const tokens = await redeem(configuration, refreshToken)
  if (tokens === 'gone') return 'gone'
  if (tokens.id_token !== undefined) await upstream.signed(tokens.id_token)
  const signed = tokens.claims()
  // "its sub Claim Value MUST be the same as in the ID Token issued when the original authentication occurred".
  if (signed && signed.sub !== sub) return 'changed'
  const wanted = config.userinfo === 'merge' || (!signed && configuration.serverMetadata().userinfo_endpoint)
  const userinfo = wanted ? await askUserinfo(upstream, tokens.access_token, sub) : undefined
  if (typeof userinfo === 'string') return userinfo
  return {
    ...(signed && { signed, idToken: tokens.id_token! }),
    ...(tokens.refresh_token && { refreshToken: tokens.refresh_token }),
    ...(userinfo && { userinfo }),
  }
}

async function redeem(configuration: client.Configuration, refreshToken: string) {
  try {
    return await client.refreshTokenGrant(configuration, refreshToken)
  } catch (thrown) {
    const refusal = refusalOf(thrown)
    if (refusal?.error === 'invalid_grant' && refusal.status < 500) return 'gone'
    throw thrown
  }
}

/** The access token is seconds old: an upstream that refuses it has ended the person's access since. */
async function askUserinfo(upstream: Upstream, accessToken: string, sub: string) {
  try {
    return await upstream.userinfo(accessToken, sub)
  } catch (thrown) {
    const refusal = refusalOf(thrown)
    // RFC 6750 3.1: insufficient_scope is about what the gateway asked for, not about the person.
    if (refusal && [401, 403].includes(refusal.status) && refusal.error !== 'insufficient_scope') return 'gone'
    // Core 5.3.2: "if they do not match, the UserInfo Response values MUST NOT be used".
    if (thrown instanceof client.ClientError && thrown.code === 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED')
      return 'changed'
    throw thrown
  }
}

/** The proof as it is now. What is not said again is not carried over, but how the person signed in then. */
function renew(config: OidcConfig, ports: ConnectorPorts, proof: Proof, fresh: Kept & Fresh): Proof | 'changed' {
  const { signed, userinfo, idToken, refreshToken } = fresh
  const at = ports.now()
  const { id } = proof.subject
  const authentication = authenticationOf(config, proof, signed, at)
  const all = freshClaims(config, proof.subject, { signed, userinfo })
  const said = all && believed(config, all, userinfo)
  if (said && readSubjectId(said, config.subjectClaim) !== id) return 'changed'
  const { claims, records } = said ? readClaims(said, config.ignore) : proof.subject
  return proofOf(config, ports, {
    subject: { connector: config.id, id, claims, records, ...authentication },
    session: sessionOf(signed?.['sid']) ?? proof.upstreamSession,
    kept: { idToken, ...(refreshToken !== undefined && { refreshToken }) },
    at,
  })
}

/** The claims of this answer alone; undefined where it had none at all. */
function freshClaims(
  config: OidcConfig,
  subject: Subject,
  { signed, userinfo }: { readonly signed: IdTokenClaims | undefined; readonly userinfo: IdTokenClaims | undefined },
): IdTokenClaims | undefined {
  const carry = (...names: string[]) =>
    Object.fromEntries(names.flatMap((name) => (subject.claims[name] ? [[name, subject.claims[name]]] : [])))
  if (signed) return { ...carry('acr', 'amr'), ...(userinfo ? mergeUserinfo(signed, userinfo) : signed) }
  if (!userinfo) return undefined
  // What only an ID token may say is as it was; the person's id is compared where userinfo repeats it.
  const id = Object.hasOwn(userinfo, config.subjectClaim) ? userinfo[config.subjectClaim] : subject.id
  return mergeUserinfo({ ...carry('acr', 'amr', 'sub'), [config.subjectClaim]: id }, userinfo)
}

/** How the person was authenticated, by the new ID token where it says so. */
function authenticationOf(
  config: OidcConfig,
  { subject, provenAt }: Proof,
  signed: IdTokenClaims | undefined,
  at: number,
): Authentication {
  const before = {
    authTime: subject.authTime,
    ...(subject.acr !== undefined && { acr: subject.acr }),
    ...(subject.amr && { amr: subject.amr }),
  }
  if (!signed) return before
  // "its iat Claim MUST represent the time that the new ID Token is issued": an older copy says nothing new. A last look that is yet to
  // come was written by a clock that has been put back since.
  if (Number(signed['iat']) < Math.min(provenAt, at) - SKEW)
    throw rejected('its ID token was issued before the last look')
  const now = judge(config, signed, { begunAt: at, freshLogin: false, acrValues: [] }, at)
  const acr = typeof signed['acr'] === 'string' ? now.acr : before.acr
  const amr = now.amr ?? before.amr
  return {
    authTime: signed['auth_time'] === undefined ? before.authTime : now.authTime,
    ...(acr !== undefined && { acr }),
    ...(amr && { amr }),
  }
}

/** An outage is the upstream's and passes; anything else stands until somebody repairs it, so it is said loudly. */
function nothingLearnt(config: OidcConfig, ports: ConnectorPorts, why: LoginError): LoginError {
  if (why.code === 'upstream_unavailable') return why
  ports.log('error', `the upstream cannot be asked whether people are still there: ${why.message}`, {
    connector: config.id,
  })
  // Under its own code: what one person's answer is worth says nothing about the upstream, which others still ask.
  return why
}

/**
 * A rotated refresh token is good once: where the exchange failed after the upstream had given the next one, or the renewed proof
 * could not be stored, the next look must use that. It dies with the process; then the upstream says `invalid_grant`, and the
 * person signs in again.
 */
function rememberRotated(now: () => number) {
  const successors = new Map<string, { token: string; until: number }>()
  const key = (token: string) => hash('sha256', token, 'base64url')
  return {
    newest: (token: string): string => successors.get(key(token))?.token ?? token,
    remember(token: string, successor: string, until: number) {
      for (const [old, kept] of successors)
        if (kept.until <= now() || successors.size >= REMEMBERED) successors.delete(old)
      successors.set(key(token), { token: successor, until })
    },
  }
}

function refreshTokenIn(answer: string): string | undefined {
  try {
    const { refresh_token: token } = JSON.parse(answer) as { refresh_token?: unknown }
    return typeof token === 'string' && token !== '' ? token : undefined
  } catch {
    return undefined
  }
}
