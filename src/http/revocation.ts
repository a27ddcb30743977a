import { readAccessJwt, revokeJwt } from './jwt-tokens.ts'
import { jwtAskedFor } from './overrides.ts'
import type { Parts } from './parts.ts'
import type { Context } from './proofs.ts'
import { errorIdOf } from './render.ts'

/** What was given back at this request, by the client that holds it. */
interface GivenBack {
  readonly sub?: string | undefined
  /** Of a JWT; the id of an opaque token is the token itself (law 12). */
  readonly jti?: string
}

/** The library has ended an opaque token by now, where the client may; it tells so by nothing but the token that it found. */
function opaqueGivenBack(ctx: Context, client: string): GivenBack | undefined {
  const { AccessToken, ClientCredentials, RefreshToken } = ctx.oidc.entities
  const token = (AccessToken ?? ClientCredentials ?? RefreshToken) as
    | { clientId?: string; accountId?: string }
    | undefined
  return token?.clientId === client ? { sub: token.accountId } : undefined
}

async function jwtGivenBack(parts: Parts, client: string, jws: string): Promise<GivenBack | undefined> {
  const token = readAccessJwt(parts, jws)
  if (token?.client !== client) return undefined
  await revokeJwt(parts, token)
  return { sub: token.sub, jti: token.jti }
}

/**
 * Completes a revocation (RFC 7009) that the library answered with 200, which it does for every client that it could authenticate
 * (section 2.2). A JWT ends by its `jti`, and alone: its refresh token lives on, since a program that gives back one short
 * token does not sign its person out.
 * @throws {StoreUnavailable} {LoginError} where it cannot be done or not be written down
 */
export async function completeRevocation(parts: Parts, ctx: Context): Promise<void> {
  const client = ctx.oidc.client?.clientId
  if (ctx.status !== 200 || client === undefined) return
  const jws = jwtAskedFor(ctx)
  const given = jws === undefined ? opaqueGivenBack(ctx, client) : await jwtGivenBack(parts, client, jws)
  if (!given) return
  const jti = given.jti === undefined ? {} : { jti: given.jti }
  const personal = { ...(given.sub === undefined ? {} : { sub: given.sub }), address: ctx.ip }
  await parts.audit(errorIdOf(ctx), { event: 'token.revoked', client, ...jti, personal })
}
