import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { readSource } from '../config/yaml.ts'
import { backupEmbedded } from '../store/backup.ts'
import { StoreUnavailable } from '../store/store.ts'
import { type Args, type Command, configOption, configPath, exit, type Io, UsageError } from './command.ts'
import { exportStore, importStore } from './store-move.ts'

/** `lotse store`: copies, and moves between kinds of stores. */
export const command: Command = {
  usage: 'backup --out FILE [--store FILE] | export --out FILE | import FILE',
  details: `
backup copies the embedded store as it is at one moment, while the gateway goes on; the copy is checked and
readable by its owner alone. It holds live sessions and refresh tokens: keep it like the store itself.

To restore: stop the gateway, put the copy in the place of the store (remove the files beside it that
begin with its name), start. Sign-ins since the backup are lost; refresh tokens that were used or
revoked since then work again until they end, and what was written into a Keystone since then stays there.

export and import move everything from one store to another of either kind, while no gateway serves: stop
all of them, export, change store: in the configuration, import, start. Nobody has to sign in again; only who
is in the middle of a sign-in begins anew. The root secret has to be the same. import takes all or nothing, into
a store that nothing has used. The file holds live sessions and refresh tokens: destroy it afterwards.
`,
  options: {
    ...configOption,
    out: { value: 'FILE', help: 'where the copy or the export goes; must not exist yet' },
    store: { value: 'FILE', help: "backup: the store's file; the one that the configuration names if absent" },
  },
  async run(args, io) {
    const act = action(args)
    try {
      io.out(await act(io))
      return exit.ok
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error
      io.err(`lotse store: ${error.detail}`)
      return exit.failed
    }
  },
}

/** Everything that can be refused is refused before anything is opened. */
function action(args: Args): (io: Io) => Promise<string> {
  const [verb, ...more] = args.words
  const out = args.text('out')
  if (verb === 'import') {
    const [from, ...others] = more
    if (from === undefined || others.length > 0 || out !== undefined)
      throw new UsageError("write 'lotse store import FILE'")
    return (io) => importStore(args, io, resolve(io.cwd, from))
  }
  if ((verb !== 'backup' && verb !== 'export') || more.length > 0)
    throw new UsageError(
      "write 'lotse store backup --out FILE', 'lotse store export --out FILE' or 'lotse store import FILE'",
    )
  if (out === undefined) throw new UsageError('--out FILE is missing: where the copy goes')
  if (verb === 'export') return (io) => exportStore(args, io, resolve(io.cwd, out))
  return async (io) => {
    const copy = resolve(io.cwd, out)
    return `${await backupEmbedded(await storePath(args, io), copy)} entries copied to ${copy}`
  }
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
