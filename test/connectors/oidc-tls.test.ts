import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { urlsFor } from '../../src/connectors/connector.ts'
import { connectorTypes } from '../../src/connectors/index.ts'
import { createFetcher } from '../../src/fetcher/fetcher.ts'
import { re2 } from '../../src/regex.ts'
import { selfSigned } from '../support/certificate.ts'
import { forgetful, keyless, oidcConfig, sealing } from './support.ts'

const { key, cert } = selfSigned()
let server: Server
let issuer = ''
/** Changed by tests: what the discovery document says beside the issuer. */
let endpoints: Record<string, string> = {}

before(async () => {
  server = createServer({ key, cert }, (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ issuer, ...endpoints }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  issuer = `https://localhost:${(server.address() as AddressInfo).port}`
  endpoints = { authorization_endpoint: `${issuer}/a`, token_endpoint: `${issuer}/t`, jwks_uri: `${issuer}/j` }
})
after(() => {
  server.close()
  server.closeAllConnections()
})

/** Opened as the composition root does it. */
const open = (ca?: string) => {
  const config = oidcConfig({ issuer, ...(ca && { ca }) })
  return connectorTypes.oidc.open(config, {
    now: () => 1_800_000_000,
    fetch: createFetcher({
      reach: 'configured',
      timeoutMs: 1000,
      maxBytes: 10_000,
      ...connectorTypes.oidc.outgoing(config),
    }),
    ...urlsFor(new URL('https://gateway.test'), 'corp'),
    download: () => assert.fail('nothing is large here'),
    kept: forgetful,
    ...sealing,
    sp: keyless,
    regex: re2,
    log: () => {},
  })
}

test('an upstream under a private CA is reached with that CA, and the log says what is wrong without it', async () => {
  assert.equal((await (await open(cert)).begin('s', {})).kind, 'redirect')
  await assert.rejects((await open()).begin('s', {}), /DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED/)
  await assert.rejects((await open(selfSigned().cert)).begin('s', {}), { code: 'upstream_unavailable' })
})

test('an upstream with TLS cannot send the code or the person to an address without', async () => {
  for (const endpoint of ['authorization_endpoint', 'token_endpoint', 'jwks_uri']) {
    const before = endpoints
    endpoints = { ...endpoints, [endpoint]: 'http://127.0.0.1/x' }
    await assert.rejects((await open(cert)).begin('s', {}), new RegExp(`no usable ${endpoint}`))
    endpoints = before
  }
})
