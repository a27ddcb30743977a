import { areMixed, type Member, openFleet } from '../fleet.ts'
import { openBeside } from './beside.ts'
import { type Command, configOption, exit } from './command.ts'
import { instant, jsonLines, tableOf } from './table.ts'

/** `lotse processes` */
export const command: Command = {
  usage: '[--json] [--config FILE]',
  details: `One line for each process that serves from the store: since when, when it was last heard of, its version, and the digest of
its configuration as lotse check prints it. A process that was killed stands here for 20 seconds more. Exits with 1
where nothing serves, or where processes differ in version or configuration: some answers then differ from others.`,
  options: { ...configOption, json: { help: 'a JSON array, for programs' } },
  async run(args, io) {
    const beside = await openBeside(args, io, ['store'])
    try {
      const fleet = openFleet({ store: beside.store, now: io.now, id: 'command', version: '' })
      const live = [...(await fleet.live())].toSorted(([, one], [, other]) => one.started - other.started)
      if (args.flag('json')) io.out(jsonLines(live.map(([id, member]) => ({ id, ...member }))))
      else if (live.length > 0) for (const line of text(live)) io.out(line)
      const mixed = areMixed(live.map(([, member]) => member))
      if (live.length === 0) io.err('lotse processes: nothing serves from this store')
      if (mixed) io.err('lotse processes: they differ: start the old ones again, or reload their configuration')
      return live.length === 0 || mixed ? exit.refused : exit.ok
    } finally {
      await beside.close()
    }
  },
}

function text(live: readonly (readonly [string, Member])[]): readonly string[] {
  const rows = live.map(([id, { started, seen, version, configuration }]) => [
    ...[id, instant(started), instant(seen), version],
    configuration.slice(0, 12),
  ])
  return tableOf(['PROCESS', 'SINCE', 'LAST HEARD OF', 'VERSION', 'CONFIGURATION'], rows)
}
