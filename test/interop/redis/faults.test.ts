import assert from 'node:assert/strict'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { after, before, describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type BusyIdp, startBusyIdp } from '../../support/busy-idp.ts'
import { crowdedPlace } from '../../support/crowd.ts'
import { type Cutter, startCutter } from '../../support/cutter.ts'
import { type Load, startLoad, type Tally } from '../../support/load.ts'
import { type Pair, startPair } from '../../support/pair.ts'
import { rounds } from '../../support/rounds.ts'
import type { Place } from '../../support/serving.ts'
import { callAt, onceOnly, type Server } from './servers.ts'
import { startTopology, type Topology, type TopologyName, until } from './topologies.ts'

/* Two gateways under a steady load of sign-ins, refreshes and device polls, while something breaks. Figures stand beside each test. */

/** Milliseconds: until service is back after a failover, and for one request. */
const BACK = 10_000
const LONGEST = 1500
/** How often a request waits for another process to be served: the balancer, a gateway, the server and its replica, and back. */
const TURNS = 6
const long = rounds(0, 1) === 1
/** Faults that `npm run soak` alone brings about. */
const thorough = long ? {} : { skip: 'npm run soak -- redis-faults' }

interface World {
  readonly topology: Topology
  readonly cutter: Cutter | undefined
  readonly at: Place
  readonly pair: Pair
  readonly idp: BusyIdp
  close(): Promise<void>
}

async function startWorld(name: TopologyName): Promise<World> {
  const idp = await startBusyIdp('lotse')
  const topology = await startTopology(name)
  const { place } = topology
  const cutter = name === 'standalone' ? await startCutter(topology.nodes[0]?.port ?? 0) : undefined
  const servers = cutter ? [`127.0.0.1:${cutter.port}`] : place.servers.map(({ host, port }) => `${host}:${port}`)
  const at = await crowdedPlace({
    upstreams: { up: { idp, more: 'recheckAfter: 1h' } },
    clients: { portal: '' },
  })
  await at.change(
    'clients:\n',
    'clients:\n  - { id: tv, native: true, target: argo, grants: [device], neverSlowDown: true }\n',
  )
  const { topology: kind, primary, replicas } = place
  const pair = await startPair(at, JSON.stringify({ kind: 'redis', topology: kind, servers, primary, replicas }))
  return {
    ...{ topology, cutter, at, pair, idp },
    async close() {
      await pair.close()
      await cutter?.close()
      await topology.close()
      await at.remove()
      await idp.close()
    },
  }
}

interface Expected {
  /** Milliseconds until every sort of request succeeds again, from the fault on. */
  readonly back: number
  /** `none`: not one request may fail. */
  readonly failures?: 'none'
}

/** Runs a fault under load, prints what was met, and holds it against what is promised. */
async function under(world: World, t: TestContext, expected: Expected, fault: () => Promise<unknown>): Promise<void> {
  const lossesBefore = losses(world)
  const load = await startLoad({ ...world, refreshers: 6, entrants: 2, pollers: 3 })
  const lag = monitorEventLoopDelay({ resolution: 10 })
  lag.enable()
  try {
    await delay(2500)
    const calm = load.look()
    assert.ok(calm.logins > 0 && calm.refreshes > 0 && calm.polls > 0, `no load: ${JSON.stringify(calm)}`)
    assert.deepEqual(calm.wrong, [])
    const said = await fault()
    await delay(3000)
    const met = load.look()
    lag.disable()
    const machine = TURNS * (lag.max / 1e6)
    // All servers at once had not written everything to their disks: what lets in is believed no more, and that is no wrong answer.
    const distrusted = losses(world) > lossesBefore
    const refused = met.wrong.filter((each) => distrusted && each.endsWith('400 invalid_grant'))
    const wrong = met.wrong.filter((each) => !refused.includes(each))
    const note = distrusted ? `acknowledged writes were lost, and ${refused.length} had to begin again` : said
    const lost = await tell(t, load, { ...met, wrong }, note)
    assert.deepEqual(wrong, [])
    assert.equal(lost, 0) // also of what was given after a loss
    const busy = `where the machine itself was late by ${Math.round(lag.max / 1e6)} ms`
    assert.ok(met.gap <= expected.back + machine, `${Math.round(met.gap)} ms until service was back, ${busy}`)
    assert.ok(met.slowest <= LONGEST + machine, `one request took ${Math.round(met.slowest)} ms, ${busy}`)
    if (expected.failures === 'none') assert.equal(met.unavailable, 0)
  } finally {
    lag.disable()
    await load.stop()
  }
}

/** How often gateways said that the store has lost something. */
const losses = ({ pair }: World): number =>
  pair.gateways.reduce((sum, gateway) => sum + gateway.err().split('has lost acknowledged writes').length - 1, 0)

/** @returns how many tokens were acknowledged and are lost */
async function tell(t: TestContext, load: Load, met: Tally, said: unknown): Promise<number> {
  const { logins, refreshes, polls, unavailable, late, slowest, gap, wrong } = met
  t.diagnostic(
    `${logins} sign-ins, ${refreshes} refreshes, ${polls} polls; ${unavailable} answered with 503 or cut, ${late} signed out for a retry after ten seconds; ` +
      `longest time without success ${Math.round(gap)} ms, longest request ${Math.round(slowest)} ms, wrong answers ${wrong.length}${said === undefined ? '' : `; ${said}`}`,
  )
  const { twice, tried, lost, alive } = await load.audit()
  t.diagnostic(
    `${tried} used tokens and codes used again, ${twice} were good twice; ${alive} refresh tokens good, ${lost} acknowledged and lost`,
  )
  assert.equal(twice, 0)
  return lost
}

describe('behind Sentinels', onceOnly, () => {
  let world: World
  before(async () => {
    world = await startWorld('sentinel')
  })
  after(() => world.close())

  test(`the primary is killed, ${rounds(1, 20)} times`, async (t) => {
    await under(world, t, { back: BACK }, async () => {
      for (let n = 0; n < rounds(1, 20); n++) {
        const primary = await world.topology.primary()
        await primary.kill('SIGKILL')
        await delay(8000)
        await primary.start()
        // One failure at a time: whoever goes next has both of the others behind him.
        await until('all servers are there', () => allFollow(world.topology))
        await delay(2000)
      }
    })
  })

  test('the primary stands still for 15 seconds, and goes on as if nothing had been', thorough, async (t) => {
    await under(world, t, { back: BACK }, async () => {
      const primary = await world.topology.primary()
      primary.pause()
      await delay(15_000)
      primary.resume()
      await delay(4000)
    })
  })

  test('a replica that is behind is promoted: what it lacks is believed no more', async (t) => {
    const { topology } = world
    const before = losses(world)
    await under(world, t, { back: BACK }, async () => {
      const primary = await topology.primary()
      const [whole, behind] = topology.nodes.filter((node) => node !== primary) as [Server, Server]
      await whole.call('CONFIG', 'SET', 'replica-priority', '0')
      await until('no Sentinel takes the one that has all', async () => {
        const said = await Promise.all(topology.place.servers.map(({ port }) => priorityAt(port, whole)))
        return said.every((priority) => priority === '0')
      })
      await behind.call('CONFIG', 'SET', 'masterauth', 'not the password') // so that it cannot follow any more
      await primary.call('CLIENT', 'KILL', 'TYPE', 'replica')
      await delay(3000)
      await primary.kill('SIGKILL')
      await until('it is the primary', async () => (await topology.primary()) === behind)
      await delay(4000)
      await behind.call('CONFIG', 'SET', 'masterauth', '')
      await whole.call('CONFIG', 'SET', 'replica-priority', '100')
      for (const node of [behind, whole]) await node.call('CONFIG', 'REWRITE') // Sentinels had it written down
      await primary.start()
      await until('all servers are there', () => allFollow(topology))
    })
    assert.ok(losses(world) > before, 'nothing that was acknowledged was missing')
  })

  test('the memory of the primary is full', thorough, async (t) => {
    await under(world, t, { back: 8000 }, async () => {
      const primary = await world.topology.primary()
      await primary.call('CONFIG', 'SET', 'maxmemory', '1')
      await delay(4000)
      await primary.call('CONFIG', 'SET', 'maxmemory', '0')
    })
  })

  const down = long ? 30_000 : 6000
  test(`all servers are down for ${down / 1000} seconds`, thorough, async (t) => {
    await under(world, t, { back: down + BACK }, async () => {
      const primary = await world.topology.primary()
      const nodes = [primary, ...world.topology.nodes.filter((node) => node !== primary)]
      await Promise.all(nodes.map((node) => node.kill('SIGKILL')))
      await delay(down)
      for (const node of nodes) await node.start()
      await delay(BACK)
    })
  })

  test('one gateway is killed', async (t) => {
    await under(world, t, { back: 5000 }, async () => {
      await world.pair.gateways[0]?.kill()
      await delay(4000)
      await world.pair.again(0)
    })
  })

  test('both gateways are started again, one after the other, and nobody notices', async (t) => {
    await under(world, t, { back: 5000, failures: 'none' }, async () => {
      for (const which of [0, 1]) await restarted(world.pair, which)
    })
  })
})

/** Whether both replicas follow the primary. */
async function allFollow(topology: Topology): Promise<boolean> {
  const primary = await topology.primary()
  return /connected_slaves:2/.test(String(await primary.call('INFO', 'replication')))
}

/** What a Sentinel knows of a replica: how gladly it takes it, 0 for never. */
async function priorityAt(sentinel: number, { port }: Server): Promise<string | undefined> {
  const replicas = (await callAt(sentinel, ['SENTINEL', 'REPLICAS', 'lotse'])) as readonly (readonly string[])[]
  const fields = replicas.find((each) => each[each.indexOf('port') + 1] === String(port)) ?? []
  return fields[fields.indexOf('slave-priority') + 1]
}

/** As a load balancer does that asks `/readyz` twice a second. */
async function restarted({ gateways, places, out, again }: Pair, which: number): Promise<void> {
  const gateway = gateways[which]
  gateway?.child.kill('SIGTERM')
  let ready = true
  while (ready) {
    await delay(500)
    ready = await fetch(`${places[which]?.operations}/readyz`).then(
      ({ status }) => status === 200,
      () => false,
    )
  }
  out(which, 'out')
  assert.equal(await gateway?.ended(), 0)
  await again(which)
  out(which, 'in')
}

describe('on one server', onceOnly, () => {
  let world: World
  before(async () => {
    world = await startWorld('standalone')
  })
  after(() => world.close())

  test('the disk of the server is full', thorough, async (t) => {
    await under(world, t, { back: 9000 }, async () => {
      const [server] = world.topology.nodes
      await server?.disk('full')
      await delay(5000)
      await server?.disk('free')
      await delay(1000)
    })
  })

  for (const where of ['command', 'answer'] as const) {
    const when = where === 'command' ? 'within a command' : 'between a command and its answer'
    test(`connections are cut ${when}`, where === 'command' ? thorough : {}, async (t) => {
      await under(world, t, { back: 3000 }, async () => {
        world.cutter?.cut(where)
        await delay(long ? 20_000 : 5000)
        return `${world.cutter?.cut(undefined)} cuts`
      })
    })
  }
})
