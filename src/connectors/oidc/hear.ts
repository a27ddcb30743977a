import { errors, type JWTPayload, type JWTVerifyResult, jwtVerify } from 'jose'
import { LoginError } from '../../core/errors.ts'
import { readSubjectId } from '../claims.ts'
import type { ConnectorPorts, Heard, Message } from '../connector.ts'
import { SKEW } from './judge.ts'
import type { KeySet, Keys } from './keys.ts'
import type { OidcConfig } from './options.ts'
import { isName } from './proof.ts'
import type { Upstream } from './upstream.ts'

/** UTF-16 units of a logout token; one has a few hundred. */
const TOKEN_LIMIT = 16_384
/** Seconds for which a logout token is taken after it was issued. */
const LIFETIME = 300
/** The member of `events` that makes a JWT a logout token. */
const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
/** What a logout token may call itself; "logout+jwt" is RECOMMENDED, and many say the type of every JWT or none. */
const types: readonly string[] = ['logout+jwt', 'jwt']

/** Reads what the upstream says that it ended; see `Connector.hear`. */
export function openHear(
  config: OidcConfig,
  ports: ConnectorPorts,
  upstream: Upstream,
): (message: Message) => Promise<Heard> {
  return async (message) => {
    const { issuer } = await upstream.metadata()
    if (message.kind === 'front-channel') return hearFrame(issuer, message.query)
    const [token, ...more] = message.form.getAll('logout_token')
    if (!token || more.length) throw refused('it has no logout_token, or more than one')
    if (token.length > TOKEN_LIMIT) throw refused('its logout token is too long')
    return read(config, await verified(config, ports, upstream.keys, { token, issuer }))
  }
}

/**
 * A page of the upstream in the person's browser. Nothing is signed: that the session's name is hard to guess is all that
 * keeps others from ending it, so both parameters must be there, and no person is named.
 * @see OpenID Connect Front-Channel Logout 1.0 section 2: "If either is included, both MUST be."
 */
function hearFrame(issuer: string, query: URLSearchParams): Heard {
  const [iss, ...issuers] = query.getAll('iss')
  const [sid, ...sids] = query.getAll('sid')
  if (issuers.length || sids.length) throw refused('a parameter came more than once')
  if (iss !== issuer) throw refused('it names another issuer, or none')
  if (!isName(sid)) throw refused('it names no session')
  return { session: sid }
}

/**
 * Signature, algorithm, issuer, audience and time. Back-Channel Logout 1.0 section 2.4 requires `exp`; drafts did not, and some
 * upstreams send none: since nothing older than five minutes is taken anyway, its absence is no reason to keep a session.
 * @see OpenID Connect Back-Channel Logout 1.0 section 2.6 (1) to (5)
 */
async function verified(
  config: OidcConfig,
  ports: ConnectorPorts,
  keys: Keys,
  { token, issuer }: { readonly token: string; readonly issuer: string },
): Promise<JWTPayload> {
  const verify = ({ choose }: KeySet) =>
    jwtVerify(token, choose, {
      algorithms: [...config.algs],
      issuer,
      audience: config.clientId,
      requiredClaims: ['iat', 'jti'],
      maxTokenAge: LIFETIME,
      clockTolerance: SKEW,
      currentDate: new Date(ports.now() * 1000),
    })
  let result: JWTVerifyResult
  try {
    result = await keys.verify(verify)
  } catch (thrown) {
    if (thrown instanceof LoginError) throw thrown
    // The texts of jose are fixed and name claims, never values; its `payload` is not handed on.
    throw refused(thrown instanceof errors.JOSEError ? thrown.message : 'its logout token cannot be read')
  }
  const { typ } = result.protectedHeader
  // RFC 8725 3.11: a JWT made for another use has another type.
  if (
    typ !== undefined &&
    !types.includes(
      String(typ)
        .toLowerCase()
        .replace(/^application\//, ''),
    )
  )
    throw refused('its typ is that of another kind of token')
  return result.payload
}

/**
 * What makes a JWT of this upstream a logout token, and of whom it speaks.
 * @see OpenID Connect Back-Channel Logout 1.0 section 2.6 (6) to (8)
 */
function read(config: OidcConfig, payload: JWTPayload): Heard {
  const { events, jti, sid, sub, iat } = payload as Readonly<Record<string, unknown>>
  // "Verify that the Logout Token contains an events Claim whose value is JSON object containing the member name".
  if (!isObject(events) || !isObject(events[EVENT])) throw refused('its events do not say that it is a logout')
  // "Verify that the Logout Token does not contain a nonce Claim": so no ID token passes for one.
  if (Object.hasOwn(payload, 'nonce')) throw refused('it has a nonce, as an ID token would')
  if (!isName(jti)) throw refused('its jti is no text of 1 to 255 characters')
  if (sub !== undefined && !isName(sub)) throw refused('its sub is no text of 1 to 255 characters')
  // A longer one was not kept at the sign-in: the person is what can be found. Anything but text says nothing at all.
  const tooLong = typeof sid === 'string' && sid.length > 255 && sub !== undefined
  if (sid !== undefined && !isName(sid) && !tooLong) throw refused('its sid is no text of 1 to 255 characters')
  // "Verify that the Logout Token contains a sub Claim, a sid Claim, or both."
  if (sid === undefined && sub === undefined) throw refused('it names neither a session nor a person')
  const id = idOf(config, payload)
  if (!isName(sid) && id === undefined)
    throw refused(`it names the person by sub alone, and here people are known by ${config.subjectClaim}; send sid too`)
  return {
    ...(isName(sid) && { session: sid }),
    ...(id !== undefined && { id }),
    // One second longer than it is taken, so that it is never forgotten first.
    once: { id: jti, until: Math.ceil(iat as number) + LIFETIME + SKEW + 1 },
  }
}

/** The person as sign-ins know her; undefined where the token does not say. */
function idOf(config: OidcConfig, payload: JWTPayload): string | undefined {
  try {
    return readSubjectId(payload, config.subjectClaim)
  } catch {
    return undefined
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const refused = (why: string) => new LoginError('upstream_rejected', `a logout from the upstream was refused: ${why}`)
