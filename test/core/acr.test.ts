import assert from 'node:assert/strict'
import { test } from 'node:test'
import { atLeast } from '../../src/core/acr.ts'

test('what is at least a strength is itself, its other names and everything stronger, in the order of the configuration', () => {
  const assurance = [['bronze'], ['silver', 'urn:silver'], ['gold']]
  assert.deepEqual(atLeast(assurance, 'silver'), ['silver', 'urn:silver', 'gold'])
  assert.deepEqual(atLeast(assurance, 'urn:silver'), ['urn:silver', 'silver', 'gold'])
  assert.deepEqual(atLeast(assurance, 'gold'), ['gold'])
})

test('the levels of eIDAS are a ladder without being configured, and every other name stands for itself', () => {
  assert.deepEqual(atLeast([], 'substantial'), ['substantial', 'high'])
  assert.deepEqual(atLeast([['high'], ['low']], 'high'), ['high', 'low'], 'unless the configuration says otherwise')
  assert.deepEqual(atLeast([], 'urn:mfa'), ['urn:mfa'])
})
