import { constants, type KeyObject, verify, X509Certificate } from 'node:crypto'
import { openCanonical } from './canonical.ts'
import { type Events, refused, type Tag } from './xml.ts'

/*
 * The signature over a document of metadata. Federations sign aggregates of 100 MB: nothing that needs the document as a tree can
 * check them, so it is checked as it is read. Exactly one form is taken, that which SAML metadata prescribes (SAML 2.0 Metadata, section 3):
 * an enveloped signature of the root, by its ID, exclusive canonicalisation, one reference. The key comes from the configuration;
 * `ds:KeyInfo` is not read (security.md S3: a certificate in the message proves nothing).
 */

export const DSIG = 'http://www.w3.org/2000/09/xmldsig#'
const EXCLUSIVE = 'http://www.w3.org/2001/10/xml-exc-c14n#'
/**
 * Both are one here. A reference by ID has no comments to canonicalise (XML Signature, section 4.4.3.3), and one in SignedInfo, which is
 * never told, makes the signature fail.
 */
const exclusives = new Set([EXCLUSIVE, `${EXCLUSIVE}WithComments`])
const ENVELOPED = `${DSIG}enveloped-signature`
const MORE = 'http://www.w3.org/2001/04/xmldsig-more#'
const MORE07 = 'http://www.w3.org/2007/05/xmldsig-more#'
const ENC = 'http://www.w3.org/2001/04/xmlenc#'

/** Elements and texts of a signature; real ones have thirty. */
const PARTS = 500
/** Bits of the weakest RSA key. */
const RSA_BITS = 2048

type Hash = 'sha256' | 'sha384' | 'sha512'

// SHA-1 and HMAC are not here, and what is not here is refused.
const digests: Readonly<Record<string, Hash>> = {
  [`${ENC}sha256`]: 'sha256',
  [`${MORE}sha384`]: 'sha384',
  [`${ENC}sha512`]: 'sha512',
}

interface Algorithm {
  readonly hash: Hash
  readonly type: 'rsa' | 'ec'
  readonly pss?: true
}
// biome-ignore format: the columns are read downwards
const algorithms: Readonly<Record<string, Algorithm>> = {
  [`${MORE}rsa-sha256`]:          { hash: 'sha256', type: 'rsa' },
  [`${MORE}rsa-sha384`]:          { hash: 'sha384', type: 'rsa' },
  [`${MORE}rsa-sha512`]:          { hash: 'sha512', type: 'rsa' },
  [`${MORE07}sha256-rsa-MGF1`]:   { hash: 'sha256', type: 'rsa', pss: true },
  [`${MORE07}sha384-rsa-MGF1`]:   { hash: 'sha384', type: 'rsa', pss: true },
  [`${MORE07}sha512-rsa-MGF1`]:   { hash: 'sha512', type: 'rsa', pss: true },
  [`${MORE}ecdsa-sha256`]:        { hash: 'sha256', type: 'ec' },
  [`${MORE}ecdsa-sha384`]:        { hash: 'sha384', type: 'ec' },
  [`${MORE}ecdsa-sha512`]:        { hash: 'sha512', type: 'ec' },
}

/** What a signature that one of the keys made says of the document. */
export interface Signed {
  readonly hash: Hash
  readonly digest: Buffer
  /** The prefixes of `InclusiveNamespaces` for the document's canonical form. */
  readonly inclusive: readonly string[]
}

/** A signature as a tree; it is small. */
export interface SignatureNode {
  readonly tag: Tag
  readonly parts: (SignatureNode | string)[]
}

/**
 * The public keys of PEM certificates, one text may hold several. Of a pinned certificate only the key counts: who configured it
 * trusts it until it is taken out, whatever dates it has.
 * @throws {LoginError} where a text holds none, or one whose key is too weak
 */
export function keysOf(certificates: readonly string[]): readonly KeyObject[] {
  return certificates.flatMap((text) => {
    const found = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)
    if (!found) throw refused('no PEM certificate is configured for it')
    return found.map((pem) => usable(publicKeyOf(pem)))
  })
}

function publicKeyOf(pem: string): KeyObject {
  try {
    return new X509Certificate(pem).publicKey
  } catch (error) {
    throw refused('the certificate configured for it cannot be read', error)
  }
}

function usable(key: KeyObject): KeyObject {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (key.asymmetricKeyType === 'rsa' && bits < RSA_BITS) throw refused(`the configured key has ${bits} bits only`)
  if (key.asymmetricKeyType !== 'rsa' && key.asymmetricKeyType !== 'ec')
    throw refused('the configured key is of no use')
  return key
}

/** Keeps a `ds:Signature` as it is read; `ended` once its end was told. */
export function openRecorder(): Events & { readonly ended: () => SignatureNode | undefined } {
  const path: SignatureNode[] = []
  let top: SignatureNode | undefined
  let count = 0
  const add = (part: SignatureNode | string) => {
    count += 1
    if (count > PARTS) throw refused('its signature has too many parts')
    path.at(-1)?.parts.push(part)
  }
  return {
    open(tag) {
      const node = { tag, parts: [] }
      add(node)
      path.push(node)
    },
    text: add,
    close() {
      const node = path.pop()
      if (path.length === 0) top = node
    },
    instruction() {
      throw refused('its signature has a processing instruction')
    },
    ended: () => top,
  }
}

/**
 * Reads a signature and checks that one of the keys made it. What it says of the document is for the caller to compare.
 * @param id of the root element, which must be the only thing signed
 * @throws {LoginError} `upstream_unavailable`
 */
export function readSignature(signature: SignatureNode, id: string, keys: readonly KeyObject[]): Signed {
  const [info, value] = named(signature, DSIG, 'SignedInfo', 'SignatureValue')
  const [canonicalisation, method, reference] = named(
    info,
    DSIG,
    'CanonicalizationMethod',
    'SignatureMethod',
    'Reference',
    END,
  )
  checkMade(info, { canonicalisation, method, value }, keys)

  // An empty or other URI would sign something that is not what is read: signature wrapping begins there.
  if (id === '' || attribute(reference, 'URI') !== `#${id}`) throw refused('its signature is not over its root element')
  const [transforms, digestMethod, digestValue] = named(
    reference,
    DSIG,
    'Transforms',
    'DigestMethod',
    'DigestValue',
    END,
  )
  const [enveloped, exclusive] = named(transforms, DSIG, 'Transform', 'Transform', END)
  if (attribute(enveloped, 'Algorithm') !== ENVELOPED || enveloped.parts.some((part) => typeof part !== 'string'))
    throw refused('its signature is not an enveloped one')
  const hash = digests[attribute(digestMethod, 'Algorithm')]
  if (!hash) throw refused(`its digest is by ${attribute(digestMethod, 'Algorithm')}`)
  return { hash, digest: base64(digestValue), inclusive: inclusiveOf(exclusive) }
}

function checkMade(
  info: SignatureNode,
  { canonicalisation, method, value }: Readonly<Record<'canonicalisation' | 'method' | 'value', SignatureNode>>,
  keys: readonly KeyObject[],
): void {
  const algorithm = algorithms[attribute(method, 'Algorithm')]
  if (!algorithm) throw refused(`it is signed by ${attribute(method, 'Algorithm')}`)
  const { hash, type, pss } = algorithm
  const padding = pss ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : {}
  const text = canonicalText(info, inclusiveOf(canonicalisation))
  const made = keys
    .filter((key) => key.asymmetricKeyType === type)
    .some((key) => verify(hash, text, { key, dsaEncoding: 'ieee-p1363', ...padding }, base64(value)))
  if (!made) throw refused('its signature was not made by a configured key')
}

/** The prefixes that an exclusive canonicalisation treats as an inclusive one would. */
function inclusiveOf(method: SignatureNode): readonly string[] {
  if (!exclusives.has(attribute(method, 'Algorithm')))
    throw refused(`its canonicalisation is ${attribute(method, 'Algorithm')}`)
  const inside = elements(method)
  if (inside.length === 0) return []
  const [list] = named(method, EXCLUSIVE, 'InclusiveNamespaces', END)
  const prefixes = attribute(list, 'PrefixList').split(/\s+/).filter(Boolean)
  return prefixes.map((prefix) => (prefix === '#default' ? '' : prefix))
}

function canonicalText(node: SignatureNode, inclusive: readonly string[]): Buffer {
  const pieces: string[] = []
  const canonical = openCanonical(inclusive, (text) => pieces.push(text))
  const walk = ({ tag, parts }: SignatureNode) => {
    canonical.open(tag)
    for (const part of parts) typeof part === 'string' ? canonical.text(part) : walk(part)
    canonical.close(tag)
  }
  walk(node)
  return Buffer.from(pieces.join(''))
}

const elements = (node: SignatureNode) => node.parts.filter((part) => typeof part !== 'string')

/** Says to `named` that nothing may follow. */
const END = Symbol('end')

/** The first elements of a node, which must have these names in this order. */
function named<const Names extends readonly (string | typeof END)[]>(
  node: SignatureNode,
  uri: string,
  ...names: Names
): { readonly [K in keyof Names]: SignatureNode } {
  const inside = elements(node)
  names.forEach((name, index) => {
    const tag = inside[index]?.tag
    const fits = name === END ? tag === undefined : tag?.local === name && tag.uri === uri
    if (!fits) throw refused(`its signature has an unusual ${node.tag.local}`)
  })
  return inside as unknown as { readonly [K in keyof Names]: SignatureNode } // as many as there are names, by the loop above
}

function attribute({ tag }: SignatureNode, name: string): string {
  return tag.attributes.find(({ uri, local }) => uri === '' && local === name)?.value ?? ''
}

function base64(node: SignatureNode): Buffer {
  const text = node.parts
    .map((part) => (typeof part === 'string' ? part : '!'))
    .join('')
    .replace(/[ \t\r\n]/g, '')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw refused('its signature is not base64')
  return Buffer.from(text, 'base64')
}
