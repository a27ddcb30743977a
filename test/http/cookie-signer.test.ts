import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cookieSigner } from '../../src/http/cookie-signer.ts'

const signer = cookieSigner(Buffer.alloc(32, 1))

test('a cookie is known again by its signature', () => {
  const signature = signer.sign('session=abc')
  assert.match(signature, /^[\w-]{43}$/)
  assert.equal(signer.index('session=abc', signature), 0)
  assert.equal(signer.verify('session=abc', signature), true)
})

test('another value, another key and another text than a signature are refused', () => {
  const signature = signer.sign('session=abc')
  assert.equal(signer.index('session=abd', signature), -1)
  assert.equal(cookieSigner(Buffer.alloc(32, 2)).verify('session=abc', signature), false)
  for (const text of ['', 'x', signature.slice(1), `${signature}A`]) assert.equal(signer.index('session=abc', text), -1)
})
