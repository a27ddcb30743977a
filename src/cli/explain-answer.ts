import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { ConnectorConfig, GatewayConfig } from '../config/gateway.ts'
import type { Inspection } from '../connectors/connector.ts'
import { openConnector } from '../upstreams.ts'
import { type Args, type Io, UsageError } from './command.ts'
import { portsAlone, samlKeys } from './connector-alone.ts'

/**
 * Goes through a captured answer as a sign-in would. Only one with something encrypted needs the gateway's keys.
 * @throws {UsageError} where this kind of connector has no answers that could be kept
 */
export async function inspectAnswer(
  one: ConnectorConfig,
  config: GatewayConfig,
  args: Args,
  io: Io,
): Promise<Inspection> {
  for (const option of ['claims', 'claim', 'subject', 'acr', 'amr'])
    if (args.text(option) !== undefined || args.list(option).length > 0)
      throw new UsageError(`--answer says all of it; leave --${option} out`)
  if (one.type !== 'saml' && one.type !== 'wallet')
    throw new UsageError(`${one.id} is of type ${one.type}; --answer is for saml and wallet`)
  const file = args.text('answer') ?? ''
  const text = file === '-' ? await io.input() : await readFile(resolve(io.cwd, file), 'utf8')
  const connector = await openConnector(
    one,
    portsAlone(one, config, io, one.type === 'saml' ? await samlKeys(args, io) : []),
  )
  return (await connector.inspect?.({ text })) ?? { checks: [] }
}
