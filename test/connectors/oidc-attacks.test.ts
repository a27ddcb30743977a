import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import type { OidcConfig } from '../../src/connectors/oidc/options.ts'
import { LoginError } from '../../src/core/errors.ts'
import { honestSign, type Rogue, signByPublicKey, startRogue } from '../support/rogue-idp.ts'
import { type Connected, connect } from './support.ts'

let rogue: Rogue
let other: Rogue
before(async () => {
  rogue = await startRogue()
  other = await startRogue()
})
afterEach(() => {
  rogue.reset()
  other.reset()
})
after(async () => {
  await rogue.close()
  await other.close()
})

type Json = Record<string, unknown>

const start = (over: Partial<OidcConfig> = {}) => connect({ issuer: rogue.issuer, ...over })

/** One sign-in of an honest browser; what the upstream does with it is the scheme's. */
async function signIn({ connector }: Connected, hints = {}, more: Record<string, string> = {}) {
  const challenge = await connector.begin('a-state', hints)
  assert.equal(challenge.kind, 'redirect')
  const { url } = challenge as { url: URL }
  return await connector.complete({ url: rogue.answer(url, more), memo: challenge.memo })
}

/** Refused with this code, and with no token, secret or claim in anything that a log would show. */
async function refused(attempt: Promise<unknown>, code: string, words: RegExp = /./) {
  await assert.rejects(attempt, (error: unknown) => {
    assert.ok(error instanceof LoginError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, words)
    const shown = JSON.stringify([error.message, error.stack, error.facts, String(error.cause ?? '')])
    assert.doesNotMatch(shown, /eyJ|a-secret|a-state/)
    return true
  })
}

const withClaims = (change: (claims: Json) => Json) => {
  rogue.scheme.claims = change
}

test('the honest upstream is believed', async () => {
  const proof = await signIn(start())
  assert.equal(proof.subject.id, 'ada')
})

const forged: Readonly<Record<string, () => void>> = {
  'an ID token signed by another key is refused': () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    rogue.scheme.sign = (input) => honestSign(input, privateKey)
  },
  'an ID token whose signature is cut off is refused': () => {
    rogue.scheme.sign = () => ''
  },
  'an ID token of which a claim was changed after signing is refused': () => {
    rogue.scheme.tokens = (tokens) => {
      const [header, body, signature] = String(tokens['id_token']).split('.')
      const claims = { ...JSON.parse(Buffer.from(body!, 'base64url').toString()), sub: 'admin' }
      return {
        ...tokens,
        id_token: `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`,
      }
    }
  },
  'an ID token with alg none is refused, though the upstream offers it': () => {
    rogue.scheme.header = () => ({ alg: 'none' })
    rogue.scheme.sign = () => ''
  },
  'an ID token signed with HS256 by the public key is refused': () => {
    rogue.scheme.header = (header) => ({ ...header, alg: 'HS256' })
    rogue.scheme.sign = signByPublicKey(rogue.publicKey())
  },
  'an ID token that brings its own key in the header is refused': () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    rogue.scheme.header = (header) => ({ ...header, jwk: publicKey.export({ format: 'jwk' }) })
    rogue.scheme.sign = (input) => honestSign(input, privateKey)
  },
  'an ID token with a crit header that is not understood is refused': () => {
    rogue.scheme.header = (header) => ({ ...header, crit: ['exp'] })
  },
  'an ID token for another client is refused': () => withClaims((claims) => ({ ...claims, aud: 'someone-else' })),
  'an ID token for us and others without azp is refused': () =>
    withClaims((claims) => ({ ...claims, aud: ['lotse', 'other'] })),
  'an ID token for us and others whose azp is another is refused': () =>
    withClaims((claims) => ({ ...claims, aud: ['lotse', 'other'], azp: 'other' })),
  'an ID token for us alone whose azp is another is refused': () =>
    withClaims((claims) => ({ ...claims, azp: 'other' })),
  'an ID token without aud is refused': () => withClaims(({ aud: _, ...claims }) => claims),
  'an ID token of another issuer is refused': () => withClaims((claims) => ({ ...claims, iss: 'https://evil.test' })),
  'an ID token without iss is refused': () => withClaims(({ iss: _, ...claims }) => claims),
  'an ID token of another sign-in (nonce) is refused': () => withClaims((claims) => ({ ...claims, nonce: 'another' })),
  'an ID token without nonce is refused': () => withClaims(({ nonce: _, ...claims }) => claims),
  'an expired ID token is refused': () => withClaims((claims) => ({ ...claims, exp: Number(claims['iat']) - 61 })),
  'an ID token without exp is refused': () => withClaims(({ exp: _, ...claims }) => claims),
  'an ID token without iat is refused': () => withClaims(({ iat: _, ...claims }) => claims),
  'an ID token that is not yet valid is refused': () =>
    withClaims((claims) => ({ ...claims, nbf: Number(claims['iat']) + 120 })),
  'an ID token from the future is refused': () =>
    withClaims((claims) => ({ ...claims, iat: Number(claims['iat']) + 120 })),
  'an ID token whose auth_time is text is refused': () => withClaims((claims) => ({ ...claims, auth_time: 'now' })),
  'an ID token whose sub is no text is refused': () => withClaims((claims) => ({ ...claims, sub: ['ada'] })),
  'an answer without an ID token is refused': () => {
    rogue.scheme.tokens = ({ id_token: _, ...tokens }) => tokens
  },
  'an ID token that is no JWT is refused': () => {
    rogue.scheme.tokens = (tokens) => ({ ...tokens, id_token: 'abc.def' })
  },
  'a token answer that is no JSON object is refused': () => {
    rogue.scheme.tokens = () => ['eyJ'] as unknown as Json
  },
}

for (const [name, attack] of Object.entries(forged)) {
  test(name, async () => {
    attack()
    await refused(signIn(start()), 'upstream_rejected')
  })
}

test('an algorithm outside the allow-list is refused even with a good signature', async () => {
  await refused(signIn(start({ algs: ['RS256'] })), 'upstream_rejected', /alg/)
})

test('clocks that differ by less than a minute do no harm', async () => {
  withClaims((claims) => ({
    ...claims,
    iat: Number(claims['iat']) + 40,
    exp: Number(claims['iat']) - 40,
    auth_time: Number(claims['iat']) + 40,
  }))
  const { subject } = await signIn(start())
  assert.equal(subject.id, 'ada')
})

test('the connector judges by the clock that it was given', async () => {
  const connected = start()
  connected.advance(3600)
  await refused(signIn(connected), 'upstream_rejected', /exp/)
})

const bent: Readonly<Record<string, (url: URL) => void>> = {
  'a swapped state is refused': (url) => url.searchParams.set('state', 'another'),
  'an answer without state is refused': (url) => url.searchParams.delete('state'),
  'a state that comes twice is refused': (url) => url.searchParams.append('state', 'another'),
  'an answer that names another issuer is refused (RFC 9207)': (url) =>
    url.searchParams.set('iss', 'https://evil.test'),
  'an answer without iss from an upstream that promises it is refused': (url) => url.searchParams.delete('iss'),
  'an answer without a code is refused': (url) => url.searchParams.delete('code'),
  'a code of somebody else is refused': (url) => url.searchParams.set('code', 'guessed'),
  'an answer that brings an ID token through the browser is refused': (url) =>
    url.searchParams.set('id_token', 'a.b.c'),
  'an error with a swapped state is refused before it is read': (url) => {
    url.searchParams.set('error', 'access_denied')
    url.searchParams.set('state', 'another')
  },
  'an answer of 20 KB is refused': (url) => url.searchParams.set('padding', 'x'.repeat(20_000)),
}

for (const [name, bend] of Object.entries(bent)) {
  test(name, async () => {
    const { connector } = start()
    const challenge = await connector.begin('a-state', {})
    const url = rogue.answer((challenge as { url: URL }).url)
    bend(url)
    const before = rogue.redeemed.length
    await refused(connector.complete({ url, memo: challenge.memo }), 'upstream_rejected')
    if (!name.includes('somebody else')) assert.equal(rogue.redeemed.length, before)
  })
}

test('an answer to a sign-in that was begun at another upstream is refused (mix-up)', async () => {
  const one = start()
  const two = connect({ issuer: other.issuer, id: 'evil' })
  const challenge = await one.connector.begin('a-state', {})
  const url = rogue.answer((challenge as { url: URL }).url)
  await refused(two.connector.complete({ url, memo: challenge.memo }), 'upstream_rejected', /another connector/)
  assert.equal(other.redeemed.length, 0)
})

test('a memo that lost its nonce or verifier is refused, not half checked', async () => {
  const { connector } = start()
  const challenge = await connector.begin('a-state', {})
  for (const lost of ['nonce', 'verifier', 'state', 'asked']) {
    const { [lost]: _, ...memo } = challenge.memo
    await refused(
      connector.complete({ url: rogue.answer((challenge as { url: URL }).url), memo }),
      'upstream_rejected',
      /memo/,
    )
  }
})

test('the redirect URI is our own whatever host the request named', async () => {
  const { connector } = start()
  const challenge = await connector.begin('a-state', {})
  const url = rogue.answer((challenge as { url: URL }).url)
  url.host = 'evil.test'
  await connector.complete({ url, memo: challenge.memo })
  assert.equal(rogue.redeemed.at(-1)?.get('redirect_uri'), 'https://gateway.test/callback/corp')
})

test('of an upstream whose clock is an hour ahead the log says by how much', async () => {
  withClaims((claims) => ({ ...claims, iat: Number(claims['iat']) + 3600 }))
  await refused(signIn(start()), 'upstream_rejected', /in the future, by 3[56]\d\d s: the clock/)
})

test('an upstream that ignores max_age is found out', async () => {
  withClaims((claims) => ({ ...claims, auth_time: Number(claims['iat']) - 400 }))
  await refused(signIn(start(), { maxAge: 300 }), 'upstream_rejected', /older/)
  await refused(signIn(start({ maxAge: 300 })), 'upstream_rejected', /older/)
  assert.equal((await signIn(start(), { maxAge: 400 })).subject.id, 'ada')
})

test('an upstream that answers prompt=login from its old session is found out', async () => {
  withClaims((claims) => ({ ...claims, auth_time: Number(claims['iat']) - 100 }))
  await refused(signIn(start(), { prompt: 'login' }), 'upstream_rejected', /older/)
  assert.equal((await signIn(start({ promptLogin: 'trusted' }), { prompt: 'login' })).subject.id, 'ada')
})

test('an upstream that says no auth_time cannot prove a fresh authentication', async () => {
  withClaims(({ auth_time: _, ...claims }) => claims)
  await refused(signIn(start(), { prompt: 'login' }), 'upstream_rejected', /auth_time/)
  await refused(signIn(start(), { maxAge: 300 }), 'upstream_rejected', /auth_time/)
})

test('an acr that was asked for and not reached is refused', async () => {
  withClaims((claims) => ({ ...claims, acr: 'low' }))
  await refused(signIn(start(), { acrValues: ['high'] }), 'acr_not_met')
  withClaims(({ acr: _, ...claims }) => claims)
  await refused(signIn(start(), { acrValues: ['high'] }), 'acr_not_met')
})

test('an acr named like a property of every object maps to nothing', async () => {
  withClaims((claims) => ({ ...claims, acr: 'constructor' }))
  assert.equal((await signIn(start({ acr: { x: 'high' } }))).subject.acr, undefined)
})

test('userinfo of another person is refused', async () => {
  rogue.scheme.userinfo = () => ({ sub: 'admin', groups: ['admins'] })
  await refused(signIn(start({ userinfo: 'merge' })), 'upstream_rejected', /sub/)
})

test('userinfo adds claims and never overwrites what was signed', async () => {
  withClaims((claims) => ({ ...claims, email: 'signed@corp.test' }))
  rogue.scheme.userinfo = () => ({ sub: 'ada', email: 'other@corp.test', groups: ['dev'], acr: 'high', auth_time: 1 })
  const { subject } = await signIn(start({ userinfo: 'merge' }))
  assert.deepEqual(subject.claims['email'], ['signed@corp.test'])
  assert.deepEqual(subject.claims['groups'], ['dev'])
  assert.equal(subject.acr, undefined)
  assert.equal(subject.claims['acr'], undefined)
})

test('userinfo is not asked unless configured', async () => {
  const before = rogue.requests.length
  await signIn(start())
  assert.ok(!rogue.requests.slice(before).includes('/userinfo'))
})

test('a sign-in without the configured subject claim is refused, and the claim is named', async () => {
  await refused(signIn(start({ subjectClaim: 'oid' })), 'claims_unusable', /oid/)
})

test('5,000 groups are refused by the name of the claim', async () => {
  withClaims((claims) => ({ ...claims, groups: Array.from({ length: 5000 }, (_, index) => `g${index}`) }))
  await refused(signIn(start()), 'claims_unusable', /groups/)
})

test('a token answer of more than a megabyte is refused', async () => {
  rogue.scheme.tokens = (tokens) => ({ ...tokens, padding: 'x'.repeat(1_048_576) })
  await refused(signIn(start()), 'upstream_rejected', /too much/)
})

test('a claim of 1 MB is refused', async () => {
  withClaims((claims) => ({ ...claims, picture: 'x'.repeat(500_000) }))
  await refused(signIn(start()), 'claims_unusable', /picture/)
  assert.equal((await signIn(start({ ignore: ['picture'] }))).subject.id, 'ada')
})

test('__proto__ in a token changes no object', async () => {
  withClaims((claims) =>
    JSON.parse(`{"__proto__":{"groups":["admins"]},"constructor":"x",${JSON.stringify(claims).slice(1)}`),
  )
  const { subject } = await signIn(start())
  assert.equal(subject.claims['groups'], undefined)
  assert.deepEqual(subject.claims['constructor'], ['x'])
  assert.equal(({} as Json)['groups'], undefined)
})

test('a key that changed under the same kid is read again, once, and the code is spent once', async () => {
  const connected = start()
  await signIn(connected)
  rogue.rotate()
  const before = { requests: rogue.requests.length, redeemed: rogue.redeemed.length }
  assert.equal((await signIn(connected)).subject.id, 'ada')
  assert.equal(rogue.requests.slice(before.requests).filter((path) => path === '/jwks').length, 1)
  assert.equal(rogue.redeemed.length, before.redeemed + 1)
})

test("forged signatures do not make the connector hammer the upstream's keys", async () => {
  const connected = start()
  await signIn(connected)
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  rogue.scheme.sign = (input) => honestSign(input, privateKey)
  const before = rogue.requests.length
  for (let round = 0; round < 5; round += 1) await refused(signIn(connected), 'upstream_rejected')
  assert.equal(rogue.requests.slice(before).filter((path) => path === '/jwks').length, 1)
  connected.advance(11)
  await refused(signIn(connected), 'upstream_rejected')
  assert.equal(rogue.requests.slice(before).filter((path) => path === '/jwks').length, 2)
})

test('the keys are not fetched again for every sign-in', async () => {
  const connected = start()
  const before = rogue.requests.length
  for (let round = 0; round < 3; round += 1) await signIn(connected)
  const asked = rogue.requests.slice(before)
  assert.equal(asked.filter((path) => path === '/jwks').length, 1)
  assert.equal(asked.filter((path) => path === '/.well-known/openid-configuration').length, 1)
})

test('private_key_jwt proves the gateway with its own key', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
  const connected = start({ auth: 'private_key_jwt', clientSecret: undefined, privateKey: String(pem) })
  await signIn(connected)
  const [header, body, signature] = rogue.redeemed.at(-1)!.get('client_assertion')!.split('.')
  const { verify } = await import('node:crypto')
  const input = Buffer.from(`${header}.${body}`)
  assert.ok(
    verify('sha256', input, { key: publicKey, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature!, 'base64url')),
  )
  const registered = JSON.parse(connected.connector.print!()[0]!.content).jwks.keys[0]
  assert.equal(registered.kid, JSON.parse(Buffer.from(header!, 'base64url').toString()).kid)
  assert.equal(registered.d, undefined)
})

test('an RSA key proves the gateway, and a JWK keeps its kid', async () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = { ...privateKey.export({ format: 'jwk' }), kid: 'mine' }
  await signIn(start({ auth: 'private_key_jwt', privateKey: JSON.stringify(jwk) }))
  const [header] = rogue.redeemed.at(-1)!.get('client_assertion')!.split('.')
  assert.deepEqual(JSON.parse(Buffer.from(header!, 'base64url').toString()), { alg: 'RS256', kid: 'mine' })
})

test('a private key of no use is refused at the start, without quoting it', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const weak = String(privateKey.export({ type: 'pkcs8', format: 'pem' }))
  for (const privateKey of [weak, 'hunter2', '{"kty":"hunter2"}', '{hunter2']) {
    assert.throws(
      () => start({ auth: 'private_key_jwt', privateKey }),
      (error: Error) => error.message.includes('privateKey') && !/hunter2|MII/.test(error.message),
    )
  }
})

test('an RS256 token of an upstream with RSA keys is verified too', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  rogue.scheme.intercept = (path, response) => {
    if (path !== '/jwks') return false
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one' }] }))
    return true
  }
  rogue.scheme.header = (header) => ({ ...header, alg: 'RS256' })
  rogue.scheme.sign = (input) => sign('sha256', Buffer.from(input), privateKey).toString('base64url')
  assert.equal((await signIn(start())).subject.id, 'ada')
})
