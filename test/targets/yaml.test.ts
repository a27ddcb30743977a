import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { type Yaml, yamlDocuments, yamlOf } from '../../src/targets/yaml.ts'
import { badName, chance } from './world.ts'

const versions = ['1.1', '1.2'] as const

/** Words that one version or another takes for something else than text, and texts of several lines. */
const texts = [
  ...['', 'y', 'No', 'ON', 'off', 'true', 'Null', '~', '1', '0x1f', '1e3', '1_000', '12:30', '2026-11-28', '=', '<<'],
  ...['- a', 'a: b', 'a #b', ' a', 'a ', '*a', '&a', '!a', '|', '>', '@a', '`a', '%a', '{', '[', '"', "'", 'größe'],
  ...[
    'a\n',
    'a\nb\n',
    'a\n\nb\n',
    'a\n\n',
    '\na\n',
    ' a\nb\n',
    'a\nb',
    'a \nb\n',
    '\n',
    'a\n  b\n',
    '# a\nb\n',
    'a\tb\n',
  ],
]

/** A value without `undefined`, as deep as `depth`. */
function some(random: ReturnType<typeof chance>, depth: number): Yaml {
  const leaf = () => random.pick<Yaml>([...texts, badName(random).toWellFormed(), 0, -1.5, true, false])
  const many = Array.from({ length: random.below(4) })
  if (depth === 0 || random.below(3) === 0) return leaf()
  if (random.below(2) === 0) return many.map(() => some(random, depth - 1))
  return Object.fromEntries(many.map(() => [random.pick(texts), some(random, depth - 1)]))
}

test('every text is what it was, as a value, in a list, as a key and under one', () => {
  for (const text of texts)
    for (const version of versions) {
      const value = { [text]: text, list: [text, [text], { under: text }] }
      assert.deepEqual(parse(yamlOf(value), { version, merge: false }), value, JSON.stringify(text))
    }
})

test('2,000 values come out as they were, in 1.1 and in 1.2', () => {
  const random = chance(11)
  for (let round = 0; round < 2000; round++) {
    const value = some(random, 4)
    for (const version of versions)
      assert.deepEqual(parse(yamlOf(value), { version, merge: false }), value, yamlOf(value))
  }
})

test('what has no value is left out, and several documents stay several', () => {
  assert.equal(yamlOf({ a: undefined, b: { c: undefined, d: 1 } }), 'b:\n  d: 1\n')
  assert.deepEqual(parse(yamlOf({ a: { b: undefined }, c: [{ d: undefined }] })), { a: {}, c: [{}] })
  assert.deepEqual(
    parseAllDocuments(yamlDocuments([{ a: 1 }, ['b'], 'c'])).map((each) => each.toJS()),
    [{ a: 1 }, ['b'], 'c'],
  )
})
