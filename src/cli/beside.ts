import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Audit } from '../audit.ts'
import { openAudit } from '../audit-log.ts'
import { configSchema, type MainFile } from '../config/compose.ts'
import { parse } from '../config/parse.ts'
import { problemText } from '../config/problem.ts'
import { fillReferences } from '../config/references.ts'
import { readSource } from '../config/yaml.ts'
import { connectorTypes } from '../connectors/index.ts'
import { SAML_RING } from '../core/ports.ts'
import type { RingSpec, Rings } from '../keys/rings.ts'
import { openRoot } from '../keys/root-secret.ts'
import { openKeys, openTargets, ringSpecs, samlRing } from '../signing.ts'
import { kinds } from '../store/kinds.ts'
import type { Store } from '../store/store.ts'
import { targetTypes } from '../targets/index.ts'
import type { Target } from '../targets/target.ts'
import { type Args, configPath, type Io } from './command.ts'
import { openStore } from './open-store.ts'

/** What a command opens beside the gateway that serves: nothing more of the configuration than it needs. */
export interface Beside {
  readonly config: MainFile
  readonly store: Store
  /** The audit log that the configuration names; standard error where that is standard output, which is the command's answer. */
  audit(): Promise<Audit>
  /** The rings as they stand in the store. @throws where the root secret or the store cannot be used */
  keys(audit: Audit): Promise<Keys>
  /** Closes all that was opened, the store last. */
  close(): Promise<void>
}

export interface Keys {
  readonly rings: Rings
  readonly specs: readonly RingSpec[]
  readonly targets: ReadonlyMap<string, Target>
}

/** A part of the main file, which holds all of this or is refused. */
export type Needed = 'store' | 'keys' | 'audit' | 'targets' | 'clients'

/** What takes the place of required keys that are wrong and not needed here. */
const stand = { issuer: 'https://stand.invalid', listen: { port: 0 } }

/**
 * Opens the store that the configuration names. An emergency must be met while rules, tenants or secrets are broken: only what
 * is needed must be right.
 * @throws where a needed part of the configuration is wrong, or the store cannot be used
 */
export async function openBeside(args: Args, io: Io, needed: readonly Needed[]): Promise<Beside> {
  const config = await readConfig(resolve(io.cwd, configPath(args, io)), io, needed)
  const root = () => openRoot(config.keys.dir, { create: config.keys.create ? 'allowed' : 'refused' })
  const store = await openStore(config.store, { root, now: io.now, mode: 'command' })
  const opened = new AsyncDisposableStack()
  opened.defer(() => store.close())
  return {
    config,
    store,
    async audit() {
      const write = async (text: string) => io.err(text.trimEnd())
      const log = await openAudit({ path: config.audit.path, now: io.now, write })
      opened.defer(() => log.close())
      return log.audit
    },
    async keys(audit) {
      const targets = openTargets(config)
      const specs = await specsBeside(config, targets, store)
      const rings = await openKeys(
        { store, root: await root(), audit, now: io.now, mode: 'command', specs },
        config,
        targets,
      )
      return { rings, specs, targets }
    },
    close: () => opened.disposeAsync(),
  }
}

/** The ring of SAML is there also where a tenant's file, which is not read here, has the only such upstream. */
async function specsBeside(config: MainFile, targets: ReadonlyMap<string, Target>, store: Store) {
  const specs = ringSpecs(config, targets)
  const absent = !specs.some(({ name }) => name === SAML_RING) && (await store.get(kinds.Ring, SAML_RING)) !== undefined
  return absent ? [...specs, samlRing(new URL(config.issuer))] : specs
}

/**
 * The main file, of which no more has to be right than is needed.
 * @throws where that is not
 */
export async function readConfig(file: string, io: Io, needed: readonly Needed[]): Promise<MainFile> {
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
  if (filled.problems.length > 0)
    throw new Error(filled.problems.map(({ path, message }) => problemText(source.problem(path, message))).join('\n'))
  // They keep their shape: texts stand where references stood.
  return { ...value, ...(filled.value as Pick<MainFile, 'store' | 'keys' | 'audit'>) }
}
