import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import type { OidcConfig } from '../../src/connectors/oidc/options.ts'
import { LoginError } from '../../src/core/errors.ts'
import { honestSign, type Rogue, signByPublicKey, startRogue } from '../support/rogue-idp.ts'
import { type Connected, connect } from './support.ts'

let rogue: Rogue
before(async () => {
  rogue = await startRogue()
})
afterEach(() => rogue.reset())
after(() => rogue.close())

type Json = Record<string, unknown>

const event = 'http://schemas.openid.net/event/backchannel-logout'
const start = (over: Partial<OidcConfig> = {}) => connect({ issuer: rogue.issuer, ...over })

/** The claims of an honest logout token, and what a test changes of them; `undefined` leaves one out. */
function logoutClaims({ now }: Connected, over: Json = {}): Json {
  const iat = now()
  const claims = { iss: rogue.issuer, aud: 'lotse', iat, exp: iat + 120, jti: 'j-1', sub: 'ada', sid: 's-1' }
  return { ...claims, events: { [event]: {} }, ...over }
}

const logoutToken = (connected: Connected, over: Json = {}, header: Json = {}) =>
  rogue.say(logoutClaims(connected, over), { typ: 'logout+jwt', ...header })

const post = ({ connector }: Connected, ...tokens: readonly string[]) =>
  connector.hear!({
    kind: 'back-channel',
    form: new URLSearchParams(tokens.map((token) => ['logout_token', token])),
  })

const frame = ({ connector }: Connected, query: string) =>
  connector.hear!({ kind: 'front-channel', query: new URLSearchParams(query) })

/** Refused with this code, and with nothing of the token in what a log would show. */
async function refused(attempt: Promise<unknown>, words: RegExp = /./, code = 'upstream_rejected') {
  await assert.rejects(attempt, (error: unknown) => {
    assert.ok(error instanceof LoginError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, words)
    assert.doesNotMatch(JSON.stringify([error.message, error.stack, error.facts, String(error.cause ?? '')]), /eyJ|s-1/)
    return true
  })
}

const looks = (since: number) => rogue.requests.slice(since).filter((path) => path === '/jwks').length

test('an honest logout token names session and person, and until when its id must be remembered', async () => {
  const connected = start()
  const iat = connected.now()
  assert.deepEqual(await post(connected, logoutToken(connected, { iat })), {
    session: 's-1',
    id: 'ada',
    once: { id: 'j-1', until: iat + 361 },
  })
})

const accepted: Readonly<Record<string, readonly [Json, Json?]>> = {
  'a logout token whose typ is JWT is taken': [{}, { typ: 'JWT' }],
  'a logout token without typ is taken': [{}, { typ: undefined }],
  'a logout token whose typ is written as a whole media type is taken': [{}, { typ: 'application/logout+jwt' }],
  'a logout token for us and others is taken': [{ aud: ['other', 'lotse'] }],
  'a logout token without exp is taken while its iat is fresh': [{ exp: undefined }],
}

for (const [name, [claims, header]] of Object.entries(accepted))
  test(name, async () => {
    const connected = start()
    const heard = await post(connected, logoutToken(connected, claims, header))
    assert.equal(heard.session, 's-1')
  })

test('a logout token that names a session alone, or a person alone, is taken', async () => {
  const connected = start()
  const session = await post(connected, logoutToken(connected, { sub: undefined }))
  assert.deepEqual([session.session, session.id], ['s-1', undefined])
  const person = await post(connected, logoutToken(connected, { sid: undefined }))
  assert.deepEqual([person.session, person.id], [undefined, 'ada'])
})

test('a logout token whose sid is longer than what is kept of a sign-in ends the person, where it names her as sign-ins know her', async () => {
  const sid = 's'.repeat(256)
  const connected = start()
  const heard = await post(connected, logoutToken(connected, { sid }))
  assert.deepEqual([heard.session, heard.id], [undefined, 'ada'])
  await refused(post(connected, logoutToken(connected, { sid, sub: undefined })), /sid/)
  const byOid = start({ subjectClaim: 'oid' })
  await refused(post(byOid, logoutToken(byOid, { sid })), /known by oid/)
})

const wrong: Readonly<Record<string, readonly [Json, RegExp]>> = {
  'a logout token for another client is refused': [{ aud: 'another' }, /"aud"/],
  'a logout token without aud is refused': [{ aud: undefined }, /"aud"/],
  'a logout token of another issuer is refused': [{ iss: 'https://evil.test' }, /"iss"/],
  'a logout token without iss is refused': [{ iss: undefined }, /"iss"/],
  'a logout token whose iat is text is refused': [{ iat: 'now' }, /"iat"/],
  'a logout token without iat is refused': [{ iat: undefined }, /"iat"/],
  'a logout token without jti is refused': [{ jti: undefined }, /"jti"/],
  'a logout token whose jti is no text is refused': [{ jti: 7 }, /jti/],
  'a logout token whose jti is very long is refused': [{ jti: 'x'.repeat(256) }, /jti/],
  'a logout token with a nonce is refused': [{ nonce: 'n' }, /nonce/],
  'a logout token with an empty nonce is refused': [{ nonce: null }, /nonce/],
  'an ID token is refused, whatever its typ': [{ events: undefined }, /events/],
  'events that are a list are refused': [{ events: [event] }, /events/],
  'events that are text are refused': [{ events: event }, /events/],
  'events that are null are refused': [{ events: null }, /events/],
  'events of another kind are refused': [{ events: { 'https://schemas.openid.net/secevent/risc': {} } }, /events/],
  'an event that is no object is refused': [{ events: { [event]: true } }, /events/],
  'an event that is a list is refused': [{ events: { [event]: [] } }, /events/],
  'a logout token that names neither session nor person is refused': [{ sub: undefined, sid: undefined }, /neither/],
  'a logout token whose sid is no text is refused, though it has a sub': [{ sid: ['s-1'] }, /sid/],
  'a logout token whose sid is empty is refused': [{ sid: '' }, /sid/],
  'a logout token whose sub is no text is refused, though it has a sid': [{ sub: 7 }, /sub/],
}

for (const [name, [claims, words]] of Object.entries(wrong))
  test(name, async () => {
    const connected = start()
    await refused(post(connected, logoutToken(connected, claims)), words)
  })

const ages: Readonly<Record<string, readonly [number, boolean]>> = {
  'a logout token of five minutes and a skew ago is taken': [-359, true],
  'a logout token of seven minutes ago is refused, though its exp is far': [-420, false],
  'a logout token of a clock that is a little ahead is taken': [50, true],
  'a logout token from the future is refused': [120, false],
}

for (const [name, [age, fine]] of Object.entries(ages))
  test(name, async () => {
    const connected = start()
    const iat = connected.now() + age
    const attempt = post(connected, logoutToken(connected, { iat, exp: iat + 3600 }))
    if (fine) assert.equal((await attempt).once?.until, iat + 361)
    else await refused(attempt, /"iat"/)
  })

test('an expired logout token is refused', async () => {
  const connected = start()
  await refused(post(connected, logoutToken(connected, { exp: connected.now() - 61 })), /"exp"/)
})

for (const typ of ['at+jwt', 'dpop+jwt', 'id_token', 'secevent+jwt'])
  test(`a token whose typ is ${typ} is no logout token`, async () => {
    const connected = start()
    await refused(post(connected, logoutToken(connected, {}, { typ })), /typ/)
  })

const forged: Readonly<Record<string, () => void>> = {
  'a logout token signed by another key is refused': () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    rogue.scheme.sign = (input) => honestSign(input, privateKey)
  },
  'a logout token whose signature is cut off is refused': () => {
    rogue.scheme.sign = () => ''
  },
  'a logout token with alg none is refused': () => {
    rogue.scheme.header = (header) => ({ ...header, alg: 'none' })
    rogue.scheme.sign = () => ''
  },
  'a logout token signed with HS256 by the public key is refused': () => {
    rogue.scheme.header = (header) => ({ ...header, alg: 'HS256' })
    rogue.scheme.sign = signByPublicKey(rogue.publicKey())
  },
  'a logout token that brings its own key in the header is refused': () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    rogue.scheme.header = (header) => ({ ...header, jwk: publicKey.export({ format: 'jwk' }) })
    rogue.scheme.sign = (input) => honestSign(input, privateKey)
  },
  'a logout token with a crit header that is not understood is refused': () => {
    rogue.scheme.header = (header) => ({ ...header, crit: ['exp'] })
  },
  'a logout token by a kid that is not published is refused': () => {
    rogue.scheme.header = (header) => ({ ...header, kid: 'two' })
  },
}

for (const [name, attack] of Object.entries(forged))
  test(name, async () => {
    attack()
    const connected = start()
    await refused(post(connected, logoutToken(connected)))
  })

test('a logout token of which a claim was changed after signing is refused', async () => {
  const connected = start()
  const [header, , signature] = logoutToken(connected).split('.')
  const body = Buffer.from(JSON.stringify(logoutClaims(connected, { sub: 'bob' }))).toString('base64url')
  await refused(post(connected, `${header}.${body}.${signature}`))
})

test('an algorithm outside the allow-list is refused even with a good signature', async () => {
  const connected = start({ algs: ['RS256'] })
  await refused(post(connected, logoutToken(connected)), /"alg"/)
})

test('a message without a logout token, with two, with none at all or with 20 KB is refused before keys are read', async () => {
  const connected = start()
  const since = rogue.requests.length
  await refused(post(connected), /no logout_token/)
  await refused(post(connected, ''), /no logout_token/)
  await refused(post(connected, logoutToken(connected), logoutToken(connected)), /more than one/)
  await refused(post(connected, logoutToken(connected, { padding: 'x'.repeat(20_000) })), /too long/)
  assert.equal(looks(since), 0)
})

test('what is no JWT is refused', async () => {
  const connected = start()
  for (const text of ['x', 'a.b.c', 'a.b.c.d.e', '....', 'eyJhbGciOiJFUzI1NiJ9.e30.'])
    await refused(post(connected, text))
})

test('where another claim is the person, that claim or the session is heard, and sub alone is refused', async () => {
  const connected = start({ subjectClaim: 'oid' })
  const both = await post(connected, logoutToken(connected))
  assert.deepEqual([both.session, both.id], ['s-1', undefined])
  const named = await post(connected, logoutToken(connected, { sid: undefined, oid: 'o-1' }))
  assert.deepEqual([named.session, named.id], [undefined, 'o-1'])
  await refused(post(connected, logoutToken(connected, { sid: undefined })), /known by oid/)
})

test('the keys are read once for many messages, and anew after five minutes', async () => {
  const connected = start()
  const since = rogue.requests.length
  for (let round = 0; round < 3; round += 1) await post(connected, logoutToken(connected))
  assert.equal(looks(since), 1)
  connected.advance(301)
  await post(connected, logoutToken(connected))
  assert.equal(looks(since), 2)
})

test('a key that changed under the same kid is read again, also for messages that come together', async () => {
  const connected = start()
  await post(connected, logoutToken(connected))
  rogue.rotate()
  const since = rogue.requests.length
  const heard = await Promise.all(
    ['a', 'b', 'c'].map((jti) => post(connected, logoutToken(connected, { jti, sid: jti }))),
  )
  assert.deepEqual(
    heard.map(({ session }) => session),
    ['a', 'b', 'c'],
  )
  assert.equal(looks(since), 1)
})

test("forged logout tokens do not make the connector hammer the upstream's keys", async () => {
  const connected = start()
  await post(connected, logoutToken(connected))
  const honest = logoutToken(connected)
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  rogue.scheme.sign = (input) => honestSign(input, privateKey)
  const since = rogue.requests.length
  for (let round = 0; round < 5; round += 1) await refused(post(connected, logoutToken(connected)))
  assert.equal(looks(since), 1)
  connected.advance(11)
  await refused(post(connected, logoutToken(connected)))
  assert.equal(looks(since), 2)
  assert.equal((await post(connected, honest)).session, 's-1')
})

test('a forged logout token that is the first to come makes one look at the keys', async () => {
  const connected = start()
  rogue.scheme.sign = () => 'x'.repeat(86)
  const since = rogue.requests.length
  await refused(post(connected, logoutToken(connected)))
  assert.equal(looks(since), 1)
})

test('keys that cannot be read are an outage, asked for again after a second', async () => {
  const connected = start()
  rogue.scheme.intercept = (path, response) => {
    if (path !== '/jwks') return false
    response.writeHead(500).end()
    return true
  }
  const since = rogue.requests.length
  await refused(post(connected, logoutToken(connected)), /./, 'upstream_unavailable')
  await refused(post(connected, logoutToken(connected)), /moment ago/, 'upstream_unavailable')
  assert.equal(looks(since), 1)
  rogue.reset()
  connected.advance(1)
  await post(connected, logoutToken(connected))
})

test('a set of keys that is none is refused', async () => {
  rogue.scheme.intercept = (path, response) => {
    if (path !== '/jwks') return false
    response.writeHead(200, { 'content-type': 'application/json' }).end('[]')
    return true
  }
  const connected = start()
  await refused(post(connected, logoutToken(connected)), /no set of keys/)
})

test('an upstream that cannot be reached is an outage, not a refusal', async () => {
  const connected = connect({ issuer: 'http://127.0.0.1:1' })
  await refused(post(connected, logoutToken(connected)), /./, 'upstream_unavailable')
  await refused(frame(connected, 'iss=x&sid=s-1'), /./, 'upstream_unavailable')
})

test('a page of the upstream names its issuer and session, and no person', async () => {
  const query = new URLSearchParams({ iss: rogue.issuer, sid: 's-1' }).toString()
  assert.deepEqual(await frame(start(), query), { session: 's-1' })
})

const frames: Readonly<Record<string, (iss: string) => string>> = {
  'a page without parameters ends nothing': () => '',
  'a page that names a session without an issuer ends nothing': () => 'sid=s-1',
  'a page that names an issuer without a session ends nothing': (iss) => `iss=${iss}`,
  'a page that names an empty session ends nothing': (iss) => `iss=${iss}&sid=`,
  'a page of another issuer ends nothing': () => 'iss=https://evil.test&sid=s-1',
  'a page with two sessions ends nothing': (iss) => `iss=${iss}&sid=s-1&sid=s-2`,
  'a page with two issuers ends nothing': (iss) => `iss=${iss}&iss=https://evil.test&sid=s-1`,
  'a page with a very long session ends nothing': (iss) => `iss=${iss}&sid=${'x'.repeat(256)}`,
}

for (const [name, query] of Object.entries(frames))
  test(name, () => refused(frame(start(), query(encodeURIComponent(rogue.issuer)))))
