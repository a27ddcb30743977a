import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { type Lane, openPace } from '../../src/targets/keystone/live/pace.ts'
import type { Question } from '../../src/targets/live.ts'
import { ledger, project, startLive, wanted } from './keystone-live-world.ts'

/** A turnstile with a clock of its own; work takes as long as it is told. */
function turnstile(perSecond: number) {
  const timers: { readonly at: number; readonly run: () => void }[] = []
  let now = 0
  const passed: { readonly lane: Lane; readonly name: string; readonly at: number }[] = []
  const pace = openPace(perSecond, (milliseconds, run) => {
    timers.push({ at: now + milliseconds, run })
    return { ref: () => {} }
  })
  const settle = async () => {
    for (let n = 0; n < 40; n++) await Promise.resolve()
  }
  return {
    passed,
    names: () => passed.map(({ name }) => name),
    ask: (lane: Lane, name: string, work: Promise<unknown> = Promise.resolve()) =>
      void pace(lane, async () => {
        passed.push({ lane, name, at: now })
        await work
      }),
    settle,
    async until(milliseconds: number) {
      await settle()
      for (;;) {
        const next = timers.filter(({ at }) => at <= milliseconds).sort((one, other) => one.at - other.at)[0]
        if (next === undefined) break
        timers.splice(timers.indexOf(next), 1)
        now = next.at
        next.run()
        await settle()
      }
      now = milliseconds
    },
  }
}

test('no more pass in any second than were said, in the order in which they came', async () => {
  const gate = turnstile(5)
  for (let n = 0; n < 12; n++) gate.ask('few', `${n}`)
  await gate.until(999)
  assert.equal(gate.passed.length, 5)
  await gate.until(1000)
  assert.equal(gate.passed.length, 10)
  await gate.until(2000)
  assert.deepEqual(
    gate.names(),
    Array.from({ length: 12 }, (_, n) => `${n}`),
  )
})

test('somebody who signs in while everybody is looked at finds a place at once', async () => {
  const gate = turnstile(20)
  for (let n = 0; n < 300; n++) gate.ask('many', `pass ${n}`)
  await gate.until(500)
  for (let n = 0; n < 5; n++) gate.ask('few', `sign-in ${n}`)
  await gate.settle()
  assert.deepEqual(gate.names().slice(-5), ['sign-in 0', 'sign-in 1', 'sign-in 2', 'sign-in 3', 'sign-in 4'])
})

test('and what she needs further goes before all that a pass is waiting with', async () => {
  const gate = turnstile(20)
  for (let n = 0; n < 300; n++) gate.ask('many', `pass ${n}`)
  await gate.until(500)
  for (let n = 0; n < 20; n++) gate.ask('few', `sign-in ${n}`)
  await gate.until(1000)
  assert.equal(gate.names().filter((name) => name.startsWith('sign-in')).length, 20)
})

test('a pass has at most four requests on their way at 20 in a second', async () => {
  const gate = turnstile(20)
  const never = new Promise(() => {})
  for (let n = 0; n < 300; n++) gate.ask('many', `pass ${n}`, never)
  await gate.until(5000)
  assert.equal(gate.passed.length, 4)
})

test('a pass alone is not slower than three quarters of the pace, and at one in a second it gets its turn', async () => {
  const gate = turnstile(20)
  for (let n = 0; n < 300; n++) gate.ask('many', `pass ${n}`)
  await gate.until(3999)
  assert.equal(gate.passed.length, 60)
  const slow = turnstile(1)
  slow.ask('many', 'pass')
  slow.ask('few', 'sign-in')
  await slow.until(1000)
  assert.deepEqual(slow.names(), ['pass', 'sign-in'])
})

test('a command that waits for its turn, and for nothing else, is not over', async () => {
  const pace = JSON.stringify(new URL('../../src/targets/keystone/live/pace.ts', import.meta.url))
  const program = `import { openPace } from ${pace}
    const pace = openPace(2)
    for (let n = 0; n < 4; n++) await pace(n % 2 ? 'many' : 'few', async () => {})`
  const [code] = await once(spawn(process.execPath, ['--input-type=module', '-e', program]), 'exit')
  assert.equal(code, 0)
})

test('a sign-in at a Keystone to which a pass writes goes before the steps of the pass', async () => {
  const { keystone, live } = await startLive({ reconcile: { perSecond: 40 } })
  try {
    keystone.domain('corp')
    const questions = Array.from({ length: 40 }, (_, n): Question => {
      const wish = { identity: { username: `u${n}`, domain: 'corp' }, grants: [project('web')] }
      return { account: { sub: `u${n}`, leases: {}, locked: false }, wanted: wish }
    })
    const observed = await live.observe(questions)
    const pass = Promise.all(
      questions.map((one) => Promise.all(live.plan(one, observed).map((step) => live.apply(step)))),
    )
    const began = keystone.seen.length
    await ledger('late').settle(live, wanted(project('own')))
    assert.deepEqual(keystone.access('late'), ['member in project own (corp)'])
    const writes = keystone.seen.slice(began).filter(({ method, path }) => method === 'POST' && path === '/users')
    assert.ok(writes.length < 40, 'the pass is not over')
    await pass
  } finally {
    await keystone.close()
  }
})
