import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from './support/runner.ts'

const found = (file: string, pattern: RegExp): string => pattern.exec(readFileSync(join(root, file), 'utf8'))?.[1] ?? ''

test('the image and the systemd unit start Node with the same flags, and Node knows them', () => {
  const image = (JSON.parse(found('Dockerfile', /^CMD (.*)$/m)) as string[]).slice(1, -2)
  const unit = found(
    'deploy/systemd/lotse.service',
    /^ExecStart=\/usr\/bin\/node (.*) \/opt\/lotse\/dist\/main\.js serve /m,
  )
  assert.ok(image.length > 0)
  assert.equal(unit, image.join(' '))
  assert.equal(execFileSync(process.execPath, [...image, '--print', '1'], { encoding: 'utf8' }), '1\n')
})

/** Allocates what lives for a moment, and says how many megabytes a thread's room for young objects had at most. */
const busy = `
const { parentPort } = require('node:worker_threads')
const { getHeapSpaceStatistics } = require('node:v8')
let most = 0
const kept = []
for (let round = 0; round < 400; round++) {
  kept.push(Array.from({ length: 2000 }, (_, i) => ({ i, text: 'x' + i })))
  if (kept.length > 20) kept.shift()
  most = Math.max(most, getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size)
}
parentPort.postMessage(most / 1048576)
`

test('threads keep to limits of their own, whatever flags the process was started with', () => {
  const program = `
    import { once } from 'node:events'
    import { Worker } from 'node:worker_threads'
    import { runProcess } from ${JSON.stringify(join(root, 'src/process.ts'))}
    await runProcess(async (_, io) => {
      const limits = { maxYoungGenerationSizeMb: 6 }
      const [most] = await once(new Worker(${JSON.stringify(busy)}, { eval: true, execArgv: [], resourceLimits: limits }), 'message')
      io.out(String(most))
      return 0
    })`
  const words = ['--max-semi-space-size=16', '--input-type=module', '--eval', program]
  const most = Number(execFileSync(process.execPath, words, { encoding: 'utf8' }))
  assert.ok(most > 0 && most < 16, `${most} MB`)
})
