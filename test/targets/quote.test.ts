import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { parse } from 'yaml'
import {
  ansibleText,
  apacheCannotSay,
  jsonText,
  mappingText,
  osloText,
  pythonText,
  shellWord,
  yamlText,
} from '../../src/targets/quote.ts'

/** What one reader or another takes for syntax, and every character that a terminal would not show. */
const nasty = [
  '',
  'plain',
  `it's "quoted" \\ and \\n`,
  '$HOME $(id) `id` !x',
  '{{ x }} {% x %} {# x #} {0}',
  'a\nb\r\tc\u0000\u007f\u0085\u2028',
  'größe 漢 😀',
]

test('a text comes out of YAML 1.1 and 1.2 as it was, and is ASCII there', () => {
  for (const text of nasty)
    for (const version of ['1.1', '1.2'] as const) {
      assert.equal(parse(yamlText(text), { version }), text)
      assert.match(yamlText(text), /^[\x20-\x7e]*$/)
    }
})

test('a text that Ansible would fill is marked, and no other is', () => {
  for (const text of ['{{ x }}', 'a{% x', '{# x']) assert.equal(ansibleText(text), `!unsafe ${yamlText(text)}`)
  for (const text of ['plain', '{0}', 'a { b']) assert.equal(ansibleText(text), yamlText(text))
})

test('a text comes out of Python and out of a shell as it was', (t) => {
  const python = spawnSync(
    'python3',
    ['-c', 'import ast, json, sys; print(json.dumps(ast.literal_eval(sys.stdin.read())))'],
    {
      input: `[${nasty.map(pythonText).join(', ')}]`,
      encoding: 'utf8',
    },
  )
  const words = nasty.filter((text) => !text.includes('\0'))
  const shell = spawnSync('bash', ['-c', `printf '%s\\0' ${words.map(shellWord).join(' ')}`], { encoding: 'utf8' })
  if (python.error || shell.error) return t.skip('python3 or bash is not here')
  assert.deepEqual(JSON.parse(python.stdout), nasty)
  assert.deepEqual(shell.stdout.split('\0').slice(0, -1), words)
})

test('JSON is ASCII, and a text in it is what it was', () => {
  assert.match(jsonText(nasty), /^[\x20-\x7e\n]*$/)
  assert.deepEqual(JSON.parse(jsonText(nasty)), nasty)
})

test('what begins a substitution is doubled for oslo.config and for a mapping', () => {
  assert.equal(osloText('https://x/$a$$'), 'https://x/$$a$$$$')
  assert.equal(mappingText('{0} }'), '{{0}} }}')
})

test('what no quoting gets through Apache is told', () => {
  for (const text of ['a\nb', 'größe', `\${x}`, '%{x}']) assert.ok(apacheCannotSay(text), text)
  for (const text of ['"', '\\', '$x', '% {', '{}']) assert.ok(!apacheCannotSay(text), text)
})
