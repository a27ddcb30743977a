import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

/** The root of the project. */
export const root = join(import.meta.dirname, '../..')

/** How a run of test files ended. */
export interface Outcome {
  readonly passed: number
  readonly failed: number
  /** Tests that were skipped because LOTSE_CORPORA is not set. */
  readonly withoutCorpora: number
}

/** All test files of the project but those of interop groups, sorted; paths are relative to the root. */
export async function testFiles(): Promise<readonly string[]> {
  const files: string[] = []
  for await (const file of glob('test/**/*.test.ts', { cwd: root })) files.push(file)
  return files.filter((file) => !file.startsWith('test/interop/')).sort()
}

/** What one test file's process compiled the next ones, and the gateways that they start, need not: a quarter of all CPU time. */
const COMPILED = join(root, 'node_modules/.cache/compiled')

/** In the environment of a program that a test starts: it finds there what others compiled, too, and serves in half the time. */
export function compiled(): Readonly<Record<string, string>> {
  const folder = process.env['NODE_COMPILE_CACHE']
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: folder }
}

/**
 * Runs test files, each in a process of its own, and prints what `node --test` prints.
 * @param files relative to the root
 * @param seconds after which a file that has not ended counts as failed
 * @param atOnce how many files
 */
export async function runTests(files: readonly string[], seconds: number, atOnce = 2): Promise<Outcome> {
  process.env['NODE_COMPILE_CACHE'] ??= COMPILED
  const stream = run({
    files: files.map((file) => join(root, file)),
    cwd: root,
    concurrency: atOnce,
    timeout: seconds * 1000,
  })
  let withoutCorpora = 0
  let counts = { passed: 0, failed: 1 }
  stream.on('test:pass', ({ skip }) => {
    if (typeof skip === 'string' && skip.includes('LOTSE_CORPORA')) withoutCorpora += 1
  })
  stream.on('test:summary', (summary) => {
    if (summary.file !== undefined) return
    const { passed, cancelled, tests, skipped, todo } = summary.counts
    const failed = Math.max(tests - passed - cancelled - skipped - todo, 0) + cancelled
    counts = { passed, failed: summary.success ? failed : Math.max(failed, 1) }
  })
  for await (const text of stream.compose(new spec())) process.stdout.write(text)
  return { ...counts, withoutCorpora }
}
