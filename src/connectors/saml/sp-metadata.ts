import type { ConnectorPorts } from '../connector.ts'
import { requestName } from './attributes.ts'
import { attribute, type Xml, xml } from './markup.ts'
import type { ServiceProvider, SpAbout, SpKey, Worded } from './side.ts'
import { signingKey, signXml } from './sign.ts'

/** Where one connector takes answers and logout messages. */
export type SpEndpoints = Pick<ConnectorPorts, 'callback' | 'discovery'>

const REDIRECT = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect'
const POST = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST'
const DISCOVERY = 'urn:oasis:names:tc:SAML:profiles:SSO:idp-discovery-protocol'
const URI_NAME = 'urn:oasis:names:tc:SAML:2.0:attrname-format:uri'
const CATEGORY = 'http://macedir.org/entity-category'
const CERTIFICATION = 'urn:oasis:names:tc:SAML:attribute:assurance-certification'
/** Assertions are decrypted by these alone; an IdP that takes what stands here sends nothing that is refused (xmlenc 1.1). */
const ENCRYPTION = ['http://www.w3.org/2009/xmlenc11#aes256-gcm', 'http://www.w3.org/2009/xmlenc11#aes128-gcm']
const KEY_TRANSPORT = 'http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p'
/** How long somebody may keep the document: shorter than a next key waits. */
const CACHE = 'PT6H'

/**
 * The gateway's metadata, signed by its current key: one entity, with the endpoints of these connectors. It has no end of its own
 * (`validUntil`), since many identity providers are given it once, by hand.
 * @param logout where it takes logout messages: an identity provider that is told of several such places takes the first for everything
 * @throws {LoginError} `unavailable` before the first key was made
 * @see SAML metadata 2.4.4, metadata UI 1.0, REFEDS and Shibboleth's entity attributes
 */
export function spMetadata(sp: ServiceProvider, connectors: readonly SpEndpoints[], logout: URL): string {
  const key = signingKey(sp)
  const about = sp.about()
  const keys = sp.keys().filter(({ state }) => state !== 'retired')
  // The ID only has to be unique in the document; the same content is then the same text.
  const document = xml`<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="lotse" entityID="${sp.entityId}" cacheDuration="${CACHE}">${entityAttributes(about)}<md:SPSSODescriptor AuthnRequestsSigned="true" WantAssertionsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:Extensions>${uiInfo(about)}${connectors.map(({ discovery }, index) => discoveryResponse(discovery, index))}</md:Extensions>${keys.map((each) => keyDescriptor('signing', each))}${keys.map((each) => keyDescriptor('encryption', each))}${logoutServices(logout)}<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>${connectors.map(({ callback }, index) => consumer(callback, index))}${consuming(about)}</md:SPSSODescriptor>${organization(about)}${about.contacts.map(contact)}</md:EntityDescriptor>`
  return signXml(document, key, 'start')
}

/** @param use both uses are said: some IdPs take a key without one for neither */
function keyDescriptor(use: 'signing' | 'encryption', { certificate }: SpKey): Xml {
  const methods =
    use === 'signing'
      ? []
      : [...ENCRYPTION, KEY_TRANSPORT].map((name) => xml`<md:EncryptionMethod Algorithm="${name}"/>`)
  return xml`<md:KeyDescriptor use="${use}"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>${certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>${methods}</md:KeyDescriptor>`
}

const logoutServices = ({ href }: URL) =>
  [REDIRECT, POST].map((binding) => xml`<md:SingleLogoutService Binding="${binding}" Location="${href}"/>`)

const consumer = ({ href }: URL, index: number) =>
  xml`<md:AssertionConsumerService Binding="${POST}" Location="${href}" index="${String(index)}"${attribute('isDefault', index === 0 ? 'true' : undefined)}/>`

/** Where a discovery service may send people back to: it compares without the query. @see Identity Provider Discovery Service Protocol 2.5 */
const discoveryResponse = ({ href }: URL, index: number) =>
  xml`<idpdisc:DiscoveryResponse xmlns:idpdisc="${DISCOVERY}" Binding="${DISCOVERY}" Location="${href}" index="${String(index)}"/>`

/** One text in each of its languages; a text without a language is taken for English, which federations ask for. */
function worded(text: Worded | undefined, element: (language: string, text: string) => Xml): readonly Xml[] {
  if (text === undefined) return []
  return Object.entries(typeof text === 'string' ? { en: text } : text).map(([tag, words]) => element(tag, words))
}

function uiInfo({ name, description, information, privacy, logo }: SpAbout): Xml {
  const texts = [
    ...worded(name, (tag, text) => xml`<mdui:DisplayName xml:lang="${tag}">${text}</mdui:DisplayName>`),
    ...worded(description, (tag, text) => xml`<mdui:Description xml:lang="${tag}">${text}</mdui:Description>`),
    ...worded(information, (tag, url) => xml`<mdui:InformationURL xml:lang="${tag}">${url}</mdui:InformationURL>`),
    ...worded(
      privacy,
      (tag, url) => xml`<mdui:PrivacyStatementURL xml:lang="${tag}">${url}</mdui:PrivacyStatementURL>`,
    ),
  ]
  const picture =
    logo && xml`<mdui:Logo height="${String(logo.height)}" width="${String(logo.width)}">${logo.url}</mdui:Logo>`
  return xml`<mdui:UIInfo xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui">${texts}${picture}</mdui:UIInfo>`
}

/** Certifications such as Sirtfi stand under another name than categories do. */
function entityAttributes({ categories }: SpAbout): Xml | undefined {
  if (categories.length === 0) return undefined
  const certified = (uri: string) => uri.startsWith('https://refeds.org/sirtfi')
  const lists = [
    [CATEGORY, categories.filter((uri) => !certified(uri))],
    [CERTIFICATION, categories.filter(certified)],
  ] as const
  const said = lists.flatMap(([name, uris]) => {
    const values = uris.map((uri) => xml`<saml:AttributeValue>${uri}</saml:AttributeValue>`)
    return uris.length === 0
      ? []
      : [xml`<saml:Attribute Name="${name}" NameFormat="${URI_NAME}">${values}</saml:Attribute>`]
  })
  return xml`<md:Extensions><mdattr:EntityAttributes xmlns:mdattr="urn:oasis:names:tc:SAML:metadata:attribute" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">${said}</mdattr:EntityAttributes></md:Extensions>`
}

function consuming({ name, attributes }: SpAbout): Xml | undefined {
  if (attributes.length === 0) return undefined
  const names = worded(name, (tag, text) => xml`<md:ServiceName xml:lang="${tag}">${text}</md:ServiceName>`)
  const asked = attributes.map((each) => {
    return xml`<md:RequestedAttribute Name="${requestName(each)}" NameFormat="${URI_NAME}" FriendlyName="${each}"/>`
  })
  return xml`<md:AttributeConsumingService index="0">${names}${asked}</md:AttributeConsumingService>`
}

function organization({ organization: who }: SpAbout): Xml | undefined {
  if (who === undefined) return undefined
  const names = worded(
    who.name,
    (tag, text) => xml`<md:OrganizationName xml:lang="${tag}">${text}</md:OrganizationName>`,
  )
  const shown = worded(
    who.name,
    (tag, text) => xml`<md:OrganizationDisplayName xml:lang="${tag}">${text}</md:OrganizationDisplayName>`,
  )
  const urls = worded(who.url, (tag, url) => xml`<md:OrganizationURL xml:lang="${tag}">${url}</md:OrganizationURL>`)
  return xml`<md:Organization>${[...names, ...shown, ...urls]}</md:Organization>`
}

/** The contact for security incidents is of type `other` with a mark of REFEDS. */
function contact({ type, name, email }: SpAbout['contacts'][number]): Xml {
  const who = xml`<md:GivenName>${name}</md:GivenName><md:EmailAddress>mailto:${email}</md:EmailAddress>`
  return type === 'security'
    ? xml`<md:ContactPerson xmlns:remd="http://refeds.org/metadata" contactType="other" remd:contactType="http://refeds.org/metadata/contactType/security">${who}</md:ContactPerson>`
    : xml`<md:ContactPerson contactType="${type}">${who}</md:ContactPerson>`
}
