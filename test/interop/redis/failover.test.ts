import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openRedis } from '../../../src/store/redis/store.ts'
import { type Kind, type Store, StoreUnavailable } from '../../../src/store/store.ts'
import { startTopology, type Topology, type TopologyName, until } from './topologies.ts'

/* What a store on several servers does when one of them goes: nothing acknowledged is lost, nothing waits, and it comes back by itself. */

const token: Kind = { name: 'FailoverToken', durable: true, lapses: true }
const mark: Kind = { name: 'FailoverMark', durable: true }

interface Logged {
  readonly level: string
  readonly message: string
}

async function open(topology: Topology, replicas = topology.place.replicas) {
  const logs: Logged[] = []
  const store = await openRedis({
    ...topology.place,
    replicas,
    prefix: 'lotse',
    derive: () => secret,
    now: () => Math.floor(Date.now() / 1000),
    log: (level, message) => void logs.push({ level, message }),
  })
  return { store, logs, lost: () => logs.some(({ message }) => message.includes('lost acknowledged writes')) }
}
const secret = randomBytes(32)

/** What became of a load of tokens that are written, used once, and marked as used elsewhere. */
interface Told {
  /** Ids whose use was acknowledged. */
  readonly used: string[]
  /** The longest that one operation took, and the longest time without a success, in milliseconds. */
  slowest: number
  gap: number
}

/** Writes and uses tokens, ten at a time, until told to stop; every failure has to be the one that callers know. */
function load(store: Store): { stop(): Promise<Told> } {
  const told: Told = { used: [], slowest: 0, gap: 0 }
  const run = randomBytes(4).toString('hex')
  let going = true
  let succeeded = performance.now()
  const one = async (id: string) => {
    const started = performance.now()
    try {
      await store.put(token, id, 'value', 3600, { groups: ['all'] })
      assert.equal(await store.consume(token, id), 'first', 'a token that was just written is unused')
      assert.equal(await store.add(mark, id, 'seen', 3600), true)
      told.used.push(id)
      told.gap = Math.max(told.gap, performance.now() - succeeded)
      succeeded = performance.now()
    } catch (error) {
      assert.ok(error instanceof StoreUnavailable, String(error))
      await delay(20)
    }
    told.slowest = Math.max(told.slowest, performance.now() - started)
  }
  const lane = async (lane: number) => {
    for (let n = 0; going; n++) await one(`${run}-${lane}-${n}`)
  }
  const lanes = Promise.all(Array.from({ length: 10 }, (_, n) => lane(n)))
  return {
    async stop() {
      going = false
      await lanes
      return told
    },
  }
}

const answers = (store: Store) => until('the store answers', () => store.check().then(() => true))

/** Loads the store while something happens to its primary, and says what came of it. */
async function during(t: TestContext, opened: Awaited<ReturnType<typeof open>>, happens: () => Promise<void>) {
  const { store } = opened
  const running = load(store)
  await delay(500)
  await happens()
  const told = await running.stop()
  t.diagnostic(
    `${told.used.length} tokens used; longest without a success ${told.gap.toFixed()} ms; slowest three operations ${told.slowest.toFixed()} ms`,
  )
  let reusable = 0
  // Read, so that a server that is busy for a moment may be asked again.
  const again = (id: string) =>
    until(`${id} is looked at`, async () => {
      const [used, seen] = [await store.get(token, id), await store.get(mark, id)]
      if (used?.consumedAt === undefined || seen === undefined) reusable++
      return true
    })
  for (let from = 0; from < told.used.length; from += 200)
    await Promise.all(told.used.slice(from, from + 200).map(again))
  assert.equal(reusable, 0, 'what was used stays used')
  assert.equal(opened.lost(), false, 'nothing that was acknowledged is missing')
  assert.ok(told.gap < 10_000, `back within ten seconds, not ${told.gap} ms`)
  assert.ok(told.slowest < 3000, `no operation waits for a server, not ${told.slowest} ms`)
}

for (const name of ['sentinel', 'cluster'] as const satisfies readonly TopologyName[]) {
  describe(`on ${name}`, () => {
    let topology: Topology
    before(async () => {
      topology = await startTopology(name)
    })
    after(() => topology.close())

    it('goes on at another server when the primary is killed, and loses nothing that was acknowledged', async (t) => {
      const opened = await open(topology)
      await during(t, opened, async () => {
        const primary = await topology.primary()
        await primary.kill('SIGKILL')
        await answers(opened.store)
        await primary.start()
        await delay(2000)
      })
      await opened.store.close()
    })

    it('goes on at another server when the primary hangs, and does not believe it when it comes back', async (t) => {
      const opened = await open(topology)
      await during(t, opened, async () => {
        const primary = await topology.primary()
        primary.pause()
        await delay(500) // so that it is not the old one that answers
        await answers(opened.store)
        primary.resume()
        await delay(2000)
      })
      await opened.store.close()
    })

    it('acknowledges nothing while the replicas do not, and goes on when they do', async () => {
      const opened = await open(topology)
      const { store } = opened
      await store.put(token, 'waiting', 'value', 3600)
      const primary = await topology.primary()
      const others = topology.nodes.filter((node) => node !== primary)
      for (const node of others) node.pause()
      await assert.rejects(store.consume(token, 'waiting'), StoreUnavailable)
      for (const node of others) node.resume()
      let outcome: unknown
      for (let n = 0; n < 100 && outcome === undefined; n++) {
        await delay(100)
        outcome = await store.consume(token, 'waiting').catch(() => undefined)
      }
      assert.equal(typeof outcome, 'number', 'it had happened, and nobody was told that it was first')
      await store.close()
    })
  })
}
