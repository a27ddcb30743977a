import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { CompactEncrypt, importJWK } from 'jose'
import type { Exchange } from '../../../src/connectors/wallet/request.ts'
import { vpTokenIn } from '../../../src/connectors/wallet/response.ts'
import { LoginError } from '../../../src/core/errors.ts'

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const exchange: Exchange = {
  id: 'request',
  way: 'here',
  nonce: 'nonce',
  key: { ...privateKey.export({ format: 'jwk' }), kid: 'key' },
}

async function encrypted(answer: unknown): Promise<URLSearchParams> {
  const { d: _, ...key } = exchange.key
  const response = await new CompactEncrypt(Buffer.from(JSON.stringify(answer)))
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A128GCM', kid: 'key' })
    .encrypt(await importJWK(key, 'ECDH-ES'))
  return new URLSearchParams({ response })
}

const read = async (answer: unknown) =>
  vpTokenIn(await encrypted(answer), exchange, { state: 'state', response: 'encrypted' })

const codeOf = (answer: unknown) =>
  read(answer).then(
    () => 'taken',
    (error: unknown) => (error instanceof LoginError ? error.code : String(error)),
  )

test('an answer is its vp_token, or what the wallet says of it', async () => {
  assert.deepEqual(await read({ vp_token: { a: ['b'] }, state: 'state' }), { a: ['b'] })
  assert.equal(await codeOf({ error: 'access_denied' }), 'upstream_declined')
  assert.equal(await codeOf({ vp_token: {}, state: 'other' }), 'upstream_rejected')
})

test('whatever a wallet encrypts instead is a refusal', async () => {
  for (const strange of [null, 5, [], 'x', { toString: 1 }, { toString: null, valueOf: 'x' }, ['access_denied']]) {
    assert.equal(await codeOf(strange), 'upstream_rejected')
    assert.equal(await codeOf({ error: strange }), 'upstream_rejected')
    assert.equal(await codeOf({ error: 'x', error_description: strange }), 'upstream_rejected')
    assert.equal(await codeOf({ vp_token: {}, state: strange ?? 5 }), 'upstream_rejected')
    if (typeof strange !== 'object' || Array.isArray(strange))
      assert.equal(await codeOf({ vp_token: strange }), 'upstream_rejected')
  }
})
