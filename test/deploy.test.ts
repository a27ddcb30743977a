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
