import { createPublicKey } from 'node:crypto'
import { SignedXml } from 'xml-crypto'
import { type EncryptOptions, encrypt } from 'xml-encryption'
import type { Idp } from '../../src/connectors/saml/idp.ts'
import { selfSigned } from './certificate.ts'

/* The words of a SAML IdP: assertions and responses, signed with xml-crypto and encrypted with xml-encryption, and wrong wherever a test asks. */

export interface SamlKeys {
  readonly key: string
  /** PEM. */
  readonly cert: string
  /** The certificate as metadata has it. */
  readonly base64: string
}

/** RSA, of 2048 bits if nothing else is said, with a self-signed certificate, made here and now. */
export function samlKeys(host = 'idp.example', kind: 'RSA' | 'RSA-1024' = 'RSA'): SamlKeys {
  const { key, cert } = selfSigned(host, [], kind)
  return { key, cert, base64: cert.replace(/-----[^-]+-----|\s/g, '') }
}

export const xmlns = {
  saml: 'urn:oasis:names:tc:SAML:2.0:assertion',
  samlp: 'urn:oasis:names:tc:SAML:2.0:protocol',
} as const

const EXCLUSIVE = 'http://www.w3.org/2001/10/xml-exc-c14n#'
const ENVELOPED = 'http://www.w3.org/2000/09/xmldsig#enveloped-signature'

/** How something is signed; what is left out is as it should be. */
export interface Signing {
  readonly keys: SamlKeys
  readonly signature?: string
  readonly digest?: string
  readonly canonicalization?: string
  readonly transforms?: readonly string[]
}

/** How an assertion is encrypted; what is left out is AES-256-GCM and RSA-OAEP. */
export interface Encryption {
  /** PEM certificate of who shall read it. */
  readonly to: string
  readonly content?: EncryptOptions['encryptionAlgorithm']
  readonly transport?: EncryptOptions['keyEncryptionAlgorithm']
}

/** What a response says. A field that is undefined is left out of the message; what is not given is as it should be. */
export interface Said {
  readonly id: string
  readonly assertionId: string
  readonly issuer: string | undefined
  readonly assertionIssuer: string | undefined
  readonly destination: string | undefined
  readonly inResponseTo: string | undefined
  readonly recipient: string | undefined
  readonly confirmedInResponseTo: string | undefined
  readonly audience: string | undefined
  readonly status: string | undefined
  /** Below the status, for failures. */
  readonly secondStatus: string | undefined
  readonly nameId: string | undefined
  readonly nameIdFormat: string | undefined
  readonly nameIdAttributes: string
  readonly method: string
  readonly contextClass: string
  readonly sessionIndex: string
  /** Unix seconds. */
  readonly issuedAt: number
  readonly authenticatedAt: number
  readonly notBefore: number
  readonly notOnOrAfter: number
  readonly confirmedUntil: number | undefined
  readonly sessionEnd: number | undefined
  /** By their names. */
  readonly attributes: Readonly<Record<string, readonly string[]>>
  readonly sign: 'assertion' | 'response' | 'both' | 'none'
  readonly signing: Signing
  readonly encryption: Encryption | undefined
  /** What a test changes in the XML before the assertion and before the response is signed, and after all. */
  readonly editAssertion: (xml: string) => string
  readonly editResponse: (xml: string) => string
  readonly editSent: (xml: string) => string
}

/** Who talks to whom about what: enough for a response that is as it should be. */
export interface Exchange {
  readonly keys: SamlKeys
  /** Entity IDs. */
  readonly idp: string
  readonly sp: string
  readonly acs: string
  readonly requestId: string
  /** Unix seconds. */
  readonly now: number
}

let counter = 0
const nextId = (prefix: string) => {
  counter += 1
  return `_${prefix}${counter}`
}

/** Everything that a good response says. */
export function good({ keys, idp, sp, acs, requestId, now }: Exchange): Said {
  return {
    id: nextId('r'),
    assertionId: nextId('a'),
    issuer: idp,
    assertionIssuer: idp,
    destination: acs,
    inResponseTo: requestId,
    recipient: acs,
    confirmedInResponseTo: requestId,
    audience: sp,
    status: 'urn:oasis:names:tc:SAML:2.0:status:Success',
    secondStatus: undefined,
    nameId: 'AAdzZWNyZXQx',
    nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
    nameIdAttributes: '',
    method: 'urn:oasis:names:tc:SAML:2.0:cm:bearer',
    contextClass: 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport',
    sessionIndex: '_s1',
    issuedAt: now,
    authenticatedAt: now,
    notBefore: now - 30,
    notOnOrAfter: now + 300,
    confirmedUntil: now + 300,
    sessionEnd: now + 8 * 3600,
    attributes: { 'urn:oid:0.9.2342.19200300.100.1.3': ['ada@example.edu'] },
    sign: 'assertion',
    signing: { keys },
    encryption: undefined,
    editAssertion: (xml) => xml,
    editResponse: (xml) => xml,
    editSent: (xml) => xml,
  }
}

/** A response in base64, as it is posted. @param said what shall differ from a good one */
export async function signedResponse(exchange: Exchange, said: Partial<Said> = {}): Promise<string> {
  return Buffer.from(await responseXml(exchange, said)).toString('base64')
}

/** The XML of it. */
export async function responseXml(exchange: Exchange, changes: Partial<Said> = {}): Promise<string> {
  const said = { ...good(exchange), ...changes }
  const own = said.editAssertion(assertion(said))
  const signed = said.sign === 'assertion' || said.sign === 'both' ? signXml(own, said.assertionId, said.signing) : own
  const inside = said.encryption === undefined ? signed : await encryptedAssertion(signed, said.encryption)
  const whole = said.editResponse(response(said, inside))
  const sent = said.sign === 'response' || said.sign === 'both' ? signXml(whole, said.id, said.signing) : whole
  return said.editSent(sent)
}

/**
 * Signs the element with this ID and puts the signature after its Issuer, or as its first child where it has none.
 */
export function signXml(xml: string, id: string, signing: Signing): string {
  const signer = new SignedXml({
    privateKey: signing.keys.key,
    publicCert: signing.keys.cert,
    signatureAlgorithm: signing.signature ?? 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
    canonicalizationAlgorithm: (signing.canonicalization ?? EXCLUSIVE) as typeof EXCLUSIVE,
  })
  const element = `//*[@ID='${id}']`
  signer.addReference({
    xpath: element,
    digestAlgorithm: signing.digest ?? 'http://www.w3.org/2001/04/xmlenc#sha256',
    transforms: [...(signing.transforms ?? [ENVELOPED, EXCLUSIVE])],
  })
  // The schema has the signature after the Issuer; without one, first.
  const hasIssuer = new RegExp(`ID="${id}"[^>]*>\\s*<(?:\\w+:)?Issuer`).test(xml)
  signer.computeSignature(xml, {
    prefix: 'ds',
    location: hasIssuer
      ? { reference: `${element}/*[local-name(.)='Issuer']`, action: 'after' }
      : { reference: element, action: 'prepend' },
  })
  return signer.getSignedXml()
}

/** An EncryptedAssertion of an assertion's XML. */
export async function encryptedAssertion(xml: string, { to, content, transport }: Encryption): Promise<string> {
  const options: EncryptOptions = {
    rsa_pub: createPublicKey(to).export({ type: 'spki', format: 'pem' }),
    pem: to,
    encryptionAlgorithm: content ?? 'http://www.w3.org/2009/xmlenc11#aes256-gcm',
    keyEncryptionAlgorithm: transport ?? 'http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p',
    warnInsecureAlgorithm: false,
  }
  const data = await new Promise<string>((resolve, reject) =>
    encrypt(xml, options, (error, result) => (error ? reject(error) : resolve(result))),
  )
  return `<saml:EncryptedAssertion xmlns:saml="${xmlns.saml}">${data}</saml:EncryptedAssertion>`
}

/** The IdP's record, as its metadata would say it. */
export function idpRecord(entityId: string, keys: readonly SamlKeys[], more: Partial<Idp> = {}): Idp {
  return {
    entityId,
    signing: keys.map(({ base64 }) => base64),
    sso: [{ binding: 'redirect', url: `${entityId}/sso` }],
    slo: [],
    wantsSignedRequests: false,
    nameIdFormats: [],
    scopes: [],
    names: {},
    keywords: [],
    categories: [],
    hidden: false,
    ...more,
  }
}

const time = (seconds: number) => new Date(seconds * 1000).toISOString()
const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;').replaceAll('\r', '&#13;')
/** ` name="value"`, or nothing. */
const attribute = (name: string, value: string | undefined) =>
  value === undefined ? '' : ` ${name}="${escaped(value)}"`
const element = (name: string, value: string | undefined) =>
  value === undefined ? '' : `<${name}>${escaped(value)}</${name}>`

function assertion(said: Said): string {
  const nameId =
    said.nameId === undefined
      ? ''
      : `<saml:NameID${attribute('Format', said.nameIdFormat)}${said.nameIdAttributes}>${escaped(said.nameId)}</saml:NameID>`
  const data = `<saml:SubjectConfirmationData${attribute('InResponseTo', said.confirmedInResponseTo)}${attribute(
    'NotOnOrAfter',
    said.confirmedUntil === undefined ? undefined : time(said.confirmedUntil),
  )}${attribute('Recipient', said.recipient)}/>`
  const restriction =
    said.audience === undefined
      ? ''
      : `<saml:AudienceRestriction>${element('saml:Audience', said.audience)}</saml:AudienceRestriction>`
  const attributes = Object.entries(said.attributes).map(
    ([name, values]) =>
      `<saml:Attribute${attribute('Name', name)} NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">${values
        .map(
          (value) =>
            `<saml:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">${escaped(value)}</saml:AttributeValue>`,
        )
        .join('')}</saml:Attribute>`,
  )
  return `<saml:Assertion xmlns:saml="${xmlns.saml}" ID="${said.assertionId}" Version="2.0" IssueInstant="${time(said.issuedAt)}">${element('saml:Issuer', said.assertionIssuer)}<saml:Subject>${nameId}<saml:SubjectConfirmation Method="${said.method}">${data}</saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="${time(said.notBefore)}" NotOnOrAfter="${time(said.notOnOrAfter)}">${restriction}</saml:Conditions><saml:AuthnStatement AuthnInstant="${time(said.authenticatedAt)}"${attribute(
    'SessionNotOnOrAfter',
    said.sessionEnd === undefined ? undefined : time(said.sessionEnd),
  )} SessionIndex="${said.sessionIndex}"><saml:AuthnContext><saml:AuthnContextClassRef>${said.contextClass}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>${
    attributes.length === 0 ? '' : `<saml:AttributeStatement>${attributes.join('')}</saml:AttributeStatement>`
  }</saml:Assertion>`
}

function response(said: Said, inside: string): string {
  const second = said.secondStatus === undefined ? '' : `<samlp:StatusCode Value="${said.secondStatus}"/>`
  const status =
    said.status === undefined
      ? ''
      : `<samlp:Status><samlp:StatusCode Value="${said.status}">${second}</samlp:StatusCode></samlp:Status>`
  return `<samlp:Response xmlns:samlp="${xmlns.samlp}" xmlns:saml="${xmlns.saml}" ID="${said.id}" Version="2.0" IssueInstant="${time(said.issuedAt)}"${attribute('Destination', said.destination)}${attribute('InResponseTo', said.inResponseTo)}>${element('saml:Issuer', said.issuer)}${status}${inside}</samlp:Response>`
}
