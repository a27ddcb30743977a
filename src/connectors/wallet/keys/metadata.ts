import { isObject, jsonOf, listOf, textOf } from '../credentials/jws.ts'
import { printable, refusal } from '../refusal.ts'
import type { Documents, Kind } from './documents.ts'
import { type PublicJwk, publicJwk } from './jwk.ts'

/** A key of an issuer with the name that it has there. */
export interface PublicJwkWithId {
  readonly jwk: PublicJwk
  readonly kid: string | undefined
}

/**
 * The keys of an issuer that is an https address, by its JWT VC Issuer Metadata.
 * @see draft-ietf-oauth-sd-jwt-vc, section 5
 * @throws {LoginError} `upstream_rejected`, `upstream_unavailable`
 */
export async function metadataKeys(
  iss: string,
  how: 'read' | 'again',
  documents: Documents,
): Promise<readonly PublicJwkWithId[]> {
  if (!iss.startsWith('https://') || !URL.canParse(iss) || iss.includes('#') || iss.includes('?'))
    throw refusal(`${printable(iss)} is neither a did nor an https URL of an issuer`)
  const { origin, pathname } = new URL(iss)
  const at = `${origin}/.well-known/jwt-vc-issuer${pathname === '/' ? '' : pathname}`
  const { issuer, keys, uri } = await documents[how](at, issuerMetadata)
  // Several names may lead to one address, and the document is one issuer's.
  if (issuer !== iss) throw refusal(`the metadata of ${printable(iss)} is not about this issuer`)
  return keys ?? (uri === undefined ? [] : await documents[how](uri, keySet))
}

interface Metadata {
  readonly issuer: string | undefined
  readonly keys?: readonly PublicJwkWithId[]
  readonly uri?: string
}

const issuerMetadata: Kind<Metadata> = {
  accept: 'application/json',
  longest: 131_072,
  parse(text) {
    const metadata = jsonOf(text)
    const { issuer, jwks, jwks_uri: uri } = isObject(metadata) ? metadata : {}
    return {
      issuer: textOf(issuer),
      ...(isObject(jwks) && { keys: keysIn(jwks['keys']) }),
      ...(typeof uri === 'string' && { uri }),
    }
  },
}

const keySet: Kind<readonly PublicJwkWithId[]> = {
  accept: 'application/jwk-set+json, application/json',
  longest: 131_072,
  parse(text) {
    const set = jsonOf(text)
    return isObject(set) ? keysIn(set['keys']) : []
  },
}

const keysIn = (keys: Parameters<typeof listOf>[0]): readonly PublicJwkWithId[] =>
  listOf(keys).flatMap((key) => {
    const jwk = publicJwk(key)
    return jwk && isObject(key) ? [{ jwk, kid: textOf(key['kid']) }] : []
  })
