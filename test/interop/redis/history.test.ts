import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Able, chaos } from '../../support/history/crew.ts'
import { rounds } from '../../support/rounds.ts'
import { onceOnly } from './servers.ts'
import { startTopology, type Topology, topologies } from './topologies.ts'

/* Whatever two processes were told by a Redis store, over their own deaths and those of its primary, the promises of the port explain it. */

const secret = randomBytes(32).toString('hex')

async function tried(topology: Topology, able: Able, count: number, fault?: (round: number) => Promise<void>) {
  const opening = { redis: { ...topology.place, prefix: 'lotse' }, secret } as const
  const seed = rounds(1, Date.now() % 1_000_000)
  const plan = {
    openings: [opening, opening],
    able: [able, able],
    rounds: count,
    seed,
    ...(fault ? { fault } : {}),
  } as const
  return await chaos(plan)
}

const told = ({ operations, unanswered, crashes }: Awaited<ReturnType<typeof tried>>) =>
  `${operations} operations, ${unanswered} of them without an answer, ${crashes} kills of a process`

for (const name of topologies) {
  test(`on ${name}, over kills of processes`, onceOnly, async (t) => {
    const topology = await startTopology(name)
    try {
      // One read of many entries is several steps of the server.
      const done = await tried(topology, { kinds: ['durable', 'volatile'], wide: false }, rounds(1, 40))
      t.diagnostic(told(done))
      assert.deepEqual(done.findings, [])
      assert.ok(done.unanswered > 0, 'no kill hit a call')
    } finally {
      await topology.close()
    }
  })

  // A server alone promises no more than its disk: see failover.test.ts.
  if (name === 'standalone') continue
  test(`on ${name}, over kills of the primary`, onceOnly, async (t) => {
    const topology = await startTopology(name)
    let failovers = 0
    const fault = async () => {
      await delay(20)
      const primary = await topology.primary()
      await primary.kill('SIGKILL')
      failovers += 1
      await delay(6000) // another one is the primary by then, and takes the old one for a replica
      await primary.start()
    }
    try {
      const done = await tried(topology, { kinds: ['durable'], wide: false }, rounds(1, 20), fault)
      t.diagnostic(`${told(done)}, ${failovers} of the primary`)
      assert.deepEqual(done.findings, [])
    } finally {
      await topology.close()
    }
  })
}
