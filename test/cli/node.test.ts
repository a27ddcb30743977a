import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../support/runner.ts'

const older = "data:text/javascript,Object.defineProperty(process, 'version', { value: 'v22.22.0' })"

test('an older Node is told in one sentence, before anything that it lacks is loaded', () => {
  const args = ['--import', older, join(root, 'src/main.ts'), 'serve']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  assert.deepEqual([status, stdout, stderr], [3, '', 'lotse needs Node 24 or newer, and this is v22.22.0\n'])
})

test('nothing on standard error moves the cursor, whoever wrote it', () => {
  const name = 'gone\u001b]0;x\u0007\u009b2J\r.yaml'
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'src/main.ts'), 'check', name], {
    encoding: 'utf8',
  })
  assert.equal(status, 1)
  assert.match(stderr, /gone\\u001b\]0;x\\u0007\\u009b2J\\u000d\.yaml.*\n$/)
})
