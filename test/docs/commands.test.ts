import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { commands } from '../../src/cli/index.ts'
import { root } from '../support/runner.ts'

const options = new Map(
  await Promise.all(
    commands.map(
      async ({ name, load }) => [name, new Set(['help', ...Object.keys((await load()).command.options)])] as const,
    ),
  ),
)

interface Use {
  readonly command: string
  readonly options: readonly string[]
}

/** Command lines in a text, each up to a pipe, a comment, the end of its quotation or a further command. */
function usesIn(text: string): readonly Use[] {
  const lines = [...text.matchAll(/(?<=^|[\s`'"(|])lotse ([a-z][a-z-]*)((?:(?! lotse )[^\n`|#;&])*)/gm)]
  return lines.map(([, command = '', rest = '']) => ({
    command,
    options: [...rest.matchAll(/(?<=\s|\()--([a-z][a-z-]*)/g)].map(([, option = '']) => option),
  }))
}

const wrong = ({ command, options: named }: Use) =>
  named.filter((option) => options.get(command)?.has(option) === false)

/** Command lines of pages: in fences and code marks, where nothing else begins with `lotse `. */
const code = (page: string) => [...page.matchAll(/^ *```[\s\S]*?^ *```|`[^`\n]+`/gm)].map(([text]) => text).join('\n')

for (const page of globSync(['*.md', 'docs/**/*.md', 'keys/*.md', 'bench/*.md'], { cwd: root })) {
  test(`every command line of ${page} is one that is understood`, () => {
    const uses = usesIn(code(readFileSync(join(root, page), 'utf8')))
    assert.deepEqual(
      uses.filter((use) => !options.has(use.command) || wrong(use).length > 0),
      [],
    )
  })
}

test('every option of a command that the program itself recommends is there', () => {
  const uses = globSync('src/**/*.ts', { cwd: root }).flatMap((file) => usesIn(readFileSync(join(root, file), 'utf8')))
  assert.ok(uses.filter((use) => options.has(use.command) && use.options.length > 0).length > 10)
  assert.deepEqual(
    uses.filter((use) => wrong(use).length > 0),
    [],
  )
})

test('the reader of command lines sees them in prose, in fences, and behind others', () => {
  assert.deepEqual(
    usesIn('`lotse keys rotate R --now`, or lotse check --live; x | lotse keys import - --alg A # --no'),
    [
      { command: 'keys', options: ['now'] },
      { command: 'check', options: ['live'] },
      { command: 'keys', options: ['alg'] },
    ],
  )
  assert.deepEqual(wrong({ command: 'check', options: ['live', 'life'] }), ['life'])
})
