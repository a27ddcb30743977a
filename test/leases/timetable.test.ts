import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openEndOfLeases } from '../../src/leases/timetable.ts'
import { openEmbedded } from '../../src/store/embedded.ts'

test('an end that is expected while the one before is told of is not forgotten with it', async () => {
  let now = 1_800_000_000
  const store = await openEmbedded({ path: ':memory:', now: () => now })
  const ends = openEndOfLeases(store, () => now)
  const told: string[] = []
  const each = () =>
    ends.each(async (sub) => {
      told.push(`${sub} ${now - 1_800_000_000}`)
      // Another process settles her as soon as she is marked.
      if (now < 1_800_000_300) await ends.expect(sub, 1_800_000_300)
    })
  try {
    await ends.expect('ada', now + 60)
    for (; now < 1_800_000_310; now++) await each()
    assert.deepEqual(told, ['ada 60', 'ada 300'])
  } finally {
    await store.close()
  }
})
