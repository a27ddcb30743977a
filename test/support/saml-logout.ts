import { createSign } from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
import { type SamlKeys, type Signing, signXml, xmlns } from './saml-idp.ts'

/** A logout message of an identity provider; what is left out is as it should be. */
export interface LogoutSaid {
  readonly id: string
  readonly issuer: string
  readonly destination: string
  /** Unix seconds. */
  readonly issuedAt: number
  readonly notOnOrAfter?: number
  readonly nameId: string
  readonly nameIdFormat?: string
  readonly sessions?: readonly string[]
  /** Makes it a response. */
  readonly inResponseTo?: string
  readonly edit?: (xml: string) => string
}

const time = (seconds: number) => `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`

/** A LogoutRequest, or a LogoutResponse of success. */
export function logoutXml(said: LogoutSaid): string {
  const {
    id,
    issuer,
    destination,
    issuedAt,
    notOnOrAfter,
    nameId,
    sessions = [],
    inResponseTo,
    edit = (xml) => xml,
  } = said
  const head = `xmlns:samlp="${xmlns.samlp}" xmlns:saml="${xmlns.saml}" ID="${id}" Version="2.0" IssueInstant="${time(issuedAt)}" Destination="${destination}"`
  const from = `<saml:Issuer>${issuer}</saml:Issuer>`
  if (inResponseTo !== undefined)
    return edit(
      `<samlp:LogoutResponse ${head} InResponseTo="${inResponseTo}">${from}<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status></samlp:LogoutResponse>`,
    )
  const end = notOnOrAfter === undefined ? '' : ` NotOnOrAfter="${time(notOnOrAfter)}"`
  const format = said.nameIdFormat ?? 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent'
  const indexes = sessions.map((each) => `<samlp:SessionIndex>${each}</samlp:SessionIndex>`).join('')
  return edit(
    `<samlp:LogoutRequest ${head}${end}>${from}<saml:NameID Format="${format}">${nameId}</saml:NameID>${indexes}</samlp:LogoutRequest>`,
  )
}

export const RSA_SHA256 = 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'

/** How a message is put into a query. */
export interface Query {
  readonly as: 'SAMLRequest' | 'SAMLResponse'
  readonly relayState?: string
  readonly algorithm?: string
  /** Percent-encoding in lower case, as .NET writes it. */
  readonly lowerCase?: true
}

/** A signed query of the redirect binding (SAML bindings 3.4.4.1). */
export function signedQuery(
  xml: string | Buffer,
  keys: SamlKeys,
  { as, relayState, algorithm, lowerCase }: Query,
): string {
  const deflated = typeof xml === 'string' ? deflateRawSync(xml) : xml
  const encode = (text: string) => {
    const encoded = encodeURIComponent(text)
    return lowerCase ? encoded.replace(/%[0-9A-F]{2}/g, (each) => each.toLowerCase()) : encoded
  }
  const octets = [
    `${as}=${encode(deflated.toString('base64'))}`,
    ...(relayState === undefined ? [] : [`RelayState=${encode(relayState)}`]),
    `SigAlg=${encode(algorithm ?? RSA_SHA256)}`,
  ].join('&')
  const hash = algorithm?.endsWith('sha1') ? 'RSA-SHA1' : 'RSA-SHA256'
  return `${octets}&Signature=${encode(createSign(hash).update(octets).sign(keys.key, 'base64'))}`
}

/** The fields of a signed message by POST. */
export function signedForm(
  xml: string,
  id: string,
  signing: Signing,
  as: Query['as'] = 'SAMLRequest',
): URLSearchParams {
  return new URLSearchParams({ [as]: Buffer.from(signXml(xml, id, signing)).toString('base64') })
}
