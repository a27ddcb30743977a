import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { readAccessJwt } from '../../src/http/jwt-tokens.ts'
import type { Rings } from '../../src/keys/rings.ts'
import { type Store, StoreUnavailable } from '../../src/store/store.ts'
import type { Target } from '../../src/targets/target.ts'
import type { TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { basic, tokensOf } from '../support/sign-in.ts'
import { standard, standardEnv } from '../support/standard.ts'

/* A store that cannot be read says nothing about a token: 503, never "inactive" (law 4). */

const clients = `
  - { id: watcher, target: prod, introspect: true, auth: client_secret_basic, secret: { env: HORIZON_SECRET }, native: true, redirectUris: ['http://127.0.0.1/cb'] }
`
const watcher = basic('watcher', standardEnv.HORIZON_SECRET)

let idp: Idp
let gateway: TestGateway
/** The kinds of which nothing can be read or written now. */
let broken: readonly string[] = []
const breakable = (store: Store): Store => ({
  ...store,
  get: (kind, id) =>
    broken.includes(kind.name) ? Promise.reject(new StoreUnavailable('broken')) : store.get(kind, id),
  put: (kind, ...more) =>
    broken.includes(kind.name) ? Promise.reject(new StoreUnavailable('broken')) : store.put(kind, ...more),
})
before(async () => {
  ;({ idp, gateway } = await standard({ store: breakable, extra: () => ({ clients }) }))
})
after(async () => {
  await gateway.close()
  await idp.close()
})

async function withBroken<T>(names: readonly string[], act: () => Promise<T>): Promise<T> {
  broken = names
  try {
    return await act()
  } finally {
    broken = []
  }
}

test('whatever part of the store cannot be read, an introspection ends in 503', async () => {
  const { access_token: token } = await tokensOf(gateway, 'kubectl', 'ada')
  const ask = () => gateway.post('/token/introspection', { token }, watcher)
  for (const kind of ['RevokedToken', 'Grant', 'Proof']) {
    const { status, body, headers } = await withBroken([kind], ask)
    assert.deepEqual([status, body['error'], body['active']], [503, 'temporarily_unavailable', undefined], kind)
    assert.ok(headers.get('retry-after'), kind)
    assert.ok(body['error_id'], kind)
  }
  assert.equal(JSON.stringify((await ask()).body).includes('"active":true'), true)
})

test('a revocation that cannot be stored, or not be written down, is not confirmed and can be asked for again', async () => {
  const { access_token: token } = await tokensOf(gateway, 'kubectl', 'ada')
  const revoke = () => gateway.post('/token/revocation', { token, client_id: 'kubectl' })
  const unstored = await withBroken(['RevokedToken'], revoke)
  assert.deepEqual([unstored.status, unstored.body['error']], [503, 'temporarily_unavailable'])
  const active = await gateway.post('/token/introspection', { token }, watcher)
  assert.equal(JSON.stringify(active.body).includes('"active":true'), true)
  gateway.failAudit('yes')
  const unwritten = await revoke()
  gateway.failAudit('no')
  assert.equal(unwritten.status, 503)
  const before = gateway.events.length
  assert.equal((await revoke()).status, 200)
  assert.deepEqual(
    gateway.events.slice(before).map(({ event }) => event),
    ['token.revoked'],
  )
  assert.deepEqual({ ...(await gateway.post('/token/introspection', { token }, watcher)).body }, { active: false })
})

test('the ring of one target vouches for no other target’s tokens, nor for another issuer’s', () => {
  const target = (id: string) => ({ id, audience: `for-${id}`, ring: `ring-${id}` }) as Target
  const read = (ring: string, claims: object) => {
    const rings = { verify: (asked: string) => (asked === ring ? claims : undefined) } as unknown as Rings
    const targets = new Map(['a', 'b'].map((id) => [id, target(id)]))
    return readAccessJwt({ targets, rings, issuer: new URL('https://login.example'), now: () => 100 }, 'jws')
  }
  const claims = { iss: 'https://login.example', aud: 'for-a', exp: 101, jti: 'j', sub: 's', client_id: 'c' }
  assert.equal(read('ring-a', claims)?.target.id, 'a')
  assert.equal(read('ring-b', claims), undefined)
  for (const wrong of [
    { aud: 'for-b' },
    { aud: ['for-a', 'for-b'] },
    { aud: undefined },
    { iss: 'https://evil.example' },
    { exp: 100 },
    { exp: undefined },
    { jti: undefined },
    { sub: undefined },
    { client_id: undefined },
  ])
    assert.equal(read('ring-a', { ...claims, ...wrong }), undefined, JSON.stringify(wrong))
})
