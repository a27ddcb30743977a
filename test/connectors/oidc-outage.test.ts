import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { after, afterEach, before, test } from 'node:test'
import { type Rogue, startRogue } from '../support/rogue-idp.ts'
import { milliseconds } from '../support/turns.ts'
import { type Connected, connect } from './support.ts'

let rogue: Rogue
before(async () => {
  rogue = await startRogue()
})
afterEach(() => rogue.reset())
after(() => rogue.close())

const discovery = '/.well-known/openid-configuration'

const failAt = (path: string, how: (response: ServerResponse) => void) => {
  rogue.scheme.intercept = (asked, response) => {
    if (asked !== path) return false
    how(response)
    return true
  }
}

async function signIn({ connector }: Connected) {
  const challenge = await connector.begin('a-state', {})
  return await connector.complete({ url: rogue.answer((challenge as { url: URL }).url), memo: challenge.memo })
}

const count = (path: string, since: number) => rogue.requests.slice(since).filter((asked) => asked === path).length

test('opening a connector asks nothing of its upstream', () => {
  const before = rogue.requests.length
  connect({ issuer: rogue.issuer })
  connect({ issuer: 'http://127.0.0.1:1' })
  assert.equal(rogue.requests.length, before)
})

test('an upstream that is not there is unavailable, not a crash', async () => {
  const { connector } = connect({ issuer: 'http://127.0.0.1:1' })
  await assert.rejects(connector.begin('a-state', {}), { code: 'upstream_unavailable', status: 503 })
})

test('an upstream that hangs is unavailable within its time', async () => {
  failAt(discovery, () => {})
  const took = await milliseconds(() =>
    assert.rejects(connect({ issuer: rogue.issuer }).connector.begin('a-state', {}), { code: 'upstream_unavailable' }),
  )
  assert.ok(took < 10_000, `${took} ms`)
})

test('a failed discovery is asked again in growing intervals, and the connector recovers by itself', async () => {
  failAt(discovery, (response) => response.writeHead(500).end())
  const connected = connect({ issuer: rogue.issuer }, { now: () => now })
  let now = 1_800_000_000
  const attempt = () => assert.rejects(connected.connector.begin('a-state', {}), { code: 'upstream_unavailable' })
  const since = rogue.requests.length
  await attempt()
  await attempt()
  assert.equal(count(discovery, since), 1)
  now += 1
  await attempt()
  assert.equal(count(discovery, since), 2)
  now += 1
  await attempt()
  assert.equal(count(discovery, since), 2)
  now += 1
  rogue.reset()
  await connected.connector.begin('a-state', {})
  assert.equal(count(discovery, since), 3)
})

test('twenty people at once make one discovery', async () => {
  const { connector } = connect({ issuer: rogue.issuer })
  const since = rogue.requests.length
  await Promise.all(Array.from({ length: 20 }, () => connector.begin('a-state', {})))
  assert.equal(count(discovery, since), 1)
})

test('an old discovery document is renewed behind the sign-ins and used on while the upstream fails', async () => {
  let now = 1_800_000_000
  const { connector, logged } = connect({ issuer: rogue.issuer }, { now: () => now })
  await connector.begin('a-state', {})
  failAt(discovery, (response) => response.writeHead(500).end())
  now += 3601
  const since = rogue.requests.length
  assert.equal((await connector.begin('a-state', {})).kind, 'redirect')
  // The renewal runs beside; the next request is a turn of its own.
  while (!logged.length) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(count(discovery, since), 1)
  assert.match(logged[0]!, /discovery .* failed/)
  assert.equal((await connector.begin('a-state', {})).kind, 'redirect')
  assert.equal(count(discovery, since), 1)
})

test('a discovery document that names another issuer is refused', async () => {
  rogue.scheme.discovery = (metadata) => ({ ...metadata, issuer: 'https://evil.test' })
  await assert.rejects(connect({ issuer: rogue.issuer }).connector.begin('a-state', {}), {
    code: 'upstream_unavailable',
  })
})

test('an issuer that stands for every tenant of the world is refused', async () => {
  const issuer = 'https://login.microsoftonline.com/common/v2.0'
  const metadata = {
    issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0',
    authorization_endpoint: 'https://login.microsoftonline.com/common/oauth2/v2.0/authorize',
    token_endpoint: 'https://login.microsoftonline.com/common/oauth2/v2.0/token',
    jwks_uri: 'https://login.microsoftonline.com/common/discovery/v2.0/keys',
  }
  const { connector } = connect({ issuer }, { fetch: async () => Response.json(metadata) })
  await assert.rejects(connector.begin('a-state', {}), /one tenant's issuer/)
})

test('a discovery document without keys or with an endpoint of another scheme is refused', async () => {
  rogue.scheme.discovery = ({ jwks_uri: _, ...metadata }) => metadata
  await assert.rejects(connect({ issuer: rogue.issuer }).connector.begin('a-state', {}), /jwks_uri/)
  rogue.scheme.discovery = (metadata) => ({ ...metadata, authorization_endpoint: 'javascript:alert(1)' })
  await assert.rejects(connect({ issuer: rogue.issuer }).connector.begin('a-state', {}), /authorization_endpoint/)
})

test('a redirect of the token endpoint is not followed', async () => {
  failAt('/token', (response) => response.writeHead(307, { location: `${rogue.issuer}/elsewhere` }).end())
  const since = rogue.requests.length
  await assert.rejects(signIn(connect({ issuer: rogue.issuer })), { code: 'upstream_rejected' })
  assert.equal(count('/elsewhere', since), 0)
})

const outages: Readonly<Record<string, readonly [string, (response: ServerResponse) => void, string]>> = {
  'a token endpoint that hangs is unavailable': ['/token', () => {}, 'upstream_unavailable'],
  'a token endpoint that breaks off is unavailable': [
    '/token',
    (response) => response.destroy(),
    'upstream_unavailable',
  ],
  'a token endpoint that answers 503 is unavailable': [
    '/token',
    (response) => response.writeHead(503).end('x'),
    'upstream_unavailable',
  ],
  'a token endpoint that answers with a page is refused': [
    '/token',
    (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>hello'),
    'upstream_rejected',
  ],
  'keys that cannot be fetched are an outage, never a token believed': [
    '/jwks',
    (response) => response.writeHead(500).end(),
    'upstream_unavailable',
  ],
  'keys that are no keys are refused': [
    '/jwks',
    (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"keys":[]}'),
    'upstream_rejected',
  ],
  'an oversized set of keys is refused': [
    '/jwks',
    (response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(`{"keys":[${' '.repeat(1_100_000)}]}`),
    'upstream_rejected',
  ],
}

for (const [name, [path, how, code]] of Object.entries(outages)) {
  test(name, async () => {
    failAt(path, how)
    await assert.rejects(signIn(connect({ issuer: rogue.issuer })), { code })
  })
}

test('an upstream that says it is temporarily unavailable is unavailable', async () => {
  const { connector } = connect({ issuer: rogue.issuer })
  const challenge = await connector.begin('a-state', {})
  const url = rogue.answer((challenge as { url: URL }).url, {
    error: 'temporarily_unavailable',
    error_description: 'nightly\nwork',
  })
  await assert.rejects(connector.complete({ url, memo: challenge.memo }), (error: Error & { code: string }) => {
    assert.equal(error.code, 'upstream_unavailable')
    assert.match(error.message, /nightly\?work/)
    return true
  })
})

test('a logout while the upstream is down goes on without it', async () => {
  const connected = connect({ issuer: rogue.issuer })
  const proof = await signIn(connected)
  const restarted = connect({ issuer: rogue.issuer })
  failAt(discovery, (response) => response.writeHead(500).end())
  assert.equal(
    await restarted.connector.logout!(proof, { returnTo: new URL('https://gateway.test/bye'), state: 'over' }),
    undefined,
  )
  assert.match(restarted.logged[0]!, /logout left out/)
})
