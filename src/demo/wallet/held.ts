import { deflateSync } from 'node:zlib'
import { type DemoKey, keyOf, signed } from './keys.ts'
import { issue, type SdJwt } from './sd-jwt.ts'

/** One credential in Ada's wallet, as its pages show it. */
export interface Held {
  /** Its name in forms. */
  readonly id: string
  readonly organisation: string
  readonly title: string
  readonly vct: string
  readonly claims: Readonly<Record<string, string>>
  readonly standing: 'good' | 'revoked'
  readonly credential: SdJwt
}

/** The wallet: what is in it, whose it is, and what its issuers say of it. */
export interface Shelf {
  readonly holder: DemoKey
  readonly held: readonly Held[]
  /** A Token Status List by the last part of its address; undefined where there is none. @param now Unix seconds */
  statusList(name: string, now: number): string | undefined
}

/** Seconds for which the demo's credentials are good, and for which a status list may be kept. */
const LIFE = 86_400
const KEPT = 60

type Kind = Pick<Held, 'id' | 'organisation' | 'title' | 'vct' | 'claims' | 'standing'>

// biome-ignore format: the columns are read downwards
const kinds: readonly Kind[] = [
  { id: 'corp',   organisation: 'Corp AG',            title: 'Employee', vct: 'urn:lotse:demo:employee', claims: { name: 'Ada Sommer', preferred_username: 'ada', role: 'developer' }, standing: 'good' },
  { id: 'campus', organisation: 'Example University', title: 'Guest',    vct: 'urn:lotse:demo:employee', claims: { name: 'Ada Sommer', preferred_username: 'ada', role: 'developer' }, standing: 'revoked' },
]

/**
 * Makes the wallet anew.
 * @param origin where its issuers publish their status lists, by https
 * @param now Unix seconds
 */
export function fillShelf(origin: string, now: number): Shelf {
  const holder = keyOf('the phone of Ada Sommer')
  const uriOf = (name: string) => `${origin}/status/${name}`
  const held = kinds.map((kind): Held => {
    const status = { uri: uriOf(kind.id), idx: 0 }
    const statement = { vct: kind.vct, claims: kind.claims, status, iat: now, exp: now + LIFE }
    return { ...kind, credential: issue(statement, keyOf(kind.organisation), holder) }
  })
  return {
    holder,
    held,
    statusList(name, at) {
      const kind = kinds.find(({ id }) => id === name)
      if (!kind) return undefined
      // One bit for each of 1024 credentials, the lowest first: 1 is revoked (draft-ietf-oauth-status-list 4.1).
      const bits = Buffer.alloc(128)
      bits[0] = kind.standing === 'revoked' ? 1 : 0
      const issuer = keyOf(kind.organisation)
      const list = { bits: 1, lst: deflateSync(bits).toString('base64url') }
      const payload = { iss: issuer.did, sub: uriOf(name), iat: at, exp: at + LIFE, ttl: KEPT, status_list: list }
      return signed({ typ: 'statuslist+jwt', kid: issuer.kid }, payload, issuer)
    },
  }
}
