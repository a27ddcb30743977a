import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { oidcOptions, oidcProblems } from '../../src/connectors/oidc/options.ts'
import { root } from '../support/runner.ts'

const page = readFileSync(join(root, 'docs/guides/gxfs-aas.md'), 'utf8')

test('the connectors that docs/guides/gxfs-aas.md shows are taken, with the preset', () => {
  const shown = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].flatMap(([, text = '']) => parse(text) as unknown[])
  assert.equal(shown.length, 2)
  for (const connector of shown) {
    const read = z.strictObject({ ...oidcOptions, type: z.literal('oidc') }).parse(connector)
    assert.equal(read.preset, 'gxfs-aas')
    assert.deepEqual(oidcProblems(read), [])
  }
})
