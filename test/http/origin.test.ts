import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { parseTrusted, pinOrigin, subscriberOf } from '../../src/http/origin.ts'

const issuer = new URL('https://login.cloud.example')

/** The parts of a request that are looked at. */
function pinned(request: { url?: string; headers?: Record<string, string>; from?: string; trusted?: string[] }) {
  const raw = {
    url: request.url ?? '/auth',
    headers: { host: 'evil.example', ...request.headers } as Record<string, string | undefined>,
    socket: { remoteAddress: request.from ?? '192.0.2.9' },
  }
  pinOrigin(raw as unknown as IncomingMessage, { issuer, trusted: parseTrusted(request.trusted ?? []) })
  return raw
}

const client = (from: string, forwarded: string, trusted: string[]) =>
  pinned({ from, headers: { 'x-forwarded-for': forwarded }, trusted }).headers['x-forwarded-for']

test('host and scheme are the issuer’s, and no forwarding header of the request is left', () => {
  const { headers } = pinned({
    headers: {
      'x-forwarded-host': 'evil.example',
      'x-forwarded-port': '8443',
      'x-forwarded-prefix': '/evil',
      'x-forwarded-proto': 'http',
      forwarded: 'host=evil.example;proto=http',
      accept: 'text/html',
    },
    trusted: ['192.0.2.9'],
  })
  assert.deepEqual(headers, {
    host: 'login.cloud.example',
    'x-forwarded-proto': 'https',
    'x-forwarded-for': '192.0.2.9',
    accept: 'text/html',
  })
})

for (const [target, path] of [
  ['/auth?x=1', '/auth?x=1'],
  ['http://evil.example/auth?x=1', '/auth?x=1'],
  ['HTTPS://user@evil.example:99/auth', '/auth'],
  ['http://evil.example', '/'],
  ['http://evil.example?x=//y', '/?x=//y'],
  ['//evil.example/auth', '/evil.example/auth'],
  ['http://evil.example//evil.example/a', '/evil.example/a'],
  ['/\\evil.example/a', '/evil.example/a'],
  ['/callback/corp?iss=https://sso.corp.example', '/callback/corp?iss=https://sso.corp.example'],
  ['*', '/'],
  ['evil.example:443', '/evil.example:443'],
]) {
  test(`the request target ${target} becomes ${path}`, () => {
    assert.equal(pinned({ url: target ?? '' }).url, path)
  })
}

test('a query of more parameters than anybody sends is read as none, before a framework reads it in a time that grows with their square', () => {
  const path = (count: number) => pinned({ url: `/auth?${Array.from({ length: count }, () => 'a=b').join('&')}` }).url
  assert.equal(path(200).length, 805)
  assert.equal(path(201), '/auth')
  assert.equal(path(16_000), '/auth')
})

test('X-Forwarded-For of somebody who is no trusted hop is not believed', () => {
  assert.equal(client('192.0.2.9', '10.0.0.1, 203.0.113.5', []), '192.0.2.9')
  assert.equal(client('192.0.2.9', '10.0.0.1', ['10.0.0.0/8']), '192.0.2.9')
})

test('the client is the last hop that no trusted proxy is, whatever it wrote before itself', () => {
  assert.equal(client('10.0.0.1', '127.0.0.1, 203.0.113.5, 10.0.0.2', ['10.0.0.0/8']), '203.0.113.5')
})

test('where every hop is trusted the first one is the client', () => {
  assert.equal(client('10.0.0.1', '10.0.0.3, 10.0.0.2', ['10.0.0.0/8']), '10.0.0.3')
})

test('a hop that is no address ends the walk at the proxy that wrote it', () => {
  assert.equal(client('10.0.0.1', '203.0.113.5, unknown', ['10.0.0.0/8']), '10.0.0.1')
  assert.equal(client('10.0.0.1', '', ['10.0.0.0/8']), '10.0.0.1')
})

test('IPv4-mapped addresses, ports and brackets do not hide a hop', () => {
  assert.equal(client('::ffff:10.0.0.1', '203.0.113.5:4711, ::ffff:10.0.0.2', ['10.0.0.0/8']), '203.0.113.5')
  assert.equal(client('::ffff:192.0.2.9', '', []), '192.0.2.9')
  assert.equal(client('fd00::1', '[2001:DB8::5]:4711', ['fd00::/8']), '2001:db8::5')
})

test('trusted hops are addresses and networks of both families', () => {
  const trusted = parseTrusted(['127.0.0.1', '10.1.0.0/16', '::1', 'fd00::/8', '::ffff:192.0.2.1'])
  for (const address of ['127.0.0.1', '::ffff:127.0.0.1', '10.1.255.255', '::1', 'fdab::9', '192.0.2.1']) {
    assert.equal(trusted(address), true, address)
  }
  for (const address of ['127.0.0.2', '10.2.0.0', '::2', 'fe80::1', '', 'localhost']) {
    assert.equal(trusted(address), false, address)
  }
})

test('an entry that is neither address nor network is refused', () => {
  for (const entry of ['localhost', '10.0.0.0/33', '10.0.0.0/', 'fd00::/129', '', '*', '10.0.0']) {
    assert.throws(() => parseTrusted([entry]), RangeError, entry)
  }
})

test('addresses of one /64 are one subscriber, however they are written; IPv4 counts by address', () => {
  // biome-ignore format: the columns are read downwards
  const table: readonly (readonly [address: string, subscriber: string])[] = [
    ['203.0.113.5',                   '203.0.113.5'],
    ['2001:db8:1:2:3:4:5:6',          '2001:db8:1:2::/64'],
    ['2001:db8:1:2::1',               '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::0.0.0.1',  '2001:db8:1:2::/64'],
    ['2001:db8::1',                   '2001:db8:0:0::/64'],
    ['2001:db8:0:1::',                '2001:db8:0:1::/64'],
    ['::1',                           '0:0:0:0::/64'],
    ['fe80::1%eth0',                  'fe80:0:0:0::/64'],
    ['',                              ''],
  ]
  for (const [address, subscriber] of table) assert.equal(subscriberOf(address), subscriber, address)
})
