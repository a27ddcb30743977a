import { StoreUnavailable } from '../store.ts'
import { type Access, type Address, type Connection, openConnection, textOf } from './connection.ts'

export type Topology = 'standalone' | 'sentinel' | 'cluster'

export interface Place {
  readonly topology: Topology
  /** The server; the sentinels; some nodes of the cluster. */
  readonly servers: readonly Address[]
  /** What the sentinels call the primary. */
  readonly primary: string
  /** How sentinels are spoken to. */
  readonly sentinelAccess: Access
  /** How nodes of the cluster are spoken to. */
  readonly access: Access
  /** Any key of the gateway: all of them lie in one slot. */
  readonly key: string
}

/** Says where the primary is at this moment. */
export interface Locator {
  /** @throws {StoreUnavailable} where nobody knows */
  locate(): Promise<Address>
  close(): void
}

/** What somebody says, and how new it is: after each failover the number is higher. */
interface Opinion {
  readonly address: Address
  readonly epoch: number
}

/** Milliseconds that sentinels and nodes may take: those that do not answer must not hold up those that do. */
const PATIENCE = 400

/** Asks all sentinels, or all known nodes of the cluster, at once, and believes the newest of their answers. */
export function openLocator(place: Place): Locator {
  if (place.topology === 'standalone') return { locate: async () => place.servers[0] as Address, close: () => {} }
  const { ask, access } = place.topology === 'sentinel' ? bySentinel(place) : byCluster(place)
  const lines = new Map<string, Promise<Connection>>()
  let closed = false
  const line = async (address: Address): Promise<Connection> => {
    const name = textOf(address)
    const before = lines.get(name)
    const known = await before?.catch(() => undefined)
    if (closed) throw new StoreUnavailable('the store is closed')
    if (known && !known.lost()) return known
    // Somebody else who asked has begun meanwhile.
    if (lines.get(name) !== before) return await line(address)
    const made = openConnection(address, access)
    lines.set(name, made)
    return await made
  }
  let servers = place.servers
  return {
    async locate() {
      const answers = await Promise.all(
        servers.map((address) => inTime(line(address).then((connection) => ask(connection, address)))),
      )
      const opinions = answers.flatMap((answer) => (answer instanceof Error ? [] : [answer]))
      const newest = opinions.toSorted((a, b) => b.epoch - a.epoch)[0]
      if (!newest) {
        servers = place.servers
        throw new StoreUnavailable(`nobody knows the primary: ${answers.map(detailOf).join('; ')}`)
      }
      servers = withFirst(place.servers, newest.others)
      return newest.address
    },
    close() {
      closed = true
      for (const each of lines.values()) void each.then((connection) => connection.destroy()).catch(() => {})
      lines.clear()
    },
  }
}

type Answer = Opinion & { readonly others: readonly Address[] }
interface Way {
  readonly access: Access
  readonly ask: (connection: Connection, address: Address) => Promise<Answer>
}

function bySentinel({ primary, sentinelAccess }: Place): Way {
  return {
    access: sentinelAccess,
    async ask(connection) {
      const said = (await connection.call('SENTINEL', 'MASTER', primary)) as readonly string[] // name and value in turn
      const field = (name: string) => said[said.indexOf(name) + 1] ?? ''
      const address = { host: field('ip'), port: Number(field('port')) }
      return { address, epoch: Number(field('config-epoch')), others: [] }
    },
  }
}

function byCluster({ access, key }: Place): Way {
  return {
    access,
    async ask(connection, asked) {
      const [slot, text] = await Promise.all([
        connection.call('CLUSTER', 'KEYSLOT', key),
        connection.call('CLUSTER', 'NODES'),
      ])
      const nodes = String(text)
        .trim()
        .split('\n')
        .map((each) => nodeOf(each, asked, access))
      const owner = nodes.find((node) => node.primary && node.holds(Number(slot)))
      if (!owner) throw new Error(`no node serves the slot ${slot}`)
      return { ...owner, others: nodes.map(({ address }) => address) }
    },
  }
}

/** `id ip:port@bus[,hostname…] flags primary ping pong epoch link slot…`, https://redis.io/docs/latest/commands/cluster-nodes/ */
function nodeOf(
  text: string,
  asked: Address,
  { tls }: Access,
): Opinion & { primary: boolean; holds(slot: number): boolean } {
  const [, where = '', flags = '', , , , epoch = '0', , ...slots] = text.split(' ')
  const [bus = '', name = ''] = where.split(',')
  const endpoint = bus.replace(/@.*$/, '')
  const at = endpoint.lastIndexOf(':')
  // A certificate has the name that a node announces, where there is one. A node may not know its own address yet.
  const host = (tls && name) || endpoint.slice(0, at) || asked.host
  const address = { host, port: Number(endpoint.slice(at + 1)) }
  const ranges = slots.map((range) => range.split('-').map(Number))
  return {
    address,
    epoch: Number(epoch),
    primary: flags.split(',').includes('master'),
    holds: (slot) => ranges.some(([first = -1, last = first]) => first <= slot && slot <= last),
  }
}

/** The configured servers, and as many of the others as make a cluster that nobody has to list whole. */
function withFirst(first: readonly Address[], others: readonly Address[]): readonly Address[] {
  const known = new Map([...first, ...others].map((address) => [textOf(address), address]))
  return [...known.values()].slice(0, 16)
}

function inTime(work: Promise<Answer>): Promise<Answer | Error> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(new Error('no answer')), PATIENCE)
    const done = (answer: Answer | Error) => {
      clearTimeout(timer)
      resolve(answer)
    }
    work.then(done, done)
  })
}

const detailOf = (answer: Answer | Error): string =>
  answer instanceof StoreUnavailable ? answer.detail : answer instanceof Error ? answer.message : ''
