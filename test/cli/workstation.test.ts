import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'
import { root } from '../support/runner.ts'

/** What a file imports; types are gone when it runs. */
function importsOf(file: string, how: RegExp): readonly string[] {
  return [...readFileSync(file, 'utf8').matchAll(how)].map(([, ...names]) => names.find(Boolean) ?? '')
}

const loaded = /^(?:import|export) (?!type\b)[^'";]*?\bfrom '([^']+)'|^import '([^']+)'/gm
const loadedOrLazy = new RegExp(`${loaded.source}|\\bimport\\('([^']+)'\\)`, 'gm')

/** Every file and package that comes with a file, itself included. */
function graph(file: string, how: RegExp, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(file)) return seen
  seen.add(file)
  // The single executable has none of the gateway's configuration: deploy/build-cli.ts puts a sentence in its place.
  if (!existsSync(file) || file === join(root, 'src/configuration.ts')) return seen
  for (const name of importsOf(file, how).filter(Boolean))
    graph(name.startsWith('.') ? join(dirname(file), name) : name, how, seen)
  return seen
}

const packagesIn = (files: ReadonlySet<string>) =>
  [...files].filter((file) => !file.startsWith('/') && !file.startsWith('node:'))

test('the commands of a person’s own machine come with nothing but Node', () => {
  const files = graph(join(root, 'src/workstation.ts'), loadedOrLazy)
  assert.ok(files.has(join(root, 'src/cli/sign-in/lock.ts')), 'the reader of imports reads')
  assert.deepEqual(packagesIn(files), [])
})

test('a token that is kept needs neither network nor database: the plugin loads a handful of files', () => {
  const files = graph(join(root, 'src/cli/kubectl-credential.ts'), loaded)
  const heavy = [...files].filter((name) =>
    /^node:(?:https?|net|tls|sqlite|child_process)$|fetcher|configuration/.test(name),
  )
  assert.deepEqual(heavy, [])
  const ours = [...files].filter((name) => name.startsWith('/')).map((name) => relative(root, name))
  assert.ok(ours.length < 16, ours.join(', '))
})
