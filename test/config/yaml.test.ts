import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readRows, readTable } from '../../src/config/csv.ts'
import { inFileOrder, pathText, problemText } from '../../src/config/problem.ts'
import { readSource } from '../../src/config/yaml.ts'
import { nearest } from '../../src/core/nearest.ts'

test('a problem stands at the line and column of the value, or of the key where the key is wrong', () => {
  const source = readSource('a.yaml', 'list:\n  - { id: one, deep: { er: 1 } }\n  - id: two\n')
  const at = (path: (string | number)[], where?: 'key' | 'value') => {
    const { line, column } = source.problem(path, '', where)
    return `${line}:${column}`
  }
  assert.equal(at(['list', 0, 'deep', 'er']), '2:28')
  assert.equal(at(['list', 0, 'deep', 'er'], 'key'), '2:24')
  assert.equal(at(['list', 1, 'id']), '3:9')
  assert.equal(at(['list', 1, 'missing'], 'key'), '3:5')
  assert.equal(at(['nowhere']), '1:1')
})

test('__proto__ is a key like any other, and pollutes nothing', () => {
  const { value } = readSource('a.yaml', '__proto__: { polluted: true }\n')
  assert.equal(Object.getPrototypeOf(value), Object.prototype)
  assert.ok(Object.hasOwn(value as object, '__proto__'))
})

test('problems are said in file order, each once, on one line', () => {
  const problem = (line: number, column: number, message = 'm') => ({
    file: 'a',
    line,
    column,
    path: ['x', 0, 'y z'],
    message,
  })
  const sorted = inFileOrder([problem(2, 1), problem(1, 9), problem(1, 2), problem(2, 1)], ['a'])
  assert.deepEqual(sorted.map(problemText), ['a:1:2 x[0]["y z"]: m', 'a:1:9 x[0]["y z"]: m', 'a:2:1 x[0]["y z"]: m'])
  assert.equal(problemText(problem(1, 1, 'one\n two')), 'a:1:1 x[0]["y z"]: one two')
  assert.equal(pathText([]), '')
})

test('a mistyped word finds its neighbour, a foreign one finds none', () => {
  const known = ['issuer', 'listen', 'idle', 'max']
  assert.equal(nearest('isuer', known), 'issuer')
  assert.equal(nearest('idel', known), 'idle')
  assert.equal(nearest('Listen', known), 'listen')
  assert.equal(nearest('colour', known), undefined)
})

test('a table of CSV keeps quotes, commas and repeated keys', () => {
  assert.deepEqual(
    { ...(readTable('\uFEFFa,1\r\n"b, c","say ""hi"""\n\na,2') as object) },
    { a: ['1', '2'], 'b, c': ['say "hi"'] },
  )
  assert.equal(readTable('a,1\nb\n'), 2)
  assert.equal(readTable('a,1\n\nb,1,2\n'), 3)
  assert.equal(readTable('a,"1\n'), 1)
})

test('rows of CSV have exactly their columns, and none is empty', () => {
  const rows = [
    ['a', 'b, "c"', 'd'],
    ['e', 'f', 'g'],
  ]
  assert.deepEqual(readRows('\uFEFF# old,connector,id\r\na,"b, ""c""", d \r\n\ne,f,g\n', 3), rows)
  for (const bad of ['a,b', 'a,b,c,d', 'a,,c', 'a,b,', 'a,b,"c', 'a,"b"x,c', 'a,b"x,c', ','])
    assert.equal(readRows(`e,f,g\n${bad}\n`, 3), 2, bad)
})
