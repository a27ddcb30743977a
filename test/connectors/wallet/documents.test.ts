import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Kind, openDocuments } from '../../../src/connectors/wallet/keys/documents.ts'
import { refusal } from '../../../src/connectors/wallet/refusal.ts'

const NOW = 1_790_000_000
const kind: Kind<string> = { accept: 'text/plain', longest: 1000, parse: (text) => text }

/** Documents over a web that counts, with a clock that is moved by hand. */
function world(answer: (url: string) => Response | Promise<Response>) {
  const clock = { now: NOW }
  const asked: string[] = []
  const fetch = (async (url: string) => {
    asked.push(url)
    return await answer(url)
  }) as typeof globalThis.fetch
  return { clock, asked, documents: openDocuments({ fetch, now: () => clock.now }) }
}

const url = 'https://corp.example/a'

for (const [said, seconds] of [
  ['max-age=60', 60],
  ['max-age=0', 15],
  ['no-store', 15],
  ['no-cache, max-age=600', 15],
  ['max-age=86400', 3600],
  ['public', 300],
] as const)
  test(`a document with cache-control ${said} is kept for ${seconds} seconds`, async () => {
    const { clock, asked, documents } = world(() => new Response('x', { headers: { 'cache-control': said } }))
    await documents.read(url, kind)
    clock.now += seconds - 1
    await documents.read(url, kind)
    assert.equal(asked.length, 1)
    clock.now += 1
    await documents.read(url, kind)
    assert.equal(asked.length, 2)
  })

test('the age of a document that a cache gave counts', async () => {
  const headers = { 'cache-control': 'max-age=600', age: '550' }
  const { clock, asked, documents } = world(() => new Response('x', { headers }))
  await documents.read(url, kind)
  clock.now += 50
  await documents.read(url, kind)
  assert.equal(asked.length, 2)
})

test('many who ask at once share one request', async () => {
  const { asked, documents } = world(() => new Response('x'))
  await Promise.all(Array.from({ length: 50 }, () => documents.read(url, kind)))
  assert.equal(asked.length, 1)
})

test('a look for something newer is made once in fifteen seconds, and what was good outlives one that fails', async () => {
  let status = 200
  const { clock, asked, documents } = world(() => new Response('x', { status }))
  await documents.read(url, kind)
  await documents.again(url, kind)
  assert.equal(asked.length, 1)
  clock.now += 15
  status = 500
  await assert.rejects(documents.again(url, kind), { code: 'upstream_unavailable' })
  assert.equal(await documents.read(url, kind), 'x')
  assert.equal(await documents.again(url, kind), 'x')
  assert.equal(asked.length, 2)
})

test('a failure is told for five seconds without asking', async () => {
  const { clock, asked, documents } = world(() => new Response('', { status: 404 }))
  for (let index = 0; index < 10; index += 1)
    await assert.rejects(documents.read(url, kind), { code: 'upstream_unavailable' })
  assert.equal(asked.length, 1)
  clock.now += 5
  await assert.rejects(documents.read(url, kind))
  assert.equal(asked.length, 2)
})

test('a document that is too long or of another kind is refused, and the refusal kept', async () => {
  const long = world(() => new Response('x'.repeat(1001)))
  await assert.rejects(long.documents.read(url, kind), { code: 'upstream_rejected', message: /more than 1000/ })
  const wrong: Kind<string> = {
    ...kind,
    parse: () => {
      throw refusal('it is none')
    },
  }
  const { asked, documents } = world(() => new Response('x'))
  for (let index = 0; index < 3; index += 1)
    await assert.rejects(documents.read(url, wrong), { code: 'upstream_rejected' })
  assert.equal(asked.length, 1)
})

test('what is kept is bounded: the oldest goes, also where documents are large once unpacked', async () => {
  const large: Kind<string> = { ...kind, unpacked: () => 10 * 1024 * 1024 }
  const { asked, documents } = world(() => new Response('x'))
  for (const name of ['1', '2', '3', '4']) await documents.read(`${url}${name}`, large)
  await documents.read(`${url}4`, large)
  assert.equal(asked.length, 4)
  await documents.read(`${url}1`, large)
  assert.equal(asked.length, 5)
})

test('one address as two kinds is two documents', async () => {
  const { documents } = world(() => new Response('x'))
  const other: Kind<number> = { accept: 'application/json', longest: 9, parse: (text) => text.length }
  assert.deepEqual([await documents.read(url, kind), await documents.read(url, other)], ['x', 1])
})
