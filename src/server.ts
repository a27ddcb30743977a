import { readFile, stat } from 'node:fs/promises'
import http, { type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
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
  /** Reads certificate files again where they changed; a pair that does not fit keeps the one that did, and is logged once. */
  refresh(): Promise<void>
  /** Makes each answer the last of its connection, so that whoever asks again may reach another process; still takes new ones. */
  drain(): void
  /** Takes no new connections, finishes what was accepted, and cuts what is left after `patience` milliseconds. */
  close(patience: number): Promise<void>
}

type Pem = NonNullable<Listen['tls']>

const LIMITS = { headersTimeout: 15_000, requestTimeout: 30_000, keepAliveTimeout: 65_000, maxHeaderSize: 32 * 1024 }

const refusals: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process has this port',
  EACCES: 'this process may not take this port; below 1024 it needs CAP_NET_BIND_SERVICE',
  EADDRNOTAVAIL: 'this machine has no such address',
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

async function readPem(what: 'certificate' | 'key', path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new Error(`cannot read listen.tls.${what}: ${messageOf(cause)}`, { cause })
  }
}

async function readPair({ certificate, key }: Pem): Promise<{ cert: Buffer; key: Buffer }> {
  const pair = { cert: await readPem('certificate', certificate), key: await readPem('key', key) }
  try {
    createSecureContext(pair)
  } catch (cause) {
    throw new Error(
      `listen.tls: the key ${key} does not fit the certificate ${certificate}, or one is no PEM: ${messageOf(cause)}`,
      { cause },
    )
  }
  return pair
}

/** Changes whenever one of the files is written, replaced or gone; costs no look into them. */
async function stampOf({ certificate, key }: Pem): Promise<string> {
  const stamps = [certificate, key].map((path) =>
    stat(path, { bigint: true }).then(
      ({ mtimeNs, size, ino, dev }) => `${mtimeNs} ${size} ${ino} ${dev}`,
      () => 'absent',
    ),
  )
  return (await Promise.all(stamps)).join('\n')
}

/** @param first the stamp of the pair in use, taken before it was read: what changes while it is read is seen afterwards */
function refresher(server: Server, tls: Pem, first: string, log: Log): () => Promise<void> {
  let seen = first
  return async () => {
    const stamp = await stampOf(tls)
    if (stamp === seen || !(server instanceof https.Server)) return
    seen = stamp
    try {
      server.setSecureContext({ ...(await readPair(tls)), minVersion: 'TLSv1.2' })
      log('info', 'the TLS certificate was read again', { certificate: tls.certificate })
    } catch (error) {
      log('error', 'the new TLS certificate cannot be used; the old one stays', { error: messageOf(error) })
    }
  }
}

/** Knows which answers are under way, so that closing lets each end its connection instead of keeping it alive. */
function closer(server: Server): Pick<Listener, 'drain' | 'close'> {
  // No Set: the table that one outgrows points to its successor, so that each that V8 keeps for long keeps all answers after it.
  const answering: ServerResponse[] = []
  let closing = false
  const last = (response: ServerResponse) => {
    if (!response.headersSent) response.setHeader('Connection', 'close')
  }
  // First of all listeners: a request on a connection that was accepted before is still answered, and is its last.
  server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
    answering.push(response)
    if (closing) last(response)
    response.once('close', () => {
      answering.splice(answering.indexOf(response), 1)
      if (closing) setImmediate(() => server.closeIdleConnections())
    })
  })
  const drain = () => {
    closing = true
    for (const response of answering) last(response)
  }
  const close: Listener['close'] = (patience) =>
    new Promise((resolve) => {
      drain()
      const cut = setTimeout(() => server.closeAllConnections(), patience)
      server.close(() => {
        clearTimeout(cut)
        resolve()
      })
    })
  return { drain, close }
}

async function bound(server: Server, { address, port }: Listen): Promise<string> {
  const host = address.includes(':') ? `[${address}]` : address
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(new Error(`cannot listen on ${host}:${port}: ${refusals[cause.code ?? ''] ?? cause.message}`, { cause }))
    })
    server.listen(port, address, resolve)
  })
  server.removeAllListeners('error')
  return `${host}:${(server.address() as AddressInfo).port}`
}

/**
 * Starts to listen.
 * @throws where the address cannot be taken, a PEM file cannot be read or the certificate does not fit its key; the message says which
 */
export async function listen(where: Listen, handle: RequestListener, log: Log): Promise<Listener> {
  const { tls } = where
  const stamp = tls && (await stampOf(tls))
  const pair = tls && (await readPair(tls))
  const server: Server = pair
    ? https.createServer({ ...LIMITS, ...pair, minVersion: 'TLSv1.2' }, handle)
    : http.createServer(LIMITS, handle)
  const { drain, close } = closer(server)
  const place = await bound(server, where)
  server.on('error', (error) => log('error', 'the listener failed', { error: error.message }))
  return {
    url: `${pair ? 'https' : 'http'}://${place}`,
    refresh: tls && stamp ? refresher(server, tls, stamp, log) : async () => {},
    drain,
    close,
  }
}
