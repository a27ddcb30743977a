import { sign } from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
import { SignedXml } from 'xml-crypto'
import { LoginError } from '../../core/errors.ts'
import type { Departure } from '../connector.ts'
import type { Endpoint } from './idp.ts'
import type { Xml } from './markup.ts'
import type { ServiceProvider, SpKey } from './side.ts'

const RSA_SHA256 = 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'
const SHA256 = 'http://www.w3.org/2001/04/xmlenc#sha256'
const EXC_C14N = 'http://www.w3.org/2001/10/xml-exc-c14n#'
const ENVELOPED = 'http://www.w3.org/2000/09/xmldsig#enveloped-signature'

/**
 * The key that signs now.
 * @throws {LoginError} `unavailable` before the first one was made
 */
export function signingKey(sp: ServiceProvider): SpKey {
  const key = sp.keys().find(({ state }) => state === 'current')
  if (!key) throw new LoginError('unavailable', 'the ring saml has no key yet')
  return key
}

/**
 * A document with an enveloped signature over its root, whose `ID` it names.
 * @param after where the signature stands: behind the root's Issuer in messages, before everything in metadata (the schemas' order)
 * @see SAML core 5.4, metadata 3.1
 */
export function signXml(document: Xml, key: SpKey, after: 'issuer' | 'start'): string {
  const signer = new SignedXml({
    privateKey: key.privateKey,
    publicCert: pem(key.certificate),
    signatureAlgorithm: RSA_SHA256,
    canonicalizationAlgorithm: EXC_C14N,
    idAttribute: 'ID',
  })
  signer.addReference({ xpath: '/*', transforms: [ENVELOPED, EXC_C14N], digestAlgorithm: SHA256 })
  const location =
    after === 'start'
      ? ({ reference: '/*', action: 'prepend' } as const)
      : ({ reference: "/*/*[local-name()='Issuer']", action: 'after' } as const)
  signer.computeSignature(document.text, { prefix: 'ds', location })
  return signer.getSignedXml()
}

const pem = (base64: string) =>
  `-----BEGIN CERTIFICATE-----\n${base64.replace(/(.{64})(?=.)/g, '$1\n')}\n-----END CERTIFICATE-----\n`

/** A message on its way through the browser. */
export interface Sending {
  readonly as: 'SAMLRequest' | 'SAMLResponse'
  readonly message: Xml
  readonly to: Endpoint & { readonly address: string }
  readonly relayState?: string
}

/** Signs a message and sends the browser off with it, by the binding of the endpoint. */
export function dispatch(sp: ServiceProvider, { as, message, to, relayState }: Sending): Departure {
  const key = signingKey(sp)
  if (to.binding === 'post') {
    const text = Buffer.from(signXml(message, key, 'issuer')).toString('base64')
    const relay = relayState === undefined ? {} : { RelayState: relayState }
    return { kind: 'form', action: new URL(to.address), fields: { [as]: text, ...relay } }
  }
  return {
    kind: 'redirect',
    url: signedQuery(key, { as, message, to, ...(relayState !== undefined && { relayState }) }),
  }
}

/** SAML bindings 3.4.4.1: the signature is over exactly these octets in this order, and stands in the query beside them. */
function signedQuery(key: SpKey, { as, message, to, relayState }: Sending): URL {
  const said = [
    [as, deflateRawSync(message.text).toString('base64')],
    ...(relayState === undefined ? [] : [['RelayState', relayState]]),
    ['SigAlg', RSA_SHA256],
  ]
  const octets = said.map(([name = '', value = '']) => `${name}=${encodeURIComponent(value)}`).join('&')
  const signature = sign('sha256', Buffer.from(octets), key.privateKey).toString('base64')
  // An endpoint may have a query of its own, which is no part of what is signed.
  const url = new URL(to.address)
  url.search = `${url.search === '' ? '?' : `${url.search}&`}${octets}&Signature=${encodeURIComponent(signature)}`
  return url
}
