import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { parseApart } from '../../../src/connectors/saml/metadata/apart.ts'
import { entityXml } from '../../support/saml-metadata.ts'

const settings = { certificates: [], only: {}, most: 200_000_000, now: 1_800_000_000 }
const piece = Buffer.from('A'.repeat(65_536))

for (const [name, before] of [
  ['one text', '<a><b>'],
  ['one attribute', '<a b="'],
  ['one comment', '<a><!--'],
  ['one name', '<'],
] as const) {
  test(`a document that is ${name} without end ends its own thread, and nothing else`, async () => {
    let pieces = 0
    const reading = parseApart(settings, async (write) => {
      await write(Buffer.from(before))
      for (; pieces < 3000; pieces += 1) await write(piece)
    })
    await assert.rejects(reading, { code: 'upstream_unavailable', message: /the thread that read it ended/ })
    assert.ok(pieces < 2000, `${pieces} pieces`)
    const good = await parseApart(settings, (write) => write(Buffer.from(entityXml())))
    assert.equal(good?.idps, 1)
  })
}

test('what fails while a document is got is what is thrown, and a document of nothing is none', async () => {
  const failure = new RangeError('the disk')
  const reading = parseApart(settings, async (write) => {
    await write(Buffer.from('<a>'))
    throw failure
  })
  await assert.rejects(reading, (error) => error === failure)
  assert.equal(await parseApart(settings, async () => {}), undefined)
})

test('a thread that ends while the next piece is on its way ends the reading', { timeout: 10_000 }, async () => {
  const started = once(process, 'worker') as Promise<[Worker]>
  const reading = parseApart(settings, async (write) => {
    await write(Buffer.from('<a>'))
    const [worker] = await started
    await worker.terminate()
    await write(Buffer.from('</a>'))
  })
  await assert.rejects(reading, { code: 'upstream_unavailable', message: /the thread that read it ended/ })
})
