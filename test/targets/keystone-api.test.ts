import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FetchError } from '../../src/fetcher/error.ts'
import { openApi } from '../../src/targets/keystone/live/api.ts'
import type { KeystoneConfig } from '../../src/targets/keystone/options.ts'
import { keystoneConfig } from './keystone-live-world.ts'

const token = { token: { expires_at: '2099-01-01T00:00:00.000000Z' } }

interface Asked {
  readonly method: string
  /** Below the host, with the query. */
  readonly path: string
  readonly token: string | null
}

/** An API whose answers the test makes, all but the sign-ins, which are counted. */
function open(answer: (asked: Asked) => Promise<Response> | Response, config: Partial<KeystoneConfig> = {}) {
  const world = { now: 1_800_000_000, signIns: 0, password: 'right', seen: [] as string[] }
  const fetcher: typeof fetch = async (input, init) => {
    const { pathname, search } = new URL(String(input))
    const method = init?.method ?? 'GET'
    world.seen.push(`${method} ${pathname}${search}`)
    if (pathname === '/v3/auth/tokens') {
      world.signIns++
      if (world.password !== 'right') return Response.json({ error: { code: 401, message: 'no' } }, { status: 401 })
      return Response.json(token, { status: 201, headers: { 'x-subject-token': `t${world.signIns}` } })
    }
    return await answer({ method, path: pathname + search, token: new Headers(init?.headers).get('x-auth-token') })
  }
  const user = { name: 'lotse', domain: 'Default', password: 'p', scope: { system: true as const } }
  const base = keystoneConfig('https://keystone.example/v3', user)
  const api = openApi({ ...base, ...config }, { now: () => world.now, fetch: fetcher, log: () => {} })
  return { api, world }
}

const page = (ids: readonly string[], more: Readonly<Record<string, unknown>> = {}) =>
  Response.json({ users: ids.map((id) => ({ id })), ...more })

test('a list of two hundred thousand rows is read', async () => {
  const { api } = open(() => page(Array.from({ length: 200_000 }, (_, n) => `u${n}`)))
  assert.equal((await api.rows('users', '/users')).length, 200_000)
})

test('an answer that is larger than the gateway takes is refused, with what to do, and is no outage', async () => {
  const { api } = open(() => {
    throw new FetchError('FETCH_TOO_LARGE', 'https://keystone.example sent more than 64 bytes')
  })
  await assert.rejects(api.rows('role_assignments', '/role_assignments'), {
    kind: 'refused',
    message: /GET \/role_assignments.*more than 64 bytes.*scope/,
  })
})

const cut: Readonly<Record<string, (n: number) => Response>> = {
  'says truncated and not how it goes on': () => page(['a'], { truncated: true, links: { next: null } }),
  'goes on somewhere that cannot be read': () => page(['a'], { links: { next: 'http://[' } }),
  'goes on with a number': () => page(['a'], { links: { next: 7 } }),
  'goes on with another list': () => page(['a'], { links: { next: 'https://keystone.example/v3/groups?marker=a' } }),
  'goes on with what it had': () => page(['a'], { links: { next: '/v3/users?marker=a' }, truncated: true }),
  'never ends': (n) => page([`a${n}`], { links: { next: `https://keystone.example/v3/users?marker=${n}` } }),
}
for (const [what, answer] of Object.entries(cut))
  test(`a list that ${what} is not taken for whole`, async () => {
    let asked = 0
    const { api } = open(() => answer(asked++), {})
    await assert.rejects(api.rows('users', '/users?x=1'), { name: 'TargetUnavailable', kind: 'refused' })
  })

test('the next page is asked at the configured address, however it is written', async () => {
  for (const next of [
    'http://internal:5000/identity/v3/users?marker=a&limit=1',
    '/v3/users?marker=a&limit=1',
    'users?marker=a&limit=1',
    '?marker=a&limit=1',
  ]) {
    const { api, world } = open(({ path }) =>
      path.includes('marker') ? page(['b']) : page(['a'], { truncated: true, links: { next } }),
    )
    assert.deepEqual(await api.rows('users', '/users?x=1'), [{ id: 'a' }, { id: 'b' }], next)
    assert.equal(world.seen.at(-1), 'GET /v3/users?marker=a&limit=1')
  }
})

test('500 to a write is a no to that one thing; to a read, and 502, 503, 504, 429 and silence, an outage', async () => {
  const kindOf = async (method: 'GET' | 'PUT', status: number) => {
    const { api } = open(() => new Response('{}', { status }))
    const error = await api.send(method, '/x').catch((thrown: unknown) => thrown)
    return (error as { kind: unknown }).kind
  }
  for (const status of [502, 503, 504, 429]) assert.equal(await kindOf('PUT', status), 'down')
  assert.deepEqual([await kindOf('PUT', 500), await kindOf('GET', 500)], ['refused', 'down'])
})

test('a wrong password of its own is tried once in half a minute, so that no account is locked by it', async () => {
  const { api, world } = open(() => page([]))
  world.password = 'wrong'
  for (let n = 0; n < 5; n++) await assert.rejects(api.send('GET', '/users'), { kind: 'refused', message: /401/ })
  assert.equal(world.signIns, 1)
  world.now += 31
  world.password = 'right'
  assert.equal((await api.send('GET', '/users')).status, 200)
  assert.equal(world.signIns, 2)
})

test('many who find their token dead at once sign in once', async () => {
  let alive = 't1'
  let late = Promise.resolve()
  const { api, world } = open(async ({ token: id, path }) => {
    if (path.endsWith('late') && id === 't1') await late
    return id === alive ? page([]) : new Response('{}', { status: 401 })
  })
  await api.send('GET', '/users')
  alive = 't2'
  const { promise, resolve } = Promise.withResolvers<void>()
  late = promise
  const slow = api.send('GET', '/late')
  await Promise.all(Array.from({ length: 8 }, () => api.send('GET', '/users')))
  resolve()
  await slow
  assert.equal(world.signIns, 2)
})

test('the address is taken with the version and without', async () => {
  for (const url of ['https://keystone.example', 'https://keystone.example/v3/']) {
    const { api, world } = open(() => page([]), { url })
    await api.send('GET', '/users')
    assert.deepEqual(world.seen, ['POST /v3/auth/tokens', 'GET /v3/users'])
  }
})
