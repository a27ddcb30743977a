import { execFile } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { RedisOptions } from '../../../src/store/redis/store.ts'
import { freePort } from '../../support/gateway.ts'
import { callAt, type Server, startServer } from './servers.ts'

const run = promisify(execFile)

export type TopologyName = RedisOptions['topology']

/** Servers of one topology on loopback. */
export interface Topology {
  /** How the store finds them. */
  readonly place: Pick<RedisOptions, 'topology' | 'servers' | 'primary' | 'replicas' | 'access' | 'sentinelAccess'>
  /** The servers with data, the first primary first. */
  readonly nodes: readonly Server[]
  /** The primary at this moment: of the Cluster, the one that has a key. */
  primary(key?: string): Promise<Server>
  close(): Promise<void>
}

const at = ({ port }: Server) => ({ host: '127.0.0.1', port })
const persistent = ['appendonly yes', 'appendfsync everysec', 'save ""', 'repl-diskless-sync-delay 0']
const common = { primary: 'lotse', access: {}, sentinelAccess: {} } as const

async function closeAll(servers: readonly Server[]): Promise<void> {
  await Promise.all(servers.map((each) => each.close()))
}

async function standalone(): Promise<Topology> {
  const server = await startServer(persistent)
  return {
    place: { ...common, topology: 'standalone', servers: [at(server)], replicas: 0 },
    nodes: [server],
    primary: async () => server,
    close: () => server.close(),
  }
}

/** One primary, two replicas, three Sentinels that agree within two seconds that a primary is away. */
async function sentinel(): Promise<Topology> {
  const first = await startServer([...persistent, 'min-replicas-to-write 1', 'min-replicas-max-lag 10'])
  const replica = () =>
    startServer([
      ...persistent,
      'min-replicas-to-write 1',
      'min-replicas-max-lag 10',
      `replicaof 127.0.0.1 ${first.port}`,
    ])
  const nodes = [first, await replica(), await replica()]
  await until('both replicas are there', async () => (await callAt(first.port, ['WAIT', '2', '500'])) === 2)
  const lines = [
    `sentinel monitor lotse 127.0.0.1 ${first.port} 2`,
    'sentinel down-after-milliseconds lotse 2000',
    'sentinel failover-timeout lotse 5000',
    'sentinel parallel-syncs lotse 2',
  ]
  const sentinels = [await startServer(lines), await startServer(lines), await startServer(lines)]
  await until('the Sentinels know each other and the replicas', async () => {
    const said = (await callAt(sentinels[0]?.port ?? 0, ['SENTINEL', 'MASTER', 'lotse'])) as readonly string[]
    const field = (name: string) => said[said.indexOf(name) + 1]
    return field('num-other-sentinels') === '2' && field('num-slaves') === '2'
  })
  const primary = async () => {
    const [, port] = (await callAt(sentinels[0]?.port ?? 0, [
      'SENTINEL',
      'GET-MASTER-ADDR-BY-NAME',
      'lotse',
    ])) as readonly string[]
    return nodes.find((node) => node.port === Number(port)) as Server
  }
  return {
    place: { ...common, topology: 'sentinel', servers: sentinels.map(at), replicas: 1 },
    nodes,
    primary,
    close: () => closeAll([...sentinels, ...nodes]),
  }
}

/**
 * Three primaries with a replica each, and a second one for the primary that has the keys of the prefix `lotse`: where writes wait for
 * a replica, there has to be one left after a failover.
 */
async function cluster(): Promise<Topology> {
  const node = async () =>
    startServer([...persistent, 'cluster-enabled yes', 'cluster-node-timeout 2000', `cluster-port ${await freePort()}`])
  const nodes: Server[] = []
  while (nodes.length < 6) nodes.push(await node())
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`)
  await run('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes'])
  const whole = async () => {
    const said = await Promise.all(nodes.map(({ port }) => callAt(port, ['CLUSTER', 'INFO'])))
    return said.every((text) => new RegExp(`cluster_state:ok[^]*known_nodes:${nodes.length}`).test(String(text)))
  }
  await until('the Cluster is whole', whole)
  const primary = async (key = '{lotse}:state') => {
    for (const { port } of nodes) {
      const to = await callAt(port, ['HGET', key, 'n']).then(
        () => port,
        (error: Error) => Number(/^MOVED \d+ \S*:(\d+)/.exec(error.message)?.[1] ?? 0),
      )
      const found = nodes.find((each) => each.port === to)
      if (found) return found
    }
    throw new Error('no node of the Cluster answers')
  }
  const first = await primary()
  const id = String(await first.call('CLUSTER', 'MYID'))
  const spare = await node()
  nodes.push(spare)
  await first.call('CLUSTER', 'MEET', '127.0.0.1', String(spare.port), ...(await busPortOf(spare)))
  await until('the spare node is known', whole)
  await until('it knows its primary', async () => (await spare.call('CLUSTER', 'REPLICATE', id)) === 'OK')
  await until('both replicas are there', async () => (await first.call('WAIT', '2', '500')) === 2)
  return {
    place: { ...common, topology: 'cluster', servers: nodes.slice(0, 3).map(at), replicas: 1 },
    nodes,
    primary,
    close: () => closeAll(nodes),
  }
}

/** The port on which nodes of a Cluster speak to each other. */
async function busPortOf(node: Server): Promise<readonly string[]> {
  const [, port = ''] = (await node.call('CONFIG', 'GET', 'cluster-port')) as readonly string[]
  return [port]
}

const starters: Readonly<Record<TopologyName, () => Promise<Topology>>> = { standalone, sentinel, cluster }

export const topologies = Object.keys(starters) as readonly TopologyName[]

/** Starts one, and waits until it is whole. */
export const startTopology = (name: TopologyName): Promise<Topology> => starters[name]()

/** @throws where it does not come true within half a minute */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 30_000
  while (!(await holds().catch(() => false))) {
    if (performance.now() > end) throw new Error(`not within half a minute: ${what}`)
    await delay(100)
  }
}
