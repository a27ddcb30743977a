import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createMetrics } from '../../src/http/metrics.ts'
import { root } from '../support/runner.ts'

const page = readFileSync(join(root, 'docs/guides/operations.md'), 'utf8')

/** First cells of the tables under a heading, by the shape of what is listed. */
function listed(heading: string, shape: RegExp): readonly string[] {
  const part = page.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  return [...part.matchAll(/^\| `([^`]+)` \|/gm)].map(([, cell = '']) => cell).filter((cell) => shape.test(cell))
}

test('the page for operators lists every audit event with its fields, and no other', () => {
  const source = readFileSync(join(root, 'src/audit-log.ts'), 'utf8').split('fields: {')[1]?.split('\n}\n')[0] ?? ''
  const events = [...source.matchAll(/^ {2}'?([a-z.-]+)'?: \{([^}]*)\}/gm)].map(([, event, body = '']) => {
    return [event, ...[...body.matchAll(/(\w+): true/g)].map(([, field]) => field)].join(' ')
  })
  const rows = listed('Audit', /./).map((event) => {
    const cells = page.split(`| \`${event}\` |`)[1]?.split('|')[0] ?? ''
    return [
      event,
      ...cells
        .replaceAll('?', '')
        .split(',')
        .map((field) => field.trim())
        .filter(Boolean),
    ].join(' ')
  })
  assert.ok(events.length > 10)
  assert.deepEqual([...rows].sort(), [...events].sort())
})

test('the page for operators lists every metric of ours, and no other', async () => {
  const { body } = await createMetrics(() => ({
    connectors: new Set(),
    targets: new Set(),
    routes: new Set(),
  })).text()
  const names = [...body.matchAll(/^# TYPE (lotse_\w+) /gm)].map(([, name = '']) => name)
  assert.deepEqual([...listed('Metrics', /^lotse_/)].sort(), names.sort())
})
