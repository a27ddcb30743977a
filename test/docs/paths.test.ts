import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { root } from '../support/runner.ts'

/** Paths that pages name although the repository does not have them: an operator or a build makes them. */
const made = /^(?:config\/gateway\.yaml|config\/tenants\b.*|tenants\/.*|keys\/(?!README).*|dist\/.*|data\/.*)$/

const folders = 'src|test|docs|config|deploy|bench|keys|\\.ci'
const pathLike = new RegExp(`^(?:(?:${folders})/[\\w./*-]*|[A-Z]\\w*\\.md|Dockerfile|LICENSE|package\\.json)$`)

const pages = globSync(['*.md', 'docs/**/*.md', 'keys/*.md', 'deploy/**/*.md', 'bench/*.md', 'src/**/*.md'], {
  cwd: root,
})

/** Running text without fenced code, which shows what operators have. */
const prose = (page: string) => readFileSync(join(root, page), 'utf8').replace(/^ *```[\s\S]*?^ *```/gm, '')

function namedPaths(text: string): readonly string[] {
  const words = [...text.matchAll(/`([^`\n]+)`/g)].map(([, word = '']) => word.replace(/:\d+$/, ''))
  return words.filter((word) => pathLike.test(word) && !made.test(word))
}

function linkedPaths(text: string): readonly string[] {
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link.replace(/#.*$/, ''))
  return links.filter((link) => link !== '' && !/^[a-z]+:/.test(link))
}

/** The anchors of a page: its headings as GitHub writes them, and what it names itself. */
function anchorsOf(page: string): ReadonlySet<string> {
  const text = prose(page)
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase())
  const slugs = headings.map((heading) => heading.replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-'))
  return new Set([...slugs, ...[...text.matchAll(/<a (?:id|name)="([^"]+)"/g)].map(([, id = '']) => id)])
}

/** Links into a page of the repository whose part is not there. */
function lostParts(page: string): readonly string[] {
  const links = [...prose(page).matchAll(/\]\(([^)\s:#]*)#([^)\s]+)\)/g)]
  return links.flatMap(([, file = '', part = '']) => {
    const to = file === '' ? page : join(dirname(page), file)
    return existsSync(join(root, to)) && anchorsOf(to).has(part) ? [] : [`${file}#${part}`]
  })
}

for (const page of pages) {
  test(`every part to which ${page} links exists`, () => {
    assert.deepEqual(lostParts(page), [])
  })

  test(`every path that ${page} names exists`, () => {
    const text = prose(page)
    const missing = namedPaths(text).filter((path) => globSync(path, { cwd: root }).length === 0)
    const broken = linkedPaths(text).filter((link) => !existsSync(join(root, dirname(page), link)))
    assert.deepEqual({ missing, broken }, { missing: [], broken: [] })
  })
}

test('the reader of pages sees paths in code marks and in links', () => {
  const text =
    'See `src/core/no.ts`, `docs/*.md`, `src/a.ts:12`, `npm test`, `keys/root.key` and [it](../no.md#part), [out](https://a.example/x).'
  assert.deepEqual(namedPaths(text), ['src/core/no.ts', 'docs/*.md', 'src/a.ts'])
  assert.deepEqual(linkedPaths(text), ['../no.md'])
})
