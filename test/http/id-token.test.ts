import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import Provider from 'oidc-provider'
import { signIdTokens } from '../../src/http/overrides.ts'

interface Issues {
  set(name: string, value: unknown): void
  issue(options: { use: string; expiresAt?: number }): Promise<string>
}
type IdToken = new (available: object, options: { client: unknown; ctx: unknown }) => Issues

const now = () => Math.floor(Date.now() / 1000)

function freshProvider(): Provider {
  const jwk = (kty: 'ec' | 'rsa') =>
    (kty === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 })
    ).privateKey.export({ format: 'jwk' })
  return new Provider('https://login.example', {
    jwks: { keys: [jwk('ec'), jwk('rsa')] as never },
    claims: { openid: ['sub', 'groups'] },
    features: { devInteractions: { enabled: false } },
    ttl: { IdToken: 300 },
    clients: ['ES256', 'RS256'].map((alg) => ({
      client_id: alg,
      client_secret: 'a secret',
      redirect_uris: ['https://app.example/cb'],
      id_token_signed_response_alg: alg as 'ES256',
    })),
  })
}

async function tokenFor(provider: Provider, alg: 'ES256' | 'RS256'): Promise<Issues> {
  const client = await provider.Client.find(alg)
  const Token = provider.IdToken as unknown as IdToken
  const token = new Token(
    { sub: 'ada', groups: ['a', 'b'], other: 'x' },
    { client, ctx: { oidc: { client, entities: {} } } },
  )
  Object.assign(token, { scope: 'openid' })
  const extras = { at_hash: 'an-access-token', c_hash: 'a-code', nonce: 'n', sid: 's', auth_time: 7 }
  for (const [name, value] of Object.entries(extras)) token.set(name, value)
  return token
}

const read = (jwt: string) => JSON.parse(Buffer.from(jwt.split('.')[1]!, 'base64url').toString()) as object

test('an ID token that the ring signs says word for word what the library would have said', async () => {
  const stock = await (await tokenFor(freshProvider(), 'ES256')).issue({ use: 'idtoken' })
  const provider = freshProvider()
  const signed: unknown[] = []
  const sign = (...all: unknown[]) => {
    signed.push(all)
    return 'signed by the ring'
  }
  signIdTokens(provider, { now, targets: new Map(), rings: { sign } as never })
  assert.equal(await (await tokenFor(provider, 'ES256')).issue({ use: 'idtoken' }), 'signed by the ring')
  const [ring, alg, typ, payload] = signed[0] as [string, string, string, { exp: number; iat: number }]
  assert.deepEqual([ring, alg, typ], ['issuer', 'ES256', 'JWT'])
  const wanted = read(stock) as typeof payload
  assert.equal(payload.exp - payload.iat, 300)
  assert.deepEqual({ ...payload, iat: 0, exp: 0 }, { ...wanted, iat: 0, exp: 0 })
  await (await tokenFor(provider, 'ES256')).issue({ use: 'idtoken', expiresAt: 4711 })
  assert.equal((signed[1] as [string, string, string, { exp: number }])[3].exp, 4711)
})

test('what is no ES256 ID token is still signed by the library', async () => {
  const provider = freshProvider()
  const sign = () => assert.fail('the ring was asked')
  signIdTokens(provider, { now, targets: new Map(), rings: { sign } as never })
  assert.match(await (await tokenFor(provider, 'RS256')).issue({ use: 'idtoken' }), /^ey/)
  assert.match(await (await tokenFor(provider, 'ES256')).issue({ use: 'logout' }), /^ey/)
})
