/**
 * Key sets fetched at a rate, whatever becomes of the answers: a process on the load's core that takes one `Flood` after another and
 * answers each with a `Report`. Sockets alone, since Node's own client costs more than the server under measure.
 */
import { connect, type Socket } from 'node:net'
import type { Report } from './driver.ts'
import { spread } from './spread.ts'

export interface Flood {
  readonly origin: string
  readonly path: string
  /** Requests in a second. */
  readonly rate: number
  readonly seconds: number
}

/** As many machines hold a connection, and ask again when theirs has answered. */
const CONNECTIONS = 64

interface Connection {
  readonly socket: Socket
  /** When the request that it carries was due; undefined while it is idle. */
  due: number | undefined
  received: Buffer
}

interface State {
  readonly request: string
  readonly idle: Connection[]
  /** When those were due that wait for a connection, oldest first. */
  readonly waiting: number[]
  readonly times: number[]
  readonly failures: Record<string, number>
}

function ask(state: State, connection: Connection, due: number): void {
  connection.due = due
  connection.socket.write(state.request)
}

/** Whole once it is as long as its own head says. */
function isWhole(answer: Buffer): boolean {
  const end = answer.indexOf('\r\n\r\n')
  if (end < 0) return false
  const [, length] = /\r\ncontent-length: (\d+)/i.exec(answer.toString('latin1', 0, end)) ?? []
  return answer.length >= end + 4 + Number(length)
}

function take(state: State, connection: Connection, chunk: Buffer): void {
  const { due, received } = connection
  connection.received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
  if (due === undefined || !isWhole(connection.received)) return
  const status = connection.received.toString('latin1', 9, 12)
  if (status === '200') state.times.push(performance.now() - due)
  else state.failures[status] = (state.failures[status] ?? 0) + 1
  connection.received = Buffer.alloc(0)
  connection.due = undefined
  const next = state.waiting.shift()
  if (next === undefined) state.idle.push(connection)
  else ask(state, connection, next)
}

function open(state: State, { hostname, port }: URL): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true })
    const connection: Connection = { socket, due: undefined, received: Buffer.alloc(0) }
    socket.once('error', reject)
    socket.once('connect', () => resolve(connection))
    socket.on('data', (chunk: Buffer) => take(state, connection, chunk))
    socket.on('close', () => {
      if (connection.due !== undefined) state.failures['closed'] = (state.failures['closed'] ?? 0) + 1
    })
  })
}

/** Times count from when a request was due, so that a server that stands still is not asked less. */
function pump(state: State, { rate, seconds }: Flood): Promise<void> {
  const begun = performance.now()
  let sent = 0
  return new Promise((resolve) => {
    const turn = () => {
      const now = performance.now()
      const due = Math.min(rate * seconds, 1 + Math.floor(((now - begun) * rate) / 1000))
      for (; sent < due; sent++) {
        const at = begun + (sent * 1000) / rate
        const connection = state.idle.pop()
        if (connection) ask(state, connection, at)
        else state.waiting.push(at)
      }
      if (now - begun < seconds * 1000) setTimeout(turn, 1)
      else resolve()
    }
    turn()
  })
}

async function run(flood: Flood): Promise<Report> {
  const url = new URL(flood.path, flood.origin)
  const request = `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nAccept-Encoding: gzip\r\n\r\n`
  const state: State = { request, idle: [], waiting: [], times: [], failures: {} }
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => open(state, url)))
  state.idle.push(...connections)
  const [begun, cpu] = [performance.now(), process.cpuUsage()]
  await pump(state, flood)
  const seconds = (performance.now() - begun) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const unanswered = connections.filter(({ due }) => due !== undefined).length + state.waiting.length
  // What is under way at the end is a handful; more is a server that did not keep up.
  if (unanswered > CONNECTIONS) state.failures['unanswered'] = unanswered
  for (const { socket } of connections) socket.destroy()
  return { ...spread(state.times), seconds, failures: { ...state.failures }, driverCpu: (user + system) / 1e6 }
}

process.on('message', (flood: Flood) => void run(flood).then((report) => process.send?.(report)))
process.on('disconnect', () => process.exit(0))
