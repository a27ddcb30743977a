import { createHash, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

type Json = Record<string, unknown>

/** What one answer of the rogue is; every field may be changed between sign-ins. */
export interface Scheme {
  /** Changes the honest ID token's claims. */
  claims: (claims: Json) => Json
  header: (header: Json) => Json
  /** How the token is signed; `key` is the one that is published. */
  sign: (input: string, key: KeyObject) => string
  /** Changes the token endpoint's answer. */
  tokens: (tokens: Json) => Json
  userinfo: () => Json | string
  discovery: (metadata: Json) => Json
  /** Whether refresh tokens are given, and whether each is good once. */
  refresh: 'never' | 'rotate' | 'keep'
  /** Stands first at every path; true where it has answered itself. */
  intercept: (path: string, response: ServerResponse) => boolean
}

/** An OpenID provider that answers whatever it is told, to attack a connector. Knows nobody and checks nothing but PKCE. */
export interface Rogue {
  readonly issuer: string
  readonly scheme: Scheme
  readonly requests: readonly string[]
  /** Bodies that came to the token endpoint. */
  readonly redeemed: readonly URLSearchParams[]
  readonly publicKey: () => KeyObject
  /** A new key under the same `kid`, as a service makes it at every start. */
  rotate(): void
  /** The honest scheme again. */
  reset(): void
  /** The address to which an honest upstream would send the browser back. */
  answer(begun: URL, more?: Readonly<Record<string, string>>): URL
  /** Any claims as a JWT under the published key, or however the scheme signs. */
  say(claims: Json, header?: Json): string
  close(): Promise<void>
}

export const honestSign = (input: string, key: KeyObject) =>
  sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')

/** HMAC with the published key as the shared secret: what a verifier does that takes the algorithm from the token. */
export const signByPublicKey = (publicKey: KeyObject) => (input: string) =>
  createHmac('sha256', publicKey.export({ type: 'spki', format: 'pem' }))
    .update(input)
    .digest('base64url')

const encode = (json: unknown) => Buffer.from(JSON.stringify(json)).toString('base64url')

const honest = (): Scheme => ({
  claims: (claims) => claims,
  header: (header) => header,
  sign: honestSign,
  tokens: (tokens) => tokens,
  userinfo: () => ({ sub: 'ada' }),
  discovery: (metadata) => metadata,
  refresh: 'never',
  intercept: () => false,
})

const makeKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** @param now Unix seconds, the rogue's clock */
export async function startRogue(now: () => number = () => Math.floor(Date.now() / 1000)): Promise<Rogue> {
  const scheme = honest()
  const requests: string[] = []
  const redeemed: URLSearchParams[] = []
  const begun = new Map<string, URLSearchParams>()
  let pair = makeKey()
  let issuer = ''

  const say = (claims: Json, header: Json = {}) => {
    const input = `${encode(scheme.header({ alg: 'ES256', kid: 'one', typ: 'JWT', ...header }))}.${encode(claims)}`
    return `${input}.${scheme.sign(input, pair.privateKey)}`
  }

  const idToken = (asked: URLSearchParams, authTime = now()) => {
    const iat = now()
    const nonce = asked.get('nonce')
    const aud = asked.get('client_id')
    return say(
      scheme.claims({
        iss: issuer,
        sub: 'ada',
        aud,
        ...(nonce !== null && { nonce }),
        iat,
        exp: iat + 300,
        auth_time: authTime,
      }),
    )
  }

  const refreshable = new Map<string, { asked: URLSearchParams; authTime: number }>()
  const refreshTokenFor = (asked: URLSearchParams, authTime: number): Json => {
    if (scheme.refresh === 'never') return {}
    const token = `rt-${redeemed.length}`
    refreshable.set(token, { asked: new URLSearchParams({ client_id: asked.get('client_id') ?? '' }), authTime })
    return { refresh_token: token }
  }

  const refresh = (token: string): Json => {
    const known = refreshable.get(token)
    if (!known) return { error: 'invalid_grant' }
    const rotated = scheme.refresh === 'rotate' ? refreshTokenFor(known.asked, known.authTime) : {}
    if (scheme.refresh === 'rotate') refreshable.delete(token)
    const id_token = idToken(known.asked, known.authTime)
    return scheme.tokens({ access_token: 'at', token_type: 'Bearer', expires_in: 300, id_token, ...rotated })
  }

  const endpoints: Readonly<Record<string, (body: URLSearchParams) => unknown>> = {
    '/.well-known/openid-configuration': () => scheme.discovery(metadata(issuer)),
    '/jwks': () => ({ keys: [{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'one', use: 'sig', alg: 'ES256' }] }),
    '/userinfo': () => scheme.userinfo(),
    '/token': (body) => {
      redeemed.push(body)
      if (body.get('grant_type') === 'refresh_token') return refresh(body.get('refresh_token') ?? '')
      const asked = begun.get(body.get('code') ?? '')
      begun.delete(body.get('code') ?? '')
      const challenge = createHash('sha256')
        .update(body.get('code_verifier') ?? '')
        .digest('base64url')
      if (!asked || asked.get('code_challenge') !== challenge) return { error: 'invalid_grant' }
      const id_token = idToken(asked)
      const more = refreshTokenFor(asked, now())
      return scheme.tokens({ access_token: 'at', token_type: 'Bearer', expires_in: 300, id_token, ...more })
    },
  }

  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://rogue').pathname
    requests.push(path)
    if (scheme.intercept(path, response)) return
    const answer = endpoints[path]?.(new URLSearchParams(await read(request)))
    const failed =
      answer === undefined ? 404 : typeof answer === 'object' && answer !== null && 'error' in answer ? 400 : 200
    response.writeHead(failed, { 'content-type': 'application/json' })
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer ?? {}))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  return {
    issuer,
    scheme,
    requests,
    redeemed,
    publicKey: () => pair.publicKey,
    rotate: () => {
      pair = makeKey()
    },
    reset: () => {
      Object.assign(scheme, honest())
    },
    answer: (url, more = {}) => {
      const code = `code-${begun.size}-${requests.length}-${Math.random()}`
      begun.set(code, url.searchParams)
      const back = new URL(url.searchParams.get('redirect_uri')!)
      back.search = new URLSearchParams({
        code,
        state: url.searchParams.get('state')!,
        iss: issuer,
        ...more,
      }).toString()
      return back
    },
    say,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const metadata = (issuer: string): Json => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  jwks_uri: `${issuer}/jwks`,
  userinfo_endpoint: `${issuer}/userinfo`,
  end_session_endpoint: `${issuer}/logout`,
  response_types_supported: ['code'],
  subject_types_supported: ['public'],
  // It offers the worst, to see whether a connector takes its word for it.
  id_token_signing_alg_values_supported: ['ES256', 'RS256', 'HS256', 'none'],
  authorization_response_iss_parameter_supported: true,
})

async function read(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request) body += chunk
  return body
}
