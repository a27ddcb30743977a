/** `npm test [-- PART…]`: all test files, or those whose path contains one of the parts. */
import { runTests, testFiles } from './support/runner.ts'

const parts = process.argv.slice(2)
const files = (await testFiles()).filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
if (files.length === 0) {
  console.error(`no test file has ${parts.join(' or ')} in its path`)
  process.exit(2)
}
// More than a small machine has cores, since many tests wait.
const { failed, withoutCorpora } = await runTests(files, 150, 3)
if (withoutCorpora > 0) console.log(`skipped for want of LOTSE_CORPORA: ${withoutCorpora}`)
process.exitCode = failed === 0 ? 0 : 1
