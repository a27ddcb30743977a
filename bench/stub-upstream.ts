/**
 * `node bench/stub-upstream.ts PORT`: an OpenID provider that costs next to nothing, so that the gateway is what saturates. It
 * signs in whoever the cookie `who` names, at once, and checks nothing.
 */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'

const host = '127.0.0.2'
const port = Number(process.argv[2])
const issuer = `http://${host}:${port}`
const lifetime = 300

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const head = encode({ alg: 'ES256', kid: 'k', typ: 'JWT' })
const jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'k' }] })
const discovery = JSON.stringify({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  jwks_uri: `${issuer}/jwks`,
  response_types_supported: ['code'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['ES256'],
  code_challenge_methods_supported: ['S256'],
  token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
})

/** Codes that were handed out and not yet redeemed; a measure redeems each. */
const codes = new Map<string, { readonly sub: string; readonly nonce: string }>()

function idToken(sub: string, nonce: string): string {
  const now = Math.floor(Date.now() / 1000)
  const names = { name: `Given ${sub}`, given_name: 'Given', family_name: sub, preferred_username: sub }
  const mail = { email: `${sub}@up.example`, email_verified: true }
  const times = { iat: now, exp: now + lifetime }
  const claims = { iss: issuer, aud: 'broker', sub, nonce, ...times, ...names, ...mail, groups: ['g1', 'g2'] }
  const input = `${head}.${encode(claims)}`
  const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}

function json(res: ServerResponse, body: string, status = 200): void {
  res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }).end(body)
}

function authorize(req: IncomingMessage, res: ServerResponse, query: URLSearchParams): void {
  const code = randomBytes(16).toString('base64url')
  const sub = /(?:^|; )who=([^;]*)/.exec(req.headers.cookie ?? '')?.[1] ?? 'nobody'
  codes.set(code, { sub, nonce: query.get('nonce') ?? '' })
  const state = encodeURIComponent(query.get('state') ?? '')
  res
    .writeHead(302, { Location: `${query.get('redirect_uri')}?code=${code}&state=${state}`, 'Content-Length': 0 })
    .end()
}

async function token(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const code = new URLSearchParams(await text(req)).get('code') ?? ''
  const known = codes.get(code)
  codes.delete(code)
  if (!known) return json(res, '{"error":"invalid_grant"}', 400)
  const tokens = { access_token: `at.${known.sub}`, token_type: 'Bearer', expires_in: lifetime }
  json(res, JSON.stringify({ ...tokens, id_token: idToken(known.sub, known.nonce) }))
}

createServer({ keepAliveTimeout: 60_000 }, (req, res) => {
  const [path = '', query] = (req.url ?? '/').split('?', 2)
  if (path === '/authorize') authorize(req, res, new URLSearchParams(query))
  else if (path === '/token') void token(req, res)
  else if (path === '/jwks') json(res, jwks)
  else if (path === '/.well-known/openid-configuration') json(res, discovery)
  else json(res, '{}', 404)
}).listen(port, host, () => console.log('ready'))
