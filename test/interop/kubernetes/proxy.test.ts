import assert from 'node:assert/strict'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { rounds } from '../../support/rounds.ts'
import type { Headers } from './front.ts'
import { refused, startTraffic, strangeToken } from './traffic.ts'
import { atEach, type World } from './world.ts'

/* A proxy in front of the gateway says how long the keys may be kept: what a kube-apiserver makes of it when they change. */

const KINDS = ['stock', 'structured'] as const
/** Seconds that the proxy says; a kube-apiserver asks again 30 s before they have passed. */
const KEPT = rounds(40, 90)
const WAITS = KEPT - 30
/** Seconds of `keys.lead`: longer than a kube-apiserver keeps keys without asking. */
const LEAD = WAITS + 4
/** Seconds for which it is seen that an hour is more than that. */
const HOUR_SEEN = rounds(15, 120)

const bare: Headers = ({ 'cache-control': _told, ...said }) => said
const dated = (age: number) => new Date(Date.now() - age * 1000).toUTCString()
const ways = {
  nothing: (said) => said,
  'Last-Modified beside': (said) => ({ ...said, 'last-modified': dated(86_400) }),
  'Last-Modified alone': (said) => ({ ...bare(said), 'last-modified': dated(10 * KEPT) }),
  'max-age': (said) => ({ ...said, 'cache-control': `max-age=${KEPT}` }),
  'max-age=3600': (said) => ({ ...said, 'cache-control': 'max-age=3600' }),
} satisfies Record<string, Headers>

let way: keyof typeof ways = 'nothing'

atEach(
  KINDS,
  (world) => {
    after(() => {
      way = 'nothing'
    })

    // In this order: what a cluster was told last holds on.
    test('a date beside what the gateway says changes nothing: a key that signs at once is known at once', async (t) => {
      await told(world(), 'Last-Modified beside')
      await world().rotate('--now')
      const fresh = await tokens(world())
      for (const seconds of await takenAfter(t, world(), fresh, Date.now())) assert.ok(seconds < 3, `${seconds} s`)
    })

    for (const kept of ['max-age', 'Last-Modified alone'] as const)
      test(`${kept}: tokens by a key that signs at once are refused until 30 s before the end`, async (t) => {
        await told(world(), kept)
        const asked = Date.now()
        await world().rotate('--now')
        for (const seconds of await takenAfter(t, world(), await tokens(world()), asked))
          assert.ok(seconds > WAITS - 1 && seconds < WAITS + 4, `${seconds} s instead of ${WAITS}`)
        await delay(WAITS * 1000)
      })

    test('a key that was published for longer than that is known when it signs: no 401', async () => {
      const traffic = await startTraffic(world(), KINDS)
      await told(world(), 'max-age')
      await world().rotate('')
      const from = Date.now()
      while (Date.now() - from < (LEAD + 3) * 1000) {
        await delay(500)
        await world().gateway.app.tick()
        // Whoever makes the clusters ask just before: they hear of the next key, too.
        await askedBy(world())
      }
      const uses = await traffic.stop()
      const current = await world().operator.kidOf('issuer')
      assert.deepEqual(refused(uses), [])
      assert.ok(uses.some(({ kid }) => kid === current))
      await delay(WAITS * 1000)
    })

    test(`max-age=3600: they are refused for ${HOUR_SEEN} s and more, until the cluster begins anew; those by the old key are taken`, async (t) => {
      await told(world(), 'max-age=3600')
      const old = await tokens(world())
      await world().rotate('--now')
      const from = Date.now()
      const fresh = await tokens(world())
      while (Date.now() - from < HOUR_SEEN * 1000) {
        await askedBy(world())
        for (const [index, kind] of KINDS.entries()) {
          assert.equal(
            (
              await world()
                .cluster(kind)
                .whoami(fresh[index] ?? '')
            ).status,
            401,
          )
          assert.equal(
            (
              await world()
                .cluster(kind)
                .whoami(old[index] ?? '')
            ).status,
            201,
          )
        }
        await delay(1000)
      }
      const began = Date.now()
      await appendFile(join(world().printed('structured'), 'authentication/v1.yaml'), '# read again\n')
      const [, structured = ''] = fresh
      while ((await world().cluster('structured').whoami(structured)).status !== 201) {
        assert.ok(Date.now() - began < 20_000)
        await delay(200)
      }
      t.diagnostic(
        `structured took them ${((Date.now() - began) / 1000).toFixed(1)} s after a comment in its configuration`,
      )
      await world().restart('stock')
      assert.equal(
        (
          await world()
            .cluster('stock')
            .whoami(fresh[0] ?? '')
        ).status,
        201,
        'after a restart',
      )
    })
  },
  { lead: `${LEAD}s`, front: (said) => ways[way](said) },
)

const tokens = (world: World) => Promise.all(KINDS.map((kind) => world.accessToken(kind, 'ada')))

/** Every cluster meets a token by a key that nobody has, and asks for the keys where it may. */
const askedBy = ({ cluster, gateway }: World) =>
  Promise.all(KINDS.map((kind) => cluster(kind).whoami(strangeToken(gateway.issuer, `k8s-${kind}`))))

/** From now on the proxy says this, and every cluster has heard it this moment. */
async function told(world: World, says: keyof typeof ways): Promise<void> {
  way = says
  await askedBy(world)
}

/** Seconds from `from` until each cluster takes its token, which is by the key that signs now. */
async function takenAfter(
  t: TestContext,
  world: World,
  fresh: readonly string[],
  from: number,
): Promise<readonly number[]> {
  const until = async (kind: (typeof KINDS)[number], token: string) => {
    while ((await world.cluster(kind).whoami(token)).status !== 201) {
      assert.ok(Date.now() - from < (KEPT + 30) * 1000, `${kind} never takes it`)
      await delay(200)
    }
    const seconds = (Date.now() - from) / 1000
    t.diagnostic(`${kind} took a token by the new key after ${seconds.toFixed(1)} s`)
    return seconds
  }
  return Promise.all(KINDS.map((kind, index) => until(kind, fresh[index] ?? '')))
}
