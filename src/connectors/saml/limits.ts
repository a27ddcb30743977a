import { LoginError } from '../../core/errors.ts'

/**
 * What a message may be. A person with 230 values of one attribute, each with its own namespace declarations, fits; what is
 * larger is refused before a document is built of it.
 */
export const limits = {
  /** Characters of base64, as sent. */
  encoded: 64 * 1024,
  /** Bytes of XML; 64 KB of base64 hold less, a deflated message could hold a thousand times more. */
  xml: 48 * 1024,
  /** Elements inside each other. */
  depth: 24,
  /** Elements, comments and CDATA sections together: XPath over a document takes time by their square. */
  nodes: 1200,
  /** Attributes and namespace declarations of one element, and of all. */
  attributesOfOne: 64,
  attributes: 3600,
  /** Namespaces in scope at one place: each element copies them. */
  inScope: 64,
} as const

/** What may be read. */
export type Limits = Readonly<Record<'xml' | 'depth' | 'nodes' | 'attributesOfOne' | 'attributes' | 'inScope', number>>

/** Of bytes that an IdP signed: canonical form declares a namespace anew at each element that uses it. */
export const signedLimits: Limits = { ...limits, xml: 8 * limits.xml, attributes: 4 * limits.attributes }

/**
 * The text of a message as it was posted: base64 and UTF-8 without a flaw.
 * @throws {LoginError} `upstream_rejected`
 */
export function decode(encoded: string): string {
  if (encoded.length > limits.encoded) throw refusal(`it has more than ${limits.encoded} characters of base64`)
  // Lines, as RFC 2045 has them, are common; what Buffer would skip silently is not base64.
  const base64 = encoded.replace(/[\r\n\t ]+/g, '')
  if (base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw refusal('it is not base64')
  return textOf(Buffer.from(base64, 'base64'))
}

/**
 * Bytes as UTF-8; a byte order mark is dropped.
 * @throws {LoginError} `upstream_rejected`
 */
export function textOf(bytes: Uint8Array): string {
  if (bytes.length > limits.xml) throw refusal(`it has more than ${limits.xml} bytes of XML`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw refusal('it is not UTF-8')
  }
}

/** A refusal of the message as a whole. @param why goes to the log: our own words, what was found made printable */
export function refusal(why: string, cause?: unknown): LoginError {
  return new LoginError(
    'upstream_rejected',
    `the SAML message was refused: ${why}`,
    cause === undefined ? {} : { cause },
  )
}

/** What a log line may hold of another's text. */
export const printable = (text: string, length = 120) => text.slice(0, length).replace(/[^\x20-\x7e]/g, '?')
