import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKey, signText, verifyText } from '../../src/keys/keypair.ts'

test('elliptic signatures are two numbers of full length, also where one begins with zeros', async () => {
  for (const [alg, size] of [
    ['ES256', 64],
    ['ES384', 96],
  ] as const) {
    const pair = await generateKey(alg, 2048)
    let zeros = 0
    // One number in 256 begins with a zero byte: without one among the samples the test would show nothing.
    for (let n = 0; n < 5000 && (n < 200 || zeros < 4); n++) {
      const text = `${alg} ${n}`
      const signature = Buffer.from(signText(pair, text), 'base64url')
      if (signature[0] === 0 || signature[size / 2] === 0) zeros++
      assert.equal(signature.length, size)
      if (n < 200 || signature[0] === 0 || signature[size / 2] === 0) assert.ok(verifyText(pair, text, signature), text)
    }
    assert.ok(zeros > 0)
  }
})
