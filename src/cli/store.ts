import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { readSource } from '../config/yaml.ts'
import { backupEmbedded } from '../store/backup.ts'
import { StoreUnavailable } from '../store/store.ts'
import { type Args, type Command, configOption, configPath, exit, type Io, UsageError } from './command.ts'

/** `lotse store backup --out FILE` */
export const command: Command = {
  usage: 'backup --out FILE [--store FILE]',
  details: `
Copies the embedded store as it is at one moment, while the gateway goes on; the copy is checked and
readable by its owner alone. It holds live sessions and refresh tokens: keep it like the store itself.

To restore: stop the gateway, put the copy in the place of the store (remove the files beside it that
begin with its name), start. Sign-ins since the backup are lost; refresh tokens that were used or
revoked since then work again until they end, and what was written into a Keystone since then stays there.
`,
  options: {
    ...configOption,
    out: { value: 'FILE', help: 'where the copy goes; must not exist yet' },
    store: { value: 'FILE', help: "the store's file; the one that the configuration names if absent" },
  },
  async run(args, io) {
    const [verb, ...more] = args.words
    const out = args.text('out')
    if (verb !== 'backup' || more.length > 0) throw new UsageError("write 'lotse store backup --out FILE'")
    if (out === undefined) throw new UsageError('--out FILE is missing: where the copy goes')
    try {
      const copy = resolve(io.cwd, out)
      const entries = await backupEmbedded(await storePath(args, io), copy)
      io.out(`${entries} entries copied to ${copy}`)
      return exit.ok
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error
      io.err(`lotse store: ${error.detail}`)
      return exit.failed
    }
  },
}

/** Reads nothing of the configuration but `store`: a backup must be possible while rules or secrets are broken. */
async function storePath(args: Args, io: Io): Promise<string> {
  const given = args.text('store')
  if (given !== undefined) return resolve(io.cwd, given)
  const file = resolve(io.cwd, configPath(args, io))
  const { value } = readSource(file, await readFile(file, 'utf8'))
  const { kind, path } = (value as { store?: { kind?: unknown; path?: unknown } } | undefined)?.store ?? {}
  if (kind === 'embedded' && typeof path === 'string') return resolve(dirname(file), path)
  throw new UsageError(`${file} names no embedded store; name its file by --store FILE`)
}
