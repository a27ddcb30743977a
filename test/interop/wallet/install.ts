import { copyFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cached, during } from '../upstreams/cache.ts'
import { output } from '../upstreams/server.ts'

/** Pinned: what is tested is what these say and take. */
const packages = {
  '@openid4vc/openid4vp': '0.4.6',
  '@openid4vc/oauth2': '0.4.6',
  '@openid4vc/utils': '0.4.6',
  '@sd-jwt/sd-jwt-vc': '0.19.0',
  '@sd-jwt/jwt-status-list': '0.19.0',
  dcql: '3.0.0',
  jose: '6.2.17',
}

const OPENVC = '1.37.0'
const JWCRYPTO = '1.6.1'

/** The other wallet's packages from PyPI, in a folder of their own; the folder. */
export function installPython(): Promise<string> {
  return cached(`wallet-openvc-${OPENVC}`, async (folder) => {
    const args = ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check', '--target', folder]
    const packages = [`openvc-core==${OPENVC}`, `jwcrypto==${JWCRYPTO}`]
    const pip = { command: 'python3', args: [...args, ...packages], env: { PIP_ROOT_USER_ACTION: 'ignore' } }
    await during(`openvc ${OPENVC}, fetched by pip`, () => output(pip, 180))
  })
}

/** The wallet's packages from npm, beside the project and never part of it; the folder of them. */
export function installWallet(): Promise<string> {
  return cached(`wallet-openid4vp-${packages['@openid4vc/openid4vp']}`, async (folder) => {
    await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: packages }))
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--silent']
    await during('A wallet, fetched by npm', () => output({ command: 'npm', args, cwd: folder }, 180))
  })
}

/** `wallet.mjs` on libraries from npm, `wallet.py` on others from PyPI. */
export type Kind = 'openid4vp' | 'openvc'

/** How a foreign wallet is started, but for whom it trusts by TLS. */
export interface Foreign {
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Deletes what `placeWallet` made. */
  remove(): Promise<void>
}

/** A program with its packages. */
export async function placeWallet(kind: Kind): Promise<Foreign> {
  if (kind === 'openvc') {
    const [folder, script] = [await installPython(), new URL('wallet.py', import.meta.url).pathname]
    return { command: 'python3', args: [script], env: { PYTHONPATH: folder }, remove: async () => {} }
  }
  // Node finds packages from where a program is.
  const program = join(await installWallet(), `wallet-${process.pid}.mjs`)
  await copyFile(new URL('wallet.mjs', import.meta.url), program)
  return { command: process.execPath, args: [program], env: {}, remove: () => rm(program) }
}
