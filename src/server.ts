import { readFile } from 'node:fs/promises'
import http, { type RequestListener, type Server } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { createSecureContext } from 'node:tls'
import type { Log } from './core/ports.ts'

/** Where to listen; with `tls`, PEM files that are read again when they change. */
export interface Listen {
  readonly address: string
  readonly port: number
  readonly tls?: { readonly certificate: string; readonly key: string } | undefined
}

/** A listening socket. */
export interface Listener {
  readonly url: string
  /** Reads certificate files again where they changed; a pair that does not fit keeps the one that did. */
  refresh(): Promise<void>
  /** Takes no new connections, finishes what was accepted, and cuts what is left after `patience` milliseconds. */
  close(patience: number): Promise<void>
}

const LIMITS = { headersTimeout: 15_000, requestTimeout: 30_000, keepAliveTimeout: 65_000, maxHeaderSize: 32 * 1024 }

async function readPair(tls: NonNullable<Listen['tls']>): Promise<{ cert: Buffer; key: Buffer }> {
  const [cert, key] = await Promise.all([readFile(tls.certificate), readFile(tls.key)])
  createSecureContext({ cert, key }) // throws where they do not fit
  return { cert, key }
}

function refresher(server: Server, tls: Listen['tls'], first: Buffer | undefined, log: Log): () => Promise<void> {
  let used = first
  return async () => {
    if (!tls || !(server instanceof https.Server)) return
    try {
      const pair = await readPair(tls)
      const both = Buffer.concat([pair.cert, pair.key])
      if (used?.equals(both)) return
      server.setSecureContext({ ...pair, minVersion: 'TLSv1.2' })
      used = both
      log('info', 'the TLS certificate was read again')
    } catch (error) {
      log('error', 'the new TLS certificate cannot be used; the old one stays', { error: String(error) })
    }
  }
}

function closer(server: Server): (patience: number) => Promise<void> {
  return (patience) =>
    new Promise((resolve) => {
      const cut = setTimeout(() => server.closeAllConnections(), patience)
      server.close(() => {
        clearTimeout(cut)
        resolve()
      })
      server.closeIdleConnections()
    })
}

/**
 * Starts to listen.
 * @throws where the address is taken or the certificate does not fit its key
 */
export async function listen(where: Listen, handle: RequestListener, log: Log): Promise<Listener> {
  const pair = where.tls && (await readPair(where.tls))
  const server: Server = pair
    ? https.createServer({ ...LIMITS, ...pair, minVersion: 'TLSv1.2' }, handle)
    : http.createServer(LIMITS, handle)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(where.port, where.address, resolve)
  })
  const { port } = server.address() as AddressInfo
  const host = where.address.includes(':') ? `[${where.address}]` : where.address
  const first = pair && Buffer.concat([pair.cert, pair.key])
  return {
    url: `${pair ? 'https' : 'http'}://${host}:${port}`,
    refresh: refresher(server, where.tls, first, log),
    close: closer(server),
  }
}
