import { createHash, randomBytes } from 'node:crypto'
import { type DemoKey, signed } from './keys.ts'

/** What a credential says, each claim behind a disclosure of its own. */
export interface Statement {
  readonly vct: string
  readonly claims: Readonly<Record<string, unknown>>
  /** Where the issuer publishes whether it still stands by it. */
  readonly status: { readonly uri: string; readonly idx: number }
  /** Unix seconds. */
  readonly iat: number
  readonly exp: number
}

/** A credential in the wallet. */
export interface SdJwt {
  /** The issuer's JWS. */
  readonly jwt: string
  /** Disclosures by the claims that they disclose. */
  readonly disclosures: ReadonlyMap<string, string>
}

const digest = (text: string) => createHash('sha256').update(text).digest('base64url')

/** A credential for the holder of a key. @see RFC 9901, SD-JWT VC */
export function issue({ vct, claims, status, iat, exp }: Statement, issuer: DemoKey, holder: DemoKey): SdJwt {
  const disclosures = new Map(
    Object.entries(claims).map(([name, value]) => {
      const salt = randomBytes(16).toString('base64url')
      return [name, Buffer.from(JSON.stringify([salt, name, value])).toString('base64url')]
    }),
  )
  const payload = {
    iss: issuer.did,
    vct,
    iat,
    exp,
    cnf: { jwk: holder.publicJwk },
    status: { status_list: status },
    _sd_alg: 'sha-256',
    _sd: [...disclosures.values()].map(digest).sort(),
  }
  return { jwt: signed({ typ: 'dc+sd-jwt', kid: issuer.kid }, payload, issuer), disclosures }
}

/** What a presentation answers. */
export interface Question {
  readonly aud: string
  readonly nonce: string
  /** The claims to disclose. */
  readonly claims: readonly string[]
}

/** The credential with what was asked for, bound to the question by the holder's key. @param now Unix seconds */
export function present(credential: SdJwt, { aud, nonce, claims }: Question, holder: DemoKey, now: number): string {
  const shown = claims.flatMap((name) => credential.disclosures.get(name) ?? [])
  const text = `${[credential.jwt, ...shown].join('~')}~`
  return text + signed({ typ: 'kb+jwt' }, { iat: now, aud, nonce, sd_hash: digest(text) }, holder)
}
