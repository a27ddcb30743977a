import type { ConnectorConfig } from '../config/gateway.ts'
import type { Loaded } from '../config/load.ts'
import type { Check } from '../core/ports.ts'
import { connectorPorts, openConnector } from '../upstreams.ts'
import { exit, type Io, UsageError } from './command.ts'
import { printable } from './table.ts'

/**
 * Asks the upstreams of a configuration, all at once, and prints what each said, in the order of the file.
 * @param only the id of one connector; all where absent
 * @returns whether something is wrong, as an exit code
 * @throws {UsageError} where there is no such connector
 */
export async function checkLive({ config }: Loaded, only: string | undefined, io: Io): Promise<number> {
  const wanted = config.connectors.filter(({ id }) => only === undefined || id === only)
  if (only !== undefined && wanted.length === 0) {
    const known = config.connectors.map(({ id }) => id).join(', ')
    throw new UsageError(
      `no connector ${JSON.stringify(only)}; there is ${known || 'none'}. With --live the file is named by --config`,
    )
  }
  const issuer = new URL(config.issuer)
  const found = await Promise.all(wanted.map(async (each) => ({ id: each.id, checks: await ask(each, issuer, io) })))
  for (const { id, checks } of found) for (const check of checks) io.out(line(id, check))
  return found.some(({ checks }) => checks.some(({ ok }) => !ok)) ? exit.refused : exit.ok
}

async function ask(config: ConnectorConfig, issuer: URL, io: Io): Promise<readonly Check[]> {
  // Nothing is sealed without a person, and the root secret stays where it is.
  const never = () => {
    throw new Error('nothing is sealed here')
  }
  const ports = connectorPorts(config, { now: io.now, log: () => {}, root: { seal: never, open: never } }, issuer)
  try {
    const connector = await openConnector(config, ports)
    return (await connector.probe?.()) ?? [{ check: 'probe', ok: true, note: true, found: 'cannot be asked anything' }]
  } catch (error) {
    return [{ check: 'opened', ok: false, found: error instanceof Error ? error.message : String(error) }]
  }
}

function line(id: string, { check, ok, found, note }: Check): string {
  const mark = ok ? (note ? 'note' : 'ok') : 'bad'
  return `${mark.padEnd(4)}  ${id}  ${check}${found === undefined ? '' : `: ${printable(found)}`}`
}
