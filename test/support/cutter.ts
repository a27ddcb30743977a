import { connect, createServer, type Socket } from 'node:net'

/** Where a connection is cut: before the server has all of a command, or after it was carried out and before its answer is out. */
export type Cut = 'command' | 'answer'

/** A way to a server on loopback that can be cut. */
export interface Cutter {
  readonly port: number
  /** Cuts a part of the connections, at their next command or answer. @returns how many were cut since the last call */
  cut(where: Cut | undefined): number
  close(): Promise<void>
}

/** One of so many pieces of traffic is cut. */
const EVERY = 40

/** @param to the server's port */
export async function startCutter(to: number): Promise<Cutter> {
  let where: Cut | undefined
  let [cuts, pieces] = [0, 0]
  const open = new Set<Socket>()
  const due = (here: Cut) => where === here && ++pieces % EVERY === 0
  const server = createServer((client) => {
    const onward = connect(to, '127.0.0.1')
    const end = () => {
      client.destroy()
      onward.destroy()
    }
    for (const socket of [client, onward]) {
      open.add(socket)
      socket.on('error', end)
      socket.on('close', () => {
        open.delete(socket)
        end()
      })
    }
    client.on('data', (bytes) => {
      if (!due('command')) return onward.write(bytes)
      cuts++
      onward.write(bytes.subarray(0, Math.floor(bytes.length / 2)), end)
      return false
    })
    onward.on('data', (bytes) => {
      if (!due('answer')) return client.write(bytes)
      cuts++
      end()
      return false
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as { port: number }).port,
    cut(next) {
      const before = cuts
      where = next
      cuts = 0
      return before
    },
    async close() {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
