import { glob } from 'node:fs/promises'
import { root, runTests } from '../support/runner.ts'
import { installKubernetes } from './kubernetes/install.ts'

/** kube-apiserver of two versions, etcd and kubectl, built from their Go modules. */
export const install = async (): Promise<void> => void (await installKubernetes())

/** Real clusters as consumers, each with what `lotse print` wrote and nothing else about the gateway. */
export async function run(budget: number): Promise<{ readonly passed: number; readonly failed: number }> {
  process.env['LOTSE_KUBERNETES'] = JSON.stringify(await installKubernetes())
  if (budget === Number.POSITIVE_INFINITY) process.env['SOAK'] = 'full'
  const files: string[] = []
  for await (const file of glob('test/interop/kubernetes/*.test.ts', { cwd: root })) files.push(file)
  return await runTests(files.sort(), Math.min(budget, 7200))
}
