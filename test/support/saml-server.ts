import { createVerify } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inflateRawSync } from 'node:zlib'
import { SignedXml } from 'xml-crypto'
import { readXml, type Tag, textIn, within } from '../../src/connectors/saml/xml.ts'
import { type Exchange, type Said, type SamlKeys, samlKeys, signedResponse } from './saml-idp.ts'
import { logoutXml, signedQuery } from './saml-logout.ts'

/** A message of the gateway, as the identity provider got it. */
export interface Got {
  readonly binding: 'redirect' | 'post'
  readonly as: 'SAMLRequest' | 'SAMLResponse'
  /** The parameters as they came, of the query or of the form. */
  readonly query: URLSearchParams
  readonly xml: string
  readonly root: Tag
  readonly relayState: string
  /** Whether the signature, over the query's octets or in the document, is by a certificate of the gateway's metadata. */
  readonly signed: boolean
}

/** Somebody who can sign in: her persistent name, and whatever else the response says of her. */
export interface SamlPerson {
  readonly name: string
  readonly said?: Partial<Said>
}

export interface SamlIdp {
  readonly origin: string
  readonly entityId: string
  /** What it signs by now. */
  readonly keys: SamlKeys
  /** Takes a new key into use, and names it in its metadata at the same moment. */
  roll(): void
  /** Newest last. */
  readonly got: readonly Got[]
  /** Where the gateway's metadata is: its certificates are what signatures are checked by. */
  trust(metadata: string): Promise<void>
  /** A response to a request of the gateway. */
  respond(request: Got, person: SamlPerson): Promise<string>
  /** The metadata as XML. */
  metadata(): string
  close(): Promise<void>
}

export interface SamlIdpOptions {
  readonly people: readonly SamlPerson[]
  /** Another site than 127.0.0.1 to a browser, so that its POST carries no Lax cookie. */
  readonly host?: 'localhost' | '127.0.0.1'
  readonly port?: number
  readonly bindings?: readonly ('redirect' | 'post')[]
  /** Keys that its metadata names besides its own. */
  readonly more?: readonly SamlKeys[]
}

const names = { redirect: 'HTTP-Redirect', post: 'HTTP-POST' } as const

/**
 * A SAML identity provider in this process, on loopback: a page with one form for each person, which posts the response to the gateway,
 * metadata, and a logout that answers at once.
 */
export async function startSamlIdp(options: SamlIdpOptions): Promise<SamlIdp> {
  const { host = 'localhost', bindings = ['redirect', 'post'] } = options
  let keys = samlKeys()
  const got: Got[] = []
  let certificates: readonly string[] = []
  let logoutAt: readonly string[] = []
  const server = createServer((request, response) => {
    answer(request, response).catch((error: Error) => response.writeHead(500).end(String(error.stack)))
  })
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  const origin = `http://${host}:${(server.address() as AddressInfo).port}`
  const entityId = `${origin}/metadata`

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', origin)
    if (url.pathname === '/metadata') return void response.end(metadata())
    const message = await received(request, url, certificates)
    got.push(message)
    if (url.pathname === '/slo') return signedOut(message, response)
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
    const pages = options.people.map(async (person) => {
      const fields = { SAMLResponse: await respond(message, person), RelayState: message.relayState }
      return form(person.name, message.root.attributes['AssertionConsumerServiceURL'] ?? '', fields)
    })
    response.end(`<!doctype html><html lang="en"><title>Sign in</title>${(await Promise.all(pages)).join('')}</html>`)
  }

  /** A request is answered at once by redirect; of a response the page is the end. */
  const signedOut = ({ root, relayState }: Got, response: ServerResponse): void => {
    if (root.name !== 'LogoutRequest') return void response.end('<!doctype html><h1>Signed out</h1>')
    const [destination = ''] = logoutAt
    const now = Math.floor(Date.now() / 1000)
    const said = { id: `_lr${got.length}`, issuer: entityId, destination, issuedAt: now, nameId: '' }
    const xml = logoutXml({ ...said, inResponseTo: root.attributes['ID'] ?? '' })
    const location = `${destination}?${signedQuery(xml, keys, { as: 'SAMLResponse', relayState })}`
    response.writeHead(303, { location }).end()
  }

  const respond = ({ root }: Got, { name, said }: SamlPerson): Promise<string> => {
    const exchange: Exchange = {
      keys,
      idp: entityId,
      sp: textIn(root.children[0]),
      acs: root.attributes['AssertionConsumerServiceURL'] ?? '',
      requestId: root.attributes['ID'] ?? '',
      now: Math.floor(Date.now() / 1000),
    }
    return signedResponse(exchange, { nameId: name, sessionIndex: `session-of-${name}`, ...said })
  }

  const metadata = (): string => {
    const key = ({ base64 }: SamlKeys) =>
      `<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>${base64}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`
    const service = (element: string, path: string) =>
      bindings.map(
        (each) =>
          `<md:${element} Binding="urn:oasis:names:tc:SAML:2.0:bindings:${names[each]}" Location="${origin}${path}"/>`,
      )
    return `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="${entityId}"><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">${[keys, ...(options.more ?? [])].map(key).join('')}${service('SingleLogoutService', '/slo').join('')}${service('SingleSignOnService', '/sso').join('')}</md:IDPSSODescriptor></md:EntityDescriptor>`
  }

  return {
    origin,
    entityId,
    get keys() {
      return keys
    },
    roll() {
      keys = samlKeys()
    },
    got,
    async trust(address) {
      const tags = [...within(readXml(await (await fetch(address)).text()))]
      certificates = tags.filter(({ name }) => name === 'X509Certificate').map(textIn)
      logoutAt = tags.flatMap(({ name, attributes }) =>
        name === 'SingleLogoutService' ? (attributes['Location'] ?? []) : [],
      )
    },
    respond,
    metadata,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function received(request: IncomingMessage, url: URL, certificates: readonly string[]): Promise<Got> {
  const pems = certificates.map((each) => `-----BEGIN CERTIFICATE-----\n${each}\n-----END CERTIFICATE-----`)
  if (request.method === 'POST') {
    let body = ''
    for await (const chunk of request) body += chunk
    const fields = new URLSearchParams(body)
    const as = fields.has('SAMLRequest') ? 'SAMLRequest' : 'SAMLResponse'
    const xml = Buffer.from(fields.get(as) ?? '', 'base64').toString()
    const signed = pems.some((pem) => signedDocument(xml, pem))
    return {
      binding: 'post',
      as,
      query: fields,
      xml,
      root: readXml(xml),
      relayState: fields.get('RelayState') ?? '',
      signed,
    }
  }
  const as = url.searchParams.has('SAMLRequest') ? 'SAMLRequest' : 'SAMLResponse'
  const xml = inflateRawSync(Buffer.from(url.searchParams.get(as) ?? '', 'base64')).toString()
  const octets = url.search
    .slice(1)
    .split('&')
    .filter((part) => !part.startsWith('Signature='))
    .join('&')
  const signature = Buffer.from(url.searchParams.get('Signature') ?? '', 'base64')
  const signed = pems.some((pem) => createVerify('RSA-SHA256').update(octets).verify(pem, signature))
  return {
    binding: 'redirect',
    as,
    query: url.searchParams,
    xml,
    root: readXml(xml),
    relayState: url.searchParams.get('RelayState') ?? '',
    signed,
  }
}

function signedDocument(xml: string, publicCert: string): boolean {
  const found = /<ds:Signature[\s\S]*<\/ds:Signature>/.exec(xml)?.[0]
  if (found === undefined) return false
  const checker = new SignedXml({ publicCert })
  checker.loadSignature(found)
  try {
    return checker.checkSignature(xml)
  } catch {
    return false
  }
}

const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`)

function form(name: string, action: string, fields: Readonly<Record<string, string>>): string {
  const inputs = Object.entries(fields).map(
    ([key, value]) => `<input type="hidden" name="${key}" value="${escapeHtml(value)}">`,
  )
  return `<form method="post" name="${escapeHtml(name)}" action="${escapeHtml(action)}">${inputs.join('')}<button>${escapeHtml(name)}</button></form>`
}
