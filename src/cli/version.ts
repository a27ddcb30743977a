import { readFile } from 'node:fs/promises'
import { type Command, exit } from './command.ts'

/** What the single executable was built with: no file stands beside it. */
declare const LOTSE_VERSION: string | undefined

/** The version of this build, from package.json. */
export async function version(): Promise<string> {
  if (typeof LOTSE_VERSION === 'string') return LOTSE_VERSION
  const manifest: unknown = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
  const found = manifest && typeof manifest === 'object' && 'version' in manifest ? manifest.version : undefined
  return typeof found === 'string' ? found : 'unknown'
}

/** `lotse version` */
export const command: Command = {
  usage: '',
  options: {},
  run: async (_args, io) => {
    io.out(`lotse ${await version()}`)
    return exit.ok
  },
}
