import { createServer } from 'node:https'
import type { Clock } from '../../core/ports.ts'
import type { Shelf } from './held.ts'
import { keyOf } from './keys.ts'

interface Lists {
  readonly shelf: Shelf
  readonly port: number
  /** PEM: config/demo-wallet.pem. */
  readonly certificate: Buffer
  readonly now: Clock
}

/** Where the demo's issuers publish what they still stand by, with TLS as the gateway wants it; ends it. */
export async function openStatusLists({ shelf, port, certificate, now }: Lists): Promise<() => Promise<void>> {
  const key = keyOf('status lists').privateKey.export({ type: 'pkcs8', format: 'pem' })
  const server = createServer({ key, cert: certificate }, (request, response) => {
    const [, name = ''] = /^\/status\/([a-z]+)$/.exec(request.url ?? '') ?? []
    const list = shelf.statusList(name, now())
    if (list === undefined) return void response.writeHead(404).end()
    response.writeHead(200, { 'content-type': 'application/statuslist+jwt', 'cache-control': 'no-store' }).end(list)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
}
