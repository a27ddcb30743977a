import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { rounds } from '../../support/rounds.ts'
import { refused, startTraffic } from './traffic.ts'
import { atEach, type World } from './world.ts'

const KINDS = ['stock', 'structured'] as const
const ROTATIONS = 10
const ORDERLY = rounds(2, 10)
/** Seconds of `keys.lead`: a day in earnest. */
const LEAD = 6

atEach(
  KINDS,
  (world) => {
    test('ten rotations at once, without a lead, while 20 tokens a second are given and used: no 401', async (t) => {
      const traffic = await startTraffic(world(), KINDS)
      const kids = new Set([await world().operator.kidOf('issuer')])
      for (let round = 0; round < ROTATIONS; round++) {
        await delay(1500)
        await world().rotate('--now')
        kids.add(await world().operator.kidOf('issuer'))
      }
      await delay(1500)
      const uses = await traffic.stop()
      t.diagnostic(`${uses.length} uses of tokens, ${new Set(uses.map(({ kid }) => kid)).size} keys`)
      assert.ok(kids.size > ROTATIONS, 'each rotation has another key')
      assert.deepEqual(refused(uses), [])
      assert.ok(new Set(uses.map(({ kid }) => kid)).size > ROTATIONS)
    })

    test('orderly rotations: the next key is published for the lead time, signs after it, and no token gets a 401', async (t) => {
      const traffic = await startTraffic(world(), KINDS)
      // As a gateway that serves does each second.
      const ticking = setInterval(() => void world().gateway.app.tick(), 500)
      const leads: Lead[] = []
      try {
        for (let round = 0; round < ORDERLY; round++) leads.push(await orderly(world()))
      } finally {
        clearInterval(ticking)
      }
      await delay(1500)
      const uses = await traffic.stop()
      const took = leads.map(({ from, until }) => ((until - from) / 1000).toFixed(1))
      t.diagnostic(`${uses.length} uses of tokens; from the command to the first signature ${took.join(', ')} s`)
      assert.deepEqual(refused(uses), [])
      for (const { kids, from } of leads) {
        const by = uses.filter(({ kid }) => kids.includes(kid))
        assert.ok(by.length > 0, 'the new keys sign')
        const early = by.filter(({ given }) => given < from + LEAD * 1000 - 1000)
        assert.deepEqual(early, [], 'none before the lead time has passed')
      }
    })
  },
  { lead: `${LEAD}s` },
)

interface Lead {
  /** The keys that took over. */
  readonly kids: readonly string[]
  /** Milliseconds: the command, and when they signed. */
  readonly from: number
  readonly until: number
}

/** One rotation in good order: published at once, for everybody to see, and current after the lead time. */
async function orderly({ gateway, operator, rotate }: World): Promise<Lead> {
  const from = Date.now()
  assert.match(await rotate(''), /is published and signs from/)
  const next = (await operator.keysOf('issuer')).filter(({ state }) => state === 'next').map(({ kid }) => kid)
  assert.ok(next.length > 0)
  const { keys } = (await (await fetch(`${gateway.issuer}/jwks`)).json()) as { keys: readonly { kid: string }[] }
  for (const kid of next)
    assert.ok(
      keys.some((key) => key.kid === kid),
      'a next key is published',
    )
  const allSign = async () =>
    (await operator.keysOf('issuer')).every(({ kid, state }) => state === 'current' || !next.includes(kid))
  while (!(await allSign())) {
    assert.ok(Date.now() - from < (LEAD + 10) * 1000, 'they never sign')
    await delay(250)
  }
  return { kids: next, from, until: Date.now() }
}
