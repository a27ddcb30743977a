import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { SigningAlg } from '../src/core/ports.ts'
import { agreeOn, DEAD_AFTER, lackedBy, openFleet } from '../src/fleet.ts'
import { openRoot } from '../src/keys/root-secret.ts'
import { openRings } from '../src/keys/store-rings.ts'
import { openEmbedded } from '../src/store/embedded.ts'
import type { Store } from '../src/store/store.ts'

const LEAD = 86_400
let time = 1_800_000_000
const now = () => time
let folder = ''
let store: Store
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lotse-fleet-'))
})
after(() => rm(folder, { recursive: true }))

/** A process as far as keys go: its rings, and what it announces of them. */
async function process(id: string, algs: readonly SigningAlg[] = ['ES256']) {
  const fleet = openFleet({ store, now, id, version: '1' })
  const awaited = async (kids: readonly string[]) => lackedBy((await fleet.live()).values(), kids)
  const configuration = algs.join()
  const agreed = async () => agreeOn((await fleet.live()).values(), configuration)
  const timing = { rotateEvery: 90 * LEAD, lead: LEAD, retireFor: 3600 }
  const root = await openRoot(join(folder, 'keys'), { create: 'allowed' })
  const rings = await openRings({
    ...{ store, root, now, awaited, agreed, ...timing },
    specs: [{ name: 'issuer', algs }],
    rsaBits: 2048,
  })
  const announce = () => fleet.announce({ configuration, kids: rings.list().map(({ kid }) => kid) })
  await announce()
  const signs = () => rings.list().find(({ state }) => state === 'current')?.kid
  return { fleet, rings, announce, signs }
}

async function twoWithANextKey() {
  store = await openEmbedded({ path: ':memory:', now })
  const [one, other] = [await process('one'), await process('other')]
  const first = one.signs()
  await one.rings.rotate('issuer', 'ES256', 'orderly')
  time += LEAD
  // Of both nobody has heard for a day: they say again what they have.
  await one.announce()
  await other.announce()
  return { one, other, first }
}

test('a next key signs only once every process that serves has announced that it has it', async () => {
  const { one, other, first } = await twoWithANextKey()
  await one.rings.tick()
  assert.equal(one.signs(), first)
  assert.equal(await one.rings.rotate('issuer', 'ES256', 'orderly'), 'announced')
  await other.rings.tick()
  await one.rings.tick()
  assert.equal(one.signs(), first, 'it has the key, and has not said so')
  await other.announce()
  await one.rings.tick()
  assert.notEqual(one.signs(), first)
})

test('a process that died or left is waited for no longer', async () => {
  for (const end of ['died', 'left'] as const) {
    const { one, other, first } = await twoWithANextKey()
    await one.rings.tick()
    assert.equal(one.signs(), first)
    if (end === 'left') await other.fleet.leave()
    else time += DEAD_AFTER
    await one.announce()
    await one.rings.tick()
    assert.notEqual(one.signs(), first, end)
  }
})

test('an emergency waits for nobody', async () => {
  const { one, first } = await twoWithANextKey()
  assert.equal(await one.rings.rotate('issuer', 'ES256', 'emergency'), 'promoted')
  assert.notEqual(one.signs(), first)
})

test('a process announces what changed at once, and what stays as it was every five seconds', async () => {
  store = await openEmbedded({ path: ':memory:', now })
  const fleet = openFleet({ store, now, id: 'one', version: '1' })
  const said: boolean[] = []
  for (const kids of [['a'], ['a'], ['a', 'b'], ['b', 'a']])
    said.push(await fleet.announce({ configuration: 'x', kids }))
  time += 5
  said.push(await fleet.announce({ configuration: 'x', kids: ['a', 'b'] }))
  said.push(await fleet.announce({ configuration: 'y', kids: ['a', 'b'] }))
  assert.deepEqual(said, [true, false, true, false, true, true])
  assert.deepEqual((await fleet.live()).get('one'), {
    ...{ started: time - 5, seen: time, version: '1', configuration: 'y', kids: ['a', 'b'] },
  })
})

test('processes with configurations that ask for other algorithms do not undo the keys of each other', async () => {
  store = await openEmbedded({ path: ':memory:', now })
  const [old, fresh] = [await process('old'), await process('new', ['ES256', 'ES384'])]
  const keys = fresh.rings.list()
  for (let n = 0; n < 5; n++) {
    for (const each of [old, fresh]) {
      time++
      await each.rings.tick()
      await each.announce()
    }
  }
  assert.deepEqual(fresh.rings.list(), keys)
  await fresh.fleet.leave()
  await old.rings.tick()
  assert.deepEqual(
    old.rings.list().map(({ alg, state }) => `${alg} ${state}`),
    ['ES256 current', 'ES384 retired'],
    'what nobody asks for any more signs no more',
  )
})
