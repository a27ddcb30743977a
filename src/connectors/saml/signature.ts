import { getVerifiedXml, parseDomFromString } from '@node-saml/node-saml/lib/xml.js'
import { refusal } from './limits.ts'
import { ns } from './xml.ts'

/** What a signature is asked about: whether one of these keys signed this element of a document. */
export interface Signed {
  /** The document as it was read, of which nothing but its form is known (`readXml`, `signatureProblem`). */
  readonly xml: string
  /** Where the element is: the document itself, or the assertion directly in it. */
  readonly element: 'document' | 'assertion'
  /** PEM, the likeliest first. */
  readonly keys: readonly string[]
}

/** Answers with the canonical bytes that were signed, which alone may be read; undefined where none of the keys signed the element. */
export type CheckSignature = (signed: Signed) => Promise<string | undefined>

/**
 * The check itself, by node-saml and xml-crypto, in this thread: of a hostile message it can take a tenth of a second (their XPath), so
 * that a server asks a thread of its own (`signature-thread.ts`).
 */
// Of node-saml only its verification is used: the class above it keeps time by a clock of its own, decrypts whatever the algorithm, and
// leaves out half the profile. Its comment says of this function: "SAML Libraries must only use the referenced bytes from the signature".
// https://github.com/node-saml/node-saml/blob/v5.1.0/src/xml.ts#L60
export const checkSignature: CheckSignature = async (signed) => signedBytes(await documentOf(signed.xml), signed)

/** @throws {LoginError} `upstream_rejected` where node-saml's parser does not take what ours did */
export function documentOf(xml: string): Promise<Document> {
  return parseDomFromString(xml).catch(() => {
    throw refusal('its signature cannot be checked: another parser does not take it')
  })
}

/** @param document of `xml`: as in node-saml itself, one serves for the signatures of the response and of its assertion */
export function signedBytes(document: Document, { xml, element, keys }: Signed): string | undefined {
  const root = document.documentElement
  const signed = element === 'document' ? root : assertionIn(root)
  if (signed === undefined) return undefined
  for (const key of keys) {
    const bytes = verified(xml, signed, key)
    if (bytes !== undefined) return bytes
  }
  return undefined
}

/** It throws where the signature's form is not one it takes: not signed by that key, as far as anybody can tell. */
function verified(xml: string, element: Element, key: string): string | undefined {
  try {
    return getVerifiedXml(xml, element, [key]) ?? undefined
  } catch {
    return undefined
  }
}

function assertionIn(root: Element): Element | undefined {
  const children = Array.from(root.childNodes) as Node[] as Element[] // others have neither name nor namespace
  const found = children.filter((node) => node.localName === 'Assertion' && node.namespaceURI === ns.saml)
  return found.length === 1 ? found[0] : undefined
}
