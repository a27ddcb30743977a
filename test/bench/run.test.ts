import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../support/runner.ts'

test('a baseline without the original to compare with is no success, and says what to set', () => {
  const { LOTSE_BARE_ORIGINAL: _unset, ...env } = process.env
  const { status, stdout } = spawnSync(process.execPath, [join(root, 'bench/run.ts'), 'baseline'], {
    env,
    encoding: 'utf8',
  })
  assert.equal(status, 1)
  assert.match(stdout, /not measured; let LOTSE_BARE_ORIGINAL name/)
})
