import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { type ConnectorPorts, urlsFor } from '../../../src/connectors/connector.ts'
import { openDirectory } from '../../../src/connectors/saml/metadata/directory.ts'
import { createDownloader, createFetcher } from '../../../src/fetcher/fetcher.ts'
import { re2 } from '../../../src/regex.ts'
import { entityXml, groupXml, keyDescriptor, signer, signMetadata } from '../../support/saml-metadata.ts'
import { keyless, sealing } from '../support.ts'

const federation = signer()
const folder = mkdtempSync(join(tmpdir(), 'lotse-metadata-'))
const start = Date.parse('2026-11-28T12:00:00Z') / 1000
const day = 86_400

let server: Server
let origin = ''
/** What the server answers by path: a document, a status, or when it is told to. */
let answers: Record<string, string | number | Promise<string>> = {}
let seen: string[] = []

before(async () => {
  server = createServer(async (request, response) => {
    const path = request.url ?? ''
    seen.push(path)
    const answer = await (answers[path] ?? 404)
    if (typeof answer === 'number') return response.writeHead(answer).end()
    const etag = `"${answer.length}"`
    if (request.headers['if-none-match'] === etag) return response.writeHead(304).end()
    return response.writeHead(200, { etag }).end(answer)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
after(() => {
  server.close()
  rmSync(folder, { recursive: true })
})
beforeEach(() => {
  answers = {}
  seen = []
})

type Config = Parameters<typeof openDirectory>[0]

/** A world whose clock is moved by hand, and whose shelf outlives the directories that are opened in it. */
function world() {
  let now = start
  const kept = new Map<string, { text: string; until: number }>()
  const logged: string[] = []
  const ports: ConnectorPorts = {
    now: () => now,
    fetch: createFetcher({ reach: 'configured', timeoutMs: 5000, maxBytes: 1_048_576 }),
    download: createDownloader({ reach: 'configured', timeoutMs: 5000, maxBytes: 10_000_000 }),
    kept: {
      get: async (name) => {
        const entry = kept.get(name)
        return entry && entry.until > now ? entry.text : undefined
      },
      put: async (name, text, seconds) => void kept.set(name, { text, until: now + seconds }),
      delete: async (name) => void kept.delete(name),
    },
    ...urlsFor(new URL('https://gateway.test'), 'dfn'),
    ...sealing,
    sp: keyless,
    regex: re2,
    log: (level, message, fields) => logged.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`),
  }
  // A gateway waits for less, and a busy machine needs more.
  const open = (config: Partial<Config> & Pick<Config, 'metadata'>, patience = 60_000) =>
    openDirectory({ id: 'dfn', entity: undefined, only: undefined, discovery: 'page', ...config }, ports, patience)
  const advance = (seconds: number) => {
    now += seconds
  }
  return { open, advance, kept, logged }
}

const { certificate } = federation
const sign = (xml: string) => signMetadata(xml, federation.key)
const until = (days: number) => new Date((start + days * day) * 1000).toISOString()
const aggregate = (ids: readonly string[], days = 10, more = '') =>
  sign(
    groupXml(
      ids.map((entityId) => entityXml({ entityId })),
      `ID="_all" validUntil="${until(days)}" ${more}`,
    ),
  )
const single = (entityId: string, days = 10, key?: string) =>
  sign(
    entityXml({
      entityId,
      attributes: `ID="_one" validUntil="${until(days)}"`,
      ...(key ? { keys: keyDescriptor(key) } : {}),
    }),
  )

/** Lets what was begun come to its end: reading takes a thread of its own. */
async function settled(condition: () => boolean): Promise<void> {
  const limit = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > limit) assert.fail('it did not come')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const url = (path: string) => `${origin}${path}`
const failing = { code: 'upstream_unavailable' }

test('a federation is read from its URL, and a changed one reaches sign-ins without a restart', async () => {
  const { open, advance } = world()
  answers['/all'] = aggregate(['urn:a', 'urn:b'], 10, 'cacheDuration="PT1H"')
  const directory = open({ metadata: [{ url: url('/all'), certificate }] })
  assert.equal((await directory.find('urn:a'))?.entityId, 'urn:a')
  assert.equal(await directory.find('urn:c'), undefined)
  assert.equal(await directory.only(), undefined)
  assert.deepEqual(directory.standing(), { readAt: start, validUntil: start + 10 * day, idps: 2 })
  answers['/all'] = aggregate(['urn:a', 'urn:c', 'urn:d'])
  directory.tend()
  advance(3599)
  directory.tend()
  assert.equal(await directory.find('urn:c'), undefined)
  assert.equal(seen.length, 1)
  advance(1)
  directory.tend()
  await settled(() => directory.standing().idps === 3)
  assert.equal((await directory.find('urn:c'))?.entityId, 'urn:c')
  assert.equal(await directory.find('urn:b'), undefined)
})

test('what did not change is confirmed without being sent', async () => {
  const { open, advance } = world()
  answers['/all'] = aggregate(['urn:a', 'urn:b'])
  const directory = open({ metadata: [{ url: url('/all'), certificate }] })
  await directory.find('urn:a')
  advance(7200)
  directory.tend()
  await settled(() => directory.standing().readAt === start + 7200)
  assert.equal((await directory.find('urn:b'))?.entityId, 'urn:b')
  assert.equal(seen.length, 2)
})

test('the good copy stays over failures and a bad document, is asked for again in growing intervals, and goes at its end', async () => {
  const { open, advance, logged } = world()
  answers['/all'] = aggregate(['urn:a', 'urn:b'], 1)
  const directory = open({ metadata: [{ url: url('/all'), certificate }] })
  await directory.find('urn:a')
  answers['/all'] = 500
  advance(3600)
  directory.tend()
  await settled(() => logged.some((line) => line.includes('status 500')))
  directory.tend()
  advance(29)
  directory.tend()
  assert.equal(seen.length, 2)
  answers['/all'] = aggregate(['urn:a', 'urn:evil'], 1).replace('urn:evil', 'urn:EVIL')
  advance(1)
  directory.tend()
  await settled(() => logged.some((line) => line.includes('not what was signed')))
  assert.equal((await directory.find('urn:b'))?.entityId, 'urn:b')
  assert.equal(directory.standing().readAt, start)
  answers['/all'] = 500
  advance(day)
  await assert.rejects(directory.find('urn:a'), failing)
  assert.deepEqual(directory.standing(), { idps: 0 })
  assert.ok(logged.some((line) => line.startsWith('error metadata has come to its end')))
})

test('the good copy stays over a restart, until its end', async () => {
  const { open, advance, kept } = world()
  answers['/all'] = aggregate(['urn:a', 'urn:b'], 10, 'cacheDuration="PT6H"')
  const metadata = [{ url: url('/all'), certificate }]
  await open({ metadata }).find('urn:a')
  answers['/all'] = 500
  advance(3600)
  assert.equal((await open({ metadata }).find('urn:b'))?.entityId, 'urn:b')
  assert.equal(seen.length, 1)
  const again = open({ metadata })
  advance(10 * 3600)
  again.tend()
  await settled(() => seen.length === 2)
  assert.equal((await again.find('urn:b'))?.entityId, 'urn:b')
  advance(10 * day)
  await assert.rejects(open({ metadata }).find('urn:a'), failing)
  // The head, which alone says what the blocks are, is kept no longer.
  const heads = [...kept].filter(([name]) => !name.includes(' '))
  assert.deepEqual([...new Set(heads.map(([, { until }]) => until))], [start + 10 * day])
})

test('of a document that is signed anew the blocks that changed are written, and none stays that is not used', async () => {
  const { open, advance, kept } = world()
  const ids = Array.from({ length: 200 }, (_, n) => `urn:idp:${n}`)
  const blocks = () => new Set([...kept.keys()].filter((name) => name.includes(' ')))
  answers['/all'] = aggregate(ids, 10)
  const directory = open({ metadata: [{ url: url('/all'), certificate }] })
  await directory.find('urn:idp:1')
  const before = blocks()
  answers['/all'] = aggregate([...ids.slice(0, 100), 'urn:new', ...ids.slice(100)], 12)
  advance(7200)
  directory.tend()
  await settled(() => directory.standing().validUntil === start + 12 * day)
  await settled(() => blocks().size > 0 && ![...before].every((name) => blocks().has(name)))
  const added = [...blocks()].filter((name) => !before.has(name))
  assert.ok(before.size > 5 && added.length >= 1 && added.length <= 2, `${added.length} of ${before.size}`)
  answers['/all'] = 500
  const again = open({ metadata: [{ url: url('/all'), certificate }] })
  assert.equal((await again.find('urn:new'))?.validUntil, start + 12 * day)
})

test('a kept copy is not taken under another certificate, with other filters, or from another hand', async () => {
  const { open, kept } = world()
  answers['/all'] = aggregate(['urn:a', 'urn:b'])
  const metadata = [{ url: url('/all'), certificate }]
  await open({ metadata }).find('urn:a')
  const good = new Map(kept)
  answers['/all'] = 500
  await assert.rejects(
    open({ metadata: [{ url: url('/all'), certificate: signer().certificate }] }).find('urn:a'),
    failing,
  )
  await assert.rejects(open({ metadata, only: { entities: ['urn:a'] } }).find('urn:a'), failing)
  for (const [name, { text, until }] of good) {
    kept.set(name, { text: text.replace('urn:a', 'urn:evil').replace(/^W/, 'X'), until })
    await assert.rejects(open({ metadata }).find('urn:evil'), failing)
    kept.set(name, { text, until })
  }
  assert.equal((await open({ metadata }).find('urn:a'))?.entityId, 'urn:a')
})

test('one entity may come over TLS without a signature, several may not', async () => {
  const { open } = world()
  answers['/one'] = entityXml({ entityId: 'urn:one' })
  answers['/two'] = groupXml([entityXml(), entityXml({ entityId: 'urn:two' })])
  const directory = open({ metadata: [{ url: url('/one') }] })
  assert.equal((await directory.only())?.entityId, 'urn:one')
  assert.equal(await directory.discover(), undefined)
  await assert.rejects(open({ metadata: [{ url: url('/two') }] }).only(), /need a certificate/)
})

test('an unsigned document without an end is used for ninety days after it was last read', async () => {
  const { open, advance } = world()
  answers['/one'] = entityXml({ entityId: 'urn:one' })
  const directory = open({ metadata: [{ url: url('/one') }] })
  await directory.only()
  answers['/one'] = 404
  advance(90 * day - 1)
  assert.equal((await directory.only())?.entityId, 'urn:one')
  advance(1)
  await assert.rejects(directory.only(), failing)
})

test('a file is read again when it changes', async () => {
  const { open, advance } = world()
  const file = join(folder, 'idp.xml')
  writeFileSync(file, entityXml({ entityId: 'urn:one' }))
  const directory = open({ metadata: [{ file }] })
  assert.equal((await directory.only())?.entityId, 'urn:one')
  assert.deepEqual(await directory.review(), [
    { check: `metadata of ${file}`, ok: true, found: '1 identity provider, no end of its own' },
  ])
  writeFileSync(file, entityXml({ entityId: 'urn:new' }))
  utimesSync(file, start, start)
  advance(10)
  directory.tend()
  await settled(() => directory.standing().readAt === start + 10)
  assert.equal((await directory.only())?.entityId, 'urn:new')
  writeFileSync(file, 'rubbish')
  const [check] = await directory.review()
  assert.equal(check?.ok, false)
  assert.match(check?.found ?? '', /not well-formed/)
})

test('of several sources the earlier one counts, and one that is down is no reason to call an IdP unknown', async () => {
  const { open, advance } = world()
  answers['/a'] = sign(
    groupXml(
      [entityXml({ entityId: 'urn:x', keys: keyDescriptor('AAAA') }), entityXml({ entityId: 'urn:a' })],
      `ID="_all" validUntil="${until(10)}"`,
    ),
  )
  answers['/b'] = sign(
    groupXml(
      [entityXml({ entityId: 'urn:x', keys: keyDescriptor('BBBB') }), entityXml({ entityId: 'urn:b' })],
      `ID="_all" validUntil="${until(9)}"`,
    ),
  )
  const directory = open({ metadata: ['/a', '/b'].map((path) => ({ url: url(path), certificate })) })
  assert.deepEqual((await directory.find('urn:x'))?.signing, ['AAAA'])
  assert.equal((await directory.find('urn:b'))?.entityId, 'urn:b')
  assert.equal(directory.standing().validUntil, start + 9 * day)
  const found = (await directory.discover())?.search('', 'en')
  assert.deepEqual(
    found?.shown.map(({ id }) => id),
    ['urn:a', 'urn:b', 'urn:x'],
  )
  answers['/b'] = 500
  advance(9 * day)
  assert.equal((await directory.find('urn:a'))?.entityId, 'urn:a')
  await assert.rejects(directory.find('urn:b'), failing)
})

test('the one that is named, or that a filter leaves, needs no discovery', async () => {
  const { open } = world()
  answers['/all'] = aggregate(['urn:a', 'urn:b'])
  const metadata = [{ url: url('/all'), certificate }]
  const named = open({ metadata, entity: 'urn:b' })
  assert.equal((await named.only())?.entityId, 'urn:b')
  assert.equal(await named.find('urn:a'), undefined)
  assert.equal(await named.discover(), undefined)
  const filtered = open({ metadata, only: { entities: ['urn:a'] } })
  assert.equal((await filtered.only())?.entityId, 'urn:a')
})

test('a discovery service is asked with the gateway’s name and where to come back to', async () => {
  const { open } = world()
  answers['/all'] = aggregate(['urn:a', 'urn:b'])
  const discovery = await open({
    metadata: [{ url: url('/all'), certificate }],
    discovery: { url: 'https://service.seamlessaccess.example/ds' },
  }).discover()
  const to = discovery?.service?.(new URL('https://gateway.test/discovery/dfn?uid=1'))
  assert.equal(to?.origin, 'https://service.seamlessaccess.example')
  assert.deepEqual(Object.fromEntries(to?.searchParams ?? []), {
    entityID: 'https://gateway.test/saml/metadata',
    return: 'https://gateway.test/discovery/dfn?uid=1',
    returnIDParam: 'entityID',
  })
})

const path = (entityId: string) => `/mdq/entities/${encodeURIComponent(entityId)}`
const mdq = () => [{ mdq: url('/mdq'), certificate }]

test('a metadata query server is asked once for an entity, also for one that it does not know', async () => {
  const { open, advance } = world()
  answers[path('https://idp.example/a?b')] = single('https://idp.example/a?b')
  const directory = open({ metadata: mdq(), discovery: { url: 'https://ds.example' } })
  const both = await Promise.all([directory.find('https://idp.example/a?b'), directory.find('https://idp.example/a?b')])
  assert.deepEqual(
    both.map((idp) => idp?.entityId),
    ['https://idp.example/a?b', 'https://idp.example/a?b'],
  )
  assert.equal(await directory.find('urn:none'), undefined)
  assert.equal(await directory.find('urn:none'), undefined)
  assert.deepEqual(seen, [path('https://idp.example/a?b'), path('urn:none')])
  answers[path('urn:none')] = single('urn:none')
  advance(301)
  assert.equal((await directory.find('urn:none'))?.entityId, 'urn:none')
  assert.equal(directory.standing().idps, 2)
  assert.deepEqual(await (await directory.discover())?.find('urn:none', 'en'), { id: 'urn:none', name: 'urn:none' })
})

test('a query server is asked again for an entity whose keys are said to be others by now, and what is known stays where it fails', async () => {
  const { open } = world()
  const directory = open({ metadata: mdq(), discovery: { url: 'https://ds.example' } })
  answers[path('urn:a')] = single('urn:a', 10, 'AAAA')
  assert.deepEqual((await directory.find('urn:a'))?.signing, ['AAAA'])
  answers[path('urn:a')] = single('urn:a', 10, 'BBBB')
  assert.deepEqual((await directory.find('urn:a'))?.signing, ['AAAA'])
  assert.deepEqual((await directory.renew('urn:a'))?.signing, ['BBBB'])
  answers[path('urn:a')] = 500
  assert.deepEqual((await directory.renew('urn:a'))?.signing, ['BBBB'])
  assert.equal(seen.length, 3)
})

test('a query server is probed by the entity that is named, and a key in an address stands in no log', async () => {
  const { open, logged } = world()
  answers[path('urn:a')] = single('urn:a')
  answers['/all?key=s3cret'] = aggregate(['urn:b', 'urn:c'])
  const [found] = await open({ metadata: mdq(), entity: 'urn:a' }).probe()
  assert.deepEqual([found?.ok, found?.found], [true, 'urn:a'])
  const [absent] = await open({ metadata: mdq(), entity: 'urn:none' }).probe()
  assert.deepEqual([absent?.ok, absent?.found], [false, 'knows no urn:none'])
  const [none, listing] = await open({ metadata: [...mdq(), { url: url('/all?key=s3cret'), certificate }] }).probe()
  assert.deepEqual([none?.ok, none?.note, listing?.ok], [true, true, true])
  assert.equal(JSON.stringify([logged, listing]).includes('s3cret'), false)
})

test('an answer about another entity, an unsigned one and one without an end let nobody in', async () => {
  const { open } = world()
  answers[path('urn:a')] = single('urn:b')
  answers[path('urn:c')] = entityXml({ entityId: 'urn:c', attributes: `validUntil="${until(1)}"` })
  answers[path('urn:d')] = sign(entityXml({ entityId: 'urn:d', attributes: 'ID="_one"' }))
  answers[path('urn:e')] = 500
  const directory = open({ metadata: mdq(), discovery: { url: 'https://ds.example' } })
  assert.equal(await directory.find('urn:a'), undefined)
  await assert.rejects(directory.find('urn:c'), /not signed/)
  await assert.rejects(directory.find('urn:d'), /needs a validUntil/)
  await assert.rejects(directory.find('urn:e'), /status 500/)
})

test('an entity is asked for again in time, used while the server is down, over a restart too, and not past its end', async () => {
  const { open, advance, logged } = world()
  answers[path('urn:a')] = single('urn:a', 1, 'AAAA')
  const config = { metadata: mdq(), discovery: { url: 'https://ds.example' } } as const
  const directory = open(config)
  assert.deepEqual((await directory.find('urn:a'))?.signing, ['AAAA'])
  answers[path('urn:a')] = single('urn:a', 1, 'BBBB')
  advance(3600)
  assert.deepEqual((await directory.find('urn:a'))?.signing, ['BBBB'])
  answers[path('urn:a')] = 500
  advance(3600)
  assert.deepEqual((await open(config).find('urn:a'))?.signing, ['BBBB'])
  assert.ok(logged.some((line) => line.includes('could not be asked for')))
  assert.deepEqual((await directory.find('urn:a'))?.signing, ['BBBB'])
  advance(day)
  await assert.rejects(directory.find('urn:a'), failing)
  await assert.rejects(open(config).find('urn:a'), failing)
})

test('whoever asks for many that do not exist makes neither memory nor requests grow without end', async () => {
  const { open } = world()
  const directory = open({ metadata: mdq(), discovery: { url: 'https://ds.example' } })
  const all = await Promise.allSettled(Array.from({ length: 50 }, (_, n) => directory.find(`urn:none:${n}`)))
  assert.equal(all.filter(({ status }) => status === 'rejected').length, 30)
  assert.equal(seen.length, 20)
  const asked = async () => {
    const before = seen.length
    await directory.find('urn:none:0')
    return seen.length - before
  }
  assert.equal(await asked(), 0)
  for (let at = 50; at < 1050; at += 20)
    await Promise.all(Array.from({ length: 20 }, (_, n) => directory.find(`urn:none:${at + n}`)))
  assert.equal(await asked(), 1, 'the first of more than a thousand is forgotten')
})

test('nobody waits long for a source that does not answer, and the reading goes on', async () => {
  const { open } = world()
  const answer = Promise.withResolvers<string>()
  answers['/all'] = answer.promise
  const directory = open({ metadata: [{ url: url('/all'), certificate }] }, 20)
  const late = { ...failing, message: /still being read/ }
  await assert.rejects(directory.find('urn:a'), late)
  await assert.rejects(directory.only(), late)
  await assert.rejects(directory.renew('urn:a'), late)
  answer.resolve(aggregate(['urn:a']))
  await settled(() => directory.standing().idps === 1)
  assert.equal((await directory.find('urn:a'))?.entityId, 'urn:a')
  assert.deepEqual(seen, ['/all'])
})

test('nothing is asked about somebody whose name is longer than an entityID can be', async () => {
  const { open } = world()
  const directory = open({ metadata: [{ mdq: url('/mdq'), certificate }] })
  assert.equal(await directory.find(`urn:${'a'.repeat(1021)}`), undefined)
  assert.equal(await directory.find(`urn:${'a'.repeat(1020)}`), undefined)
  assert.equal(seen.length, 1)
})

test('an entity whose own end comes before that of its federation is not there from then on', async () => {
  const { open, advance } = world()
  const entity = entityXml({ entityId: 'urn:a', attributes: `validUntil="${until(1)}"` })
  answers['/all'] = sign(groupXml([entity, entityXml({ entityId: 'urn:b' })], `ID="_all" validUntil="${until(10)}"`))
  const directory = open({ metadata: [{ url: url('/all'), certificate }] })
  assert.equal((await directory.find('urn:a'))?.entityId, 'urn:a')
  advance(day)
  assert.equal(await directory.find('urn:a'), undefined)
  assert.equal((await directory.find('urn:b'))?.entityId, 'urn:b')
})
