import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { samlOptions } from '../../src/connectors/saml/options.ts'
import { createMetrics } from '../../src/http/metrics.ts'
import { texts } from '../../src/http/pages/texts.ts'
import { root } from '../support/runner.ts'

const page = readFileSync(join(root, 'docs/guides/saml-federation.md'), 'utf8')

test('the connector that docs/guides/saml-federation.md shows is one that the schema takes', () => {
  const [, text = ''] = /```yaml\n([\s\S]*?)```/.exec(page) ?? []
  const [connector] = parse(text) as [Record<string, unknown>]
  const { success, error } = z.object({ ...samlOptions, type: z.literal('saml') }).safeParse(connector)
  assert.ok(success, String(error))
})

test('it names metrics that there are, and tells of refusals by the words that are shown', async () => {
  const known = { connectors: new Set(['dfn']), targets: new Set<string>(), routes: new Set<string>() }
  const metrics = createMetrics(() => known)
  metrics.metadata('dfn', { readAt: 1, validUntil: 2, idps: 3 })
  const { body } = await metrics.text()
  const named = [...page.matchAll(/^\| `(lotse_metadata_\w+)`/gm)].map(([, name = '']) => name)
  assert.equal(named.length, 3)
  for (const name of named) assert.match(body, new RegExp(`^${name}\\{connector="dfn"\\} [123]$`, 'm'))
  const [, shown = ''] = /^\| "([^"]+)"/m.exec(page) ?? []
  assert.ok(texts.en.discovery.unknown.startsWith(shown) && shown !== '')
})
