import assert from 'node:assert/strict'
import { createServer, type OutgoingHttpHeaders, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import { lifetime, probeGateway } from '../../src/cli/check-gateway.ts'
import { createFetcher } from '../../src/fetcher/fetcher.ts'
import type { TestGateway } from '../support/gateway.ts'
import { operator } from '../support/lotse.ts'
import type { Idp } from '../support/oidc-idp.ts'
import { standard } from '../support/standard.ts'

const now = () => Math.floor(Date.now() / 1000)

let idp: Idp
let gateway: TestGateway
let config: string
/** What the proxy makes of the answer's headers, or its own answer. */
let change: (headers: OutgoingHttpHeaders) => OutgoingHttpHeaders
let own: { readonly status: number; readonly body: string } | undefined
const proxy = createServer((from, to) => {
  if (own) return void to.writeHead(own.status).end(own.body)
  const on = request(new URL(from.url ?? '/', gateway.issuer), { headers: from.headers }, (answer) => {
    to.writeHead(answer.statusCode ?? 0, change(answer.headers))
    answer.pipe(to)
  })
  from.pipe(on)
})
before(async () => {
  ;({ idp, gateway, config } = await standard())
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
})
beforeEach(() => {
  change = (headers) => headers
  own = undefined
})
after(async () => {
  await gateway.close()
  await idp.close()
  proxy.closeAllConnections()
  await new Promise((resolve) => proxy.close(resolve))
})

/** What check says where the issuer's name leads to the proxy, one text for each document. */
async function throughProxy(): Promise<readonly string[]> {
  const { port } = proxy.address() as AddressInfo
  const fetcher = createFetcher({ reach: 'configured', timeoutMs: 5000, maxBytes: 1024 * 1024 })
  const checks = await probeGateway(new URL(gateway.issuer), {
    now: now(),
    fetch: (url, init) => fetcher(String(url).replace(gateway.issuer, `http://127.0.0.1:${port}`), init),
  })
  return checks.map(({ check, ok, note, found }) => `${ok ? (note ? 'note' : 'ok') : 'bad'} ${check}: ${found}`)
}

test('a gateway that the world reads as it answers is ok, and can be asked alone', async () => {
  const at = await operator(gateway, config)
  const { code, out, err } = await at.lotse('check --live gateway', `--config ${gateway.folder}/gateway.yaml`)
  assert.equal(code, 0, err.join('\n'))
  assert.deepEqual(out.slice(1), [
    `ok    gateway  metadata: ${gateway.issuer}/.well-known/openid-configuration`,
    `ok    gateway  keys: ${gateway.issuer}/jwks`,
  ])
  assert.deepEqual(await throughProxy(), [
    `ok metadata: ${gateway.issuer}/.well-known/openid-configuration`,
    `ok keys: ${gateway.issuer}/jwks`,
  ])
})

test('a proxy that lets keys be kept for an hour is bad, and how long a cluster then knows no new key is said', async () => {
  for (const cache of ['public, max-age=3600', 'max-age=30, s-maxage=3600', 'no-store, max-age=3600']) {
    change = (headers) => ({ ...headers, 'cache-control': cache })
    const [metadata, keys] = await throughProxy()
    assert.match(metadata ?? '', /^note metadata: a proxy lets it be kept for 3600 s/)
    assert.match(
      keys ?? '',
      /^bad keys: a proxy lets them be kept for 3600 s, where the gateway says 30: .* for up to 3570 s more/,
    )
  }
})

test('Expires and Last-Modified count where nothing else says how long', async () => {
  const in2h = new Date(Date.now() + 7200_000).toUTCString()
  const aDayAgo = new Date(Date.now() - 86_400_000).toUTCString()
  for (const [more, seconds] of [
    [{ expires: in2h }, 7200],
    [{ 'last-modified': aDayAgo }, 8640],
  ] as const) {
    change = ({ 'cache-control': _, ...headers }) => ({ ...headers, ...more })
    const kept = Number(/^bad keys: a proxy lets them be kept for (\d+) s/.exec((await throughProxy())[1] ?? '')?.[1])
    assert.ok(Math.abs(kept - seconds) <= 2, `${kept}`)
    // Beside a max-age they are without effect, and tell of something that keeps copies.
    change = (headers) => ({ ...headers, ...more })
    assert.match(
      (await throughProxy())[1] ?? '',
      /^note keys: .* a proxy changes how it may be kept \((expires|last-modified): /,
    )
  }
})

test('a proxy that answers from copies, names versions or takes the header away is a note', async () => {
  for (const more of [{ age: '12' }, { etag: '"1"' }, { 'cache-control': 'no-store' }]) {
    change = (headers) => ({ ...headers, ...more })
    const [name] = Object.keys(more)
    const wanted = new RegExp(`^note .*${name}: .*; the gateway says public, max-age=\\d+ alone$`, 'i')
    for (const text of await throughProxy()) assert.match(text, wanted)
  }
})

test('what is no gateway at that address is bad, one that is not there a note', async () => {
  own = { status: 404, body: 'no' }
  assert.ok((await throughProxy()).every((text) => /^bad \w+: .* answered with status 404$/.test(text)))
  own = { status: 200, body: '<html>' }
  assert.ok((await throughProxy()).every((text) => /^bad \w+: .*: is no JSON$/.test(text)))
  own = { status: 200, body: '{"issuer":"https://other.example"}' }
  const [metadata, keys] = await throughProxy()
  assert.match(metadata ?? '', /^bad metadata: .* calls itself "https:\/\/other.example"/)
  assert.match(keys ?? '', /^bad keys: .*: is no key set$/)
  own = { status: 502, body: 'no' }
  assert.ok((await throughProxy()).every((text) => /^note \w+: .* answered with status 502$/.test(text)))
  const fetch = createFetcher({ reach: 'configured', timeoutMs: 5000, maxBytes: 1024 })
  for (const { ok, note, found } of await probeGateway(new URL('http://127.0.0.1:1'), { fetch, now: now() })) {
    assert.ok(ok && note)
    assert.match(found ?? '', /cannot be read from here: http:\/\/127\.0\.0\.1:1 cannot be reached \(ECONNREFUSED\)/)
  }
})

test('how long a cluster counts an answer as fresh is read as it reads it', () => {
  const at = (headers: Record<string, string>) =>
    lifetime(new Headers(headers), Date.parse('2026-01-02T00:00:00Z') / 1000)
  assert.equal(at({}), 0)
  assert.equal(at({ 'cache-control': 'no-store' }), 0)
  assert.equal(at({ 'cache-control': 'private, max-age="7"' }), 7)
  assert.equal(at({ 'cache-control': 'x-max-age=7' }), 0)
  assert.equal(at({ 'last-modified': 'Wed, 01 Jan 2020 00:00:00 GMT' }), 86_400)
  assert.equal(at({ 'last-modified': 'Sat, 03 Jan 2026 00:00:00 GMT' }), 0)
  assert.equal(at({ date: 'Fri, 02 Jan 2026 00:00:00 GMT', expires: 'Fri, 02 Jan 2026 00:01:00 GMT' }), 60)
  assert.equal(at({ expires: '0' }), 0)
})
