import { LoginError } from '../../../core/errors.ts'
import type { Issuer } from '../credential.ts'
import { isSigned, type Jws, textOf } from '../credentials/jws.ts'
import type { Deviations, VerifyPorts } from '../ports.ts'
import { printable, refusal } from '../refusal.ts'
import { type DidDocument, didDocument, didWebUrl, keyInDid, type NamedKey, type Purpose, splitDid } from './did.ts'
import type { Kind } from './documents.ts'
import { type PublicJwk, thumbprint } from './jwk.ts'
import { metadataKeys } from './metadata.ts'
import type { Certified } from './x509.ts'

/** Who is said to have signed, and what is noted about it. */
export interface Claimed {
  /** `iss`; undefined where none is named, which only a certificate can make up for. */
  readonly iss: string | undefined
  readonly deviations: Deviations
  /** Names what was signed in refusals. */
  readonly what: string
}

/**
 * Checks that a JWS was signed by who it says, by a key that is known to be this issuer's: by `x5c` to a configured anchor, by its DID,
 * or by the metadata at its https address. A key that changed is looked for once more.
 * @throws {LoginError} `upstream_rejected`; `upstream_unavailable` where its keys cannot be read
 */
export async function signedByIssuer(jws: Jws, claimed: Claimed, ports: VerifyPorts): Promise<Issuer> {
  const { iss, what } = claimed
  if (jws.header['x5c'] !== undefined) return await byCertificate(jws, claimed, ports)
  if (iss === undefined) throw refusal(`${what} names no issuer`)
  // Whom nobody trusts is not asked: else a wallet could make the gateway fetch what it likes.
  if (!ports.allowed(iss)) throw refusal(`${printable(iss)} is no issuer of this connector`)
  if (iss.startsWith('did:')) return await byDid(jws, iss, claimed, ports)
  return await byMetadata(jws, iss, claimed, ports)
}

/** A certificate speaks for the hosts and URIs that it names: an `iss` that it does not name is somebody else. */
async function byCertificate(jws: Jws, { iss, deviations, what }: Claimed, ports: VerifyPorts): Promise<Issuer> {
  const certified = await ports.anchors.verify(jws.header['x5c'], ports.now())
  if (certified.anchorSent) deviations.take('anchor-sent')
  if (!isSigned(jws, certified.jwk)) throw refusal(`${what} is not signed by the key of its certificate`)
  if (iss !== undefined && !names(certified, iss))
    throw refusal(`the certificate of ${what} does not name its issuer ${printable(iss)}`)
  const id = iss ?? certified.subject
  if (id === '') throw refusal(`${what} names no issuer, and neither does its certificate`)
  return {
    id,
    by: 'x5c',
    anchor: certified.anchor,
    root: certified.root,
    certifiedUntil: certified.until,
  }
}

/** By a URI that is equal, or by the very host of an https URL or did:web; a wildcard names nobody here. */
function names({ uris, hosts }: Certified, iss: string): boolean {
  if (uris.includes(iss)) return true
  const url = iss.startsWith('did:web:') ? didWebUrl(iss) : iss
  return url.startsWith('https://') && URL.canParse(url) && hosts.includes(new URL(url).hostname)
}

async function byDid(jws: Jws, did: string, { deviations, what }: Claimed, ports: VerifyPorts): Promise<Issuer> {
  const found = await signedByDid(signedJws(jws), did, { purpose: 'assertionMethod', deviations, what }, ports)
  return { id: did, by: 'did', key: thumbprint(found.jwk), ...(await certificateOf(found, ports)) }
}

/** Something signed: which key it names, and whether a key signed it. */
export interface Signed {
  readonly kid: string | undefined
  readonly isBy: (jwk: PublicJwk) => boolean
}

export const signedJws = (jws: Jws): Signed => ({
  kid: textOf(jws.header['kid']),
  isBy: (jwk) => isSigned(jws, jwk),
})

interface ByDid {
  readonly purpose: Purpose
  readonly deviations: Deviations
  readonly what: string
}

/**
 * Checks a signature by a key of a DID. The `kid` has to be of this very DID: a key of another document speaks for its own DID alone.
 * @throws {LoginError} `upstream_rejected`, `upstream_unavailable`
 */
export async function signedByDid(signed: Signed, did: string, by: ByDid, ports: VerifyPorts): Promise<NamedKey> {
  const { kid, isBy } = signed
  const named = splitDid(kid?.startsWith('#') ? `${did}${kid}` : (kid ?? did))
  // Some issuers name the key by its fragment without `#`, which names no other document either.
  const bare = kid !== undefined && !kid.includes(':') && !kid.includes('#')
  if (!bare && named.did !== did) throw refusal(`${by.what} names a key of another did than ${printable(did)}`)
  const own = keyInDid(did)
  if (own) {
    if (!isBy(own)) throw refusal(`${by.what} is not signed by ${printable(did)}`)
    return { id: did, jwk: own }
  }
  const fragment = bare ? `#${kid}` : named.fragment
  const url = didWebUrl(did)
  const exact = (keys: readonly NamedKey[]) =>
    signerAmong(
      signed,
      keys.filter(({ id }) => id === `${did}${fragment}`),
    )
  const first = await ports.documents(did).read(url, didDocument)
  const known = first.id === did ? exact(first.keys[by.purpose]) : undefined
  if (known) return known
  // It may have changed since.
  const newest = keysOf(await ports.documents(did).again(url, didDocument), did, by.purpose)
  const found = exact(newest) ?? signerAmong(signed, keysAtLarge(newest, `${did}${fragment}`, by))
  if (!found) throw refusal(`${by.what} is not signed by the key that ${printable(did)} names`)
  return found
}

/** @throws {LoginError} where it is another's: did:web:host and did:web:host:.well-known are two DIDs of one address */
function keysOf(document: DidDocument, did: string, purpose: Purpose): readonly NamedKey[] {
  if (document.id !== did) throw refusal(`the document of ${printable(did)} is about another did`)
  return document.keys[purpose]
}

/** Every key of a document that does not have the one that was named. */
function keysAtLarge(all: readonly NamedKey[], id: string, by: ByDid): readonly NamedKey[] {
  if (all.length === 0 || all.some((key) => key.id === id)) return []
  by.deviations.take('kid-unknown')
  return all
}

const signerAmong = ({ isBy }: Signed, keys: readonly NamedKey[]) => keys.find(({ jwk }) => isBy(jwk))

/** PEM chains that DID documents of Gaia-X name by `x5u`. */
const pemChain: Kind<readonly string[]> = {
  accept: 'application/x-pem-file, application/pem-certificate-chain, text/plain',
  longest: 65_536,
  parse: (text) =>
    [...text.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g)].map(([, each = '']) =>
      each.replace(/\s+/g, ''),
    ),
}

/**
 * What a certificate adds to a DID: that an anchor of this connector stands behind its key. A certificate of another key adds nothing, and
 * one that cannot be read or does not chain leaves the DID what it was; whether that is enough is for the configuration to say.
 */
export async function certificateOf(
  { id, jwk, x5c, x5u }: NamedKey,
  ports: VerifyPorts,
): Promise<Pick<Issuer, 'anchor' | 'root' | 'certifiedUntil'>> {
  try {
    const chain = x5c ?? (x5u === undefined ? undefined : await ports.documents(splitDid(id).did).read(x5u, pemChain))
    if (!chain) return {}
    const { anchor, root, until, jwk: certified } = await ports.anchors.verify(chain, ports.now())
    return thumbprint(certified) === thumbprint(jwk) ? { anchor, root, certifiedUntil: until } : {}
  } catch (error) {
    if (error instanceof LoginError) return {}
    throw error
  }
}

async function byMetadata(jws: Jws, iss: string, { what }: Claimed, ports: VerifyPorts): Promise<Issuer> {
  const kid = textOf(jws.header['kid'])
  const look = async (how: 'read' | 'again') => {
    const all = await metadataKeys(iss, how, ports.documents(iss))
    // A key is the one that is named, or the only one.
    const fitting = kid === undefined ? (all.length === 1 ? all : []) : all.filter((key) => key.kid === kid)
    return fitting.find(({ jwk }) => isSigned(jws, jwk))
  }
  const found = (await look('read')) ?? (await look('again'))
  if (!found) throw refusal(`${what} is not signed by a key of its issuer`)
  return { id: iss, by: 'metadata', key: thumbprint(found.jwk) }
}

/**
 * Whether the key by which an issuer is known is still its own: who takes a key out of her DID document or metadata takes back what it signed
 * (ICAM 25.11: a credential whose key is revoked is revoked). By a certificate, its end and the anchor say it.
 * @throws {LoginError} where it cannot be read
 */
export async function isKeyStanding({ id, by, key }: Issuer, ports: VerifyPorts): Promise<boolean> {
  // Whom nobody trusts any more is for the judge, and not asked.
  if (key === undefined || by === 'x5c' || keysOfItself(id) || !ports.allowed(id)) return true
  const inDocument = async (how: 'read' | 'again') => {
    const document = await ports.documents(id)[how](didWebUrl(id), didDocument)
    // What was kept may be from before its host mended it.
    return how === 'read' && document.id !== id ? [] : keysOf(document, id, 'assertionMethod')
  }
  const look = async (how: 'read' | 'again') => {
    const keys = by === 'did' ? await inDocument(how) : await metadataKeys(id, how, ports.documents(id))
    return keys.some(({ jwk }) => thumbprint(jwk) === key)
  }
  return (await look('read')) || (await look('again'))
}

const keysOfItself = (id: string) => /^did:(?:key|jwk):/.test(id)
