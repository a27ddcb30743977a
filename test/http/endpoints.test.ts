import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { get as httpsGet } from 'node:https'
import { after, before, test } from 'node:test'
import request, { type Response } from 'supertest'
import { selfSigned } from '../support/certificate.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { type Idp, startIdp } from '../support/oidc-idp.ts'
import { authorization, CALLBACK } from '../support/sign-in.ts'
import { people, standard, standardConfig, standardEnv } from '../support/standard.ts'

const REFERENCE = /[2-9A-HJ-NP-Z0]{4}-[2-9A-HJ-NP-Z0]{4}/

let idp: Idp
let gateway: TestGateway
let http: ReturnType<typeof request>
let config: string
before(async () => {
  const extra = (upstream: string) => ({
    connectors: `  - { id: other, type: oidc, label: Other, issuer: ${upstream}, clientId: lotse, clientSecret: { env: CORP_SECRET }, domain: other, identity: { prefix: 'other:' } }`,
  })
  ;({ idp, gateway, config } = await standard({ extra }))
  http = request(gateway.issuer)
})
after(async () => {
  await gateway.close()
  await idp.close()
})

/** The chooser of a sign-in that has just begun, as a browser with this language sees it. */
async function chooser(language = 'en') {
  const { pathname, search } = authorization(gateway, 'kubectl').url
  const begun = await http.get(pathname + search).set('accept-language', language)
  const cookie = [begun.headers['set-cookie'] ?? '']
    .flat()
    .map((line) => line.split(';')[0])
    .join('; ')
  const path = new URL(begun.headers['location'] ?? '', gateway.issuer).pathname
  const page = await http.get(path).set({ cookie, 'accept-language': language, accept: 'text/html' })
  return { begun, page, path, cookie }
}

test('discovery names every endpoint under the issuer, and what it offers is what there is', async () => {
  const { body, headers } = await http.get('/.well-known/openid-configuration').expect(200)
  const metadata = body as Record<string, unknown>
  assert.equal(metadata['issuer'], gateway.issuer)
  for (const [name, value] of Object.entries(metadata)) {
    if (name.endsWith('_endpoint') || name.endsWith('_uri')) {
      assert.ok(String(value).startsWith(`${gateway.issuer}/`), `${name}: ${value}`)
    }
  }
  assert.deepEqual(metadata['response_types_supported'], ['code', 'id_token'])
  assert.deepEqual(metadata['code_challenge_methods_supported'], ['S256'])
  assert.deepEqual([...(metadata['grant_types_supported'] as string[])].sort(), [
    'authorization_code',
    'client_credentials',
    'implicit',
    'refresh_token',
    'urn:ietf:params:oauth:grant-type:device_code',
  ])
  assert.ok(!(metadata['id_token_signing_alg_values_supported'] as string[]).some((alg) => /^(HS|none)/.test(alg)))
  assert.ok((metadata['scopes_supported'] as string[]).includes('openid'))
  assert.equal(metadata['authorization_response_iss_parameter_supported'], true)
  assert.equal(metadata['backchannel_logout_supported'], true)
  assert.equal(metadata['backchannel_logout_session_supported'], true)
  assert.match(headers['cache-control'] ?? '', /^public, max-age=\d{2,3}$/)
})

test('every endpoint that discovery names is there', async () => {
  const { body } = await http.get('/.well-known/openid-configuration')
  for (const [name, value] of Object.entries(body as Record<string, string>)) {
    if (!name.endsWith('_endpoint') && name !== 'jwks_uri') continue
    const { pathname } = new URL(value)
    const [got, posted] = await Promise.all([http.get(pathname), http.post(pathname)])
    assert.ok(got.status !== 404 || posted.status !== 404, `${name} at ${pathname}`)
    assert.ok(got.status < 500 && posted.status < 500, `${name}: ${got.status}, ${posted.status}`)
  }
})

test('the key sets say how long they may be kept, may be read from anywhere and have no date of change', async () => {
  for (const path of ['/jwks', '/jwks/keystone-cloud']) {
    const { headers, body, text } = await http.get(path).expect(200).expect('content-type', /json/)
    assert.equal(headers['cache-control'], 'public, max-age=30')
    assert.equal(headers['access-control-allow-origin'], '*')
    assert.equal(headers['last-modified'], undefined)
    assert.ok((body as { keys: unknown[] }).keys.length > 0)
    assert.equal((await http.get(path)).text, text, 'byte for byte the same')
  }
})

test('metadata are the same to the letter for everybody, from the first answer on', async () => {
  for (const path of ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server']) {
    await gateway.reload(config)
    const first = await http.get(path).set('origin', 'https://console.example').expect(200)
    const next = await http.get(`${path}?a=b`).expect(200)
    assert.equal(next.text, first.text)
    const { date: _one, ...of } = first.headers
    const { date: _two, ...later } = next.headers
    assert.deepEqual(later, of)
    assert.equal(of['access-control-allow-origin'], '*')
  }
})

/** How many answers 2xx of a route the metrics tell of. */
const counted = async (route: string) => {
  const { body } = await gateway.app.metrics.text()
  return Number(
    new RegExp(`^lotse_http_requests_total\\{route="${route}",status="2xx"\\} (\\d+)`, 'm').exec(body)?.[1] ?? 0,
  )
}

test('what is answered from memory has the security headers of every answer, and is counted', async () => {
  const before = await counted('jwks')
  const other = (await http.get('/healthz')).headers
  for (const path of ['/jwks', '/.well-known/openid-configuration']) {
    const { headers } = await http.get(path)
    for (const name of ['x-content-type-options', 'referrer-policy', 'x-frame-options', 'content-security-policy'])
      assert.ok(other[name] && headers[name] === other[name], `${path} ${name}`)
  }
  assert.equal(await counted('jwks'), before + 1)
})

test('a key set that nobody has is not found', async () => {
  for (const path of ['/jwks/nobody', '/jwks/', '/jwks/../jwks/x', '/jwks/__proto__', '/jwks/constructor']) {
    const { status } = await http.get(path)
    assert.equal(status, 404, path)
  }
})

test('health and readiness answer without secrets and are not kept', async () => {
  const alive = await http.get('/healthz').expect(200)
  assert.deepEqual(alive.body, { status: 'alive' })
  const ready = await http.get('/readyz').expect(200)
  assert.deepEqual(ready.body, { status: 'ready' })
  assert.match(ready.headers['cache-control'] ?? '', /no-store/)
})

test('what does not exist is 404 with an error id: JSON for programs, a page for people', async () => {
  const json = await http.get('/nothing/here').set('accept', 'application/json').expect(404)
  const body = json.body as Record<string, string>
  assert.equal(body['error'], 'not_found')
  assert.match(body['error_id'] ?? '', REFERENCE)
  const page = await http.get('/nothing/here').set('accept', 'text/html').expect(404).expect('content-type', /html/)
  assert.match(page.text, REFERENCE)
  assert.match(page.text, /<h1/)
})

test('an id that a person reads out is found in the log', async () => {
  const { body } = await http.get('/nothing/here').set('accept', 'application/json')
  const { error_id } = body as { error_id: string }
  assert.ok(gateway.logs.some(({ fields }) => fields['id'] === error_id))
})

test('HEAD answers as GET does, without a body', async () => {
  for (const path of ['/jwks', '/jwks/keystone-cloud', '/healthz', '/readyz', '/.well-known/openid-configuration']) {
    const head = await http.head(path)
    const get = await http.get(path)
    assert.equal(head.status, get.status, path)
    assert.equal(head.headers['content-type'], get.headers['content-type'], path)
    assert.ok(!head.text)
  }
})

test('methods that an endpoint does not know end in 4xx, never in 5xx', async () => {
  const paths = [
    '/auth',
    '/token',
    '/jwks',
    '/userinfo',
    '/device',
    '/device/auth',
    '/logout',
    '/login/x',
    '/callback/corp',
    '/healthz',
  ]
  for (const path of paths) {
    for (const method of ['put', 'delete', 'patch'] as const) {
      const { status } = await http[method](path)
      assert.ok(status >= 400 && status < 500, `${method} ${path}: ${status}`)
    }
  }
  for (const path of ['/token', '/device/auth', '/token/introspection', '/token/revocation', '/request']) {
    const { status } = await http.get(path)
    assert.ok(status >= 400 && status < 500, `GET ${path}: ${status}`)
  }
})

test('an endpoint has one spelling, so that nothing slips past what guards it', async () => {
  for (const path of [
    '/device',
    '/jwks',
    '/auth',
    '/token',
    '/logout',
    '/userinfo',
    '/device/auth',
    '/logout/confirm',
  ]) {
    const others = [`${path}/`, `${path}//`, path.toUpperCase(), `/${path[1]?.toUpperCase()}${path.slice(2)}`]
    for (const other of others) {
      const { status } = await http.get(other)
      const posted = await http.post(other).type('form').send('user_code=BCDF-GHJK')
      assert.deepEqual([status, posted.status], [404, 404], other)
    }
  }
})

test('forms that arrive without their cookies are expired sign-ins, not crashes', async () => {
  for (const path of ['/device', '/logout/confirm']) {
    const { status, text } = await http
      .post(path)
      .set('accept', 'text/html')
      .type('form')
      .send('xsrf=x&user_code=BCDF-GHJK&logout=yes')
    assert.equal(status, 400, path)
    assert.match(text, REFERENCE)
  }
})

function assertGuarded({ headers, text }: Response, where: string): void {
  const policy = headers['content-security-policy'] ?? ''
  assert.match(policy, /default-src 'none'/, where)
  assert.match(policy, /frame-ancestors 'none'/, where)
  assert.match(policy, /base-uri 'none'/, where)
  assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|\*/, where)
  assert.equal(headers['x-content-type-options'], 'nosniff', where)
  assert.equal(headers['referrer-policy'], 'no-referrer', where)
  assert.equal(headers['server'], undefined, where)
  assert.equal(headers['x-powered-by'], undefined, where)
  assert.match(headers['cache-control'] ?? '', /no-store/, where)
  for (const [, link] of text.matchAll(/(?:src|href|action)="([^"]+)"/g)) {
    assert.ok(/^(\/|#|\?|data:)/.test(link ?? '') || link?.startsWith(gateway.issuer), `${where} leads to ${link}`)
  }
}

test('every page has a strict policy, is framed by nobody, kept by nobody and loads nothing from elsewhere', async () => {
  const { page } = await chooser()
  const html = { accept: 'text/html' }
  const pages: readonly (readonly [string, Response])[] = [
    ['chooser', page],
    ['device', await http.get('/device').set(html)],
    ['logout done', await http.get('/logout/success').set(html)],
    ['not found', await http.get('/nothing').set(html)],
    ['bad request', await http.get('/auth').set(html)],
    ['callback', await http.get('/callback/corp?state=x&code=y').set(html)],
    ['login without cookie', await http.get('/login/abc').set(html)],
    ['device resume', await http.get('/device/abc').set(html)],
  ]
  for (const [where, response] of pages) {
    assert.match(response.headers['content-type'] ?? '', /html/, where)
    assertGuarded(response, where)
  }
})

test('pages speak the language of the browser, and English where they cannot', async () => {
  assert.match((await chooser('de-DE,de;q=0.9')).page.text, /<html[^>]* lang="de"/)
  assert.match((await chooser('en-GB')).page.text, /<html[^>]* lang="en"/)
  assert.match((await chooser('fr')).page.text, /<html[^>]* lang="en"/)
})

test('the language switch is remembered by a cookie', async () => {
  const { path, cookie } = await chooser('en')
  const switched = await http.get(`${path}?lang=de`).set({ cookie, accept: 'text/html' }).expect(200)
  assert.match(switched.text, /<html[^>]* lang="de"/)
  const lines = [switched.headers['set-cookie'] ?? ''].flat()
  const remembered = lines.find((line) => line.startsWith('lotse-language='))
  assert.match(remembered ?? '', /httponly/i)
  const value = remembered?.split(';')[0]
  const later = await http.get('/device').set({ cookie: value ?? '', accept: 'text/html', 'accept-language': 'en' })
  assert.match(later.text, /<html[^>]* lang="de"/)
})

test('cookies of a sign-in are HttpOnly and Lax, and the interaction’s is scoped to its path', async () => {
  const { begun } = await chooser()
  const lines = [begun.headers['set-cookie'] ?? []].flat().filter((line) => !/=;/.test(line))
  assert.ok(lines.length > 0)
  for (const line of lines) assert.match(line, /httponly/i, line)
  for (const line of lines) assert.match(line, /samesite=lax/i, line)
  assert.ok(lines.some((line) => /^lotse-interaction=[^;]+;.*path=\/login\//i.test(line)))
})

test('token errors are JSON with an error id, no-store and no stack', async () => {
  const wrong: readonly Record<string, string>[] = [
    {},
    { grant_type: 'authorization_code' },
    { grant_type: 'password', client_id: 'kubectl' },
    { grant_type: 'refresh_token', client_id: 'kubectl' },
    { grant_type: 'refresh_token', client_id: 'nobody', refresh_token: 'x' },
    { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', client_id: 'kubectl', device_code: 'x' },
    { grant_type: 'client_credentials', client_id: 'robot' },
  ]
  for (const fields of wrong) {
    const { status, body, headers, text } = await http.post('/token').type('form').send(fields)
    assert.ok(status === 400 || status === 401, `${status} ${text}`)
    const answer = body as Record<string, string>
    assert.match(answer['error'] ?? '', /^[a-z_]+$/)
    assert.match(answer['error_id'] ?? '', REFERENCE)
    assert.match(headers['cache-control'] ?? '', /no-store/)
    assert.doesNotMatch(text, /at .*\.(ts|js):/)
  }
})

test('a token request that is no form is refused', async () => {
  const json = await http.post('/token').send({ grant_type: 'refresh_token', client_id: 'kubectl' })
  assert.equal(json.status, 400)
  const query = await http.post('/token?grant_type=refresh_token&client_id=kubectl&refresh_token=x')
  assert.equal(query.status, 400)
})

test('a body that is too large is refused, on every way in', async () => {
  const large = `x=${'a'.repeat(3_000_000)}`
  for (const path of ['/token', '/auth', '/callback/corp', '/logout', '/device/auth']) {
    const { status } = await http.post(path).type('form').send(large)
    assert.ok(status === 413 || status === 400, `${path}: ${status}`)
  }
})

test('an authorization request by POST goes on as the same request by GET', async () => {
  const { searchParams } = authorization(gateway, 'kubectl', { prompt: 'none' }).url
  const posted = await http.post('/auth').type('form').send(searchParams.toString())
  assert.equal(posted.status, 303)
  const followed = await http.get(posted.headers['location'] ?? '')
  const told = new URL(followed.headers['location'] ?? '')
  assert.equal(told.origin + told.pathname, CALLBACK)
  assert.equal(told.searchParams.get('error'), 'login_required')
})

test('no address in an answer comes from the Host header', async () => {
  const lies = { host: 'evil.example', 'x-forwarded-host': 'evil.example', forwarded: 'host=evil.example' }
  const device = await http.post('/device/auth').set(lies).type('form').send({ client_id: 'kubectl', scope: 'openid' })
  const discovery = await http.get('/.well-known/openid-configuration').set(lies)
  const { pathname, search } = authorization(gateway, 'kubectl').url
  const begun = await http.get(pathname + search).set(lies)
  for (const { text, headers } of [device, discovery, begun]) {
    assert.doesNotMatch(text + JSON.stringify(headers), /evil\.example/)
  }
})

test('userinfo may be read by scripts of any origin, the token endpoint says no-store', async () => {
  const preflight = await http.options('/userinfo').set({
    origin: 'https://app.example',
    'access-control-request-method': 'GET',
    'access-control-request-headers': 'authorization',
  })
  assert.ok(preflight.status < 500)
  const bare = await http.get('/userinfo')
  assert.ok(bare.status === 401 || bare.status === 400)
  assert.match(bare.headers['www-authenticate'] ?? '', /^Bearer /)
})

test('over https every cookie is Secure, the session’s can be set by this host alone, and browsers are told to stay', async () => {
  const tls = selfSigned()
  const upstream = await startIdp({
    people,
    clients: [{ id: 'lotse', secret: standardEnv.CORP_SECRET, redirectUris: ['https://127.0.0.1:1/callback/corp'] }],
  })
  const secure = await startGateway({ config: standardConfig(upstream.issuer), env: standardEnv, tls })
  try {
    const get = (path: string) =>
      new Promise<IncomingMessage>((resolve, reject) => {
        const url = new URL(path, secure.issuer)
        const call = httpsGet(url, { ca: tls.cert, agent: false }, (answer) => resolve(answer.resume()))
        call.on('error', reject)
      })
    const { url } = authorization(secure, 'kubectl')
    const begun = await get(url.pathname + url.search)
    const pairs = (answer: IncomingMessage) => answer.headers['set-cookie'] ?? []
    const asked = new URL(begun.headers.location ?? '')
    assert.equal(asked.origin, upstream.issuer)
    const callback = asked.searchParams.get('redirect_uri')
    assert.equal(callback, `${secure.issuer}/callback/corp`)
    const lines = [...pairs(begun), ...pairs(await get('/device'))].filter((line) => !/^[^=]+=;/.test(line))
    assert.ok(lines.length >= 5)
    for (const line of lines) assert.match(line, /; ?secure/i, line)
    for (const name of ['__Host-lotse-browser-', '__Host-lotse-session=']) {
      const line = lines.find((each) => each.startsWith(name)) ?? ''
      assert.match(line, /; ?path=\/(;|$)/i, name)
      assert.doesNotMatch(line, /domain=/i, name)
    }
    assert.match(begun.headers['strict-transport-security'] ?? '', /max-age=\d{7,}/)
  } finally {
    await secure.close()
    await upstream.close()
  }
})
