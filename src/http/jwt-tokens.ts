import { collection, kinds } from '../store/collection.ts'
import type { Target } from '../targets/target.ts'
import type { Parts } from './parts.ts'

/** A JWT access token of ours (RFC 9068) whose signature, issuer, audience and time hold. Whether it was revoked is another question. */
export interface AccessJwt {
  readonly claims: Readonly<Record<string, unknown>>
  readonly target: Target
  /** The client that it was issued to. */
  readonly client: string
  readonly sub: string
  readonly jti: string
  /** Unix seconds. */
  readonly exp: number
  /** The grant that it came from; absent for client_credentials. */
  readonly grant?: string
}

/** Members of an access token that are the protocol's, not its target's. */
const protocol = ['iss', 'sub', 'client_id', 'aud', 'scope', 'jti', 'iat', 'exp', 'sid', 'cnf', 'azp'] as const

/**
 * Reads a JWT as an access token for the target that its `aud` names; undefined where it is anything else: another `typ` (an ID
 * token), another ring's signature than that target's (law 8), a key that is no longer published, one that has ended.
 */
export function readAccessJwt(
  parts: Pick<Parts, 'targets' | 'rings' | 'issuer' | 'now'>,
  jws: string,
): AccessJwt | undefined {
  for (const ring of new Set([...parts.targets.values()].map((target) => target.ring))) {
    const claims = parts.rings.verify(ring, 'at+jwt', jws)
    if (!claims) continue
    const { iss, aud, exp, jti, sub, client_id: client, grant_id: grant } = claims
    const target = [...parts.targets.values()].find((each) => each.audience === aud && each.ring === ring)
    if (!target || iss !== parts.issuer.origin || typeof exp !== 'number' || exp <= parts.now()) return undefined
    if (typeof jti !== 'string' || typeof sub !== 'string' || typeof client !== 'string') return undefined
    return { claims, target, client, sub, jti, exp, ...(typeof grant === 'string' ? { grant } : {}) }
  }
  return undefined
}

/** The protocol's own members of a token, as introspection tells them. */
export function protocolClaims({ claims }: AccessJwt): Record<string, unknown> {
  return Object.fromEntries(protocol.flatMap((name) => (claims[name] === undefined ? [] : [[name, claims[name]]])))
}

/** JWTs are not stored when they are issued; those that were revoked are, until they would have ended. */
const revoked = (parts: Pick<Parts, 'store'>) => collection<number>(parts.store, kinds.RevokedToken)

/** Whether a client gave this token back. @throws {StoreUnavailable} */
export async function isRevoked(parts: Pick<Parts, 'store'>, { jti }: AccessJwt): Promise<boolean> {
  return (await revoked(parts).get(jti)) !== undefined
}

/** Ends one token, and nothing beside it. @throws {StoreUnavailable} */
export async function revokeJwt(parts: Pick<Parts, 'store' | 'now'>, { jti, exp }: AccessJwt): Promise<void> {
  const now = parts.now()
  await revoked(parts).put(jti, now, Math.max(1, exp - now))
}
