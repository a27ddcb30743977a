import type { Binding, Json } from '../credential.ts'
import { keyInDid } from '../keys/did.ts'
import { signedByDid, signedJws } from '../keys/issuer.ts'
import { type PublicJwk, thumbprint } from '../keys/jwk.ts'
import type { OneChecking } from '../ports.ts'
import { printable, refusal } from '../refusal.ts'
import type { Jws } from './jws.ts'
import { keyInCnf, PROOF_AGE } from './sd-jwt.ts'
import { checkTime } from './time.ts'

/** Who made a presentation: a did and the key of it that signed. */
export interface Holder {
  readonly did: string
  readonly jwk: PublicJwk
}

/**
 * Checks that a presentation in a JWT was made for our request by a key of the did that it names.
 * @see OpenID4VP 1.0, B.1.3.1.5: nonce and aud
 * @throws {LoginError} `upstream_rejected`, `upstream_unavailable`
 */
export async function checkPresentation(
  jws: Jws,
  did: string,
  binding: Binding,
  { ports, deviations }: OneChecking,
): Promise<Holder> {
  const { nonce, aud, iat } = jws.payload
  if (nonce !== binding.nonce) throw refusal('the presentation has another nonce than the request')
  const [audience, ...others] = Array.isArray(aud) ? (aud as readonly Json[]) : [aud]
  if (audience !== binding.audience || others.length > 0)
    throw refusal(`the presentation is meant for ${printable(JSON.stringify(aud))} and not for this gateway`)
  const now = ports.now()
  checkTime(jws.payload, now, 'the presentation')
  // The nonce alone says that it was made after our request; who says a time besides must not contradict it.
  if (typeof iat === 'number' && iat < now - PROOF_AGE) throw refusal('the presentation is too old')
  if (!keyInDid(did) && !ports.allowed(did)) throw refusal(`${printable(did)} is no holder that is asked for its keys`)
  const by = { purpose: 'authentication', deviations, what: 'the presentation' } as const
  const { jwk } = await signedByDid(signedJws(jws), did, by, ports)
  return { did, jwk }
}

/**
 * The key to which a VC is bound, by `cnf` or because its subject is the holder; undefined where it is about somebody else.
 * @throws {LoginError} where it is bound to another key
 */
export function boundTo(
  { did, jwk }: Holder,
  { cnf, subject }: { readonly cnf: Json | undefined; readonly subject: string | undefined },
): string | undefined {
  const key = thumbprint(jwk)
  if (cnf !== undefined && thumbprint(keyInCnf(cnf)) !== key)
    throw refusal('a credential is bound to another key (cnf) than the one that presents it')
  return cnf !== undefined || subject === did ? key : undefined
}
