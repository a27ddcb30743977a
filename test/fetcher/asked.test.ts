import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asked } from '../../src/fetcher/asked.ts'

const url = 'https://up.example/token?a=b'
const headers = { Accept: 'application/json', authorization: 'Basic eDp5' }

for (const [name, init] of Object.entries<RequestInit>({
  'nothing but an address': {},
  headers: { headers },
  'headers of the platform': { headers: new Headers(headers), redirect: 'manual' },
  'a form': { method: 'POST', body: new URLSearchParams({ code: 'a b&c', state: 'ä' }), headers },
  'a text': { method: 'POST', body: '{"ä":1}', headers: { 'content-type': 'application/json' } },
  'a text of no type': { method: 'PUT', body: 'ä' },
  bytes: { method: 'PATCH', body: new Uint8Array([1, 2, 255]) },
  'another kind of body': { method: 'POST', body: new Blob(['ä'], { type: 'text/csv' }) },
})) {
  test(`${name}: what is asked is what the platform's own request would ask`, async () => {
    const theirs = new Request(url, init)
    const bytes = theirs.body ? Buffer.from(await theirs.arrayBuffer()) : undefined
    for (const ours of [await asked(url, init), await asked(new URL(url), init), await asked(new Request(url, init))]) {
      const { 'content-length': length, ...rest } = ours.headers
      assert.deepEqual(rest, Object.fromEntries(theirs.headers))
      assert.deepEqual([ours.url.href, ours.method, ours.redirect], [theirs.url, theirs.method, theirs.redirect])
      assert.deepEqual(ours.body && Buffer.from(ours.body), bytes)
      assert.equal(length, bytes && String(bytes.byteLength))
    }
  })
}

test('what the platform refuses to ask is refused', async () => {
  await assert.rejects(asked('up.example'))
  await assert.rejects(asked(url, { body: 'a GET has none' }))
  await assert.rejects(asked(url, { headers: { accept: 'a\nb: c' } }))
})
