import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { freePort } from './gateway.ts'
import { type Place, type Serving, serve } from './serving.ts'

/** Gateways on one store behind a balancer that gives each the next request, as one place to their clients. */
export interface Pair {
  /** The gateways' own places: configuration and ports. */
  readonly places: readonly Place[]
  readonly gateways: readonly Serving[]
  /** Starts one again that has ended, and waits until it serves. */
  again(which: number): Promise<void>
  /** Lets requests go to it no more, or again. */
  out(which: number, state: 'out' | 'in'): void
  close(): Promise<void>
}

/**
 * @param at a place that nothing serves from yet: the balancer takes its port
 * @param store the YAML of a store that several processes can serve from
 */
export async function startPair(at: Place, store: string, count = 2): Promise<Pair> {
  const places = await Promise.all(Array.from({ length: count }, (_, which) => placeBeside(at, store, which)))
  const gateways = places.map((place) => serve(place))
  await gateways[0]?.logged('serving')
  await Promise.all(gateways.map((gateway) => gateway.logged('serving')))
  const away = new Set<number>()
  const balancer = await startBalancer(at.ports[0], () =>
    places.flatMap(({ ports: [port] }, which) => (away.has(which) ? [] : [port])),
  )
  return {
    places,
    gateways,
    async again(which) {
      gateways[which] = serve(places[which] as Place)
      await gateways[which].logged('serving')
    },
    out: (which, state) => void (state === 'out' ? away.add(which) : away.delete(which)),
    async close() {
      balancer.closeAllConnections()
      await new Promise((resolve) => balancer.close(resolve))
      await Promise.all(gateways.map((gateway) => gateway.kill()))
    },
  }
}

/** The same configuration for a process with ports and an audit file of its own; keys are shared. */
async function placeBeside(at: Place, store: string, which: number): Promise<Place> {
  const ports = [await freePort(), await freePort()] as const
  const file = join(at.folder, `gateway-${which}.yaml`)
  const changes: readonly (readonly [string, string])[] = [
    [`listen: { port: ${at.ports[0]} }`, `listen: { port: ${ports[0]} }`],
    [`operations: { port: ${at.ports[1]} }`, `operations: { port: ${ports[1]} }`],
    ['store: { kind: embedded, path: ./lotse.db }', `store: ${store}`],
    ['./audit.jsonl', `./audit-${which}.jsonl`],
  ]
  let yaml = await readFile(at.file, 'utf8')
  for (const [from, to] of changes) {
    if (!yaml.includes(from)) throw new Error(`${from} does not stand in the configuration`)
    yaml = yaml.replace(from, () => to)
  }
  await writeFile(file, yaml)
  return { ...at, file, ports, operations: `http://127.0.0.1:${ports[1]}` }
}

/** Gives each request to the next gateway, and to another one only where that one takes no connection. */
function startBalancer(port: number, ports: () => readonly number[]): Promise<Server> {
  let turn = 0
  const server = createServer((incoming, answer) => {
    const all = ports()
    const first = turn++
    pass(incoming, answer, [...all.slice(first % all.length), ...all.slice(0, first % all.length)])
  })
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)))
}

function pass(incoming: IncomingMessage, answer: ServerResponse, [port, ...others]: readonly number[]): void {
  if (port === undefined) return void answer.writeHead(502).end()
  const { method = 'GET', url = '/', headers } = incoming
  const onward = request({ host: '127.0.0.1', port, method, path: url, headers, agent: false }, (given) => {
    answer.writeHead(given.statusCode ?? 502, given.headers)
    given.pipe(answer)
    given.on('error', () => answer.destroy())
  })
  onward.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNREFUSED') pass(incoming, answer, others)
    else if (!answer.headersSent) answer.writeHead(502).end()
    else answer.destroy()
  })
  // Sent only to who takes the connection, so that another one can have it whole.
  onward.on('socket', (socket) => socket.once('connect', () => incoming.pipe(onward)))
}
