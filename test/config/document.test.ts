import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { configSchema } from '../../src/config/compose.ts'
import { documents } from '../../src/config/document.ts'
import { load } from '../../src/config/load.ts'
import { problemText } from '../../src/config/problem.ts'
import { readSource } from '../../src/config/yaml.ts'
import { re2 } from '../../src/regex.ts'
import { now, parts } from './files.ts'

const root = new URL('../../', import.meta.url)
const text = (path: string) => readFile(new URL(path, root), 'utf8')
const made = documents(configSchema(parts))

test('docs/config.md is what the schema says; npm run docs makes it anew', async () => {
  assert.equal(await text('docs/config.md'), made.markdown)
})

test('config/schema.json is what the schema says; npm run docs makes it anew', async () => {
  assert.equal(await text('config/schema.json'), made.schema)
})

const env = new Proxy({}, { get: () => 'a secret', has: () => true }) as Record<string, string>

function loadFile(path: string, variables = env) {
  return load(new URL(path, root).pathname, parts, {
    readFile: (file) => readFile(file, 'utf8'),
    listDir: (folder) => readdir(folder),
    env: variables,
    regex: re2,
    now,
  })
}

for (const path of ['config/gateway.example.yaml', 'config/conformance.yaml']) {
  test(`${path} loads without a problem or a warning, and its tests pass`, async () => {
    const loaded = await loadFile(path)
    assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(problemText).join('\n'))
    assert.deepEqual(loaded.warnings.map(problemText), [])
    assert.deepEqual(loaded.disabledTenants, [])
    assert.ok(loaded.tests > 0)
  })
}

test('gateway.example.yaml loads by the line that it says to try it by', async () => {
  const line = /^# Try it: (.*) lotse check /m.exec(await text('config/gateway.example.yaml'))?.[1] ?? ''
  const named = Object.fromEntries(
    line
      .trim()
      .split(' ')
      .map((word) => word.split('=') as [string, string]),
  )
  const loaded = await loadFile('config/gateway.example.yaml', named)
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(problemText).join('\n'))
  assert.deepEqual(loaded.disabledTenants, [])
})

/** Names of properties in a JSON Schema, with the path at which each stands. */
function keysOf(node: unknown, path = ''): readonly string[] {
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([key, value]) => {
    if (key !== 'properties') return key === '$defs' ? [] : keysOf(value, path)
    return Object.entries(value as object).flatMap(([name, inner]) => [
      `${path}${name}`,
      ...keysOf(inner, `${path}${name}.`),
    ])
  })
}

test('gateway.example.yaml shows every option of the gateway, of connectors, targets and clients', async () => {
  const example = await text('config/gateway.example.yaml')
  const schema: unknown = JSON.parse(made.schema)
  const shown = keysOf(schema).filter((path) => !/^(rules|ruleSets|tests|breakGlass|tenants)\b/.test(path))
  const absent = shown.filter((path) => !new RegExp(`\\b${path.split('.').at(-1)}:`).test(example))
  // Types of their own: a key of a public JWK, and `csv`, `env`, `file` and `lookup` as ways to write a value.
  assert.deepEqual(
    [...new Set(absent)].filter((path) => !/\bkty$/.test(path)),
    [],
  )
  assert.deepEqual(readSource('example', example).problems, [])
})
