import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import { claimsIn } from '../support/gateway.ts'
import { begin, finishHonestly, type Ground, groundEnv, redeem, startGround, withGroups } from '../support/ground.ts'
import { honestSign, type Scheme, signByPublicKey } from '../support/rogue-idp.ts'

/* A hostile upstream, or somebody between: whatever it says, the client gets an OAuth error or a harmless token. */

let ground: Ground
before(async () => {
  ground = await startGround()
})
afterEach(() => withGroups(ground.corp, ['dev']))
after(() => ground.close())

const hour = 3600
type Change = Partial<Scheme>
const claims =
  (more: Record<string, unknown>): Scheme['claims'] =>
  (honest) => ({ ...honest, preferred_username: 'ada', groups: ['dev'], ...more })

const tampered: Readonly<Record<string, () => Change>> = {
  'the signature of another key': () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return { sign: (input) => honestSign(input, privateKey) }
  },
  'no signature': () => ({ sign: () => '' }),
  'a signature with one bit turned': () => ({
    sign: (input, key) => {
      const bytes = Buffer.from(honestSign(input, key), 'base64url')
      bytes[7]! ^= 1
      return bytes.toString('base64url')
    },
  }),
  'alg none': () => ({ header: (header) => ({ ...header, alg: 'none' }), sign: () => '' }),
  'alg nOnE': () => ({ header: (header) => ({ ...header, alg: 'nOnE' }), sign: () => '' }),
  'HS256 by the public key': () => ({
    header: (header) => ({ ...header, alg: 'HS256' }),
    sign: signByPublicKey(ground.corp.publicKey()),
  }),
  'HS256 by the client secret': () => ({
    header: (header) => ({ ...header, alg: 'HS256' }),
    sign: (input) => createHmac('sha256', groundEnv.SECRET).update(input).digest('base64url'),
  }),
  'an algorithm that is not its key’s': () => ({ header: (header) => ({ ...header, alg: 'RS256' }) }),
  'a key of its own in the header': () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const jwk = publicKey.export({ format: 'jwk' })
    return { header: (header) => ({ ...header, jwk, kid: 'mine' }), sign: (input) => honestSign(input, privateKey) }
  },
  'an extension that is critical': () => ({ header: (header) => ({ ...header, crit: ['b64'], b64: false }) }),
  'the audience of another': () => ({ claims: claims({ aud: 'somebody-else' }) }),
  'two audiences and no azp': () => ({ claims: claims({ aud: ['lotse', 'somebody-else'] }) }),
  'two audiences and another azp': () => ({ claims: claims({ aud: ['lotse', 'other'], azp: 'other' }) }),
  'another issuer': () => ({ claims: claims({ iss: ground.rival.issuer }) }),
  'the issuer with a slash': () => ({ claims: claims({ iss: `${ground.corp.issuer}/` }) }),
  'an end in the past': () => ({ claims: (c) => claims({ exp: Number(c['iat']) - 2 * hour })(c) }),
  'no end': () => ({ claims: (c) => claims({ exp: undefined })(c) }),
  'a birth tomorrow': () => ({ claims: (c) => claims({ iat: Number(c['iat']) + 24 * hour })(c) }),
  'a start tomorrow': () => ({ claims: (c) => claims({ nbf: Number(c['iat']) + 24 * hour })(c) }),
  'no nonce': () => ({ claims: claims({ nonce: undefined }) }),
  'a nonce of its own': () => ({ claims: claims({ nonce: 'mine' }) }),
  'no subject': () => ({ claims: claims({ sub: undefined }) }),
  'an empty subject': () => ({ claims: claims({ sub: '' }) }),
  'a subject that is an object': () => ({ claims: claims({ sub: { toString: 'ada' } }) }),
  'a subject of 10,000 characters': () => ({ claims: claims({ sub: 'a'.repeat(10_000) }) }),
  'a subject with a line break': () => ({ claims: claims({ sub: 'x\nada' }) }),
  'no ID token': () => ({ tokens: ({ id_token: _none, ...rest }) => rest }),
  'an ID token that is no JWT': () => ({ tokens: (tokens) => ({ ...tokens, id_token: '<script>alert(1)</script>' }) }),
  'a token answer that is no object': () => ({ tokens: () => [] as never }),
  '5,000 groups': () => ({ claims: claims({ groups: Array.from({ length: 5000 }, (_, n) => `g${n}`) }) }),
  'a claim of 1 MB': () => ({ claims: claims({ note: randomBytes(524_288).toString('hex') }) }),
  'a group of 100,000 characters': () => ({ claims: claims({ groups: ['g'.repeat(100_000)] }) }),
}

for (const [what, change] of Object.entries(tampered)) {
  test(`an upstream ID token with ${what} ends in a refusal, and nothing is issued`, async () => {
    const begun = await begin(ground)
    const before = ground.gateway.events.length
    Object.assign(ground.corp.scheme, change())
    const page = await begun.who.get(ground.corp.answer(begun.asked))
    const location = page.headers.get('location')
    if (location === null) {
      // What the person, or her upstream's operator, can act upon is told on a page.
      assert.equal(page.status, 403)
      assert.doesNotMatch(page.text, /<script>|at .*\.ts:|node_modules/)
    } else {
      const told = new URL(location).searchParams
      assert.equal(told.get('error'), 'access_denied')
      assert.equal(told.get('state'), 'client-state')
      assert.deepEqual([told.get('code'), told.get('id_token')], [null, null])
    }
    const events = ground.gateway.events.slice(before).map(({ event }) => event)
    assert.deepEqual(events, ['login.refused'])
    assert.ok(!begun.who.cookies().some(({ name }) => name.endsWith('lotse-session')), 'a session was made')
  })
}

async function tokensWith(more: Record<string, unknown>, client = 'kubectl') {
  const begun = await begin(ground, { client })
  ground.corp.scheme.claims = claims(more)
  const told = await finishHonestly(begun, ground.corp)
  const answer = await redeem(ground, told.get('code') ?? '', begun.verifier, { client_id: client })
  return answer
}

test('group names with separators and control characters never become two groups, or a name that means something', async () => {
  const groups = ['a;b', 'c,d', 'e f', 'tab\there', 'nul\0here', 'line\nbreak', 'x:system:masters', '\u202eevil', 'ok']
  const namesFor = async (client: string) => {
    const { status, body } = await tokensWith({ groups }, client)
    assert.equal(status, 200, JSON.stringify(body))
    return [body['id_token'], body['access_token']].map((token) => {
      assert.doesNotMatch(JSON.stringify(claimsIn(token!)), /\\u0000|\\n|\\t|\u202e/, client)
      return Object.values(claimsIn(token!))
        .flat()
        .filter((name) => typeof name === 'string')
    })
  }
  // Kubernetes reads a JSON list: a separator in a name is a character like any other.
  for (const names of await namesFor('kubectl')) {
    assert.deepEqual(
      names.filter((name) => name.startsWith('x-')),
      ['x-a;b', 'x-c,d', 'x-e f', 'x-ok'],
    )
  }
  // Keystone splits the claim of its groups at `;` before it reads the JSON of each.
  for (const texts of await namesFor('openstack')) {
    const pieces = texts.flatMap((text) => text.split(';')).filter((text) => text.startsWith('JSON:'))
    const names = pieces.map((piece) => (JSON.parse(piece.slice(5)) as { name: string }).name)
    assert.deepEqual(names, ['os-a;b', 'os-c,d', 'os-e f', 'os-ok'], texts.join('\n'))
  }
})

test('claims named like parts of every object neither change an object nor reach a token', async () => {
  const nasty = JSON.parse(
    '{"__proto__":{"groups":["admin"],"allowed":true},"constructor":{"prototype":{"groups":["admin"]}},"toString":"x","hasOwnProperty":["dev"],"/groups":["admin"],"groups":["dev"]}',
  ) as Record<string, unknown>
  const begun = await begin(ground)
  ground.corp.scheme.claims = (honest) =>
    // Spread would drop `__proto__`; fromEntries keeps it as a plain name.
    Object.fromEntries([...Object.entries(honest), ['preferred_username', 'ada'], ...Object.entries(nasty)])
  const told = await finishHonestly(begun, ground.corp)
  const { status, body } = await redeem(ground, told.get('code') ?? '', begun.verifier)
  assert.equal(status, 200, JSON.stringify(body))
  assert.deepEqual(claimsIn(body['id_token']!)['groups'], ['x-dev'])
  assert.equal(({} as Record<string, unknown>)['groups'], undefined)
  assert.equal(({} as Record<string, unknown>)['allowed'], undefined)
})

test('an upstream cannot choose the claims of our tokens: iss, aud, exp, azp, sub and sid stay ours', async () => {
  const far = Math.floor(Date.now() / 1000) + 10 ** 9
  const { status, body } = await tokensWith({
    azp: 'lotse',
    client_id: 'evil',
    scope: 'admin',
    cnf: { jkt: 'x' },
    sid: 'mine',
    exp: far,
    email: 'root@victim.example',
    email_verified: true,
    name: '<img src=x onerror=alert(1)>',
  })
  assert.equal(status, 200, JSON.stringify(body))
  for (const token of [body['id_token'], body['access_token']]) {
    const said = claimsIn(token!)
    assert.equal(said['iss'], ground.gateway.issuer)
    assert.ok(Number(said['exp']) - Number(said['iat']) <= 600)
    assert.notEqual(said['sub'], 'ada')
    assert.notEqual(said['sid'], 'mine')
    assert.notEqual(said['client_id'], 'evil')
    assert.equal(said['cnf'], undefined)
  }
})

test('the same person of two upstreams is two people', async () => {
  withGroups(ground.rival, ['dev'])
  const subs = []
  for (const [connector, rogue] of [
    ['corp', ground.corp],
    ['rival', ground.rival],
  ] as const) {
    const begun = await begin(ground, { connector })
    const told = await finishHonestly(begun, rogue)
    const { body } = await redeem(ground, told.get('code')!, begun.verifier)
    const said = claimsIn(body['id_token']!)
    subs.push(said['sub'], said['preferred_username'])
  }
  assert.equal(new Set(subs).size, 4, subs.join())
})

test('a name that is HTML is text on the page that refuses its owner', async () => {
  const begun = await begin(ground)
  ground.corp.scheme.claims = claims({ groups: [], name: '<script>alert(1)</script>', note: '"><img src=x onerror=1>' })
  const page = await begun.who.get(ground.corp.answer(begun.asked))
  assert.equal(page.status, 403)
  assert.doesNotMatch(page.text, /<script>alert|<img/)
  assert.match(page.text, /&lt;script|&#60;script/)
})
