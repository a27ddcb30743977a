import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { createServer as createSecure } from 'node:https'
import { type AddressInfo, connect, createServer as createRaw, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { gzipSync } from 'node:zlib'
import { isPublicAddress } from '../../src/fetcher/addresses.ts'
import type { FetchError } from '../../src/fetcher/error.ts'
import { createDownloader, createFetcher, type FetcherOptions } from '../../src/fetcher/fetcher.ts'
import { selfSigned } from '../support/certificate.ts'

const { key, cert } = selfSigned()
const seen: { path: string; headers: Record<string, unknown>; body: string }[] = []
let server: Server
let secure: ReturnType<typeof createSecure>
let origin = ''
let safe = ''

const port = (one: { address(): unknown }) => (one.address() as AddressInfo).port

before(async () => {
  server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const url = new URL(request.url ?? '/', origin)
    seen.push({ path: url.pathname, headers: request.headers, body })
    if (url.pathname === '/large') return response.end('x'.repeat(2000))
    if (url.pathname === '/endless') {
      const more = () => response.write('x'.repeat(1000), () => !response.destroyed && setImmediate(more))
      return more()
    }
    if (url.pathname === '/hang') return response.write('a')
    if (url.pathname === '/cut')
      return response.writeHead(200, { 'content-length': '50' }).write('a', () => response.destroy())
    if (url.pathname === '/zip')
      return response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('x'.repeat(1000)))
    if (url.pathname === '/none') return response.writeHead(204).end()
    if (url.pathname === '/to') return response.writeHead(302, { location: url.searchParams.get('u')! }).end()
    if (url.pathname === '/loop') return response.writeHead(302, { location: '/loop' }).end()
    return response.writeHead(201, { 'x-two': ['1', '2'] }).end(`${request.method} ${body}`)
  })
  secure = createSecure({ key, cert }, (_, response) => response.end('safe'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${port(server)}`
  safe = `https://localhost:${port(secure)}`
})
after(() => {
  for (const one of [server, secure]) {
    one.close()
    one.closeAllConnections()
  }
})

const make = (over: Partial<FetcherOptions> = {}) =>
  createFetcher({ reach: 'configured', timeoutMs: 1000, maxBytes: 1000, ...over })

const fails = (attempt: Promise<Response>, code: FetchError['code']) =>
  assert.rejects(attempt, { name: 'FetchError', code })

test('method, headers and body go out, status, headers and body come back', async () => {
  const response = await make()(`${origin}/post#part`, {
    method: 'POST',
    body: new URLSearchParams({ a: 'b' }),
    headers: { 'x-own': '1' },
  })
  assert.equal(response.status, 201)
  assert.equal(response.headers.get('x-two'), '1, 2')
  assert.equal(await response.text(), 'POST a=b')
  assert.equal(seen.at(-1)?.headers['x-own'], '1')
  assert.match(String(seen.at(-1)?.headers['content-type']), /x-www-form-urlencoded/)
  assert.equal((await make()(`${origin}/none`)).status, 204)
})

test('a body reaches the other side whole, also of a DELETE', async () => {
  const response = await make()(`${origin}/gone`, { method: 'DELETE', body: '{"a":1}' })
  assert.equal(await response.text(), 'DELETE {"a":1}')
})

test('who asks is said by a certificate where there is one, and only there', async () => {
  const mutual = createSecure({ key, cert, requestCert: true, ca: cert }, (request, response) =>
    response.end(String((request.socket as TLSSocket).authorized)),
  )
  await new Promise<void>((resolve) => mutual.listen(0, '127.0.0.1', resolve))
  const at = `https://localhost:${port(mutual)}`
  try {
    await fails(make({ ca: cert })(at), 'FETCH_UNREACHABLE')
    assert.equal(await (await make({ ca: cert, identity: { cert, key } })(at)).text(), 'true')
  } finally {
    mutual.close()
    mutual.closeAllConnections()
  }
})

test('an address from outside reaches no private address, written out', async () => {
  const outside = make({ reach: 'public' })
  for (const url of [
    safe.replace('localhost', '127.0.0.1'),
    'https://2130706433/',
    'https://0x7f.1/',
    'https://[::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://169.254.169.254/latest',
    'https://0/',
  ])
    await fails(outside(url), 'FETCH_ADDRESS')
})

test('an address from outside reaches no private address that a name resolves to', async () => {
  await fails(make({ reach: 'public', ca: cert })(safe), 'FETCH_ADDRESS')
  const listed = make({ reach: 'public', ca: cert, allowPrivate: ['localhost'] })
  assert.equal(await (await listed(safe)).text(), 'safe')
})

test('nothing but https is reached, save http on loopback where it was configured', async () => {
  await fails(make({ reach: 'public' })(origin), 'FETCH_SCHEME')
  await fails(make()('http://192.0.2.1/'), 'FETCH_SCHEME')
  await fails(make()('http://sso.corp.test/'), 'FETCH_SCHEME')
  await assert.rejects(make()('https://user:hunter2@127.0.0.1/'), (error: FetchError) => {
    assert.equal(error.code, 'FETCH_SCHEME')
    return !String(error.stack).includes('hunter2')
  })
  await fails(make()('data:text/plain,hello'), 'FETCH_SCHEME')
})

test('a redirect is checked like the first address', async () => {
  const outside = make({ allowPrivate: ['127.0.0.1'], reach: 'public' })
  await fails(outside(`${origin}/to?u=${encodeURIComponent('https://10.0.0.1/')}`), 'FETCH_ADDRESS')
  await fails(outside(`${origin}/to?u=${encodeURIComponent('file:///etc/passwd')}`), 'FETCH_SCHEME')
  assert.equal((await outside(`${origin}/to?u=/here`)).status, 201)
})

test('redirects end, are given as they are, or are refused, as was asked', async () => {
  const since = seen.length
  await fails(make()(`${origin}/loop`), 'FETCH_REDIRECT')
  assert.equal(seen.length - since, 4)
  assert.equal((await make()(`${origin}/loop`, { redirect: 'manual' })).status, 302)
  await fails(make()(`${origin}/loop`, { redirect: 'error' }), 'FETCH_REDIRECT')
  await fails(make()(`${origin}/to?u=/here`, { method: 'POST', body: 'secret' }), 'FETCH_REDIRECT')
})

test('credentials do not follow a redirect to another origin', async () => {
  const elsewhere = `http://localhost:${port(server)}/here`
  await make()(`${origin}/to?u=${encodeURIComponent(elsewhere)}`, {
    headers: { authorization: 'Bearer t', 'x-auth-token': 't', 'X-Subject-Token': 't', 'x-own': '1' },
  })
  assert.equal(seen.at(-1)?.path, '/here')
  for (const name of ['authorization', 'x-auth-token', 'x-subject-token'])
    assert.equal(seen.at(-1)?.headers[name], undefined, name)
  assert.equal(seen.at(-1)?.headers['x-own'], '1')
})

test('an answer too large is refused, also one without end', async () => {
  await fails(make()(`${origin}/large`), 'FETCH_TOO_LARGE')
  await fails(make()(`${origin}/endless`), 'FETCH_TOO_LARGE')
  assert.equal((await (await make({ maxBytes: 2000 })(`${origin}/large`)).text()).length, 2000)
})

test('an answer that does not end in time, is cut off or compressed is refused', async () => {
  await fails(make({ timeoutMs: 100 })(`${origin}/hang`), 'FETCH_TIMEOUT')
  await fails(make()(`${origin}/cut`), 'FETCH_UNREACHABLE')
  await fails(make()(`${origin}/zip`), 'FETCH_ENCODING')
})

const oddities = {
  'with a status that HTTP does not have': 'HTTP/1.1 999 No\r\ncontent-length: 2\r\n\r\nno',
  'that changes the protocol, which nobody asked for':
    'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
}

for (const [name, sent] of Object.entries(oddities))
  test(`an answer ${name} is refused at once, and nothing else ends by it`, { timeout: 5000 }, async () => {
    const strange = createRaw((socket) => {
      socket.on('error', () => {}).once('data', () => socket.write(sent))
    })
    await new Promise<void>((resolve) => strange.listen(0, '127.0.0.1', resolve))
    try {
      const at = `http://127.0.0.1:${port(strange)}/`
      await fails(make()(at), 'FETCH_UNREACHABLE')
      await fails(
        createDownloader({ reach: 'configured', timeoutMs: 1000, maxBytes: 1000 })(at, {}, async () => {}),
        'FETCH_UNREACHABLE',
      )
    } finally {
      strange.close()
    }
  })

test('what hangs behind the tunnel of a proxy ends by the time limit', { timeout: 5000 }, async () => {
  const tunnels: Socket[] = []
  const proxy = createRaw((socket) => {
    tunnels.push(socket.on('error', () => {}))
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'))
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  try {
    const fetch = make({ proxy: `http://127.0.0.1:${port(proxy)}`, timeoutMs: 300 })
    await fails(fetch('https://upstream.example/'), 'FETCH_TIMEOUT')
    await assert.rejects(fetch('https://upstream.example/', { signal: AbortSignal.abort(new Error('gone')) }), /gone/)
  } finally {
    for (const each of tunnels) each.destroy()
    proxy.close()
  }
})

test('a server that is not there is unreachable, and the system says why in the cause', async () => {
  await assert.rejects(make()('http://127.0.0.1:1/'), (error: FetchError) => {
    assert.equal(error.code, 'FETCH_UNREACHABLE')
    assert.equal((error.cause as { code?: string }).code, 'ECONNREFUSED')
    return true
  })
})

test('who asked may give up', async () => {
  const abort = new AbortController()
  const asked = make()(`${origin}/hang`, { signal: abort.signal })
  abort.abort()
  await assert.rejects(asked, { name: 'AbortError' })
})

test('a certificate is believed only where its CA is', async () => {
  await fails(make()(safe), 'FETCH_UNREACHABLE')
  await fails(make({ ca: selfSigned().cert })(safe), 'FETCH_UNREACHABLE')
  assert.equal(await (await make({ ca: cert })(safe)).text(), 'safe')
})

test('a proxy is asked by CONNECT with its own credentials, and TLS stays end to end', async () => {
  const asked: { to: string; authorization: unknown }[] = []
  const proxy = createServer()
  proxy.on('connect', (request, socket, head) => {
    asked.push({ to: request.url ?? '', authorization: request.headers['proxy-authorization'] })
    const through = connect(port(secure), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      through.write(head)
      through.pipe(socket).pipe(through)
    })
    through.on('error', () => socket.destroy())
    socket.on('error', () => through.destroy())
    socket.on('close', () => through.destroy())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  try {
    const by = make({ ca: cert, proxy: `http://me:pass@127.0.0.1:${port(proxy)}` })
    assert.equal(await (await by(safe)).text(), 'safe')
    assert.deepEqual(asked, [{ to: safe.slice('https://'.length), authorization: `Basic ${btoa('me:pass')}` }])
    await fails(make({ proxy: `http://127.0.0.1:${port(proxy)}` })(safe), 'FETCH_UNREACHABLE')
  } finally {
    proxy.close()
    proxy.closeAllConnections()
  }
})

test('a private network is reached by https where it is listed, and no other', async () => {
  const listed = make({ reach: 'public', ca: cert, privateNetworks: ['10.0.0.0/8', '127.0.0.0/8', '::1'] })
  assert.equal(await (await listed(safe)).text(), 'safe')
  await fails(listed(origin), 'FETCH_SCHEME')
  const other = make({ reach: 'public', ca: cert, privateNetworks: ['10.0.0.0/8'] })
  await fails(other(safe), 'FETCH_ADDRESS')
  await fails(other(safe.replace('localhost', '127.0.0.1')), 'FETCH_ADDRESS')
})

test('every special-purpose range is known, and ordinary addresses are public', () => {
  const special =
    '0.1.2.3 10.1.1.1 100.64.0.1 127.9.9.9 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1 192.168.1.1 198.18.0.1 ' +
    '198.51.100.1 203.0.113.1 224.0.0.1 255.255.255.255 :: ::1 ::ffff:8.8.8.8 64:ff9b::7f00:1 100::1 2001::1 2001:db8::1 ' +
    '2002:7f00:1::1 3fff::1 fc00::1 fd12::1 fe80::1 ff02::1 localhost'
  for (const address of special.split(' ')) assert.equal(isPublicAddress(address), false, address)
  for (const address of '8.8.8.8 100.63.0.1 172.32.0.1 2606:4700::1111 2a00:1450::1'.split(' '))
    assert.equal(isPublicAddress(address), true, address)
})

const download = (path: string, sink: (chunk: Uint8Array) => Promise<void>, over: Partial<FetcherOptions> = {}) =>
  createDownloader({ reach: 'configured', timeoutMs: 1000, maxBytes: 5000, ...over })(
    `${origin}${path}`,
    { a: 'b' },
    sink,
  )

test('a document goes to the sink piece by piece, each awaited, and redirects are followed', async () => {
  let size = 0
  let under = 0
  const sink = async (chunk: Uint8Array) => {
    under += 1
    assert.equal(under, 1)
    await new Promise((resolve) => setImmediate(resolve))
    under -= 1
    size += chunk.length
  }
  const answer = await download(`/to?u=${encodeURIComponent('/large')}`, sink)
  assert.deepEqual([answer.status, await answer.text(), size], [200, '', 2000])
  assert.equal(seen.at(-1)?.headers['a'], 'b')
})

test('a document that passes a bound, is cut off, hangs or is compressed is refused, though its pieces came', async () => {
  const nothing = async () => {}
  await fails(download('/endless', nothing), 'FETCH_TOO_LARGE')
  await fails(download('/cut', nothing), 'FETCH_UNREACHABLE')
  await fails(download('/hang', nothing, { timeoutMs: 200 }), 'FETCH_TIMEOUT')
  await fails(
    download('/zip', () => assert.fail('nothing of it is handed on')),
    'FETCH_ENCODING',
  )
  await fails(download('/large', nothing, { reach: 'public' }), 'FETCH_SCHEME')
})

test('a process that stops waits for no document', async () => {
  const stop = new AbortController()
  const get = createDownloader({ reach: 'configured', timeoutMs: 10_000, maxBytes: 5000 }, stop.signal)
  const asked = get(`${origin}/hang`, {}, async () => stop.abort('SIGTERM'))
  await assert.rejects(asked, /was left: SIGTERM/)
})

test('what the sink throws is what is thrown, and an answer that is no 200 goes to nobody', async () => {
  const refusal = new RangeError('enough')
  await assert.rejects(
    download('/endless', () => Promise.reject(refusal)),
    (error) => error === refusal,
  )
  const other = await download('/other', () => assert.fail('only a 200 is a document'))
  assert.deepEqual([other.status, await other.text()], [201, 'GET '])
})
