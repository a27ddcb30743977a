import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { collection, kinds } from '../../src/store/collection.ts'
import { openEmbedded } from '../../src/store/embedded.ts'

describe('a collection', async () => {
  let time = 1_800_000_000
  const store = await openEmbedded({ path: ':memory:', now: () => time })
  after(() => store.close())

  interface Count {
    readonly n: number
    readonly seen: readonly string[]
  }
  const counts = collection<Count>(store, kinds.Attempts, 60)

  it('gives values back as they were, until their lifetime is over', async () => {
    await counts.put('a', { n: 1, seen: ['x'] }, undefined, { alias: 'alpha' })
    assert.deepEqual(await counts.get('a'), { n: 1, seen: ['x'] })
    assert.deepEqual(await counts.find('alpha'), { id: 'a', value: { n: 1, seen: ['x'] }, expiresAt: time + 60 })
    assert.deepEqual(await counts.list(10), [await counts.item('a')])
    assert.equal(await counts.get('b'), undefined)
    time += 60
    assert.equal(await counts.get('a'), undefined)
  })

  it('lets a write say its own lifetime', async () => {
    assert.equal(await counts.add('short', { n: 1, seen: [] }, 5), true)
    assert.equal(await counts.add('short', { n: 2, seen: [] }, 5), false)
    time += 6
    assert.equal(await counts.take('short'), undefined)
  })

  it('loses no change of many callers at once', async () => {
    const step = () => counts.update('c', (count) => ({ n: (count?.n ?? 0) + 1, seen: [] }))
    const outcomes = await Promise.all(Array.from({ length: 30 }, step))
    assert.deepEqual(
      outcomes.map((outcome) => outcome?.n).sort((a, b) => a! - b!),
      Array.from({ length: 30 }, (_, n) => n + 1),
    )
    assert.equal((await counts.get('c'))?.n, 30)
  })

  it('leaves an entry alone where the change is none', async () => {
    await counts.put('d', { n: 1, seen: [] })
    assert.equal(await counts.update('d', () => undefined), undefined)
    assert.equal((await counts.get('d'))?.n, 1)
  })

  it('says so where a change never gets through', async () => {
    let n = 0
    const disturbed = { ...store, swap: async () => false }
    await assert.rejects(
      collection<number>(disturbed, kinds.Attempts).update('e', () => ++n),
      /gave up after 64 attempts/,
    )
    assert.equal(n, 64)
  })

  it('takes and consumes like the store below', async () => {
    await counts.put('f', { n: 7, seen: [] })
    assert.equal(await counts.consume('f'), 'first')
    assert.equal(await counts.consume('f'), time)
    assert.deepEqual(await counts.take('f'), { n: 7, seen: [] })
    await counts.delete('f')
    assert.equal(await counts.get('f'), undefined)
  })
})
