import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import Provider from 'oidc-provider'
import { carryProof, deriveSuccessors, pinUrls, successorOf } from '../../src/http/overrides.ts'

/* What src/http/overrides.ts leans on and the published types do not promise: a new version of the library must fail here first. */

type Loose = Record<string, unknown> & { prototype: Record<string, unknown> }
const own = (value: unknown) => value as Loose

function fresh(): Provider {
  return new Provider('https://login.example', { features: { devInteractions: { enabled: false } } })
}

test('the library is the very version whose insides were read', () => {
  const require = createRequire(import.meta.url)
  const wanted = (require('../../package.json') as { dependencies: Record<string, string> }).dependencies[
    'oidc-provider'
  ]
  const path = require.resolve('oidc-provider').replace(/lib\/index\.js$/, 'package.json')
  assert.equal((require(path) as { version: string }).version, wanted)
})

test('every method that is overridden is there to be overridden', () => {
  const provider = fresh()
  for (const Model of [provider.AccessToken, provider.ClientCredentials]) {
    assert.equal(typeof own(Model).prototype['getValueAndPayload'], 'function')
  }
  assert.equal(typeof own(provider.RefreshToken).prototype['generateTokenId'], 'function')
  assert.equal(typeof own(provider.Client).prototype['includeSid'], 'function')
  assert.equal(typeof own(provider.Client).prototype['backchannelLogout'], 'function')
  assert.equal(
    typeof own((provider as unknown as Record<string, unknown>)['OIDCContext']).prototype['urlFor'],
    'function',
  )
})

test('an opaque token collects its claims before anything is signed, with its end among them', async () => {
  const provider = fresh()
  const token = new provider.ClientCredentials({ client: { clientId: 'a' } as never, scope: 'x' })
  Object.assign(token, { jti: 'j', exp: 99, format: 'opaque' })
  const make = own(provider.ClientCredentials).prototype['getValueAndPayload'] as () => Promise<{ payload: object }>
  const { payload } = await make.call(token)
  assert.deepEqual(Object.keys(payload).sort(), ['clientId', 'exp', 'extra', 'iat', 'jti', 'kind', 'scope'].sort())
})

test('sessions and grants keep the proof that they carry through the store', () => {
  const provider = fresh()
  carryProof(provider)
  const names = (Model: unknown) => (Model as { IN_PAYLOAD: string[] }).IN_PAYLOAD
  assert.ok(names(provider.Session).includes('proof') && names(provider.Session).includes('uid'))
  assert.ok(names(provider.Grant).includes('proof') && names(provider.Grant).includes('sessionUid'))
  const grant = new provider.Grant({ accountId: 'a', clientId: 'b', proof: 'p' } as never)
  assert.equal((grant as unknown as { proof: string }).proof, 'p')
})

test('the URL of a route comes from the issuer, whatever the request says', () => {
  const provider = fresh()
  pinUrls(provider)
  const Context = (provider as unknown as { OIDCContext: { prototype: { urlFor(name: string): string } } }).OIDCContext
  assert.equal(
    Context.prototype.urlFor.call({ ctx: { href: 'http://evil.example/' } }, 'token'),
    'https://login.example/token',
  )
})

test('a successor is derived from its predecessor alone, and a first refresh token is not', () => {
  const successor = successorOf(Buffer.alloc(32, 1))
  assert.equal(successor('a'), successor('a'))
  assert.notEqual(successor('a'), successor('b'))
  assert.notEqual(successor('a'), successorOf(Buffer.alloc(32, 2))('a'))
  const provider = fresh()
  deriveSuccessors(provider, successor)
  const make = own(provider.RefreshToken).prototype['generateTokenId'] as () => string
  const token = new provider.RefreshToken({} as never)
  assert.notEqual(make.call(token), make.call(token))
})
