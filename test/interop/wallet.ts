import { glob } from 'node:fs/promises'
import { root, runTests } from '../support/runner.ts'
import { installPackages } from './group.ts'
import { installWallet } from './wallet/install.ts'

/** OpenSSL from Debian, and a wallet made of packages that know nothing of the gateway. */
export async function install(): Promise<void> {
  await installPackages({ openssl: 'openssl' })
  await installWallet()
}

/** Wallets that are not ours sign people in. */
export async function run(budget: number): Promise<{ readonly passed: number; readonly failed: number }> {
  const files: string[] = []
  for await (const file of glob('test/interop/wallet/*.test.ts', { cwd: root })) files.push(file)
  return runTests(files.sort(), Math.min(budget, 300))
}
