import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { problemText } from '../../src/config/problem.ts'
import { loadFrom, server } from '../config/files.ts'
import { root } from '../support/runner.ts'

interface Block {
  readonly kind: string
  readonly text: string
}

const page = readFileSync(join(root, 'docs/guides/rules.md'), 'utf8')

/** The page's sections by title, each with its fenced blocks. */
const sections = page.split(/^##+ /m).map((section) => ({
  title: section.slice(0, section.indexOf('\n')),
  blocks: [...section.matchAll(/^```(\S+(?: refused)?)\n([\s\S]*?)^```/gm)].map(
    ([, kind = '', text = '']): Block => ({ kind, text }),
  ),
}))

const assumed = sections.find(({ title }) => title === 'What the examples assume')?.blocks[0]?.text ?? ''
const [connectors = '', targets = ''] = assumed.split(/^(?=targets:)/m)

/** An example as a whole main file: what it does not say itself stands in the section on what the examples assume. */
function mainFile(example: string): string {
  const has = (key: string) => new RegExp(`^${key}:`, 'm').test(example)
  return [server, has('connectors') ? '' : connectors, has('targets') ? '' : targets, example].join('\n')
}

const tenantOf = (block: Block) => /^# (tenants\/\S+\.yaml)$/m.exec(block.text)?.[1]
const testCount = (text: string) => text.match(/^ *- name: .*\n(?=(?: {4}at: .*\n)? {4}subject:)/gm)?.length ?? 0

/** Loads main examples, each with the tenants' files and tables of its section. */
function load(main: string, blocks: readonly Block[]) {
  const around = blocks.flatMap((block) => {
    const name = block.kind === 'csv' ? 'teams.csv' : tenantOf(block)
    return name === undefined ? [] : [[`/etc/lotse/${name}`, block.text] as const]
  })
  return loadFrom({ files: { '/etc/lotse/gateway.yaml': mainFile(main), ...Object.fromEntries(around) } })
}

describe('docs/guides/rules.md', () => {
  it('has all nineteen situations, each with tests', () => {
    const numbers = sections.flatMap(({ title, blocks }) =>
      /^\d+\. /.test(title) ? [[Number.parseInt(title, 10), blocks] as const] : [],
    )
    assert.deepEqual(
      numbers.map(([number]) => number),
      Array.from({ length: 19 }, (_, i) => i + 1),
    )
    for (const [number, blocks] of numbers)
      assert.ok(
        blocks.some(({ text }) => testCount(text) > 0),
        `situation ${number} has no test`,
      )
  })

  for (const { title, blocks } of sections) {
    const mains = blocks.filter(
      (block) => block.kind === 'yaml' && tenantOf(block) === undefined && block.text !== assumed,
    )
    for (const [i, { text }] of mains.entries())
      it(`${title}: example ${i + 1} loads, and its tests pass`, async () => {
        const loaded = await load(text, blocks)
        assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(problemText).join('\n'))
        assert.deepEqual(
          loaded.disabledTenants.flatMap(({ problems }) => problems.map(problemText)),
          [],
        )
        const tenants = blocks.filter((block) => tenantOf(block) !== undefined)
        assert.equal(
          loaded.tests,
          [text, ...tenants.map((block) => block.text)].reduce((sum, one) => sum + testCount(one), 0),
        )
        assert.ok(loaded.tests > 0)
      })
    for (const { text } of blocks.filter(({ kind }) => kind === 'yaml refused'))
      it(`${title}: the example that shall not load is refused for the reason that it names`, async () => {
        const loaded = await load(text, [])
        const reason = /^# (.*)$/m.exec(text)?.[1] ?? 'no reason'
        const problems = loaded.ok ? ['none'] : loaded.problems.map(problemText)
        assert.ok(
          problems.some((problem) => problem.includes(reason)),
          problems.join('\n'),
        )
      })
  }
})
