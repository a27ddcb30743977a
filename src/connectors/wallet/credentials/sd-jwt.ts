import type { Binding, Credential, Json } from '../credential.ts'
import { keyInDid } from '../keys/did.ts'
import { signedByIssuer } from '../keys/issuer.ts'
import { type PublicJwk, publicJwk, thumbprint } from '../keys/jwk.ts'
import type { Checking } from '../ports.ts'
import { printable, refusal } from '../refusal.ts'
import { jwtStatus } from '../status/reference.ts'
import { disclosed, hashOf } from './disclosures.ts'
import { isObject, isSigned, type Jws, readJws, secondsOf, textOf } from './jws.ts'
import { issuerText, spanOf } from './say.ts'
import { checkTime, SKEW } from './time.ts'

/** Seconds after which a proof of holding a key is too old: it was made for a request of ours, which does not live longer. */
export const PROOF_AGE = 600
/** Disclosures of one credential, at most; the largest known has 27. */
const DISCLOSURES = 512

/** An SD-JWT with its parts apart, nothing of it believed. */
export interface SdJwt {
  readonly issued: Jws
  readonly disclosures: readonly string[]
  readonly binding: Jws | undefined
  /** Everything that the key binding vouches for, up to and with the last `~` (RFC 9901, 4.3.1). */
  readonly bound: string
}

/** @throws {LoginError} `upstream_rejected` */
export function readSdJwt(text: string): SdJwt {
  const end = text.lastIndexOf('~')
  if (end < 0) throw refusal('it is no SD-JWT')
  const [issued = '', ...disclosures] = text.slice(0, end).split('~')
  if (disclosures.length > DISCLOSURES) throw refusal(`it has more than ${DISCLOSURES} disclosures`)
  const proof = text.slice(end + 1)
  return {
    issued: readJws(issued, 'the credential'),
    disclosures,
    binding: proof === '' ? undefined : readJws(proof, 'the key binding'),
    bound: text.slice(0, end + 1),
  }
}

/**
 * Checks that the holder of the key in `cnf` made this presentation for our request, just now (RFC 9901, 7.3).
 * @returns the holder's key
 * @throws {LoginError} `upstream_rejected`
 */
export function checkKeyBinding({ issued, binding, bound }: SdJwt, expected: Binding, now: number): PublicJwk {
  const key = keyInCnf(issued.payload['cnf'])
  if (!binding) throw refusal('the key binding is missing')
  const { header, payload } = binding
  if (header['typ'] !== 'kb+jwt') throw refusal('the key binding is not of the type kb+jwt')
  if (!isSigned(binding, key))
    throw refusal('the key binding is not signed by the key to which the credential is bound')
  if (payload['nonce'] !== expected.nonce) throw refusal('the key binding has another nonce than the request')
  if (payload['aud'] !== expected.audience)
    throw refusal(`the key binding is meant for ${printable(payload['aud'])} and not for this gateway`)
  const made = secondsOf(payload['iat'], 'iat of the key binding')
  if (made === undefined || made < now - PROOF_AGE) throw refusal('the key binding is too old, or of no time')
  if (made > now + SKEW) throw refusal('the key binding is from the future')
  checkTime(payload, now, 'the key binding')
  if (payload['sd_hash'] !== hashOf(issued.payload)(bound))
    throw refusal('the key binding is about another presentation (sd_hash)')
  return key
}

/** RFC 7800: the key itself, or a did that is a key. @throws {LoginError} `upstream_rejected` */
export function keyInCnf(cnf: Json | undefined): PublicJwk {
  const { jwk, kid } = isObject(cnf) ? cnf : {}
  const key = jwk === undefined ? keyInDid(textOf(kid)?.replace(/#.*$/, '') ?? '') : publicJwk(jwk)
  if (!key) throw refusal('the credential is bound to no key')
  return key
}

/** Envelope of an SD-JWT VC, which may not be disclosed selectively but stands in what the issuer signed; and what is no claim about anybody. */
const signedOnly = ['iss', 'nbf', 'exp', 'cnf', 'vct', 'vct#integrity', 'status'] as const
const envelope: ReadonlySet<string> = new Set([...signedOnly, 'iat'])

/**
 * One `dc+sd-jwt` of an answer. @see draft-ietf-oauth-sd-jwt-vc and OpenID4VP 1.0, B.3
 * @throws {LoginError} `upstream_rejected`, `upstream_unavailable`
 */
export async function presentedSdJwt(
  text: string,
  binding: Binding,
  { ports, deviations: anew, note }: Checking,
): Promise<Credential> {
  const deviations = anew()
  const sdJwt = readSdJwt(text)
  const { header, payload } = sdJwt.issued
  if (header['typ'] === 'vc+sd-jwt') deviations.take('sd-jwt-typ')
  else if (header['typ'] !== 'dc+sd-jwt') throw refusal('the credential is not of the type dc+sd-jwt')
  const iss = textOf(payload['iss'])
  if (payload['iss'] !== undefined && iss === undefined) throw refusal('iss of the credential is no text')
  const now = ports.now()
  // The holder's proof costs no request: who has none makes none happen.
  const key = checkKeyBinding(sdJwt, binding, now)
  note({ check: 'key binding', ok: true, found: `nonce, audience and digest fit; key ${thumbprint(key)}` })
  const window = checkTime(payload, now, 'the credential')
  note({ check: 'time', ok: true, found: spanOf(window) })
  const claims = disclosed(payload, sdJwt.disclosures)
  note({ check: 'disclosures', ok: true, found: `${sdJwt.disclosures.length}, each by a digest in the credential` })
  if (signedOnly.some((name) => name in claims && !(name in payload)))
    throw refusal('what the issuer has to sign openly was disclosed selectively')
  const type = textOf(payload['vct'])
  if (type === undefined) throw refusal('the credential has no type (vct)')
  const issuer = await signedByIssuer(sdJwt.issued, { iss, deviations, what: 'the credential' }, ports)
  note({ check: 'issuer', ok: true, found: issuerText(issuer) })
  const subject = textOf(claims['sub'])
  return {
    format: 'dc+sd-jwt',
    types: [type],
    issuer,
    holder: thumbprint(key),
    ...(subject !== undefined && { subject }),
    claims: Object.fromEntries(Object.entries(claims).filter(([name]) => !envelope.has(name))),
    ...window,
    status: jwtStatus(payload['status']),
    leniencies: [...deviations.taken],
  }
}
