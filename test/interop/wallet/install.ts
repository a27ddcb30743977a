import { copyFile, writeFile } from 'node:fs/promises'
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

/** The wallet's packages from npm, beside the project and never part of it; the folder of them. */
export function installWallet(): Promise<string> {
  return cached(`wallet-openid4vp-${packages['@openid4vc/openid4vp']}`, async (folder) => {
    await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: packages }))
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--silent']
    await during('A wallet, fetched by npm', () => output({ command: 'npm', args, cwd: folder }, 180))
  })
}

/** The program beside its packages, where Node finds them; the path of it. */
export async function placeWallet(): Promise<string> {
  const program = join(await installWallet(), `wallet-${process.pid}.mjs`)
  await copyFile(new URL('wallet.mjs', import.meta.url), program)
  return program
}
