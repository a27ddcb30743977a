import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LoginError } from '../src/core/errors.ts'
import { createLog, redact } from '../src/log.ts'

const jwt = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ'

function capture(level: Parameters<typeof createLog>[0] = 'debug') {
  const lines: string[] = []
  return { lines, log: createLog(level, (line) => lines.push(line)) }
}

test('a log line is one JSON object with level, time, message and its fields', () => {
  const { lines, log } = capture()
  log('warn', 'upstream is slow', { connector: 'corp', ms: 812 })
  assert.equal(lines.length, 1)
  assert.ok(lines[0]?.endsWith('}\n'))
  const { time, ...rest } = JSON.parse(lines[0] ?? '') as Record<string, unknown>
  assert.match(String(time), /^\d{4}-\d\d-\d\dT/)
  assert.deepEqual(rest, { level: 'warn', message: 'upstream is slow', connector: 'corp', ms: 812 })
})

test('a line below the level is not written', () => {
  const { lines, log } = capture('warn')
  log('info', 'started')
  log('error', 'failed')
  assert.equal(lines.length, 1)
})

test('a line break in a message or a field stays inside its line', () => {
  const { lines, log } = capture()
  log('info', 'first\n{"level":"error"}', { name: 'a\r\nb' })
  assert.equal(lines.join('').split('\n').length, 2)
})

for (const key of [
  'authorization',
  'Cookie',
  'set-cookie',
  'access_token',
  'idToken',
  'refreshToken',
  'token',
  'tokens',
  'client_secret',
  'clientSecret',
  'password',
  'code',
  'user_code',
  'deviceCode',
  'code_verifier',
  'client_assertion',
  'SAMLResponse',
  'RelayState',
  'state',
  'DPoP',
  'sealed',
  'memo',
]) {
  test(`text under the key ${key} is never written, at any depth`, () => {
    const { lines, log } = capture()
    log('info', 'x', { [key]: 'hunter2', inner: [{ [key]: { list: ['hunter2'] } }], map: new Map([[key, 'hunter2']]) })
    assert.doesNotMatch(lines.join(''), /hunter2/)
    assert.match(lines.join(''), /\[redacted\]/)
  })
}

test('text that looks like a token is cut out of messages, fields and errors, whatever its key', () => {
  const { lines, log } = capture()
  const error = new Error(`bad ${jwt}`, { cause: new LoginError('upstream_rejected', `saw ${jwt}`) })
  log('error', `answer ${jwt}`, {
    hint: jwt,
    error,
    list: [`Bearer abcDEF123456`],
    url: new URL(`https://a.example/#x=${jwt}`),
  })
  assert.doesNotMatch(lines.join(''), /c2lnbmF0dXJl|abcDEF123456/)
})

test('secret fields of a query or a form are cut out of text', () => {
  const clean = redact({
    url: new URL('https://a.example/cb?code=abc123&state=s1&iss=https%3A%2F%2Fb.example'),
    body: 'grant_type=refresh_token&refresh_token=rt-1&client_secret=s3',
  })
  assert.deepEqual(clean, {
    url: 'https://a.example/cb?code=[redacted]&state=[redacted]&iss=https%3A%2F%2Fb.example',
    body: 'grant_type=refresh_token&refresh_token=[redacted]&client_secret=[redacted]',
  })
})

test('what an operator needs stays readable: error codes, counts, names that only look similar', () => {
  const fields = {
    code: 'upstream_rejected',
    tokens: 3,
    grantType: 'refresh_token',
    statusCode: 200,
    tokenEndpoint: '/token',
  }
  assert.deepEqual(redact(fields), fields)
  assert.deepEqual(redact({ code: 'ECONNREFUSED' }), { code: 'ECONNREFUSED' })
  assert.deepEqual(redact({ code: 'SplxlOBeZQQYbYS6WxSbIA' }), { code: '[redacted]' })
})

test('an error keeps its name, code, stack and causes', () => {
  const clean = redact({ error: new LoginError('unavailable', 'store', { cause: new Error('disk') }) })
  const error = clean['error'] as Record<string, Record<string, unknown>>
  assert.equal(error['name'], 'LoginError')
  assert.equal(error['code'], 'unavailable')
  assert.match(String(error['stack']), /log\.test/)
  assert.equal(error['cause']?.['message'], 'disk')
})

test('a value that refers to itself, is huge or is no data does not break the log', () => {
  const { lines, log } = capture()
  const self: Record<string, unknown> = { big: 10n, bytes: Buffer.from('hunter2'), call: () => 1 }
  self['self'] = self
  log('info', 'odd', { self, long: 'x'.repeat(1_000_000), many: Array.from({ length: 100_000 }, () => 1) })
  assert.equal(lines.length, 1)
  assert.ok((lines[0]?.length ?? 0) < 20_000)
  assert.doesNotMatch(lines.join(''), /hunter2/)
})
