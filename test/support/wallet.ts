import assert from 'node:assert/strict'
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto'
import { CompactEncrypt, importJWK } from 'jose'
import { type Authority, authority, type Certified } from './certificate.ts'

/** An issuer of SD-JWT VCs, known by a certificate of its own root. */
export interface Issuer extends Certified {
  readonly id: string
  readonly authority: Authority
}

/** What an issuer says of a person. */
export interface Said {
  readonly vct: string
  readonly claims: Readonly<Record<string, unknown>>
  /** What stands beside the claims in the open: `exp`, `status`. */
  readonly open?: Readonly<Record<string, unknown>>
}

/** A credential in a wallet, with all of its disclosures. */
export interface Held {
  readonly jwt: string
  readonly disclosures: readonly string[]
}

export interface Holder {
  readonly key: KeyObject
  readonly jwk: JsonWebKey
}

/** A request as the wallet read and checked it. */
export interface Read {
  readonly clientId: string
  readonly responseUri: string
  readonly nonce: string
  readonly state: string | undefined
  readonly mode: string
  readonly query: { readonly credentials: readonly { readonly id: string }[] }
  readonly encryption: { readonly jwk: JsonWebKey & { kid?: string }; readonly enc: readonly string[] } | undefined
  readonly claims: Readonly<Record<string, unknown>>
}

/** Where a presentation differs from what was asked, for those who try it. */
export interface Deviation {
  readonly audience?: string
  readonly nonce?: string
  readonly iat?: number
  readonly signer?: KeyObject
}

/** How an answer is sent. */
export interface Sending {
  readonly to?: string
  readonly enc?: string
  readonly encryption?: 'as asked' | 'none' | { readonly jwk: JsonWebKey; readonly kid: string }
  readonly state?: string | undefined
}

export interface Sent {
  readonly status: number
  readonly body: Readonly<Record<string, string>>
}

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const seconds = () => Math.floor(Date.now() / 1000)
const digest = (text: string) => createHash('sha256').update(text).digest('base64url')

/** A compact JWS with ES256. */
export function signJwt(header: object, payload: object, key: KeyObject): string {
  const text = `${base64({ alg: 'ES256', ...header })}.${base64(payload)}`
  return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

/** DER of a PEM chain in base64, as `x5c` has it. */
export const x5cOf = (chain: string): readonly string[] =>
  [...chain.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END/g)].map(([, body = '']) => body.replace(/\s/g, ''))

/** @param id an https URL; the certificate names its host */
export function issuerOf(id: string, by: Authority = authority('Root of the tests')): Issuer {
  const host = new URL(id).hostname
  return { id, authority: by, ...by.issue({ name: host, dns: [host] }) }
}

export function holder(): Holder {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { key: privateKey, jwk: publicKey.export({ format: 'jwk' }) }
}

/** An SD-JWT VC whose claims are all hidden one by one. @see SD-JWT VC */
export function issue(issuer: Issuer, said: Said, to: Pick<Holder, 'jwk'>): Held {
  const disclosures = Object.entries(said.claims).map(([name, value]) =>
    base64([randomBytes(16).toString('base64url'), name, value]),
  )
  const payload = {
    iss: issuer.id,
    vct: said.vct,
    iat: seconds() - 60,
    exp: seconds() + 86_400,
    cnf: { jwk: to.jwk },
    _sd_alg: 'sha-256',
    _sd: disclosures.map(digest).sort(),
    ...said.open,
  }
  return { jwt: signJwt({ typ: 'dc+sd-jwt', x5c: x5cOf(issuer.chain) }, payload, issuer.key), disclosures }
}

/** A presentation with key binding to what was asked. @see SD-JWT, 4.3 */
export function present(held: Held, by: Holder, asked: Pick<Read, 'clientId' | 'nonce'>, how: Deviation = {}): string {
  const text = `${[held.jwt, ...held.disclosures].join('~')}~`
  const binding = {
    iat: how.iat ?? seconds(),
    aud: how.audience ?? asked.clientId,
    nonce: how.nonce ?? asked.nonce,
    sd_hash: digest(text),
  }
  return text + signJwt({ typ: 'kb+jwt' }, binding, how.signer ?? by.key)
}

/** What a wallet that was opened by a link or a code learns there. */
export function readLink(link: string): URLSearchParams {
  return new URL(link).searchParams
}

/** Fetches the request behind a link, as a wallet does that can say a nonce of its own. @param link what was opened or scanned */
export async function fetchRequest(link: string, how: { readonly method?: 'GET' | 'POST' } = {}): Promise<Response> {
  const uri = readLink(link).get('request_uri') ?? ''
  if (how.method === 'GET') return fetch(uri)
  return fetch(uri, { method: 'POST', body: new URLSearchParams({ wallet_nonce: nonceOf(link) }) })
}

/** The nonce of this wallet for one link; the same each time, so that it can be looked for. */
const nonceOf = (link: string) => digest(`nonce ${link}`)

/** Opens a link: fetches the request and believes it only after its checks. @throws where a check fails */
export async function open(link: string, how: { readonly method?: 'GET' | 'POST' } = {}): Promise<Read> {
  const answer = await fetchRequest(link, how)
  assert.equal(answer.status, 200, await answer.clone().text())
  assert.equal(answer.headers.get('content-type'), 'application/oauth-authz-req+jwt')
  const nonce = how.method === 'GET' ? undefined : nonceOf(link)
  return checked(await answer.text(), { clientId: readLink(link).get('client_id') ?? '', ...(nonce && { nonce }) })
}

/** Reads a request object as a wallet must. @see OpenID4VP 1.0, 5.9.3 and 5.10; HAIP 1.0, 5 */
export function checked(jwt: string, expected: { readonly clientId: string; readonly nonce?: string }): Read {
  const [head = '', body = '', signature = ''] = jwt.split('.')
  const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as { typ: string; alg: string; x5c: string[] }
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>
  assert.deepEqual([header.typ, header.alg], ['oauth-authz-req+jwt', 'ES256'])
  const leaf = new X509Certificate(Buffer.from(header.x5c[0] ?? '', 'base64'))
  const key = createPublicKey(leaf.publicKey.export({ type: 'spki', format: 'pem' }))
  const bytes = Buffer.from(`${head}.${body}`)
  assert.ok(
    verify('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url')),
    'signature',
  )
  assert.equal(claims['client_id'], expected.clientId)
  assert.equal(claims['client_id'], `x509_hash:${createHash('sha256').update(leaf.raw).digest('base64url')}`)
  assert.equal(claims['wallet_nonce'], expected.nonce)
  assert.equal(claims['response_type'], 'vp_token')
  assert.ok(Number(claims['exp']) > seconds(), 'it has run out')
  return readClaims(claims)
}

/** A request without its signature, as it stands in a link that holds all of it. */
export function readClaims(claims: Readonly<Record<string, unknown>>): Read {
  const metadata = claims['client_metadata'] as {
    jwks?: { keys: JsonWebKey[] }
    encrypted_response_enc_values_supported?: string[]
  }
  const jwk = metadata.jwks?.keys[0]
  return {
    clientId: String(claims['client_id']),
    responseUri: String(claims['response_uri']),
    nonce: String(claims['nonce']),
    state: claims['state'] as string | undefined,
    mode: String(claims['response_mode']),
    query: claims['dcql_query'] as Read['query'],
    encryption: jwk && { jwk, enc: metadata.encrypted_response_enc_values_supported ?? [] },
    claims,
  }
}

/** The encrypted form of an answer. @see OpenID4VP 1.0, 8.3 */
export async function encrypt(payload: object, jwk: JsonWebKey & { kid?: string }, enc = 'A256GCM'): Promise<string> {
  return new CompactEncrypt(Buffer.from(JSON.stringify(payload)))
    .setProtectedHeader({ alg: 'ECDH-ES', enc, ...(jwk.kid && { kid: jwk.kid }) })
    .encrypt(await importJWK({ ...jwk, alg: 'ECDH-ES' } as Parameters<typeof importJWK>[0]))
}

/** Sends an answer to what was read. @param vpToken by the names of the query */
export async function send(read: Read, vpToken: object, how: Sending = {}): Promise<Sent> {
  const state = 'state' in how ? how.state : read.state
  const { encryption = 'as asked' } = how
  const asked =
    encryption === 'as asked'
      ? read.encryption?.jwk
      : encryption === 'none'
        ? undefined
        : { ...encryption.jwk, kid: encryption.kid }
  const payload = { vp_token: vpToken, ...(state === undefined ? {} : { state }) }
  const fields = asked
    ? { response: await encrypt(payload, asked, how.enc) }
    : { vp_token: JSON.stringify(vpToken), ...(state === undefined ? {} : { state }) }
  return post(how.to ?? read.responseUri, fields)
}

/** Says that there will be no answer. */
export const decline = (read: Read, error = 'access_denied'): Promise<Sent> => post(read.responseUri, { error })

async function post(to: string, fields: Record<string, string>): Promise<Sent> {
  const answer = await fetch(to, { method: 'POST', body: new URLSearchParams(fields) })
  return { status: answer.status, body: (await answer.json()) as Sent['body'] }
}
