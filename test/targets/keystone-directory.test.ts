import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KeystoneApi } from '../../src/targets/keystone/live/api.ts'
import { openDirectory } from '../../src/targets/keystone/live/directory.ts'

/** A directory at a Keystone with one domain and one role, and a clock. */
function open() {
  const world = { now: 1_800_000_000, asked: 0 }
  const api: Pick<KeystoneApi, 'rows' | 'ownDomain'> = {
    async rows<T>(key: string) {
      world.asked++
      return [{ id: `${key}-id`, name: 'one' }] as T[] // what the directory asks for
    },
    ownDomain: async () => undefined,
  }
  return { world, directory: openDirectory('cloud', api, { now: () => world.now, log: () => {} }) }
}

test('what was told once stays so for whoever was told: a later look takes nothing out of the hands of an earlier one', async () => {
  const { world, directory } = open()
  const [domains, roles] = [await directory.domains(['one']), await directory.roles(['one'])]
  world.now += 61
  // Names that are there need no answer; the time they were believed for is over.
  const later = Promise.all([directory.domains(['one']), directory.roles(['one'])])
  assert.deepEqual([domains.get('one'), roles.get('one')], ['domains-id', 'roles-id'])
  await later
  assert.deepEqual([domains.get('one'), roles.get('one')], ['domains-id', 'roles-id'])
  assert.equal(world.asked, 4)
})
