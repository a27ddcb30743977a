import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pauseFor } from '../../../src/connectors/saml/metadata/time.ts'

test('metadata that wishes to be read all the time is read every five minutes, and what wishes never to be read is read each day', () => {
  assert.deepEqual(
    [0, 299, 301, 86_399, 86_401].map((wish) => pauseFor(wish)),
    [300, 300, 301, 86_399, 86_400],
  )
})

test('metadata that wishes nothing is read each hour', () => {
  assert.equal(pauseFor(), 3600)
})
