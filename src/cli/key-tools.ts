import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { openKeys, openTargets, ringSpecs } from '../app.ts'
import { openAudit } from '../audit-log.ts'
import { configSchema, type MainFile } from '../config/compose.ts'
import { parse } from '../config/parse.ts'
import { problemText } from '../config/problem.ts'
import { fillReferences } from '../config/references.ts'
import { readSource } from '../config/yaml.ts'
import { connectorTypes } from '../connectors/index.ts'
import { openRoot } from '../keys/root-secret.ts'
import { openEmbedded } from '../store/embedded.ts'
import { targetTypes } from '../targets/index.ts'
import { type Args, configPath, type Io } from './command.ts'
import type { KeyTools } from './keys.ts'

/** The parts of the main file that keys need; an emergency must be met while rules, tenants or secrets are broken. */
const needed = ['store', 'keys', 'audit', 'targets', 'clients'] as const

/** What takes the place of required keys that are wrong and not needed here. */
const stand = { issuer: 'https://stand.invalid', listen: { port: 0 } }

/**
 * Opens the rings that the configuration names, beside the gateway that serves from them.
 * @throws where a needed part of the configuration is wrong, or a file, the root secret or the store cannot be used
 */
export async function openKeyTools(args: Args, io: Io): Promise<KeyTools> {
  const config = await readConfig(resolve(io.cwd, configPath(args, io)), io)
  const root = await openRoot(config.keys.dir, { create: config.keys.create ? 'allowed' : 'refused' })
  const write = async (text: string) => io.err(text.trimEnd())
  const log = await openAudit({ path: config.audit.path, now: io.now, write })
  const store = await openEmbedded({ path: config.store.path, now: io.now, mode: 'command' })
  const close = async () => {
    await store.close()
    await log.close()
  }
  try {
    const targets = openTargets(config)
    const rings = await openKeys({ store, root, audit: log.audit, now: io.now, mode: 'command' }, config, targets)
    return { rings, specs: ringSpecs(config, targets), lead: config.keys.lead, audit: log.audit, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function readConfig(file: string, io: Io): Promise<MainFile> {
  const source = readSource(file, await readFile(file, 'utf8'))
  const schema = configSchema({ connectors: connectorTypes, targets: targetTypes })
  const parsed = parse(schema.main, source.value, stand)
  const wrong = parsed.findings.filter(({ path }) => (needed as readonly unknown[]).includes(path[0]))
  const { value } = parsed
  if (source.value === undefined || wrong.length > 0 || value === undefined) {
    const found = wrong.map(({ path, message, at }) => problemText(source.problem(path, message, at)))
    throw new Error([...source.problems.map(problemText), ...found, "'lotse check' says more"].join('\n'))
  }
  const { store, keys, audit } = value
  const scope = { folder: dirname(file), env: io.env, readFile: (path: string) => readFile(path, 'utf8') }
  const filled = await fillReferences({ store, keys, audit }, scope)
  // Only paths stand in these three, and they keep their shape.
  return { ...value, ...(filled.value as Pick<MainFile, 'store' | 'keys' | 'audit'>) }
}
