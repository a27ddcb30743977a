/** A federation's signed metadata as large as eduGAIN's, made up: half of the entities are IdPs. */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import { openCanonical } from '../src/connectors/saml/metadata/canonical.ts'
import { openReader } from '../src/connectors/saml/metadata/xml.ts'

/** What is made. */
export interface AggregateOptions {
  readonly entities: number
  /** Unix seconds. */
  readonly validUntil: number
  readonly key: KeyObject
}

/** 10,000 of these are 76 MB. */
const ENTITY_BYTES = 7600

const names = ['Aalen', 'Bremen', 'Chemnitz', 'Dresden', 'Essen', 'Flensburg', 'Gießen', 'Hagen', 'Ilmenau', 'Jülich']
const certificates = Array.from({ length: 50 }, () =>
  randomBytes(1050)
    .toString('base64')
    .replace(/(.{64})/g, '$1\n'),
)

const key = (n: number, use: string) => `
      <md:KeyDescriptor${use}>
        <ds:KeyInfo>
          <ds:X509Data>
            <ds:X509Certificate>
${certificates[n % certificates.length]}
            </ds:X509Certificate>
          </ds:X509Data>
        </ds:KeyInfo>
      </md:KeyDescriptor>`

/** The name and host of the n-th entity, as tests look for them. */
export const entityAt = (n: number) => ({
  entityId: `https://idp${n}.uni-${n}.example/idp/shibboleth`,
  scope: `uni-${n}.example`,
  name: `Universität ${names[n % names.length]} ${n}`,
})

const shown = (n: number) => `
        <mdui:UIInfo>
          <mdui:DisplayName xml:lang="de">${entityAt(n).name}</mdui:DisplayName>
          <mdui:DisplayName xml:lang="en">University of ${names[n % names.length]} ${n}</mdui:DisplayName>
          <mdui:Description xml:lang="de">Anmeldung für Angehörige &amp; Gäste der Hochschule Nummer ${n}.</mdui:Description>
          <mdui:Description xml:lang="en">Sign-in of members &amp; guests of the university number ${n}.</mdui:Description>
          <mdui:Keywords xml:lang="de">hochschule+${n} campus</mdui:Keywords>
          <mdui:InformationURL xml:lang="en">https://www.uni-${n}.example/it</mdui:InformationURL>
          <mdui:Logo height='60' width='80'>https://www.uni-${n}.example/logo.png?size=small&amp;n=${n}</mdui:Logo>
        </mdui:UIInfo>`

const endpoint = (element: string, binding: string, url: string) => `
      <md:${element} Binding="urn:oasis:names:tc:SAML:2.0:bindings:${binding}" Location="${url}"/>`

function identityProvider(n: number): string {
  const base = `https://idp${n}.uni-${n}.example/idp/profile/SAML2`
  return `
    <md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
      <md:Extensions>
        <shibmd:Scope regexp="false">${entityAt(n).scope}</shibmd:Scope>${shown(n)}
      </md:Extensions>${key(n, ' use="signing"')}${key(n + 1, '')}
      ${endpoint('SingleLogoutService', 'HTTP-Redirect', `${base}/Redirect/SLO`)}
      <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>
      ${endpoint('SingleSignOnService', 'HTTP-Redirect', `${base}/Redirect/SSO`)}
      ${endpoint('SingleSignOnService', 'HTTP-POST', `${base}/POST/SSO`)}
      ${endpoint('SingleSignOnService', 'SOAP', `${base}/SOAP/ECP`)}
    </md:IDPSSODescriptor>`
}

function serviceProvider(n: number): string {
  const asked = Array.from(
    { length: 9 },
    (_, i) => `
        <md:RequestedAttribute FriendlyName="attribute${i}" Name="urn:oid:1.3.6.1.4.1.5923.1.1.1.${i}" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri" isRequired="true"/>`,
  ).join('')
  return `
    <md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
      <md:Extensions>${shown(n)}
      </md:Extensions>${key(n, '')}
      <md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://sp${n}.example/acs" index="1"/>
      <md:AttributeConsumingService index="1">
        <md:ServiceName xml:lang="en">Service ${n}</md:ServiceName>${asked}
      </md:AttributeConsumingService>
    </md:SPSSODescriptor>`
}

function entity(n: number): string {
  const text = `
  <md:EntityDescriptor entityID="${n % 2 === 0 ? entityAt(n).entityId : `https://sp${n}.example/shibboleth`}">
    <md:Extensions>
      <mdrpi:RegistrationInfo registrationAuthority="https://federation${n % 60}.example" registrationInstant="2020-01-01T00:00:00Z">
        <mdrpi:RegistrationPolicy xml:lang="en">https://federation${n % 60}.example/policy</mdrpi:RegistrationPolicy>
      </mdrpi:RegistrationInfo>
      <mdattr:EntityAttributes>
        <saml:Attribute xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" Name="urn:oasis:names:tc:SAML:attribute:assurance-certification" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">
          <saml:AttributeValue>https://refeds.org/sirtfi</saml:AttributeValue>
        </saml:Attribute>
      </mdattr:EntityAttributes>
    </md:Extensions>${n % 2 === 0 ? identityProvider(n) : serviceProvider(n)}
    <md:Organization>
      <md:OrganizationName xml:lang="en">uni-${n}</md:OrganizationName>
      <md:OrganizationDisplayName xml:lang="en">University ${n}</md:OrganizationDisplayName>
      <md:OrganizationURL xml:lang="en">https://www.uni-${n}.example</md:OrganizationURL>
    </md:Organization>`
  const end = '\n  </md:EntityDescriptor>'
  // Every entity becomes as long as one is on average: by people to ask.
  const room = ENTITY_BYTES - Buffer.byteLength(text) - Buffer.byteLength(end)
  return text + contact(n).repeat(Math.max(1, Math.floor(room / Buffer.byteLength(contact(n))))) + end
}

const contact = (n: number) => `
    <md:ContactPerson contactType="technical">
      <md:GivenName>Identity Management</md:GivenName>
      <md:SurName>Operations</md:SurName>
      <md:EmailAddress>mailto:idm@uni-${n}.example</md:EmailAddress>
    </md:ContactPerson>`

const opening = (validUntil: number) =>
  `<?xml version="1.0" encoding="UTF-8"?>
<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui" xmlns:shibmd="urn:mace:shibboleth:metadata:1.0" xmlns:mdrpi="urn:oasis:names:tc:SAML:metadata:rpi" xmlns:mdattr="urn:oasis:names:tc:SAML:metadata:attribute" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ID="_aggregate" Name="https://federation.example" validUntil="${new Date(validUntil * 1000).toISOString()}" cacheDuration="PT1H">`

const exclusive = 'http://www.w3.org/2001/10/xml-exc-c14n#'

function signature(digest: string, privateKey: KeyObject): string {
  const info = `<ds:SignedInfo><ds:CanonicalizationMethod Algorithm="${exclusive}"></ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></ds:SignatureMethod><ds:Reference URI="#_aggregate"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform><ds:Transform Algorithm="${exclusive}"></ds:Transform></ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod><ds:DigestValue>${digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>`
  const canonical = info.replace('<ds:SignedInfo>', '<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">')
  const value = sign('sha256', Buffer.from(canonical), privateKey).toString('base64')
  return `<ds:Signature>${info}<ds:SignatureValue>${value}</ds:SignatureValue></ds:Signature>`
}

/** Writes the aggregate. @returns its length in bytes */
export function writeAggregate(path: string, { entities, validUntil, key: privateKey }: AggregateOptions): number {
  const hash = createHash('sha256')
  const canonical = openCanonical([], (text) => hash.update(text))
  const reader = openReader(canonical, Number.POSITIVE_INFINITY)
  const feed = (text: string) => reader.write(Buffer.from(text))
  const closing = '\n</md:EntitiesDescriptor>\n'
  feed(opening(validUntil))
  for (let n = 0; n < entities; n++) feed(entity(n))
  feed(closing)
  reader.end()
  const file = openSync(path, 'w')
  let size = writeSync(file, opening(validUntil) + signature(hash.digest('base64'), privateKey))
  for (let n = 0; n < entities; n++) size += writeSync(file, entity(n))
  size += writeSync(file, closing)
  closeSync(file)
  return size
}

/** A key pair for a federation. */
export const federationKey = () => generateKeyPairSync('rsa', { modulusLength: 3072 })
