import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { openEmbedded } from '../../src/store/embedded.ts'
import type { Entry, Kind, Store } from '../../src/store/store.ts'
import { chaos } from '../support/history/crew.ts'
import { unexplained } from '../support/history/explain.ts'
import type { Operation } from '../support/history/operation.ts'
import { clockAt, type Job, lookAround, type Recorder, work } from '../support/history/work.ts'
import { rounds } from '../support/rounds.ts'

/* Whatever callers of a store were told over crashes, the promises of the port explain it. */

const batches = rounds(3, 150)

it(`explains everything that two processes were told in ${batches} rounds with two kills each`, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'lotse-history-'))
  const path = join(folder, 'lotse.db')
  try {
    const openings = [
      { path, mode: 'serve' },
      { path, mode: 'command' },
    ] as const
    const able = [
      { kinds: ['durable', 'volatile'], wide: true },
      { kinds: ['durable'], wide: false },
    ] as const
    const seed = rounds(1, Date.now() % 1_000_000)
    const tried = await chaos({ openings, able, rounds: batches, seed })
    t.diagnostic(
      `seed ${seed}: ${tried.operations} operations, ${tried.unanswered} of them without an answer, ${tried.crashes} kills`,
    )
    assert.deepEqual(tried.findings, [])
    assert.ok(tried.operations > batches * 350, `only ${tried.operations} operations`)
    assert.ok(tried.unanswered > 0, 'no kill hit a call')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

/** What many callers at once are told by a store in this process. */
async function findings(broken: (store: Store) => Store, islands: number): Promise<readonly string[]> {
  let now = 1_800_000_000
  const real = await openEmbedded({ path: ':memory:', now: () => now })
  const store = broken(real)
  const found: string[] = []
  for (let island = 0; island < islands && found.length === 0; island++) {
    const history: Operation[] = []
    const recorder: Recorder = (operation) => {
      const index = history.push(operation) - 1
      return (answered) => {
        history[index] = { ...operation, ...answered }
      }
    }
    for (const phase of [0, 1, 2]) {
      const seed = island * 10 + phase
      const job: Job = { island: `${island}`, seed, callers: 4, calls: 6, kinds: ['durable', 'volatile'], wide: true }
      const clock = clockAt(() => now)
      await (phase < 2 ? work(store, job, clock, recorder) : lookAround(store, job, clock, recorder))
      now += 6
    }
    const finding = unexplained(history)
    if (finding !== undefined) found.push(finding)
  }
  await real.close()
  return found
}

it('explains a sound store', async () => {
  assert.deepEqual(await findings((store) => store, rounds(60, 500)), [])
})

const kindNamed = (name: string): Kind => ({ name, durable: name.endsWith('durable') })

/** A verb that does something else each n-th time. */
function everyNth<A extends unknown[], R>(
  n: number,
  verb: (...args: A) => R,
  instead: (...args: A) => R,
): (...args: A) => R {
  let count = 0
  return (...args) => (++count % n === 0 ? instead(...args) : verb(...args))
}

/** Deliberately broken stores: each breaks one promise of the port. */
const broken: Readonly<Record<string, (store: Store) => Store>> = {
  'consumes in two steps': (store) => ({
    ...store,
    async consume(kind, id) {
      const before = await store.get(kind, id)
      await new Promise(setImmediate)
      if (before?.consumedAt === undefined && before) {
        await store.consume(kind, id)
        return 'first'
      }
      return before?.consumedAt
    },
  }),
  'takes without deleting': (store) => ({ ...store, take: (kind, id) => store.get(kind, id) }),
  'adds over what is there': (store) => ({
    ...store,
    async add(kind, id, value, ttl, links) {
      if (await store.add(kind, id, value, ttl, links)) return true
      return await store.put(kind, id, value, ttl, links)
    },
  }),
  'swaps whatever is there': (store) => ({
    ...store,
    async swap(kind, id, from, to, ttl) {
      if (await store.swap(kind, id, from, to, ttl)) return true
      const entry = await store.get(kind, id)
      return entry !== undefined && (await store.swap(kind, id, entry.value, to, ttl))
    },
  }),
  'forgets one acknowledged write in fifty': (store) => ({ ...store, put: everyNth(50, store.put, async () => true) }),
  'forgets one acknowledged deletion in ten': (store) => ({
    ...store,
    delete: everyNth(10, store.delete, async () => {}),
  }),
  'forgets by put that an entry was used': (store) => ({
    ...store,
    async put(kind, id, ...rest) {
      await store.delete(kind, id)
      return await store.put(kind, id, ...rest)
    },
  }),
  'remembers no revocation': (store) => ({
    ...store,
    async revoke(group) {
      for (const { kind, id } of await store.members(group)) await store.delete(kindNamed(kind), id)
    },
  }),
  'revokes what it knows of the first kind alone': (store) => ({
    ...store,
    async revoke(group, ttl) {
      const spared = (await store.members(group)).filter(({ kind }) => kind.endsWith('volatile'))
      const kept = await Promise.all(
        spared.map(async ({ kind, id }) => [kind, await store.get(kindNamed(kind), id)] as const),
      )
      await store.revoke(group, ttl)
      for (const [kind, entry] of kept) if (entry) await store.put(kindNamed(kind), entry.id, entry.value, 1000)
    },
  }),
  'reads what it read before': (store) => {
    const cache = new Map<string, Entry | undefined>()
    return {
      ...store,
      async get(kind, id) {
        const key = `${kind.name} ${id}`
        if (!cache.has(key)) cache.set(key, await store.get(kind, id))
        return cache.get(key)
      },
    }
  },
  'tells a failure as not found': (store) => ({
    ...store,
    get: everyNth(30, store.get, async () => undefined),
  }),
  'lets entries live longer than it says': (store) => ({
    ...store,
    put: (kind, id, value, ttl, links) => store.put(kind, id, value, ttl + 10, links),
    async get(kind, id) {
      const entry = await store.get(kind, id)
      return entry && { ...entry, expiresAt: entry.expiresAt - 10 }
    },
  }),
  'shortens a revocation by a second one': (store) => ({ ...store, revoke: (group) => store.revoke(group, 1) }),
  'loses the groups of what is swapped': (store) => ({
    ...store,
    async swap(kind, id, from, to, ttl) {
      if (from === undefined || !(await store.swap(kind, id, from, to, ttl))) return false
      return await store.put(kind, id, to, ttl)
    },
  }),
  'leaves an alias with the entry that had it first': (store) => ({
    ...store,
    async put(kind, id, value, ttl, links = {}) {
      const held = links.alias === undefined ? undefined : await store.find(kind, links.alias)
      const { alias: _alias, ...others } = links
      return await store.put(kind, id, value, ttl, held && held.id !== id ? others : links)
    },
  }),
}

for (const [what, store] of Object.entries(broken)) {
  it(`catches a store that ${what}`, async () => {
    const [finding] = await findings(store, 300)
    assert.match(finding ?? '', /^nothing explains: /)
  })
}
