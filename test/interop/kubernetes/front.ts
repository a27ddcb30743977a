import { type IncomingHttpHeaders, request } from 'node:http'
import { createServer } from 'node:https'
import { pipeline } from 'node:stream'

/** What a proxy answers for `/jwks`, from what the gateway said. */
export type Headers = (said: IncomingHttpHeaders) => IncomingHttpHeaders

export interface Front {
  close(): Promise<void>
}

interface Between {
  /** Where people and clusters ask. */
  readonly port: number
  /** PEM texts. */
  readonly tls: { readonly key: string; readonly cert: string }
  /** The gateway's own port, plain. */
  readonly to: number
  readonly keys: Headers
}

/** A reverse proxy in front of the gateway, as sites have one: it ends TLS, hands everything on, and may say of the keys what the gateway did not. */
export async function startFront({ port, tls, to, keys }: Between): Promise<Front> {
  const server = createServer(tls, (incoming, outgoing) => {
    const { method, url = '/', headers } = incoming
    const onward = request({ host: '127.0.0.1', port: to, method, path: url, headers }, (answer) => {
      const told = url === '/jwks' ? keys(answer.headers) : answer.headers
      outgoing.writeHead(answer.statusCode ?? 502, told)
      pipeline(answer, outgoing, () => {})
    })
    onward.on('error', () => outgoing.writeHead(502).end())
    pipeline(incoming, onward, () => {})
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
