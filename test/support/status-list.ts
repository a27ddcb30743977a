import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { deflateSync } from 'node:zlib'
import { selfSigned } from './certificate.ts'
import { type Issuer, signJwt, x5cOf } from './wallet.ts'

/** A server of an issuer's token status list, with one byte for each credential. */
export interface StatusList {
  /** What stands in a credential for one place in the list. @param list the same under another address, which nobody has read yet */
  reference(index: number, list?: number): { readonly status_list: { readonly idx: number; readonly uri: string } }
  /** @param value 0 valid, 1 revoked, 2 suspended */
  set(index: number, value: number): void
  /** Answers 503 from now on, or not any more. */
  fail(how: 'yes' | 'no'): void
  /** How often it was asked. */
  readonly asked: () => number
  /** PEM by which its TLS is trusted. */
  readonly ca: string
  close(): Promise<void>
}

/** Starts one on loopback, signed by the issuer of the credentials. @see Token Status List, 5.1 */
export async function startStatusList(issuer: Issuer): Promise<StatusList> {
  const tls = selfSigned()
  const values = new Uint8Array(64)
  let failing = false
  let asked = 0
  const server = createServer(tls, ({ url }, response) => {
    asked += 1
    if (failing) return void response.writeHead(503).end()
    const payload = {
      sub: `${origin}${url}`,
      iat: Math.floor(Date.now() / 1000),
      ttl: 60,
      status_list: { bits: 8, lst: deflateSync(values).toString('base64url') },
    }
    response.writeHead(200, { 'content-type': 'application/statuslist+jwt' })
    response.end(signJwt({ typ: 'statuslist+jwt', x5c: x5cOf(issuer.chain) }, payload, issuer.key))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    reference: (idx, list = 1) => ({ status_list: { idx, uri: `${origin}/statuses/${list}` } }),
    set(index, value) {
      values[index] = value
    },
    fail(how) {
      failing = how === 'yes'
    },
    asked: () => asked,
    ca: tls.cert,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
