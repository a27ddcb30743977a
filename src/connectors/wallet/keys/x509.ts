import { hash, X509Certificate } from 'node:crypto'
import { Certificate, CertificateChainValidationEngine } from 'pkijs'
import type { Json } from '../credential.ts'
import { refusal } from '../refusal.ts'
import { namesOf, pathProblem } from './constraints.ts'
import { jwkOf, type PublicJwk } from './jwk.ts'

/** A certificate whose chain to a configured anchor was verified. */
export interface Certified {
  /** The name of the anchor. */
  readonly anchor: string
  /** The key of its root: SHA-256 of the SPKI, base64url. */
  readonly root: string
  readonly jwk: PublicJwk
  /** RFC 4514 */
  readonly subject: string
  /** Hosts and URIs of its subjectAltName, as written. */
  readonly hosts: readonly string[]
  readonly uris: readonly string[]
  /** Unix seconds from and until which all of the chain is valid. */
  readonly from: number
  readonly until: number
  /** Whether the anchor itself was sent along, which HAIP 1.0, 6.1.1 forbids. */
  readonly anchorSent: boolean
}

/** The configured X.509 roots. */
export interface Anchors {
  /**
   * Verifies `x5c`: order, signatures, validity, authorities, lengths, constraints of names and policies. Not checked: revocation lists,
   * and extended key usage, for which no profile of credentials has a value that issuers use.
   * @throws {LoginError} `upstream_rejected`
   */
  verify(x5c: Json | undefined, now: number): Promise<Certified>
  /** Whether an anchor has a root of this key, as `Certified` names it. */
  has(anchor: string, root: string): boolean
}

interface Anchor {
  readonly name: string
  readonly x509: X509Certificate
}

/** Certificates of a chain, at most. */
const LONGEST = 6
/** Characters of one, and chains that are remembered. */
const LARGEST = 16_384
const REMEMBERED = 512

/**
 * @param roots PEM texts by the names of anchors, each of one or more certificates
 * @throws {Error} where one of them cannot be read
 */
export function openAnchors(roots: Readonly<Record<string, string>>): Anchors {
  const anchors = Object.entries(roots).flatMap(([name, pem]) => certificatesOf(pem).map((x509) => ({ name, x509 })))
  const known = new Map<string, Certified>()
  return {
    async verify(x5c, now) {
      const sent = certificateTexts(x5c)
      const digest = hash('sha256', sent.join('\n'), 'base64')
      const before = known.get(digest)
      const certified = before ?? (await verifyChain(sent.map(parse), anchors, now))
      if (now < certified.from || now >= certified.until)
        throw refusal('the certificates of its issuer are expired or not yet valid')
      if (!before) remember(known, digest, certified)
      return certified
    },
    has: (anchor, root) => anchors.some(({ name, x509 }) => name === anchor && keyOf(x509) === root),
  }
}

/** The certificates in a PEM text. @throws {Error} where there is none */
function certificatesOf(pem: string): readonly X509Certificate[] {
  const found = [...pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g)]
  if (found.length === 0) throw new Error('no PEM certificate in it')
  return found.map(([, text = '']) => parse(text.replace(/\s+/g, '')))
}

/** Of a root that is certified anew with the same key it stays what it was. */
const keyOf = ({ publicKey }: X509Certificate): string =>
  hash('sha256', publicKey.export({ type: 'spki', format: 'der' }), 'base64url')

function remember(known: Map<string, Certified>, digest: string, certified: Certified): void {
  const [oldest] = known.keys()
  if (oldest !== undefined && known.size >= REMEMBERED) known.delete(oldest)
  known.set(digest, certified)
}

function certificateTexts(x5c: Json | undefined): readonly string[] {
  const list = Array.isArray(x5c) ? (x5c as readonly Json[]) : []
  const texts = list.filter((each): each is string => typeof each === 'string' && each.length <= LARGEST)
  if (texts.length === 0 || texts.length !== list.length || texts.length > LONGEST)
    throw refusal(`x5c is not a list of one to ${LONGEST} certificates`)
  return texts
}

function parse(text: string): X509Certificate {
  try {
    return new X509Certificate(Buffer.from(text, 'base64'))
  } catch (cause) {
    throw refusal('a certificate of its issuer cannot be read', cause)
  }
}

async function verifyChain(
  sent: readonly X509Certificate[],
  anchors: readonly Anchor[],
  now: number,
): Promise<Certified> {
  const last = sent.at(-1)
  const anchorSent = last !== undefined && anchors.some(({ x509 }) => x509.raw.equals(last.raw))
  const chain = anchorSent ? sent.slice(0, -1) : sent
  const [leaf] = chain
  // HAIP 1.0, 6.1.1: "The X.509 certificate signing the request MUST NOT be self-signed".
  if (!leaf || issuedBy(leaf, leaf)) throw refusal('the certificate of its issuer is self-signed')
  if (!chain.every((one, index) => index === 0 || issuedBy(chain[index - 1]!, one)))
    // index is within
    throw refusal('x5c is not a chain: each certificate has to be issued by the next')
  const roots = anchors.filter(({ x509 }) => issuedBy(chain.at(-1)!, x509)) // chain has a leaf
  let why = 'the certificates of its issuer do not chain to an anchor of this connector'
  for (const { name, x509 } of roots) {
    const path = pathOf([...chain, x509])
    const problem = await problemOf(path, now)
    if (problem === undefined) return certifiedBy(leaf, path, { anchor: name, root: keyOf(x509), anchorSent })
    why = `the certificates of its issuer are refused: ${problem}`
  }
  throw refusal(why)
}

/** By name, key identifier, key usage and signature, as OpenSSL sees it. */
function issuedBy(below: X509Certificate, above: X509Certificate): boolean {
  return below.checkIssued(above) && below.verify(above.publicKey)
}

/** The library's own reading, which takes ten times as long: of what leads to an anchor alone. */
function pathOf(certificates: readonly X509Certificate[]): readonly Certificate[] {
  try {
    return certificates.map(({ raw }) => Certificate.fromBER(raw))
  } catch (cause) {
    throw refusal('a certificate of its issuer cannot be read', cause)
  }
}

/** What the library says of the whole path, and before it what the library leaves out. */
async function problemOf(path: readonly Certificate[], now: number): Promise<string | undefined> {
  const { from, until } = validityOf(path)
  if (now < from || now >= until) return 'one of them is expired or not yet valid'
  const problem = pathProblem(path)
  if (problem !== undefined) return problem
  const engine = new CertificateChainValidationEngine({
    trustedCerts: path.slice(-1),
    certs: path.slice(0, -1).reverse(), // the library takes the last for the leaf
    checkDate: new Date(now * 1000),
  })
  const { result, resultMessage } = await engine.verify()
  return result ? undefined : resultMessage
}

function validityOf(path: readonly Certificate[]) {
  const seconds = (date: Date) => Math.floor(date.getTime() / 1000)
  return {
    from: Math.max(...path.map(({ notBefore }) => seconds(notBefore.value))),
    until: Math.min(...path.map(({ notAfter }) => seconds(notAfter.value))),
  }
}

function certifiedBy(
  leaf: X509Certificate,
  path: readonly Certificate[],
  found: Pick<Certified, 'anchor' | 'root' | 'anchorSent'>,
): Certified {
  const jwk = jwkOf(leaf.publicKey)
  if (!jwk) throw refusal('the certificate of its issuer has a key of a kind that is not taken')
  const names = namesOf(path[0]!) // the leaf's
  const texts = (type: number) => names.filter((name) => name.type === type).map(({ value }) => String(value))
  // Node writes one part a line, the outermost first; RFC 4514 writes the innermost first.
  // Undefined, whatever its type says, where there is none: then the alternative names are all that it has (RFC 5280, 4.1.2.6).
  const subject = ((leaf.subject as string | undefined) ?? '').split('\n').reverse().join(',')
  return { ...found, jwk, subject, hosts: texts(2), uris: texts(6), ...validityOf(path) }
}
