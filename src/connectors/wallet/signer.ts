import { createPrivateKey, hash, type JsonWebKey, type KeyObject, sign, X509Certificate } from 'node:crypto'
import type { WalletConfig } from './options.ts'

/** Who asks, and how wallets know it. */
export interface Signer {
  /**
   * The full client id of a request.
   * @param response the address of its answer, which is the client id itself where nothing is signed
   */
  clientId(response: URL): string
  /** A compact JWS. @see RFC 9101 */
  sign(claims: Readonly<Record<string, unknown>>): string
}

type Identity = Pick<WalletConfig, 'clientIdPrefix' | 'certificate' | 'privateKey' | 'did'>

/** Certificates of a chain; no sensible one is longer. */
const LONGEST_CHAIN = 8

/**
 * The gateway as a verifier. Undefined where it signs nothing.
 * @param host of the gateway's issuer: the answer goes there, and with `x509_san_dns` the certificate must name it (OpenID4VP 1.0, 5.9.3).
 *   Undefined where only the options are looked at
 * @throws with a sentence for the operator, after the name of its option, where certificate or key are of no use
 */
export function openSigner(config: Identity, host: string | undefined): Signer | undefined {
  const { clientIdPrefix: prefix } = config
  if (prefix === 'redirect_uri') return undefined
  const key = readKey(config.privateKey ?? '')
  const { header, id } = prefix === 'decentralized_identifier' ? byDid(config.did ?? '') : byChain(config, key, host)
  const text = JSON.stringify({ alg: 'ES256', typ: 'oauth-authz-req+jwt', ...header })
  const protectedHeader = Buffer.from(text).toString('base64url')
  return {
    clientId: () => `${prefix}:${id}`,
    sign(claims) {
      const signed = `${protectedHeader}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
      return `${signed}.${sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
    },
  }
}

/**
 * What is wrong with the options that name certificate and key; undefined where nothing is. A configuration is also checked where its
 * secrets are not, with other words in their places: what is not even in the form of a key is left to `openSigner`.
 */
export function signerProblem(
  config: Identity,
): { readonly path: readonly string[]; readonly message: string } | undefined {
  if (!/^\s*(?:-----BEGIN|\{)/.test(config.privateKey ?? '')) return undefined
  try {
    openSigner(config, undefined)
    return undefined
  } catch (error) {
    const [option = '', ...message] = (error as Error).message.split(': ') // ours, each after its option's name
    return { path: [option], message: message.join(': ') }
  }
}

interface Named {
  readonly header: Readonly<Record<string, unknown>>
  /** The client id without its prefix. */
  readonly id: string
}

const byDid = (key: string): Named => ({ header: { kid: key }, id: key.slice(0, key.indexOf('#')) })

/** "The X.509 certificate of the trust anchor MUST NOT be included", "the X.509 certificate signing the request MUST NOT be self-signed" (HAIP 1.0, 5). */
function byChain(config: Identity, key: KeyObject, host: string | undefined): Named {
  const chain = readChain(config.certificate ?? '')
  const [leaf] = chain
  if (!leaf.checkPrivateKey(key)) throw new Error('certificate: the first one is not that of privateKey')
  if (isSelfSigned(leaf)) throw new Error('certificate: the first one is self-signed, which wallets refuse (HAIP)')
  if (chain.some(isSelfSigned))
    throw new Error('certificate: leave the root out of the chain; wallets have it or refuse it')
  chain.slice(1).forEach((issuer, at) => {
    const issued = chain[at]!
    if (!issued.checkIssued(issuer) || !issued.verify(issuer.publicKey))
      throw new Error(`certificate: number ${at + 1} was not issued by the one that follows`)
  })
  const header = { x5c: chain.map(({ raw }) => raw.toString('base64')) }
  if (config.clientIdPrefix === 'x509_hash') return { header, id: hash('sha256', leaf.raw, 'base64url') }
  if (host !== undefined && leaf.checkHost(host, { subject: 'never', wildcards: false }) === undefined)
    throw new Error(`certificate: the first one does not name ${host} as a DNS name, as \`x509_san_dns\` needs it`)
  return { header, id: host ?? '' }
}

const isSelfSigned = (certificate: X509Certificate) =>
  certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey)

function readChain(pem: string): readonly [X509Certificate, ...X509Certificate[]] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  try {
    const [leaf, ...more] = blocks.slice(0, LONGEST_CHAIN).map((block) => new X509Certificate(block))
    if (leaf) return [leaf, ...more]
  } catch {
    // As below.
  }
  throw new Error('certificate: no PEM certificate that can be read')
}

function readKey(text: string): KeyObject {
  let key: KeyObject | undefined
  try {
    key = createPrivateKey(
      text.trimStart().startsWith('{') ? { key: JSON.parse(text) as JsonWebKey, format: 'jwk' } : text,
    )
  } catch {
    // The cause could quote the key.
  }
  // "Wallets MUST, at a minimum, support ECDSA with P-256 and SHA-256" of signed requests (HAIP 1.0, 7): of other keys some would know nothing.
  if (key?.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw new Error('privateKey: no PEM (PKCS#8) or JWK of a P-256 key')
  return key
}
