import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { readRows } from '../config/csv.ts'
import type { GatewayConfig } from '../config/gateway.ts'
import { problemText } from '../config/problem.ts'
import { configurationReader } from '../configuration.ts'
import { accountId } from '../core/subject.ts'
import { liveFetch } from '../live-targets.ts'
import { createLog } from '../log.ts'
import type { Adoption, Finding, Move } from '../targets/keystone/live/adopt.ts'
import type { KeystoneConfig } from '../targets/keystone/options.ts'
import { type Args, type Command, configOption, configPath, exit, type Io, UsageError } from './command.ts'
import { count, jsonLines, tableOf } from './table.ts'

/** `lotse subjects adopt`: takes over the users whom another identity provider brought to a Keystone. */
export const command: Command = {
  usage: 'adopt TARGET --csv FILE --idp ID [--protocol ID] [--yes] [--json] [--config FILE]',
  details: `Moves federated users of another identity provider at the Keystone (of a Keycloak, say) to the gateway, with their ids, and
so with their projects, credentials and everything that they own. Each line of the file is

    OLD UNIQUE ID,CONNECTOR,ID AT THE UPSTREAM

The old unique id is her id at the other identity provider, as that writes it: f:1:eve, where Keystone itself shows it
percent-encoded, as f%3A1%3Aeve (GET /v3/users/ID, federated). The connector and the id are by which the gateway will
know her (lotse sessions prints them, lotse explain takes them). Nobody is moved by a name or an address: anybody could
have those.

Without --yes nothing is changed, and each line is said to be ready, done, absent (nobody is known by the old id) or taken
(she has signed in through the gateway before, and has a second user). Exits with 1 where a line is absent or taken, or with
--yes still ready, and with 3 where it was stopped before the last one.

Whoever was moved keeps what she has until she signs in through the gateway for the first time; from then on the gateway
locks her when nothing stands behind her any more. Who never signs in is never locked: look at what is left after a while.`,
  options: {
    ...configOption,
    csv: { value: 'FILE', help: 'whom to move' },
    idp: { value: 'ID', help: 'the identity provider at Keystone by which they are known now' },
    protocol: { value: 'ID', help: 'its protocol there; openid if absent' },
    yes: { help: 'move them' },
    json: { help: 'a JSON array, for programs' },
  },
  async run(args, io) {
    const [verb, id, ...more] = args.words
    const [csv, idp] = [args.text('csv'), args.text('idp')]
    if (verb !== 'adopt' || id === undefined || more.length > 0)
      throw new UsageError("write 'lotse subjects adopt TARGET --csv FILE --idp ID'")
    if (csv === undefined || idp === undefined) throw new UsageError('--csv FILE and --idp ID are needed')
    const read = await configurationReader(io)(resolve(io.cwd, configPath(args, io)))
    if (!read.ok) {
      for (const problem of read.problems) io.err(problemText(problem))
      return exit.refused
    }
    const config = keystoneOf(read.config, id)
    const people = await peopleIn(resolve(io.cwd, csv), read.config)
    if (typeof people === 'string') {
      io.err(`lotse subjects: ${people}`)
      return exit.refused
    }
    const { openAdoption } = await import('../targets/keystone/live/adopt.ts')
    const log = createLog('warn', (line) => io.err(line.trimEnd()))
    const adoption = openAdoption(config, { now: io.now, log, fetch: liveFetch(config) })
    const from = { identityProvider: idp, protocol: args.text('protocol') ?? 'openid' }
    const moves = people.map((person) => ({ ...person, from: { ...from, uniqueId: person.old } }))
    return report(args, io, { rows: await adopt({ args, io, adoption }, moves), of: moves.length })
  },
}

/** @throws {UsageError} where the gateway may not write there */
function keystoneOf({ targets }: GatewayConfig, id: string): KeystoneConfig {
  const able = targets.filter((target) => target.type === 'keystone' && target['reconcile'] !== undefined)
  const config = able.find((target) => target.id === id)
  if (config) return config as unknown as KeystoneConfig // its type's own schema has read it
  const known = able.map((target) => target.id).join(', ') || 'none'
  throw new UsageError(
    `no Keystone ${JSON.stringify(id)} into which the gateway may write; with reconcile there is ${known}`,
  )
}

interface Person {
  readonly old: string
  readonly who: string
  readonly sub: string
}

/** Everything that is wrong with the file is said before anybody is moved. */
async function peopleIn(file: string, { connectors }: GatewayConfig): Promise<readonly Person[] | string> {
  const rows = readRows(await readFile(file, 'utf8'), 3)
  if (typeof rows === 'number') return `${file}:${rows}: not OLD UNIQUE ID,CONNECTOR,ID AT THE UPSTREAM`
  const people = rows.map(([old = '', connector = '', id = '']) => ({
    ...{ old, connector, who: `${connector}/${id}` },
    sub: accountId({ connector, id }),
  }))
  const unknown = people.find(({ connector }) => !connectors.some(({ id }) => id === connector))
  if (unknown) return `${file}: no connector ${JSON.stringify(unknown.connector)} in the configuration`
  for (const key of ['old', 'sub'] as const) {
    const seen = new Set<string>()
    for (const person of people) {
      if (seen.has(person[key])) return `${file}: ${key === 'old' ? person.old : person.who} stands there twice`
      seen.add(person[key])
    }
  }
  return people
}

interface Adopting {
  readonly args: Args
  readonly io: Io
  readonly adoption: Adoption
}

type Row = Person & Finding

/** One after the other: what was moved stays moved where a later one fails, and the next run finds it done. */
async function adopt({ args, io, adoption }: Adopting, moves: readonly (Person & Move)[]): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (const { old, who, ...move } of moves) {
    if (io.stop.aborted) break
    const finding = await (args.flag('yes') ? adoption.move(move) : adoption.look(move))
    rows.push({ old, who, sub: move.sub, ...finding })
    if (rows.length % 100 === 0) io.err(`lotse subjects: ${rows.length} of ${moves.length}`)
  }
  return rows
}

const userOf = (row: Row) =>
  'name' in row ? `${row.name} (${row.user})` : 'by' in row ? `${row.user}, and ${row.by}` : '-'

function report(args: Args, io: Io, { rows, of: all }: { readonly rows: readonly Row[]; readonly of: number }): number {
  if (args.flag('json')) io.out(jsonLines(rows))
  else {
    const cells = rows.map((row) => [row.state, row.who, row.old, userOf(row)])
    for (const line of tableOf(['STATE', 'ACCOUNT', 'OLD UNIQUE ID', 'USER'], cells)) io.out(line)
  }
  const of = (state: Finding['state']) => rows.filter((row) => row.state === state).length
  const unmoved = args.flag('yes') ? of('ready') : 0
  const ready =
    unmoved > 0
      ? ' could not be moved: their new ids are of users whom this account does not see'
      : '; --yes moves them'
  io.err(
    `lotse subjects: ${count(of('done'), 'user')} moved, ${of('absent')} absent, ${of('taken')} taken, ${of('ready')} ready` +
      (of('ready') > 0 ? ready : ''),
  )
  if (rows.length < all) {
    io.err(`lotse subjects: stopped before ${all - rows.length} of ${all}; the same again goes on from there`)
    return exit.failed
  }
  return of('absent') + of('taken') + unmoved > 0 ? exit.refused : exit.ok
}
