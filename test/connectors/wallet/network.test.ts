import assert from 'node:assert/strict'
import dns from 'node:dns'
import { createServer, type Server } from 'node:https'
import { syncBuiltinESMExports } from 'node:module'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { presented } from '../../../src/connectors/wallet/credentials/presented.ts'
import { openDocuments } from '../../../src/connectors/wallet/keys/documents.ts'
import { openAnchors } from '../../../src/connectors/wallet/keys/x509.ts'
import type { VerifyPorts } from '../../../src/connectors/wallet/ports.ts'
import { createFetcher, type FetcherOptions } from '../../../src/fetcher/fetcher.ts'
import { selfSigned } from '../../support/certificate.ts'
import { binding, bound, issued, newKey, publicOf } from '../../support/credentials.ts'
import { NOW } from '../../support/x509.ts'

/*
 * An issuer that is configured, and a network that is not to be trusted: the fetcher of production, against a server on loopback.
 */

const { key: tlsKey, cert } = selfSigned('issuer.example', [])
const [key, holder] = [newKey(), newKey()]
let server: Server
let port = 0
let hits = 0

before(async () => {
  server = createServer({ key: tlsKey, cert }, (request, response) => {
    hits += 1
    const path = request.url ?? ''
    const did = `did:web:issuer.example%3A${port}${path.replace(/\/(\.well-known\/)?did\.json$/, '').replaceAll('/', ':')}`
    const document = { id: did, verificationMethod: [{ id: `${did}#1`, controller: did, publicKeyJwk: publicOf(key) }] }
    if (path.startsWith('/moved')) return response.writeHead(302, { location: '/good/did.json' }).end()
    if (path.startsWith('/large')) {
      response.writeHead(200, { 'content-length': String(100 * 1024 * 1024) })
      const chunk = Buffer.alloc(65_536, ' ')
      const more = () => void response.write(chunk, () => !response.destroyed && setImmediate(more))
      return more()
    }
    if (path.startsWith('/never')) return void response.write('{')
    return response.end(JSON.stringify(document))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})
after(() => {
  server.close()
  server.closeAllConnections()
})

const { lookup } = dns

/** Has names resolve to these addresses, one for each question, the last for all that follow. */
async function resolving(addresses: readonly string[], run: () => Promise<void>): Promise<number> {
  let asked = 0
  dns.lookup = ((_: string, options: { all?: boolean }, callback: (...args: unknown[]) => void) => {
    const address = addresses[Math.min(asked, addresses.length - 1)]
    asked += 1
    setImmediate(() => (options.all ? callback(null, [{ address, family: 4 }]) : callback(null, address, 4)))
  }) as never
  syncBuiltinESMExports()
  try {
    await run()
  } finally {
    dns.lookup = lookup
    syncBuiltinESMExports()
  }
  return asked
}

function ports(options: Partial<FetcherOptions> = {}): VerifyPorts {
  const fetch = createFetcher({ reach: 'public', ca: cert, timeoutMs: 5000, maxBytes: 1024 * 1024, ...options })
  const documents = openDocuments({ fetch, now: () => NOW })
  return {
    now: () => NOW,
    documents: () => documents,
    anchors: openAnchors({}),
    allowed: () => true,
    lenient: new Set(),
  }
}

function present(path: string, world: VerifyPorts) {
  const iss = `did:web:issuer.example%3A${port}:${path}`
  const text = bound(issued({ key, holder, header: { kid: `${iss}#1` }, open: { iss } }), holder)
  return presented('dc+sd-jwt', text, binding, world)
}

const unavailable = (path: string, message: RegExp, world: VerifyPorts) =>
  assert.rejects(present(path, world), { code: 'upstream_unavailable', message })

const listed = { privateNetworks: ['127.0.0.0/8'] }

test('a did:web is read where its network is listed', () =>
  resolving(['127.0.0.1'], async () => {
    const [found] = await present('good', ports(listed))
    assert.equal(found?.issuer.by, 'did')
  }).then(() => undefined))

test('a did:web that leads to a private address is not asked', async () => {
  const before = hits
  for (const address of ['127.0.0.1', '10.0.0.1', '169.254.169.254', '::1', 'fd00::1'])
    await resolving([address], () => unavailable('good', /FETCH_ADDRESS/, ports()))
  const written = `did:web:127.0.0.1%3A${port}:good`
  const text = bound(issued({ key, holder, header: { kid: `${written}#1` }, open: { iss: written } }), holder)
  await assert.rejects(presented('dc+sd-jwt', text, binding, ports()), { message: /FETCH_ADDRESS/ })
  assert.equal(hits, before)
})

test('a did:web that redirects is not followed', () =>
  resolving(['127.0.0.1'], () => unavailable('moved', /FETCH_REDIRECT/, ports(listed))).then(() => undefined))

test('a did:web by rebinding gains nothing: there is one resolution, and the address that it gave is looked at and connected to', async () => {
  const world = () => ports(listed)
  // What comes second is what a second resolution would have connected to.
  const asked = await resolving(['127.0.0.1', '10.0.0.1'], async () => void (await present('good', world())))
  assert.equal(asked, 1)
  const before = hits
  await resolving(['10.0.0.1', '127.0.0.1'], () => unavailable('good', /FETCH_ADDRESS/, world()))
  assert.equal(hits, before)
})

test('a did document of 100 MB is left at its first megabyte', () =>
  resolving(['127.0.0.1'], () => unavailable('large', /FETCH_TOO_LARGE/, ports(listed))).then(() => undefined))

test('an answer that never ends is left after its time', () =>
  resolving(['127.0.0.1'], () => unavailable('never', /FETCH_TIMEOUT/, ports({ ...listed, timeoutMs: 500 }))).then(
    () => undefined,
  ))

test('a failure is remembered for a moment: a flood of presentations makes one request', () =>
  resolving(['127.0.0.1'], async () => {
    const world = ports(listed)
    const before = hits
    await Promise.all(Array.from({ length: 20 }, () => assert.rejects(present('moved', world))))
    await assert.rejects(present('moved', world))
    assert.equal(hits, before + 1)
  }).then(() => undefined))

test('many issuers at once are not all asked at once', () =>
  resolving(['127.0.0.1'], async () => {
    const world = ports(listed)
    const before = hits
    const found = await Promise.allSettled(Array.from({ length: 40 }, (_, index) => present(`never${index}`, world)))
    const refused = found.filter((each) => each.status === 'rejected' && /at once/.test(String(each.reason)))
    assert.deepEqual([hits - before, refused.length], [16, 24])
  }).then(() => undefined))
