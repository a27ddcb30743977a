import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { after, before, beforeEach, test } from 'node:test'
import type { TestGateway } from '../support/gateway.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { type RawAnswer, sendRaw } from '../support/raw.ts'
import { root } from '../support/runner.ts'
import { authorization, person, signIn } from '../support/sign-in.ts'
import { standard } from '../support/standard.ts'

/* Whatever is sent to whatever route: an answer, never a 5xx, never anything of the machine, and with an id wherever it is an error. */

const REFERENCE = /[2-9A-HJ-NP-Z0]{4}-[2-9A-HJ-NP-Z0]{4}/
const LEAKS = [/\bat .{1,200}[.:][cmt]?[jt]s:\d+/, /node_modules|node:internal|file:\/\//, /sqlite/i]

let idp: Idp
let gateway: TestGateway
before(async () => {
  ;({ idp, gateway } = await standard())
})
after(async () => {
  await gateway.close()
  await idp.close()
})

let failures: string[] = []
let sent = 0
beforeEach(() => {
  failures = []
  sent = 0
})

function look(what: string, { status, body }: RawAnswer): void {
  sent += 1
  const say = (problem: string) => void failures.push(`${what.slice(0, 160)}: ${status} ${problem}`)
  if (status < 200 || status >= 500) say('is no answer to a client')
  if (status >= 400 && !what.startsWith('HEAD') && !REFERENCE.test(body)) say(`without an id: ${body.slice(0, 80)}`)
  for (const leak of [...LEAKS, root, tmpdir()]) if (body.match(leak)) say(`says ${leak}`)
}

/** What `look` found, and whether the gateway still does what it is for. */
async function verdict(least: number): Promise<void> {
  assert.deepEqual(failures.slice(0, 20), [], `${failures.length} of ${sent}`)
  assert.ok(sent >= least, `only ${sent} requests`)
  const errors = gateway.logs.filter(({ level }) => level === 'error')
  assert.deepEqual(errors, [])
  assert.ok((await signIn(person(), authorization(gateway, 'kubectl'), 'ada')).has('code'), 'it goes on')
}

/** Sends each line, sixteen at a time. */
async function sendAll(requests: Iterable<readonly [what: string, bytes: string]>): Promise<void> {
  const waiting = requests[Symbol.iterator]()
  const sender = async () => {
    for (let next = waiting.next(); !next.done; next = waiting.next()) {
      const [what, bytes] = next.value
      look(what, await sendRaw(gateway.issuer, bytes))
    }
  }
  await Promise.all(Array.from({ length: 16 }, sender))
}

const paths = [
  ...[
    '/auth',
    '/token',
    '/device',
    '/device/auth',
    '/logout',
    '/logout/confirm',
    '/logout/success',
    '/logout/returned',
  ],
  ...['/logout/back/corp', '/logout/front/corp', '/userinfo', '/request', '/token/introspection', '/token/revocation'],
  ...[
    '/jwks',
    '/jwks/x',
    '/callback/corp',
    '/callback/%00',
    '/wallet/wait/a',
    '/wallet/request/a',
    '/wallet/response/a',
    '/login/a',
    '/login/a/finish',
    '/login/a/leave',
    '/auth/x',
  ],
  ...['/device/x', '/.well-known/openid-configuration', '/%', '/%ff', '/device/%E0%A4%A', '/healthz', '/constructor'],
  ...['/', '//', '/../etc/passwd', '/AUTH', '/token/'],
]

const ask =
  'client_id=kubectl&response_type=code&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fcb&scope=openid&code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
const queries = [
  ...['', '?', '?%', '?a=%ff%fe', '?client_id=kubectl&client_id=web', '?client_id[]=kubectl', '?client_id=%00'],
  ...[
    `?${ask}&request=x.y.z`,
    `?${ask}&max_age=-1`,
    `?${ask}&resource=urn:x&resource=%00`,
    `?${ask}&connector=__proto__`,
  ],
  ...[`?${ask}&claims=%7B`, `?${ask}&id_token_hint=a.b.c&ui_locales=%ff`, `?${ask}&acr_values=${'a%20'.repeat(500)}`],
  ...[`?${ask}&prompt=none%20login`, `?${ask}&response_mode=jwt`, `?${ask}&dpop_jkt=%00`, `?${ask}&nonce=%ED%A0%80`],
  ...[
    '?client_id=kubectl&request_uri=urn:ietf:params:oauth:request_uri:x',
    '?state=%ED%A0%80&code=a',
    '?ticket=%ED%A0%80',
  ],
  ...[`?user_code=${'A'.repeat(9000)}`, '?user_code=%ED%A0%80&user_code=b', '?lang=xx&lang=de', '?iss=x&sid=%00'],
  ...[`?id_token_hint=${'e'.repeat(3000)}`, '?organisation=%00&connector=toString', `?${'a&'.repeat(3000)}`],
]

test('queries of every kind at every path', async () => {
  const cookie = 'lotse-session=x; lotse-interaction=y; lotse-resume=z; lotse-language=%ff; =; ;;'
  const requests = paths.flatMap((path) =>
    queries.map((query) => {
      const line = `GET ${path}${query} HTTP/1.1`
      return [
        line,
        `${line}\r\nHost: a\r\nConnection: close\r\nAccept: text/html\r\nCookie: ${cookie}\r\n\r\n`,
      ] as const
    }),
  )
  await sendAll(requests)
  await verdict(600)
})

const FORM = 'application/x-www-form-urlencoded'
const types = [FORM, 'application/json', 'multipart/form-data; boundary=x', `${FORM}; charset=utf-16`, '', 'a/b;;;']
const assertion = 'client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion='
const bodies = [
  ...['', '{', '{"grant_type":["x"]}', 'grant_type=%ff', '[object Object]', '&&&&====', 'a'.repeat(70_000)],
  ...['grant_type=authorization_code&code=%00&client_id=kubectl', 'client_id=kubectl&grant_type=toString'],
  ...[`grant_type=refresh_token&client_id=kubectl&refresh_token=${'a'.repeat(5000)}`, 'token=a.b.c&client_id=kubectl'],
  ...['grant_type=refresh_token&client_id=kubectl&refresh_token=%ED%A0%80', 'xsrf=a&logout=yes', 'logout_token=a.b.c'],
  ...['grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=__proto__&client_id=kubectl'],
  ...['grant_type=client_credentials&client_id=kubectl', `client_id=kubectl&scope=${'x%20'.repeat(3000)}`],
  ...['client_id=kubectl&code_challenge=a&code_challenge=b&code_challenge_method=S256', `${assertion}a.b.c`],
  ...['client_id=kubectl&code_challenge=a&code_challenge_method=plain', `${assertion}&grant_type=client_credentials`],
  ...[
    'xsrf=a&user_code=AAAA&confirm=yes',
    'state=%ED%A0%80&code=x',
    'response=x&state=%ED%A0%80&wallet_nonce=%00',
    'token=%00&client_id=kubectl&token_type_hint=x',
  ],
  ...['client_id=kubectl&resource=http://[&grant_type=refresh_token&refresh_token=x', `${ask}&request=%7B`],
]
const authorizations = [
  '',
  'Basic',
  'Basic ::::',
  `Basic ${btoa('kubectl:')}`,
  `Basic ${btoa('%zz:%')}`,
  'Bearer x.y.z',
  'DPoP x',
]

test('bodies of every kind at every path', async () => {
  let n = 0
  const requests = paths.flatMap((path) =>
    bodies.map((body) => {
      // Each body meets each type and each header over the paths, not all of them at each.
      n += 1
      const type = n % 2 === 0 ? FORM : types[(n >> 1) % types.length]
      const authorization = authorizations[n % authorizations.length]
      const line = `POST ${path} HTTP/1.1`
      const head = [line, 'Host: a', 'Connection: close', `Content-Length: ${body.length}`]
      if (type) head.push(`Content-Type: ${type}`)
      if (authorization) head.push(`Authorization: ${authorization}`)
      if (n % 3 === 0) head.push('DPoP: x.y.z')
      return [`${line} ${type} ${authorization} ${body}`, `${head.join('\r\n')}\r\n\r\n${body}`] as const
    }),
  )
  await sendAll(requests)
  await verdict(600)
})

test('methods that nobody expects at every path', async () => {
  const methods = ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE', 'PROPFIND']
  const requests = paths.flatMap((path) =>
    methods.map((method) => {
      const line = `${method} ${path} HTTP/1.1`
      return [line, `${line}\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`] as const
    }),
  )
  await sendAll(requests)
  await verdict(200)
})

test('what is no HTTP is refused before it reaches a route, and headers of odd kinds are no harm', async () => {
  const head = 'GET /auth HTTP/1.1\r\nHost: a\r\nConnection: close\r\n'
  const broken = [
    ...[
      '\r\n\r\n',
      'GET\r\n\r\n',
      'GET /auth\r\n\r\n',
      'GET /auth HTTP/9.9\r\n\r\n',
      '\x16\x03\x01\x02\x00\x01\x00\x01\xfc',
    ],
    ...[
      'GET /auth HTTP/1.1\r\n\r\n',
      `${head}A b: c\r\n\r\n`,
      `${head}X: a\x00b\r\n\r\n`,
      `${head}: x\r\n\r\n`,
      `${head}Expect: x\r\n\r\n`,
    ],
    ...['POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ...['POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n', `${head}X: ${'a'.repeat(40_000)}\r\n\r\n`],
    ...['POST /token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n'],
    ...['POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx'],
  ]
  for (const bytes of broken) {
    const { status, body } = await sendRaw(gateway.issuer, bytes, 300)
    assert.ok(status === 0 || (status >= 400 && status < 500), `${JSON.stringify(bytes.slice(0, 80))}: ${status}`)
    assert.ok(!LEAKS.some((leak) => leak.test(body)), body)
  }
  const odd = [
    ...[
      'Host: a\r\nHost: b',
      'X-Forwarded-For: ::::, %00',
      'X-Forwarded-Host: evil',
      'Accept: ;;;q=x',
      'Accept-Language: *;q=9',
    ],
    ...['Cookie: lotse-session=\xff\xfe', `Cookie: ${'a=b; '.repeat(2000)}`, 'Origin: null', 'Range: bytes=9-1'],
    ...[
      'If-None-Match: \xff',
      'Authorization: \xff',
      'DPoP: \xff',
      'Upgrade: websocket\r\nConnection: Upgrade',
      'TE: x',
    ],
  ]
  const lines = ['/auth', '/token', '/device', '/userinfo', '/login/a', '/jwks'].flatMap((path) =>
    odd.map((header) => {
      const line = `GET ${path} HTTP/1.1`
      return [`${line} ${header}`, `${line}\r\nHost: a\r\nConnection: close\r\n${header}\r\n\r\n`] as const
    }),
  )
  await sendAll(lines)
  await verdict(80)
})
