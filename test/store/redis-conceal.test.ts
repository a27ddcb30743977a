import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { concealer } from '../../src/store/redis/conceal.ts'

const derive = (secret: string) => (purpose: string) => createHash('sha256').update(secret).update(purpose).digest()
const { conceal, reveal } = concealer(derive('one'))

test('what was concealed is revealed, with any character, and says nothing that can be read', () => {
  for (const text of ['', 'ada@uni.example', '\u0000 ü 🛟', 'x'.repeat(100_000)]) {
    const concealed = conceal('id', text)
    assert.equal(reveal('id', concealed), text)
    assert.match(concealed, /^[\w-]+$/)
    assert.equal(text.length > 3 && Buffer.from(concealed, 'base64url').includes(text), false)
  }
})

test('equal texts of one context are concealed as equal, and nothing else is', () => {
  assert.equal(conceal('id', 'a'), conceal('id', 'a'))
  assert.notEqual(conceal('id', 'a'), conceal('group', 'a'))
  assert.notEqual(conceal('id', 'ab'), conceal('ida', 'b'), 'where a context ends and its text begins')
  assert.notEqual(conceal('id', 'a'), concealer(derive('two')).conceal('id', 'a'))
  const first = conceal('id', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')
  const second = conceal('id', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab')
  assert.notEqual(first.slice(0, 10), second.slice(0, 10), 'a common beginning is not seen')
})

test('what was changed, moved to another context or concealed with another secret is refused', () => {
  const concealed = conceal('id', 'ada')
  const bytes = Buffer.from(concealed, 'base64url')
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 1
    assert.throws(() => reveal('id', changed.toString('base64url')), `byte ${at}`)
  }
  assert.throws(() => reveal('group', concealed))
  assert.throws(() => concealer(derive('two')).reveal('id', concealed))
  for (const text of ['', 'x', concealed.slice(0, 20)]) assert.throws(() => reveal('id', text))
})
