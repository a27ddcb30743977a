import { randomBytes } from 'node:crypto'
import { attribute, type Xml, xml } from './markup.ts'
import type { NameId } from './verify.ts'

/*
 * The messages that the gateway sends, as XML without a signature: how they are signed is a matter of the binding (sign.ts).
 */

const POST = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST'
const STATUS = 'urn:oasis:names:tc:SAML:2.0:status:'

/** What every message has (SAML core 3.2.1, 3.2.2). */
export interface Head {
  readonly id: string
  /** Unix seconds. */
  readonly now: number
  /** Ours. */
  readonly entityId: string
  readonly destination: string
}

/** An identifier that nobody can guess: 160 bits, and begins like an XML name (SAML core 1.3.4). */
export const newId = () => `_${randomBytes(20).toString('hex')}`

/** SAML core 1.3.3: UTC, without a fraction. */
const instant = (seconds: number) => `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`

const head = ({ id, now, destination }: Head): Xml =>
  xml`xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="${id}" Version="2.0" IssueInstant="${instant(now)}" Destination="${destination}"`

const issuer = ({ entityId }: Head): Xml => xml`<saml:Issuer>${entityId}</saml:Issuer>`

/** What a sign-in asks of an identity provider. */
export interface AuthnAsked {
  /** Where the answer is to go: ours for this connector. */
  readonly acs: string
  readonly forceAuthn?: true
  readonly passive?: true
  /** Authentication contexts, one of which must be met. */
  readonly contexts: readonly string[]
  /** The format of NameID, as a URI. */
  readonly nameIdFormat?: string
}

/** SAML core 3.4.1; the comparison is `exact`, since no two sides agree which context is better than which. */
export function authnRequest(of: Head, asked: AuthnAsked): Xml {
  const flags = [attribute('ForceAuthn', asked.forceAuthn && 'true'), attribute('IsPassive', asked.passive && 'true')]
  const contexts = asked.contexts.map((each) => xml`<saml:AuthnContextClassRef>${each}</saml:AuthnContextClassRef>`)
  const wanted =
    contexts.length === 0
      ? undefined
      : xml`<samlp:RequestedAuthnContext Comparison="exact">${contexts}</samlp:RequestedAuthnContext>`
  return xml`<samlp:AuthnRequest ${head(of)} AssertionConsumerServiceURL="${asked.acs}" ProtocolBinding="${POST}"${flags}>${issuer(of)}<samlp:NameIDPolicy${attribute('Format', asked.nameIdFormat)} AllowCreate="true"/>${wanted}</samlp:AuthnRequest>`
}

/** SAML core 3.7.1: who is to be signed out, in the words of the assertion by which she signed in. */
export function logoutRequest(
  of: Head,
  { nameId, sessionIndex }: { readonly nameId: NameId; readonly sessionIndex?: string | undefined },
): Xml {
  const { format, value, nameQualifier, spNameQualifier } = nameId
  const index = sessionIndex === undefined ? undefined : xml`<samlp:SessionIndex>${sessionIndex}</samlp:SessionIndex>`
  const qualifiers = [attribute('NameQualifier', nameQualifier), attribute('SPNameQualifier', spNameQualifier)]
  return xml`<samlp:LogoutRequest ${head(of)} NotOnOrAfter="${instant(of.now + 300)}" Reason="urn:oasis:names:tc:SAML:2.0:logout:user">${issuer(of)}<saml:NameID Format="${format}"${qualifiers}>${value}</saml:NameID>${index}</samlp:LogoutRequest>`
}

/** SAML core 3.7.3.2: where not everybody could be told, a second code says so. */
export function logoutResponse(
  of: Head,
  { inResponseTo, how }: { readonly inResponseTo: string; readonly how: 'wholly' | 'partly' },
): Xml {
  const partial = how === 'partly' ? xml`<samlp:StatusCode Value="${`${STATUS}PartialLogout`}"/>` : undefined
  return xml`<samlp:LogoutResponse ${head(of)} InResponseTo="${inResponseTo}">${issuer(of)}<samlp:Status><samlp:StatusCode Value="${`${STATUS}Success`}">${partial}</samlp:StatusCode></samlp:Status></samlp:LogoutResponse>`
}
