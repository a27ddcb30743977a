import { openBeside } from './beside.ts'
import type { Args, Io } from './command.ts'
import type { KeyTools } from './keys.ts'

/**
 * Opens the rings that the configuration names, beside the gateway that serves from them.
 * @throws where a needed part of the configuration is wrong, or a file, the root secret or the store cannot be used
 */
export async function openKeyTools(args: Args, io: Io): Promise<KeyTools> {
  const beside = await openBeside(args, io, ['store', 'keys', 'audit', 'targets', 'clients'])
  try {
    const audit = await beside.audit()
    const { rings, specs } = await beside.keys(audit)
    return { rings, specs, lead: beside.config.keys.lead, audit, close: beside.close }
  } catch (error) {
    await beside.close()
    throw error
  }
}
