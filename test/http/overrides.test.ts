import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import Provider, { type Adapter, type AdapterPayload } from 'oidc-provider'
import { carryProof, deriveSuccessors, pinUrls, saveTogether, saveWith, successorOf } from '../../src/http/overrides.ts'

/* What src/http/overrides.ts leans on and the published types do not promise: a new version of the library must fail here first. */

/** Changes with the library, after its insides were read again; nothing else may change it. */
const READ = '9.13.3'

type Loose = Record<string, unknown> & { prototype: Record<string, unknown> }
const own = (value: unknown) => value as Loose

function fresh(): Provider {
  return new Provider('https://login.example', { features: { devInteractions: { enabled: false } } })
}

/** A provider that keeps what it stores where a test can look at it. */
function storing() {
  const models = new Map<string, Map<string, AdapterPayload>>()
  const stored = (model: string) => models.get(model) ?? new Map<string, AdapterPayload>()
  const adapter = (model: string) =>
    ({
      find: async () => undefined,
      async upsert(id: string, payload: AdapterPayload) {
        models.set(model, stored(model).set(id, payload))
      },
    }) as unknown as Adapter // nothing else is asked of it
  const provider = new Provider('https://login.example', { adapter, features: { devInteractions: { enabled: false } } })
  return { provider, stored }
}

test('the library is the very version whose insides were read', () => {
  const require = createRequire(import.meta.url)
  const path = require.resolve('oidc-provider').replace(/lib\/index\.js$/, 'package.json')
  assert.equal((require(path) as { version: string }).version, READ)
  const { dependencies } = require('../../package.json') as { dependencies: Record<string, string> }
  assert.equal(dependencies['oidc-provider'], READ)
})

test('every method that is overridden or called without being published is there', () => {
  const provider = fresh()
  const { OIDCContext } = provider as unknown as { OIDCContext: unknown }
  // biome-ignore format: the columns are read downwards
  const methods: readonly (readonly [model: unknown, ...names: string[]])[] = [
    [provider.AccessToken,       'getValueAndPayload'],
    [provider.ClientCredentials, 'getValueAndPayload'],
    [provider.RefreshToken,      'generateTokenId'],
    [provider.IdToken,           'issue', 'payload'],
    [provider.Client,            'includeSid', 'backchannelLogout'],
    [provider.Session,           'destroy', 'ensureClientContainer', 'save', 'sidFor'],
    [OIDCContext,                'urlFor', 'entity'],
  ]
  for (const [model, ...names] of methods) {
    for (const name of names) assert.equal(typeof own(model).prototype[name], 'function', name)
  }
  assert.equal(typeof own(provider.IdToken)['expiresIn'], 'function')
  assert.equal(typeof own((provider as unknown as Record<string, unknown>)['ReplayDetection'])['unique'], 'function')
})

test('a jti is stored under the hash by which its replay is told from that of another proof', async () => {
  const { provider, stored } = storing()
  const { ReplayDetection } = provider as unknown as { ReplayDetection: { unique(...of: unknown[]): Promise<boolean> } }
  await ReplayDetection.unique('client', 'jti', Math.floor(Date.now() / 1000) + 60)
  assert.deepEqual([...stored('ReplayDetection').keys()], [hash('sha256', 'clientjti', 'base64url')])
})

test('sessions and grants are stored in the shape that ending them reads', async () => {
  const { provider, stored } = storing()
  carryProof(provider)
  const save = (model: unknown) => (model as { save(ttl: number): Promise<string> }).save(60) // published without the ttl
  const session = Object.assign(new provider.Session(), { accountId: 'ada', proof: 'p' })
  session.ensureClientContainer('client')
  const sid = session.sidFor('client') ?? ''
  assert.match(sid, /^[\w-]{21,}$/)
  await save(session)
  const [kept = {}] = stored('Session').values()
  const { uid, accountId, proof, authorizations } = kept as Record<string, unknown>
  const expected = { uid: session.uid, accountId: 'ada', proof: 'p', authorizations: { client: { sid } } }
  assert.deepEqual({ uid, accountId, proof, authorizations }, expected)
  const fields = { accountId: 'ada', clientId: 'client', proof: 'p', sid }
  await save(new provider.Grant(fields as never))
  const [grant = {}] = stored('Grant').values()
  assert.deepEqual({ ...grant, ...fields }, grant)
  assert.equal(typeof (grant as { iat?: number }).iat, 'number')
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

test('a session is saved when the grant that it names is, and fails with it', async () => {
  const { provider, stored } = storing()
  saveTogether(provider)
  for (const outcome of ['written', 'lost'] as const) {
    const session = new provider.Session()
    const grant = Promise.withResolvers<void>()
    saveWith(session, { save: () => grant.promise })
    const saved = session.save(60).then(
      () => 'written',
      (error: Error) => error.message,
    )
    const early = await Promise.race([saved, new Promise((resolve) => setImmediate(resolve, 'waits'))])
    assert.equal(early, 'waits')
    assert.ok(stored('Session').has(session.jti), 'both are on the way at once')
    if (outcome === 'lost') grant.reject(new Error('lost'))
    else grant.resolve()
    assert.equal(await saved, outcome)
  }
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
