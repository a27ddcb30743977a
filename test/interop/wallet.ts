import { glob } from 'node:fs/promises'
import { root, runTests } from '../support/runner.ts'
import { installPackages } from './group.ts'
import { installPython, installWallet } from './wallet/install.ts'

/** OpenSSL and Python from Debian, and two wallets made of packages, from npm and PyPI, that know nothing of the gateway. */
export async function install(): Promise<void> {
  await installPackages({ openssl: 'openssl', python3: 'python3', pip3: 'python3-pip' })
  await Promise.all([installWallet(), installPython()])
}

/** Wallets that are not ours sign people in. */
export async function run(budget: number): Promise<{ readonly passed: number; readonly failed: number }> {
  const files: string[] = []
  for await (const file of glob('test/interop/wallet/*.test.ts', { cwd: root })) files.push(file)
  return runTests(files.sort(), Math.min(budget, 300))
}
