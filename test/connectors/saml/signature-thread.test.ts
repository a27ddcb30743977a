import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openSignatureThread } from '../../../src/connectors/saml/signature-thread.ts'
import { verifyResponse } from '../../../src/connectors/saml/verify.ts'
import { signedResponse } from '../../support/saml-idp.ts'
import { exchange, expected, others, refused } from './world.ts'

/** Milliseconds: on a busy machine the thread's start alone may take longer than a gateway lets anybody wait. */
const PATIENT = 60_000

test('a thread of its own finds what this one finds, for many at once', async () => {
  const check = openSignatureThread().queue(PATIENT)
  const good = await signedResponse(exchange, { sign: 'both' })
  const bad = await signedResponse(exchange, { signing: { keys: others } })
  await Promise.all(
    Array.from({ length: 20 }, async (_, at) => {
      if (at % 2 === 0) assert.equal((await verifyResponse(good, expected(), check)).nameId.value, 'AAdzZWNyZXQx')
      else await refused(verifyResponse(bad, expected(), check), /no key of 1/)
    }),
  )
})

test('a message that its thread cannot read ends nobody else’s sign-in', async () => {
  const check = openSignatureThread().queue(PATIENT)
  await refused(check({ xml: '<a', element: 'document', keys: [] }), /cannot be read/)
  assert.ok(await verifyResponse(await signedResponse(exchange), expected(), check))
})

test('who has waited too long for a turn is told so, and the next one is asked', async () => {
  const check = openSignatureThread().queue(1)
  const good = await signedResponse(exchange)
  const first = verifyResponse(good, expected(), check)
  await refused(verifyResponse(good, expected(), check), /waited 1 ms/, 'unavailable')
  assert.ok(await first)
  assert.ok(await verifyResponse(good, expected(), check))
})

test('a flood at one connector holds up another for one message at most', async () => {
  const thread = openSignatureThread()
  const [flooded, quiet] = [thread.queue(PATIENT), thread.queue(PATIENT)]
  const order: string[] = []
  const signed = { xml: '<a/>', element: 'document', keys: [] } as const
  const flood = Array.from({ length: 20 }, () => flooded(signed).then(() => order.push('flood')))
  await quiet(signed).then(() => order.push('quiet'))
  await Promise.all(flood)
  assert.ok(order.indexOf('quiet') <= 2, order.join())
})

test('a thread that needs longer to start than a signature may take refuses nobody', () => {
  const { status, stdout, stderr } = asked([
    '--import',
    `data:text/javascript,import { isMainThread } from 'node:worker_threads'; if (!isMainThread) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2100)`,
  ])
  assert.deepEqual([status, stdout, stderr], [0, '', ''])
})

test('a process that has nothing else to do ends at once, and does not wait for the thread', () => {
  const { status, stdout, stderr } = asked([])
  assert.deepEqual([status, stdout, stderr], [0, '', ''])
})

/** A process of its own that asks for one signature, with these options. */
function asked(options: readonly string[]) {
  const thread = new URL('../../../src/connectors/saml/signature-thread.ts', import.meta.url)
  const question = `{ xml: '<a/>', element: 'document', keys: [] }`
  const code = `import { openSignatureThread } from '${thread}'; await openSignatureThread().queue()(${question})`
  const file = join(tmpdir(), `lotse-${process.pid}.mjs`)
  writeFileSync(file, code)
  const ended = spawnSync(process.execPath, [...options, file], { timeout: 60_000, encoding: 'utf8' })
  rmSync(file)
  return ended
}

test('where too many wait the next is told so at once', async () => {
  const check = openSignatureThread().queue(PATIENT)
  const signed = { xml: '<a/>', element: 'document', keys: [] } as const
  const waiting = Array.from({ length: 200 }, () => check(signed))
  await refused(check(signed), /200 SAML messages wait/, 'unavailable')
  assert.deepEqual(new Set(await Promise.all(waiting)), new Set([undefined]))
  assert.equal(await check(signed), undefined, 'and who comes when they are gone is asked')
})
