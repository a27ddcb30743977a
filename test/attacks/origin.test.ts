import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { begin, type Ground, startGround } from '../support/ground.ts'
import { type RawAnswer, sendRaw } from '../support/raw.ts'

/* Whoever the request says that we are: every address that leaves the gateway is the issuer's. */

let ground: Ground
before(async () => {
  ground = await startGround()
})
after(() => ground.close())

const EVIL = 'evil.example'
/** A head that claims another origin: the target of the request line, and headers. */
interface Lie {
  readonly target: (path: string) => string
  readonly headers: readonly string[]
}
const plain = (path: string) => path
const lies: Readonly<Record<string, Lie>> = {
  'a Host header': { target: plain, headers: [`Host: ${EVIL}`] },
  'a Host header with a port': { target: plain, headers: [`Host: ${EVIL}:443`] },
  'a Host header with a user': { target: plain, headers: [`Host: 127.0.0.1@${EVIL}`] },
  'an X-Forwarded-Host': { target: plain, headers: ['Host: a', `X-Forwarded-Host: ${EVIL}`] },
  'X-Forwarded-Host and Proto': {
    target: plain,
    headers: ['Host: a', `X-Forwarded-Host: ${EVIL}`, 'X-Forwarded-Proto: https'],
  },
  'X-Forwarded-Server, Prefix and Port': {
    target: plain,
    headers: ['Host: a', `X-Forwarded-Server: ${EVIL}`, `X-Forwarded-Prefix: //${EVIL}`, 'X-Forwarded-Port: 1'],
  },
  'a Forwarded header': { target: plain, headers: ['Host: a', `Forwarded: for=1.2.3.4;host=${EVIL};proto=https`] },
  'X-Original-URL and X-Rewrite-URL': {
    target: plain,
    headers: ['Host: a', `X-Original-URL: //${EVIL}/`, `X-Rewrite-URL: http://${EVIL}/`, `X-Host: ${EVIL}`],
  },
  'an absolute request line': { target: (path) => `http://${EVIL}${path}`, headers: ['Host: a'] },
  'an absolute request line with a user': { target: (path) => `http://127.0.0.1@${EVIL}${path}`, headers: ['Host: a'] },
  'an absolute request line of another scheme': { target: (path) => `gopher://${EVIL}${path}`, headers: ['Host: a'] },
  'a path of two slashes': { target: (path) => `//${EVIL}${path}`, headers: ['Host: a'] },
  'a path of a slash and a backslash': { target: (path) => `/\\${EVIL}${path}`, headers: ['Host: a'] },
  'a path that says ..//': { target: (path) => `/..//${EVIL}/..${path}`, headers: ['Host: a'] },
}

const send = (lie: Lie, method: string, path: string, form?: string): Promise<RawAnswer> => {
  const body = form ?? ''
  const headers = [
    `${method} ${lie.target(path)} HTTP/1.1`,
    ...lie.headers,
    'Accept: text/html,application/json',
    ...(form === undefined ? [] : ['Content-Type: application/x-www-form-urlencoded']),
    `Content-Length: ${body.length}`,
  ]
  return sendRaw(ground.gateway.issuer, `${headers.join('\r\n')}\r\n\r\n${body}`)
}

const auth =
  '/auth?client_id=kubectl&response_type=code&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fcb&scope=openid&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256'
const requests: readonly (readonly [method: string, path: string, form?: string])[] = [
  ['GET', '/.well-known/openid-configuration'],
  ['GET', '/.well-known/oauth-authorization-server'],
  ['POST', '/device/auth', 'client_id=kubectl&scope=openid'],
  ['GET', auth],
  ['POST', '/auth', auth.slice(6)],
  ['GET', '/auth?client_id=nobody'],
  ['GET', '/device'],
  ['GET', '/device?user_code=ABCD-EFGH'],
  ['GET', '/logout'],
  ['GET', '/login/none'],
  ['GET', '/callback/corp?state=x&code=y'],
  ['GET', '/userinfo'],
  ['POST', '/token', 'grant_type=authorization_code&code=x&client_id=kubectl'],
  ['GET', '/no/such/page'],
]

for (const [what, lie] of Object.entries(lies)) {
  test(`${what} changes no address in any answer`, async () => {
    for (const [method, path, form] of requests) {
      const answer = await send(lie, method, path, form)
      const where = `${method} ${path}`
      assert.ok(answer.status >= 200 && answer.status < 500, `${where}: ${answer.status}`)
      const everything = JSON.stringify(answer.headers) + answer.body
      assert.ok(!everything.includes(EVIL), `${where}: ${everything.slice(0, 500)}`)
      for (const [name, value] of answer.headers) {
        if (name === 'location')
          assert.equal(new URL(value, ground.gateway.issuer).origin, ground.gateway.issuer, where)
        if (name === 'set-cookie') assert.doesNotMatch(value, /domain=/i, where)
      }
    }
  })
}

test('under every lie discovery and the device answer are those of an honest request, to the letter', async () => {
  const honest = await (await fetch(`${ground.gateway.issuer}/.well-known/openid-configuration`)).text()
  assert.ok(JSON.parse(honest).issuer === ground.gateway.issuer)
  for (const [what, lie] of Object.entries(lies)) {
    if (what.includes('path')) continue // those ask for another page
    const answer = await send(lie, 'GET', '/.well-known/openid-configuration')
    assert.equal(answer.body, honest, what)
    const device = await send(lie, 'POST', '/device/auth', 'client_id=kubectl')
    const { verification_uri, verification_uri_complete } = JSON.parse(device.body) as Record<string, string>
    assert.equal(verification_uri, `${ground.gateway.issuer}/device`, what)
    assert.ok(verification_uri_complete?.startsWith(`${verification_uri}?`), what)
  }
})

test('a sign-in asks its upstream to answer at the issuer’s callback, whatever Host the browser sent', async () => {
  const begun = await begin(ground)
  const cookie = begun.who
    .cookies()
    .map(({ name, value }) => `${name}=${value}`)
    .join('; ')
  for (const [what, lie] of Object.entries(lies)) {
    if (what.includes('path')) continue
    const answer = await send({ ...lie, headers: [...lie.headers, `Cookie: ${cookie}`] }, 'GET', `/login/${begun.uid}`)
    const location = new URL(answer.headers.find(([name]) => name === 'location')?.[1] ?? 'about:none')
    assert.equal(location.searchParams.get('redirect_uri'), `${ground.gateway.issuer}/callback/corp`, what)
  }
})

test('two Host headers, or none in HTTP/1.1, are refused before anybody reads them', async () => {
  for (const headers of ['Host: a\r\nHost: evil.example\r\n', '']) {
    const answer = await sendRaw(
      ground.gateway.issuer,
      `GET /.well-known/openid-configuration HTTP/1.1\r\n${headers}\r\n`,
    )
    if (answer.status === 200) assert.ok(!answer.body.includes(EVIL))
    else assert.equal(answer.status, 400)
  }
})
