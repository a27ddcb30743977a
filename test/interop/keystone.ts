import { glob } from 'node:fs/promises'
import { root, runTests } from '../support/runner.ts'
import { installHorizon } from './keystone/horizon.ts'
import { installKeystones } from './keystone/install.ts'
import { installKolla } from './keystone/kolla.ts'

/** Debian's Keystone, the newest from PyPI, the Apache modules that people put before one, Horizon, and kolla-ansible's templates. */
export async function install(): Promise<void> {
  const kinds = await installKeystones()
  await installKolla(kinds[0]?.venv ?? '')
  await installHorizon()
}

/** Two real Keystones as consumers, each behind an Apache that has what `lotse print` wrote and nothing else about the gateway. */
export async function run(budget: number): Promise<{ readonly passed: number; readonly failed: number }> {
  const kinds = await installKeystones()
  const pythons = kinds.map(({ label, python, version }) => ({ name: label, python, version }))
  process.env['LOTSE_KEYSTONES'] = JSON.stringify(pythons)
  if (budget === Number.POSITIVE_INFINITY) process.env['SOAK'] = 'full'
  const files: string[] = []
  for await (const file of glob('test/interop/keystone/*.test.ts', { cwd: root })) files.push(file)
  return await runTests(files.sort(), Math.min(budget, 7200))
}
