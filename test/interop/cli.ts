import { execFileSync } from 'node:child_process'
import { root, runTests } from '../support/runner.ts'

/** Builds the single executable, for which npm brings the Node that goes into it. */
export async function install(): Promise<void> {
  execFileSync('npm', ['run', '--silent', 'build:cli'], { cwd: root, stdio: 'inherit' })
}

/** Signs in, takes tokens and signs out with the program alone, where there is no Node. */
export async function run(budget: number): Promise<{ readonly passed: number; readonly failed: number }> {
  return await runTests(['test/interop/cli/executable.test.ts'], Math.min(budget, 600))
}
