import { generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto'
import { SignedXml } from 'xml-crypto'

/** Who signs a federation's metadata. */
export interface Signer {
  readonly key: KeyObject
  /** PEM. */
  readonly certificate: string
}

const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts)
  const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 255]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}

/** A self-signed certificate over the key pair: dates long gone, since nothing but the key of a pinned certificate counts. */
export function signer(made: { readonly privateKey: KeyObject; readonly publicKey: KeyObject } = rsa()): Signer {
  const sha256 = made.privateKey.asymmetricKeyType === 'ec' ? '06082a8648ce3d040302' : '06092a864886f70d01010b0500'
  const algorithm = der(0x30, Buffer.from(sha256, 'hex'))
  const name = der(0x30, der(0x31, der(0x30, Buffer.from('0603550403', 'hex'), der(12, Buffer.from('federation')))))
  const times = der(0x30, der(0x17, Buffer.from('100101000000Z')), der(0x17, Buffer.from('110101000000Z')))
  const publicKey = made.publicKey.export({ type: 'spki', format: 'der' })
  const body = der(0x30, der(2, Buffer.from([1])), algorithm, name, times, name, publicKey)
  const signature = der(3, Buffer.from([0]), sign('sha256', body, made.privateKey))
  const certificate = new X509Certificate(der(0x30, body, algorithm, signature))
  return { key: made.privateKey, certificate: certificate.toString() }
}

const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2048 })

export const exclusive = 'http://www.w3.org/2001/10/xml-exc-c14n#'
export const enveloped = 'http://www.w3.org/2000/09/xmldsig#enveloped-signature'
const rsaSha256 = 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'
const sha256 = 'http://www.w3.org/2001/04/xmlenc#sha256'

export interface SignOptions {
  readonly algorithm?: string
  readonly digest?: string
  readonly transforms?: readonly string[]
  readonly canonicalisation?: string
  readonly xpath?: string
}

/** Signs the root of a document as federations do, by a library that is not the gateway's. */
export function signMetadata(xml: string, key: KeyObject, options: SignOptions = {}): string {
  const signed = new SignedXml({
    privateKey: key.export({ type: 'pkcs8', format: 'pem' }),
    signatureAlgorithm: options.algorithm ?? rsaSha256,
    canonicalizationAlgorithm: (options.canonicalisation ?? exclusive) as 'http://www.w3.org/2001/10/xml-exc-c14n#',
  })
  signed.addReference({
    xpath: options.xpath ?? '/*',
    transforms: [...(options.transforms ?? [enveloped, exclusive])],
    digestAlgorithm: options.digest ?? sha256,
  })
  signed.computeSignature(xml, { prefix: 'ds', location: { reference: '/*', action: 'prepend' } })
  return signed.getSignedXml()
}

/** What a made-up IdP is made of. */
export interface EntityOptions {
  readonly entityId?: string
  readonly attributes?: string
  /** Inside `md:Extensions` of the entity. */
  readonly extensions?: string
  /** Inside `md:Extensions` of its role. */
  readonly role?: string
  readonly keys?: string
  readonly endpoints?: string
  readonly after?: string
}

export const keyDescriptor = (text = 'AAAA', use = '') =>
  `<md:KeyDescriptor${use}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>${text}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`

const namespaces = [
  'xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"',
  'xmlns:ds="http://www.w3.org/2000/09/xmldsig#"',
  'xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui"',
  'xmlns:shibmd="urn:mace:shibboleth:metadata:1.0"',
  'xmlns:mdrpi="urn:oasis:names:tc:SAML:metadata:rpi"',
  'xmlns:mdattr="urn:oasis:names:tc:SAML:metadata:attribute"',
  'xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"',
].join(' ')

/** One entity; a document by itself where `attributes` has an ID. */
export function entityXml(options: EntityOptions = {}): string {
  const { entityId = 'https://idp.example', attributes = '', extensions = '', role = '', after = '' } = options
  const sso =
    '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example/sso"/>'
  return `<md:EntityDescriptor ${namespaces} entityID="${entityId}" ${attributes}><md:Extensions>${extensions}</md:Extensions><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:Extensions>${role}</md:Extensions>${options.keys ?? keyDescriptor()}${options.endpoints ?? sso}</md:IDPSSODescriptor>${after}</md:EntityDescriptor>`
}

/** A group of entities. */
export function groupXml(
  entities: readonly string[],
  attributes = 'ID="_all" validUntil="2030-01-01T00:00:00Z"',
): string {
  return `<?xml version="1.0"?>\n<md:EntitiesDescriptor ${namespaces} ${attributes}>\n  ${entities.join('\n  ')}\n</md:EntitiesDescriptor>\n`
}
