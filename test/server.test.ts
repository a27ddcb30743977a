import assert from 'node:assert/strict'
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import type { RequestListener, ServerResponse } from 'node:http'
import { Agent, get } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { PeerCertificate, TLSSocket } from 'node:tls'
import { type Listener, listen } from '../src/server.ts'
import { selfSigned } from './support/certificate.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lotse-server-'))
})
after(() => rm(folder, { recursive: true, force: true }))

const one = { address: '127.0.0.1', port: 0 }
const quiet = () => {}
const fine: RequestListener = (_request, response) => response.end('fine')

interface Pem {
  readonly certificate: string
  readonly key: string
}

/** Files of a pair under a name of their own. */
async function written(name: string, pair: { key: string; cert: string }): Promise<Pem> {
  const files = { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) }
  await Promise.all([writeFile(files.certificate, pair.cert), writeFile(files.key, pair.key)])
  return files
}

/** The common name that a new connection is shown. */
function shown({ url }: Listener): Promise<string> {
  return new Promise((resolve, reject) => {
    const agent = new Agent({ rejectUnauthorized: false })
    get(url, { agent }, (answer) => {
      const certificate: PeerCertificate = (answer.socket as TLSSocket).getPeerCertificate()
      answer.resume().once('end', () => resolve(String(certificate.subject.CN)))
    }).once('error', reject)
  })
}

test('a new certificate is shown to the next connection, without a restart', async () => {
  const logs: string[] = []
  const files = await written('renewed', selfSigned('first.example'))
  const server = await listen({ ...one, tls: files }, fine, (_level, message) => logs.push(message))
  assert.equal(await shown(server), 'first.example')
  await written('renewed', selfSigned('second.example'))
  await server.refresh()
  assert.equal(await shown(server), 'second.example')
  assert.deepEqual(logs, ['the TLS certificate was read again'])
  await server.close(0)
})

test('a pair that does not fit keeps the one that did, is told once, and what fits again is taken', async () => {
  const logs: { level: string; error: unknown }[] = []
  const files = await written('broken', selfSigned('good.example'))
  const server = await listen({ ...one, tls: files }, fine, (level, _message, fields) =>
    logs.push({ level, error: fields?.['error'] }),
  )
  const next = selfSigned('next.example')
  await writeFile(files.certificate, next.cert) // half of a renewal
  await server.refresh()
  await server.refresh()
  assert.equal(await shown(server), 'good.example')
  assert.equal(logs.length, 1)
  assert.equal(logs[0]?.level, 'error')
  assert.match(String(logs[0]?.error), /key .*broken\.key does not fit the certificate .*broken\.crt/)

  await rm(files.key)
  await server.refresh()
  assert.match(String(logs[1]?.error), /cannot read listen\.tls\.key/)
  assert.equal(await shown(server), 'good.example')

  await writeFile(files.key, next.key)
  await server.refresh()
  assert.equal(await shown(server), 'next.example')
  assert.doesNotMatch(JSON.stringify(logs), /BEGIN|PRIVATE/)
  await server.close(0)
})

test('files that stayed as they are are not read again', async () => {
  let logged = 0
  const files = await written('same', selfSigned())
  const server = await listen({ ...one, tls: files }, fine, () => {
    logged += 1
  })
  await server.refresh()
  await server.refresh()
  assert.equal(logged, 0)
  await utimes(files.key, 1, 1)
  await server.refresh()
  assert.equal(logged, 1)
  await server.close(0)
})

test('a certificate that cannot be read or does not fit its key is told at the start', async () => {
  const files = await written('start', selfSigned())
  const other = await written('other', selfSigned())
  const start = (tls: Pem) => listen({ ...one, tls }, fine, quiet)
  await assert.rejects(start({ ...files, key: join(folder, 'none.key') }), /cannot read listen\.tls\.key: .*none\.key/)
  await assert.rejects(start({ ...files, key: other.key }), /other\.key does not fit the certificate .*start\.crt/)
})

test('an address that cannot be had is told with the reason', async () => {
  const server = await listen(one, fine, quiet)
  const port = Number(new URL(server.url).port)
  await assert.rejects(listen({ ...one, port }, fine, quiet), {
    message: `cannot listen on 127.0.0.1:${port}: another process has this port`,
  })
  await assert.rejects(
    listen({ address: '192.0.2.1', port: 0 }, fine, quiet),
    /192\.0\.2\.1:0: this machine has no such/,
  )
  await server.close(0)
})

/** A server whose one request waits, and a raw connection that made it. */
async function waiting() {
  let begin: (response: ServerResponse) => void = () => {}
  const begun = new Promise<ServerResponse>((resolve) => {
    begin = resolve
  })
  const server = await listen(one, (_request, response) => begin(response), quiet)
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1').setEncoding('utf8')
  let heard = ''
  socket.on('data', (chunk) => {
    heard += chunk
  })
  const ended = new Promise<string>((resolve) => socket.once('close', () => resolve(heard)))
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  return { server, response: await begun, ended }
}

test('closing lets an answer that is under way end its connection, and waits for nothing else', async () => {
  const { server, response, ended } = await waiting()
  const closed = server.close(60_000)
  response.end('whole')
  assert.match(await ended, /Connection: close[\s\S]*whole$/)
  await closed
})

test('an answer whose head is out already ends its connection, too', async () => {
  const { server, response, ended } = await waiting()
  response.writeHead(200, { 'Content-Length': 5 })
  response.write('who')
  const closed = server.close(60_000)
  response.end('le')
  assert.match(await ended, /keep-alive[\s\S]*whole$/)
  await closed
})

test('an answer that does not come is cut when patience ends', async () => {
  const { server, ended } = await waiting()
  await server.close(20)
  assert.equal(await ended, '')
})
