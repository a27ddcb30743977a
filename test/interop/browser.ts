import { glob, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root, runTests } from '../support/runner.ts'
import { installPackages } from './group.ts'

/** Debian's Chromium, driven by playwright-core. */
export const install = (): Promise<void> => installPackages({ chromium: 'chromium' })

/** Signs in, out and in vain in a real browser, and measures every page. Pictures of all pages stay in a folder that is named. */
export async function run(budget: number): Promise<{ readonly passed: number; readonly failed: number }> {
  const pictures = await mkdtemp(join(tmpdir(), 'lotse-pages-'))
  process.env['LOTSE_PICTURES'] = pictures
  if (budget === Number.POSITIVE_INFINITY) process.env['SOAK'] = 'full'
  const files: string[] = []
  for await (const file of glob('test/interop/browser/*.test.ts', { cwd: root })) files.push(file)
  const outcome = await runTests(files.sort(), Math.min(budget, 7200))
  console.log(`pictures of every page: ${pictures}`)
  return outcome
}
