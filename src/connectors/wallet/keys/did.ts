import { createPublicKey, ECDH } from 'node:crypto'
import type { Json } from '../credential.ts'
import { bytesOf, isObject, type JsonObject, jsonOf, listOf, textOf } from '../credentials/jws.ts'
import { printable, refusal } from '../refusal.ts'
import type { Kind } from './documents.ts'
import { jwkOf, type PublicJwk, publicJwk } from './jwk.ts'

/** A key that a DID names, and the certificates that it says belong to it. */
export interface NamedKey {
  /** `did:…#fragment` */
  readonly id: string
  readonly jwk: PublicJwk
  /** Base64 of DER, the key's own first. */
  readonly x5c?: readonly string[]
  readonly x5u?: string
}

/** What a DID may use its keys for here. @see W3C DID Core 5.3 */
export type Purpose = 'assertionMethod' | 'authentication'

/** A DID document, with what is read of it. */
export interface DidDocument {
  readonly id: string
  readonly keys: Readonly<Record<Purpose, readonly NamedKey[]>>
}

/** The DID of a DID URL, and its fragment with the `#`. */
export function splitDid(url: string): { readonly did: string; readonly fragment: string } {
  const at = url.indexOf('#')
  return at < 0 ? { did: url, fragment: '' } : { did: url.slice(0, at), fragment: url.slice(at) }
}

/**
 * The one key of a `did:key` or `did:jwk`: the DID is the key, and nobody is asked. Undefined where it is no such DID.
 * @throws {LoginError} where it is one that holds no key to be taken
 */
export function keyInDid(did: string): PublicJwk | undefined {
  if (did.length > 4096) throw refusal('a did has more than 4096 characters')
  const [, method, rest = ''] = /^did:(key|jwk):(.+)$/.exec(did) ?? []
  if (method === undefined) return undefined
  const json = method === 'jwk' ? jsonOf(bytesOf(rest)?.toString('utf8') ?? '') : undefined
  const key = method === 'jwk' ? publicJwk(json) : multikey(rest)
  if (!key) throw refusal(`${printable(did)} holds no key that is taken`)
  return key
}

/** Multicodec prefixes of did:key: what kind of key, and how long it is without the prefix. */
const codecs: readonly (readonly [prefix: string, read: (bytes: Buffer) => PublicJwk | undefined])[] = [
  ['ed01', (bytes) => publicJwk({ kty: 'OKP', crv: 'Ed25519', x: bytes.toString('base64url') })],
  ['8024', (bytes) => curvePoint(bytes, 'P-256', 'prime256v1')],
  ['8124', (bytes) => curvePoint(bytes, 'P-384', 'secp384r1')],
  ['d1d603', (bytes) => publicJwk(jsonOf(bytes.toString('utf8')))], // jwk_jcs-pub, which EBSI uses
  ['8524', (bytes) => rsa(bytes)],
]

/** A public key as multibase (base58btc) and multicodec. */
function multikey(text: string): PublicJwk | undefined {
  const bytes = text.startsWith('z') ? base58(text.slice(1)) : undefined
  const hex = bytes?.subarray(0, 4).toString('hex') ?? ''
  const found = codecs.find(([prefix]) => hex.startsWith(prefix))
  return bytes && found?.[1](bytes.subarray(found[0].length / 2))
}

function curvePoint(bytes: Buffer, crv: string, name: string): PublicJwk | undefined {
  try {
    const point = ECDH.convertKey(bytes, name, undefined, undefined, 'uncompressed') as Buffer
    const half = (point.length - 1) / 2
    const [x, y] = [point.subarray(1, 1 + half), point.subarray(1 + half)].map((each) => each.toString('base64url'))
    return publicJwk({ kty: 'EC', crv, x: x ?? '', y: y ?? '' })
  } catch {
    return undefined // no point of this curve
  }
}

function rsa(bytes: Buffer): PublicJwk | undefined {
  try {
    return jwkOf(createPublicKey({ key: bytes, format: 'der', type: 'pkcs1' }))
  } catch {
    return undefined
  }
}

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** Bitcoin's base58; the time grows by the square of the length, which is bounded. */
export function base58(text: string): Buffer | undefined {
  if (text.length === 0 || text.length > 2048) return undefined
  let value = 0n
  for (const letter of text) {
    const digit = ALPHABET.indexOf(letter)
    if (digit < 0) return undefined
    value = value * 58n + BigInt(digit)
  }
  const hex = value === 0n ? '' : value.toString(16)
  const zeros = /^1*/.exec(text)?.[0].length ?? 0
  return Buffer.concat([Buffer.alloc(zeros), Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')])
}

/**
 * Where a did:web has its document: its host and path, letter by letter; what would be read as anything else is refused.
 * @throws {LoginError} `upstream_rejected`
 */
export function didWebUrl(did: string): string {
  if (did.length > 4096) throw refusal('a did has more than 4096 characters')
  const [host = '', ...path] = did.slice('did:web:'.length).split(':')
  const [, name = '', port = ''] = /^([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)(?:%3A(\d{1,5}))?$/i.exec(host) ?? []
  // DID Core, 3.1: parts between colons may be empty, as in a did of a Gaia-X notary, but the last.
  const plain =
    path.at(-1) !== '' &&
    path.every((part) => /^(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}){0,1024}$/.test(part) && !/^\.{1,2}$/.test(part))
  // An encoded slash or dot would be read as another path by some servers.
  if (!did.startsWith('did:web:') || name === '' || !plain || path.some((part) => /%(?:2f|2e|5c|00)/i.test(part)))
    throw refusal(`${printable(did)} is no did:web`)
  const authority = port === '' ? name : `${name}:${port}`
  return `https://${authority}${path.length > 0 ? `/${path.join('/')}` : '/.well-known'}/did.json`
}

/** Characters of a DID document; the largest real one has 9,000. */
const LONGEST = 131_072

/** A DID document of did:web. Several DIDs lead to one address, and whose it is that document alone says: who asks compares. */
export const didDocument: Kind<DidDocument> = {
  accept: 'application/did+json, application/did+ld+json, application/json',
  longest: LONGEST,
  parse: readDidDocument,
}

/** A document with the keys that it names of its own DID. @throws {LoginError} `upstream_rejected` */
export function readDidDocument(text: string): DidDocument {
  const document = jsonOf(text)
  const did = isObject(document) ? textOf(document['id']) : undefined
  if (!isObject(document) || did === undefined) throw refusal('the document of a did is about no did')
  const methods = listOf(document['verificationMethod'])
  const of = (purpose: Purpose): readonly NamedKey[] =>
    listOf(document[purpose]).flatMap((entry) => {
      const method = typeof entry === 'string' ? methodOf(methods, absolute(entry, did), did) : entry
      const key = isObject(method) ? namedKey(method, did) : undefined
      return key ? [key] : []
    })
  // Real documents that name no purpose at all mean every key for everything (Gaia-X, 2022 to 2025).
  const purposeless = ['assertionMethod', 'authentication'].every((purpose) => document[purpose] === undefined)
  const all = purposeless ? methods.flatMap((method) => (isObject(method) ? (namedKey(method, did) ?? []) : [])) : []
  return {
    id: did,
    keys: purposeless
      ? { assertionMethod: all, authentication: all }
      : { assertionMethod: of('assertionMethod'), authentication: of('authentication') },
  }
}

const absolute = (id: string, did: string) => (id.startsWith('#') ? `${did}${id}` : id)

function methodOf(methods: readonly Json[], id: string, did: string): JsonObject | undefined {
  const found = methods.filter(isObject).filter((method) => absolute(textOf(method['id']) ?? '', did) === id)
  return found.length === 1 ? found[0] : undefined
}

/** Undefined where the key is of another DID, or of a kind that is not taken. */
function namedKey(method: JsonObject, did: string): NamedKey | undefined {
  const id = absolute(textOf(method['id']) ?? '', did)
  const controller = method['controller'] ?? did
  if (splitDid(id).did !== did || controller !== did) return undefined
  const { publicKeyJwk, publicKeyMultibase, publicKeyBase58 } = method as Readonly<Record<string, Json>>
  const jwk = publicKeyJwk
    ? publicJwk(publicKeyJwk)
    : textOf(publicKeyMultibase) !== undefined
      ? multikey(String(publicKeyMultibase))
      : ed25519(textOf(publicKeyBase58), method['type'])
  if (!jwk) return undefined
  const { x5c, x5u } = isObject(publicKeyJwk) ? publicKeyJwk : {}
  const chain = listOf(x5c).filter((each) => typeof each === 'string')
  return { id, jwk, ...(chain.length > 0 && { x5c: chain }), ...(typeof x5u === 'string' && { x5u }) }
}

function ed25519(text: string | undefined, type: Json | undefined): PublicJwk | undefined {
  const bytes = text !== undefined && type === 'Ed25519VerificationKey2018' ? base58(text) : undefined
  return bytes?.length === 32 ? publicJwk({ kty: 'OKP', crv: 'Ed25519', x: bytes.toString('base64url') }) : undefined
}
