import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { after, afterEach, before, test } from 'node:test'
import type { OidcConfig } from '../../src/connectors/oidc/options.ts'
import type { Proof } from '../../src/core/subject.ts'
import { browser } from '../support/browser.ts'
import { startIdp } from '../support/oidc-idp.ts'
import { honestSign, type Rogue, signByPublicKey, startRogue } from '../support/rogue-idp.ts'
import { type Connected, connect, sealing } from './support.ts'

let rogue: Rogue
before(async () => {
  rogue = await startRogue()
})
afterEach(() => rogue.reset())
after(() => rogue.close())

type Json = Record<string, unknown>

const withClaims = (change: (claims: Json) => Json) => {
  rogue.scheme.claims = change
}
const withoutIdToken = () => {
  rogue.scheme.tokens = ({ id_token: _, ...tokens }) => tokens
}

const failAt = (path: string, how: (response: ServerResponse) => void) => {
  rogue.scheme.intercept = (asked, response) => {
    if (asked !== path) return false
    how(response)
    return true
  }
}

const refuse = (status: number, body: Json, headers: Record<string, string> = {}) => {
  return (response: ServerResponse) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

/** Somebody who signed in, with a refresh token that is good once. */
async function signedIn(over: Partial<OidcConfig> = {}): Promise<{ connected: Connected; proof: Proof }> {
  rogue.scheme.refresh = 'rotate'
  const connected = connect({ issuer: rogue.issuer, ...over })
  const challenge = await connected.connector.begin('a-state', {})
  const url = rogue.answer((challenge as { url: URL }).url)
  return { connected, proof: await connected.connector.complete({ url, memo: challenge.memo }) }
}

const recheck = ({ connector }: Connected, proof: Proof) => connector.recheck!(proof)

async function renewed(connected: Connected, proof: Proof): Promise<Proof> {
  const found = await recheck(connected, proof)
  assert.ok(typeof found === 'object' && 'subject' in found, String(found))
  return found
}

const kept = (proof: Proof) => JSON.parse(sealing.open(proof.sealed!, `oidc\ncorp\n${proof.subject.id}`))

const count = (path: string, since: number) => rogue.requests.slice(since).filter((asked) => asked === path).length

/**
 * Nothing was learnt, and no token, secret or claim is in what a log would show.
 * @param why the upstream is down for everybody, or its answer about this person is of no use
 */
async function nothingLearnt(connected: Connected, proof: Proof, why: 'down' | 'no use') {
  await assert.rejects(recheck(connected, proof), (error: Error & { code: string }) => {
    const codes = why === 'down' ? /^upstream_unavailable$/ : /^(upstream_(rejected|declined)|claims_unusable)$/
    assert.match(error.code, codes, error.message)
    assert.doesNotMatch(JSON.stringify([error.message, error.stack, connected.logged]), /eyJ|a-secret|rt-\d/)
    return true
  })
}

const loud = ({ logged }: Connected) => logged.filter((line) => line.startsWith('error '))

test('a proof without a refresh token cannot be asked about', async () => {
  const { connected, proof } = await signedIn()
  const { sealed: _, ...bare } = proof
  assert.equal(await recheck(connected, bare), 'unknown')
  rogue.scheme.refresh = 'never'
  const challenge = await connected.connector.begin('a-state', {})
  const url = rogue.answer((challenge as { url: URL }).url)
  const without = await connected.connector.complete({ url, memo: challenge.memo })
  assert.equal(await recheck(connected, without), 'unknown')
})

test('a person who is still there has a new proof with a new end', async () => {
  const { connected, proof } = await signedIn()
  connected.advance(50)
  const next = await renewed(connected, proof)
  assert.ok(next.provenAt >= proof.provenAt + 50)
  assert.equal(next.goodUntil, next.provenAt + 43_200)
  assert.deepEqual(next.subject, proof.subject)
})

test('an answer to a proof of a clock that was a day ahead is no older than now', async () => {
  const { connected, proof } = await signedIn()
  const next = await renewed(connected, { ...proof, provenAt: proof.provenAt + 86_400 })
  assert.ok(next.provenAt < proof.provenAt + 60)
})

test('rotated refresh tokens are used in turn, and the newest ID token is kept', async () => {
  const { connected, proof } = await signedIn()
  const used: (string | null)[] = []
  let current = proof
  for (let round = 0; round < 3; round += 1) {
    const before = kept(current)
    withClaims((claims) => ({ ...claims, round }))
    current = await renewed(connected, current)
    used.push(rogue.redeemed.at(-1)!.get('refresh_token'))
    assert.equal(used.at(-1), before.refreshToken)
    assert.notEqual(kept(current).idToken, before.idToken)
  }
  assert.equal(new Set(used).size, 3)
  assert.equal(await recheck(connected, proof), 'gone')
})

test('a refresh token that is not rotated is used again', async () => {
  const { connected, proof } = await signedIn()
  rogue.scheme.refresh = 'keep'
  const next = await renewed(connected, proof)
  assert.equal(kept(next).refreshToken, kept(proof).refreshToken)
  await renewed(connected, next)
})

test('a group that was taken away is gone, and one that was given is there', async () => {
  withClaims((claims) => ({ ...claims, groups: ['dev', 'ops'], department: 'x' }))
  const { connected, proof } = await signedIn()
  withClaims((claims) => ({ ...claims, groups: ['dev', 'net'] }))
  const { subject } = await renewed(connected, proof)
  assert.deepEqual(subject.claims['groups'], ['dev', 'net'])
  assert.equal(subject.claims['department'], undefined)
})

test('userinfo is merged as at the sign-in', async () => {
  rogue.scheme.userinfo = () => ({ sub: 'ada', groups: ['dev', 'ops'] })
  const { connected, proof } = await signedIn({ userinfo: 'merge' })
  withClaims((claims) => ({ ...claims, email: 'signed@corp.test' }))
  rogue.scheme.userinfo = () => ({ sub: 'ada', groups: ['dev'], email: 'other@corp.test', acr: 'high' })
  const { subject } = await renewed(connected, proof)
  assert.deepEqual(subject.claims['groups'], ['dev'])
  assert.deepEqual(subject.claims['email'], ['signed@corp.test'])
  assert.equal(subject.acr, undefined)
})

test('without a new ID token the claims are those of userinfo alone', async () => {
  withClaims((claims) => ({ ...claims, groups: ['dev'], acr: 'high', amr: ['otp'] }))
  const { connected, proof } = await signedIn()
  withoutIdToken()
  rogue.scheme.userinfo = () => ({ sub: 'ada', email: 'ada@corp.test', acr: 'low', auth_time: 1 })
  const next = await renewed(connected, proof)
  assert.deepEqual({ ...next.subject.claims }, { acr: ['high'], amr: ['otp'], sub: ['ada'], email: ['ada@corp.test'] })
  assert.equal(next.subject.acr, 'high')
  assert.equal(next.subject.authTime, proof.subject.authTime)
  assert.equal(kept(next).idToken, kept(proof).idToken)
})

test('where neither is given the claims stay as they were', async () => {
  withClaims((claims) => ({ ...claims, groups: ['dev'] }))
  rogue.scheme.discovery = ({ userinfo_endpoint: _, ...metadata }) => metadata
  const { connected, proof } = await signedIn()
  withoutIdToken()
  connected.advance(50)
  const next = await renewed(connected, proof)
  assert.deepEqual(next.subject, proof.subject)
  assert.ok(next.provenAt > proof.provenAt)
})

test('userinfo is not asked where the ID token came and it is off', async () => {
  const { connected, proof } = await signedIn()
  const since = rogue.requests.length
  await renewed(connected, proof)
  assert.equal(count('/userinfo', since), 0)
})

test('how the person signed in stays where the new ID token does not say it, and changes where it does', async () => {
  const moment = Math.floor(Date.now() / 1000) - 500
  withClaims((claims) => ({ ...claims, acr: 'gold', amr: ['pwd', 'otp'], auth_time: moment }))
  const { connected, proof } = await signedIn({ acr: { gold: 'high', lead: 'low' } })
  withClaims(({ auth_time: _, ...claims }) => claims)
  const same = await renewed(connected, proof)
  assert.equal(same.subject.authTime, moment)
  assert.equal(same.subject.acr, 'high')
  assert.deepEqual(same.subject.amr, ['pwd', 'otp'])
  assert.deepEqual(same.subject.claims['acr'], ['gold'])
  withClaims((claims) => ({ ...claims, acr: 'lead', amr: ['pwd'], auth_time: moment + 5 }))
  const other = await renewed(connected, same)
  assert.equal(other.subject.authTime, moment + 5)
  assert.equal(other.subject.acr, 'low')
  assert.deepEqual(other.subject.amr, ['pwd'])
})

test("the upstream's session is known from the sign-in, kept, and changed where a new one is said", async () => {
  withClaims((claims) => ({ ...claims, sid: 'one' }))
  const { connected, proof } = await signedIn()
  assert.equal(proof.upstreamSession, 'one')
  withClaims((claims) => claims)
  const same = await renewed(connected, proof)
  assert.equal(same.upstreamSession, 'one')
  withClaims((claims) => ({ ...claims, sid: 'two' }))
  assert.equal((await renewed(connected, same)).upstreamSession, 'two')
})

for (const sid of ['x'.repeat(256), '', 7, ['one']])
  test(`a sid that is ${JSON.stringify(sid).slice(0, 12)} is no session's name`, async () => {
    withClaims((claims) => ({ ...claims, sid }))
    assert.equal((await signedIn()).proof.upstreamSession, undefined)
  })

const ends: Readonly<Record<string, (response: ServerResponse) => void>> = {
  'invalid_grant means gone': refuse(400, { error: 'invalid_grant' }),
  'invalid_grant with status 401 means gone': refuse(401, { error: 'invalid_grant' }),
  'invalid_grant beside a challenge, as Doorkeeper sends it, means gone': refuse(
    400,
    { error: 'invalid_grant' },
    { 'www-authenticate': 'Bearer realm="Doorkeeper", error="invalid_grant", error_description="revoked"' },
  ),
}

for (const [name, how] of Object.entries(ends))
  test(name, async () => {
    const { connected, proof } = await signedIn()
    failAt('/token', how)
    assert.equal(await recheck(connected, proof), 'gone')
    assert.deepEqual(loud(connected), [])
  })

const outages: Readonly<Record<string, (response: ServerResponse) => void>> = {
  'a token endpoint that hangs tells nothing': () => {},
  'a token endpoint that breaks off tells nothing': (response) => response.destroy(),
  'a token endpoint with status 503 tells nothing': (response) => response.writeHead(503).end('x'),
  'invalid_grant with status 500 tells nothing': refuse(500, { error: 'invalid_grant' }),
  'invalid_grant in a challenge beside status 500 tells nothing': refuse(
    500,
    { error: 'invalid_grant' },
    { 'www-authenticate': 'Bearer error="invalid_grant"' },
  ),
  'a refresh token beside status 503 is not taken': refuse(503, { refresh_token: 'another' }),
  'a token endpoint that says server_error tells nothing': refuse(400, { error: 'server_error' }),
  'too many requests with an error code tell nothing': refuse(429, { error: 'slow_down' }),
  'too many requests tell nothing': (response) => response.writeHead(429).end(),
}

for (const [name, how] of Object.entries(outages))
  test(name, async () => {
    const { connected, proof } = await signedIn()
    failAt('/token', how)
    await nothingLearnt(connected, proof, 'down')
    assert.deepEqual(loud(connected), [])
    rogue.scheme.intercept = () => false
    await renewed(connected, proof)
  })

const faults: Readonly<Record<string, (response: ServerResponse) => void>> = {
  'a wrong client secret is our fault, not the end of a person': refuse(401, { error: 'invalid_client' }),
  'a wrong client secret beside a challenge is our fault': refuse(
    401,
    { error: 'invalid_client' },
    { 'www-authenticate': 'Basic realm="corp"' },
  ),
  'a client that may not refresh is our fault': refuse(400, { error: 'unauthorized_client' }),
  'an upstream without this grant is our fault': refuse(400, { error: 'unsupported_grant_type' }),
  'access_denied at a refresh ends nobody': refuse(400, { error: 'access_denied' }),
  'a page instead of an answer ends nobody': (response) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end('<p>hello'),
  'a missing endpoint ends nobody': (response) => response.writeHead(404).end(),
}

for (const [name, how] of Object.entries(faults))
  test(name, async () => {
    const { connected, proof } = await signedIn()
    failAt('/token', how)
    await nothingLearnt(connected, proof, 'no use')
    assert.equal(loud(connected).length, 1)
  })

const forged: Readonly<Record<string, () => void>> = {
  'a refreshed ID token signed by another key is not believed': () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    rogue.scheme.sign = (input) => honestSign(input, privateKey)
  },
  'a refreshed ID token with alg none is not believed': () => {
    rogue.scheme.header = () => ({ alg: 'none' })
    rogue.scheme.sign = () => ''
  },
  'a refreshed ID token signed with HS256 by the public key is not believed': () => {
    rogue.scheme.header = (header) => ({ ...header, alg: 'HS256' })
    rogue.scheme.sign = signByPublicKey(rogue.publicKey())
  },
  'a refreshed ID token of another issuer is not believed': () =>
    withClaims((claims) => ({ ...claims, iss: 'https://evil.test' })),
  'a refreshed ID token for another client is not believed': () =>
    withClaims((claims) => ({ ...claims, aud: 'another' })),
  'a refreshed ID token whose azp is another is not believed': () =>
    withClaims((claims) => ({ ...claims, azp: 'another' })),
  'an expired refreshed ID token is not believed': () =>
    withClaims((claims) => ({ ...claims, exp: Number(claims['iat']) - 61 })),
  'a refreshed ID token from the future is not believed': () =>
    withClaims((claims) => ({ ...claims, iat: Number(claims['iat']) + 120 })),
  'an ID token from before the last look is no fresh answer': () =>
    withClaims((claims) => ({ ...claims, iat: Number(claims['iat']) - 120 })),
  'a refreshed ID token with too many groups is not cut down': () =>
    withClaims((claims) => ({ ...claims, groups: Array.from({ length: 5000 }, (_, index) => `g${index}`) })),
}

for (const [name, attack] of Object.entries(forged))
  test(name, async () => {
    const { connected, proof } = await signedIn()
    attack()
    await nothingLearnt(connected, proof, 'no use')
    assert.equal(loud(connected).length, 1)
  })

test('a refresh that answers with another person ends access, loudly', async () => {
  const { connected, proof } = await signedIn()
  withClaims((claims) => ({ ...claims, sub: 'bob' }))
  assert.equal(await recheck(connected, proof), 'gone')
  assert.match(loud(connected)[0]!, /another person/)
})

test('userinfo of another person at a refresh ends access, loudly', async () => {
  const { connected, proof } = await signedIn()
  withoutIdToken()
  rogue.scheme.userinfo = () => ({ sub: 'bob', groups: ['admins'] })
  assert.equal(await recheck(connected, proof), 'gone')
  assert.equal(loud(connected).length, 1)
})

test('where another claim than sub is the person, sub must stay the same too', async () => {
  withClaims((claims) => ({ ...claims, oid: 'o-1' }))
  const { connected, proof } = await signedIn({ subjectClaim: 'oid' })
  withClaims((claims) => ({ ...claims, oid: 'o-1', sub: 'bob' }))
  assert.equal(await recheck(connected, proof), 'gone')
})

test('where another claim than sub is the person, it must stay the same', async () => {
  withClaims((claims) => ({ ...claims, oid: 'o-1' }))
  const { connected, proof } = await signedIn({ subjectClaim: 'oid' })
  const same = await renewed(connected, proof)
  assert.equal(same.subject.id, 'o-1')
  withoutIdToken()
  const byUserinfo = await renewed(connected, same)
  assert.equal(byUserinfo.subject.id, 'o-1')
  rogue.scheme.userinfo = () => ({ sub: 'ada', oid: 'o-2' })
  assert.equal(await recheck(connected, byUserinfo), 'gone')
  assert.equal(loud(connected).length, 1)
})

for (const [name, how] of Object.entries({
  'userinfo that refuses the new access token means gone': refuse(
    401,
    {},
    { 'www-authenticate': 'Bearer error="invalid_token"' },
  ),
  'userinfo with a bare 401 means gone': (response: ServerResponse) => response.writeHead(401).end(),
  'userinfo with a bare 403 means gone': (response: ServerResponse) => response.writeHead(403).end(),
}))
  test(name, async () => {
    const { connected, proof } = await signedIn()
    withoutIdToken()
    failAt('/userinfo', how)
    assert.equal(await recheck(connected, proof), 'gone')
  })

test('userinfo that wants another scope is our fault', async () => {
  const { connected, proof } = await signedIn()
  withoutIdToken()
  failAt('/userinfo', refuse(403, {}, { 'www-authenticate': 'Bearer error="insufficient_scope"' }))
  await nothingLearnt(connected, proof, 'no use')
  assert.equal(loud(connected).length, 1)
})

test('a refresh token that was rotated before userinfo failed is not lost', async () => {
  const { connected, proof } = await signedIn({ userinfo: 'merge' })
  failAt('/userinfo', (response) => response.writeHead(503).end())
  await nothingLearnt(connected, proof, 'down')
  await nothingLearnt(connected, proof, 'down')
  rogue.scheme.intercept = () => false
  const next = await renewed(connected, proof)
  await renewed(connected, next)
})

test('a proof that was renewed and could not be stored is asked about again, by the token that came then', async () => {
  const { connected, proof } = await signedIn()
  await renewed(connected, proof)
  await renewed(connected, proof)
})

test('a refresh token that was rotated before the keys failed is not lost', async () => {
  const { connected, proof } = await signedIn()
  rogue.rotate()
  failAt('/jwks', (response) => response.writeHead(500).end())
  await nothingLearnt(connected, proof, 'down')
  rogue.scheme.intercept = () => false
  connected.advance(11)
  await renewed(connected, proof)
})

test('a key that changed under the same kid is read again, and the refresh token is spent once', async () => {
  const { connected, proof } = await signedIn()
  rogue.rotate()
  const before = { requests: rogue.requests.length, redeemed: rogue.redeemed.length }
  await renewed(connected, proof)
  assert.equal(count('/jwks', before.requests), 1)
  assert.equal(rogue.redeemed.length, before.redeemed + 1)
})

test('what was sealed for another person is not used', async () => {
  const { connected, proof } = await signedIn()
  await assert.rejects(recheck(connected, { ...proof, subject: { ...proof.subject, id: 'bob' } }))
  assert.equal(await recheck(connected, { ...proof, subject: { ...proof.subject, connector: 'other' } }), 'unknown')
})

test('a sign-out leads to no address of an upstream that is none of the web', async () => {
  const back = { returnTo: new URL('https://gateway.test/bye'), state: 'over' }
  for (const end_session_endpoint of ['javascript:alert(1)', 'ftp://idp.example/', 'bye', 7]) {
    rogue.scheme.discovery = (metadata) => ({ ...metadata, end_session_endpoint })
    const { connected, proof } = await signedIn()
    assert.equal(await connected.connector.logout!(proof, back), undefined, String(end_session_endpoint))
  }
  rogue.scheme.discovery = (metadata) => metadata
  const { connected, proof } = await signedIn()
  assert.equal((await connected.connector.logout!(proof, back))?.kind, 'redirect')
})

test('a connector that was led to another upstream shows it nothing of the first, whose people are gone', async () => {
  const other = await startRogue()
  try {
    const { connected, proof } = await signedIn()
    const begun = await connected.connector.begin('a-state', {})
    const { connector } = connect({ issuer: other.issuer })
    assert.deepEqual(await connector.recheck!(proof), {
      kind: 'gone',
      why: 'the connector leads to another upstream now',
    })
    const back = { returnTo: new URL('https://gateway.test/bye'), state: 'over' }
    assert.equal(await connector.logout!(proof, back), undefined)
    const url = rogue.answer((begun as { url: URL }).url)
    await assert.rejects(connector.complete({ url, memo: begun.memo }), { code: 'upstream_rejected' })
    assert.deepEqual([other.redeemed.length, other.requests], [0, []])
  } finally {
    await other.close()
  }
})

test('a real provider rotates, tells what changed, and says when the grant is over', async () => {
  const callback = 'https://gateway.test/callback/corp'
  const people = [{ sub: 'ada', claims: { groups: ['dev', 'ops'] } as Json }]
  const idp = await startIdp({
    people,
    clients: [{ id: 'lotse', secret: 'a-secret', redirectUris: [callback] }],
    configuration: { rotateRefreshToken: true },
  })
  try {
    const { connector } = connect({ issuer: idp.issuer })
    const challenge = await connector.begin('a-state', {})
    const tab = browser({ stopAt: (url) => url.href.startsWith(callback) })
    const page = await tab.get((challenge as { url: URL }).url)
    const end = await tab.submit(page, page.form('ada'))
    const proof = await connector.complete({ url: end.visited.at(-1)!, memo: challenge.memo })
    people[0]!.claims['groups'] = ['dev']
    const next = (await connector.recheck!(proof)) as Proof
    assert.deepEqual(next.subject.claims['groups'], ['dev'])
    assert.equal(next.subject.authTime, proof.subject.authTime)
    assert.notEqual(kept(next).refreshToken, kept(proof).refreshToken)
    // The first refresh token a second time: the provider takes that for a theft and ends the grant.
    // In another process, since this one knows the successor.
    assert.equal(await connect({ issuer: idp.issuer }).connector.recheck!(proof), 'gone')
    assert.equal(await connector.recheck!(next), 'gone')
  } finally {
    await idp.close()
  }
})
