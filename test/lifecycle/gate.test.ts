import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { LoginError } from '../../src/core/errors.ts'
import { type Gate, openGate } from '../../src/lifecycle/gate.ts'

let now = 1000
let told: string[] = []
let gate: Gate
beforeEach(() => {
  now = 1000
  told = []
  gate = openGate(
    () => now,
    (state) => void told.push(state),
  )
})

const down = () => Promise.reject(new LoginError('upstream_unavailable', 'no answer'))
const useless = () => Promise.reject(new LoginError('claims_unusable', 'too many groups'))
const up = async () => 'answer'
const code = (asked: Promise<unknown>) =>
  asked.then(
    (answer) => answer,
    (error: LoginError) => `${error.code}: ${error.message}`,
  )

test('an outage closes the way for all, one tries again in growing intervals, and its answer opens it', async () => {
  assert.match(String(await code(gate.pass(down))), /no answer/)
  assert.match(String(await code(gate.pass(up))), /not asked again yet/)
  now += 1
  const [first, second] = await Promise.all([code(gate.pass(down)), code(gate.pass(up))])
  assert.match(String(first), /no answer/)
  assert.match(String(second), /not asked again yet/, 'one at a time tries')
  now += 1
  assert.match(String(await code(gate.pass(up))), /not asked again yet/, 'the second pause is longer')
  now += 1
  assert.equal(await code(gate.pass(up)), 'answer')
  assert.equal(await code(gate.pass(up)), 'answer')
  assert.deepEqual(told, ['down', 'up'])
})

test('a clock that is put back does not keep the way closed for as long', async () => {
  await code(gate.pass(down))
  now -= 3600
  assert.equal(gate.closed(), false)
  assert.equal(await code(gate.pass(up)), 'answer')
})

test('one person whose answer is of no use never closes the way for others', async () => {
  for (let n = 0; n < 5; n++) {
    assert.match(String(await code(gate.pass(useless))), /^claims_unusable/)
    assert.equal(await code(gate.pass(up)), 'answer')
  }
  assert.deepEqual(told, [])
})

test('an answer of no use shows that the upstream is up again', async () => {
  await code(gate.pass(down))
  now += 1
  await code(gate.pass(useless))
  assert.equal(await code(gate.pass(up)), 'answer')
})

test('of a thousand questions sixteen are on the way at once', async () => {
  let [inside, most] = [0, 0]
  const ask = async () => {
    most = Math.max(most, ++inside)
    await new Promise((resolve) => setImmediate(resolve))
    inside--
  }
  await Promise.all(Array.from({ length: 1000 }, () => gate.pass(ask)))
  assert.equal(most, 16)
})
