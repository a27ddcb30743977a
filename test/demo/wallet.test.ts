import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fillShelf } from '../../src/demo/wallet/held.ts'
import { keyOf } from '../../src/demo/wallet/keys.ts'
import { readRequest } from '../../src/demo/wallet/protocol.ts'
import { root } from '../support/runner.ts'

test('the issuers that config/demo.yaml trusts are those whose credentials the wallet has', () => {
  const trusted = [...readFileSync(join(root, 'config/demo.yaml'), 'utf8').matchAll(/id: '(did:key:[^']+)'/g)]
  const names = ['Corp AG', 'Example University']
  assert.deepEqual(
    trusted.map(([, did]) => did),
    names.map((name) => keyOf(name).did),
  )
  assert.deepEqual(
    fillShelf('https://127.0.0.1:1', 0).held.map(({ organisation }) => organisation),
    names,
  )
})

test('the certificate beside it is of the key of the status lists, and certifies nobody else', () => {
  const certificate = new X509Certificate(readFileSync(join(root, 'config/demo-wallet.pem')))
  assert.ok(certificate.checkPrivateKey(keyOf('status lists').privateKey))
  assert.equal(certificate.ca, false)
  assert.equal(certificate.checkIP('127.0.0.1'), '127.0.0.1')
})

test('a request whose answer would go elsewhere is none for the wallet of the demo', () => {
  const link = (response: string, id = `redirect_uri:${response}`) =>
    new URLSearchParams({ client_id: id, response_uri: response, nonce: 'n', dcql_query: '{"credentials":[]}' })
  const here = 'http://127.0.0.1:8401'
  assert.equal(readRequest(link(`${here}/wallet/response/x`), here).nonce, 'n')
  for (const other of [
    link('https://evil.example/x'),
    link(`${here}/x`, 'redirect_uri:https://evil.example'),
    link(''),
  ])
    assert.throws(() => readRequest(other, here), /not one of the demo/)
})
