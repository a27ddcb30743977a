import { printable } from './limits.ts'
import { childrenOf, ns, onlyChild, type Tag, textIn, within } from './xml.ts'

const EXCLUSIVE = 'http://www.w3.org/2001/10/xml-exc-c14n#'
const ENVELOPED = 'http://www.w3.org/2000/09/xmldsig#enveloped-signature'

/** What a message may be signed by: what xml-crypto has, without SHA-1 and HMAC (an IdP's certificate is no secret). */
const signatures = new Set([
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512',
  'http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1',
])
const digests = new Set(['http://www.w3.org/2001/04/xmlenc#sha256', 'http://www.w3.org/2001/04/xmlenc#sha512'])

/** For an upstream that cannot do better and that the operator named. */
const sha1 = new Set(['http://www.w3.org/2000/09/xmldsig#rsa-sha1', 'http://www.w3.org/2000/09/xmldsig#sha1'])

/** Which weak signatures are taken all the same. */
export interface Weakness {
  /** SHA-1: an operator may name an upstream that cannot do better. */
  readonly sha1?: true
  /** RSA keys below 2048 bits: no configuration sets it, only tests on public messages of many years ago. */
  readonly shortKeys?: true
}

/** Bytes of a signature by the shortest RSA key that is taken. */
const SHORTEST = 256

export const SHORT_KEY = 'it is shorter than RSA keys of 2048 bits make it'

/**
 * Whether a signature can be by a short key alone: an RSA signature that is not as long as its key's modulus is none (RFC 8017, 8.1.2 and
 * 8.2.2, step 1). So no certificate is read for it.
 */
export const tooShort = (signature: Uint8Array, policy: Weakness): boolean =>
  signature.length < SHORTEST && policy.shortKeys !== true

/** The signature algorithms of the redirect binding: those of XML signatures, by their hash. */
export const queryAlgorithms: Readonly<Record<string, 'sha1' | 'sha256' | 'sha512'>> = {
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256': 'sha256',
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512': 'sha512',
  'http://www.w3.org/2000/09/xmldsig#rsa-sha1': 'sha1',
}

/** Content ciphers: authenticated ones only, by the bytes of their key. CBC is an oracle (Jager and Somorovsky 2011). */
export const ciphers: Readonly<Record<string, { readonly name: 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' }>> = {
  [`${ns.xenc11}aes128-gcm`]: { name: 'aes-128-gcm' },
  [`${ns.xenc11}aes192-gcm`]: { name: 'aes-192-gcm' },
  [`${ns.xenc11}aes256-gcm`]: { name: 'aes-256-gcm' },
}

/** Hashes of RSA-OAEP, and the mask generation functions that go with them. */
const oaepHashes: Readonly<Record<string, string>> = {
  'http://www.w3.org/2000/09/xmldsig#sha1': 'sha1',
  'http://www.w3.org/2001/04/xmlenc#sha256': 'sha256',
  'http://www.w3.org/2001/04/xmlenc#sha512': 'sha512',
  [`${ns.xenc11}mgf1sha1`]: 'sha1',
  [`${ns.xenc11}mgf1sha256`]: 'sha256',
  [`${ns.xenc11}mgf1sha512`]: 'sha512',
}

/**
 * The hash with which a key was encrypted by RSA-OAEP; undefined where it was by another way (RSA 1.5 is Bleichenbacher's oracle), or with
 * two hashes, for which Node has no option.
 * @see XML Encryption 1.1, 5.5.2
 */
export function oaepHash(method: Tag | undefined): string | undefined {
  const algorithm = method?.attributes['Algorithm']
  const named = (uri: string, name: string) => {
    const found = onlyChild(method, uri, name)?.attributes['Algorithm']
    if (found === undefined) return 'sha1'
    return Object.hasOwn(oaepHashes, found) ? oaepHashes[found] : undefined
  }
  const digest = named(ns.ds, 'DigestMethod')
  if (algorithm === `${ns.xenc}rsa-oaep-mgf1p`) return digest === 'sha1' ? digest : undefined
  return algorithm === `${ns.xenc11}rsa-oaep` && digest === named(ns.xenc11, 'MGF') ? digest : undefined
}

/**
 * What is wrong with the form of a signature, in a sentence; undefined where nothing is. Whether it verifies is for xml-crypto; here it is
 * made sure that there is one way to read it, and that it covers the element in which it stands.
 * @see SAML Core 5.4: "Signatures MUST contain a single <ds:Reference> containing a same-document reference to the ID attribute value of
 *   the root element"; "SAML processors SHOULD use Exclusive Canonicalization"; "MUST NOT contain transforms other than the enveloped
 *   signature transform or the exclusive canonicalization transforms"
 */
export function signatureProblem(signature: Tag, parent: Tag, policy: Weakness): string | undefined {
  const info = onlyChild(signature, ns.ds, 'SignedInfo')
  const reference = onlyChild(info, ns.ds, 'Reference')
  const method = (tag: Tag | undefined, name: string) => onlyChild(tag, ns.ds, name)?.attributes['Algorithm'] ?? 'none'
  const allowed = (set: ReadonlySet<string>, name: string) => set.has(name) || (policy.sha1 === true && sha1.has(name))
  if (info === undefined || reference === undefined) return 'it has no single SignedInfo with a single Reference'
  // An Object is a place to hide what was signed; nothing in SAML needs one.
  const known = ['SignedInfo', 'SignatureValue', 'KeyInfo']
  if (!only(signature, known) || !only(info, ['CanonicalizationMethod', 'SignatureMethod', 'Reference']))
    return 'it holds an element that has no place in it'
  if (!only(reference, ['Transforms', 'DigestMethod', 'DigestValue'])) return 'its Reference holds another element'
  // The library looks at local names alone, and would take the first of `x:Algorithm` and `Algorithm`.
  if ([...within(info)].some(({ attributes }) => Object.keys(attributes).some((name) => name.startsWith('{'))))
    return 'it has an attribute of another name space'
  if (method(info, 'CanonicalizationMethod') !== EXCLUSIVE)
    return `the canonicalisation ${printable(method(info, 'CanonicalizationMethod'))} is not allowed`
  if (!allowed(signatures, method(info, 'SignatureMethod')))
    return `the signature algorithm ${printable(method(info, 'SignatureMethod'))} is not allowed`
  if (!allowed(digests, method(reference, 'DigestMethod')))
    return `the digest algorithm ${printable(method(reference, 'DigestMethod'))} is not allowed`
  const transforms = childrenOf(onlyChild(reference, ns.ds, 'Transforms') ?? reference, ns.ds, 'Transform')
  const [first, second, third] = transforms.map(({ attributes }) => attributes['Algorithm'])
  if (first !== ENVELOPED || second !== EXCLUSIVE || third !== undefined)
    return 'its transforms are not the enveloped signature and exclusive canonicalisation'
  const id = parent.attributes['ID']
  if (!id || reference.attributes['URI'] !== `#${id}`) return 'it does not refer to the element in which it stands'
  const value = textIn(onlyChild(signature, ns.ds, 'SignatureValue'))
  if (value === '') return 'it has no value'
  return tooShort(Buffer.from(value, 'base64'), policy) ? SHORT_KEY : undefined
}

/** Whether it has no children but these, each once at most. */
function only(tag: Tag, names: readonly string[]): boolean {
  const found = tag.children.map(({ uri, name }) => (uri === ns.ds ? name : ''))
  return found.every((name, at) => names.includes(name) && found.indexOf(name) === at)
}
