/**
 * `npm run soak -- NAME…`: test files that use `support/rounds.ts`, by name, with their full counts. Those of an interop group have its
 * name in front: `test/interop/keystone/crash.test.ts` is `keystone-crash`.
 */
import { glob, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { root, runTests, testFiles } from './support/runner.ts'

const soaks = new Map<string, string>()
const files = [...(await testFiles())]
for await (const file of glob('test/interop/*/*.test.ts', { cwd: root })) files.push(file)
for (const file of files) {
  const text = await readFile(join(root, file), 'utf8')
  const name = basename(file, '.test.ts')
  const group = file.startsWith('test/interop/') ? `${basename(dirname(file))}-` : ''
  if (text.includes('support/rounds.ts')) soaks.set(group + name, file)
}
const names = process.argv.slice(2)
const unknown = names.filter((name) => !soaks.has(name))
if (names.length === 0 || unknown.length > 0) {
  console.error(unknown.length > 0 ? `no soak is called ${unknown.join(', ')}` : 'usage: npm run soak -- NAME…')
  console.error(`there are: ${[...soaks.keys()].join(', ') || 'none yet'}`)
  process.exit(2)
}
process.env['SOAK'] = 'full'
const { passed, failed } = await runTests(
  names.map((name) => soaks.get(name)!),
  6 * 3600,
)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
