import { createHash } from 'node:crypto'
import { dirname, resolve } from 'node:path'
import type { Policy } from '../core/compile.ts'
import type { RegexEngine, TargetRules } from '../core/policy.ts'
import type { Tables } from '../core/rule.ts'
import type { Mistake } from './check-clients.ts'
import { connectorMistakes, mainMistakes } from './check-main.ts'
import { type ConfigSchema, configSchema, type MainFile, type Parts } from './compose.ts'
import { readTable } from './csv.ts'
import type { GatewayConfig, TargetConfig } from './gateway.ts'
import { type Parsed, parse } from './parse.ts'
import { type Judged, judge } from './policy.ts'
import { inFileOrder, type Problem } from './problem.ts'
import { type Filled, fillReferences, unreadable } from './references.ts'
import { isCsvTable } from './rules.ts'
import { valueAt } from './say.ts'
import { type DisabledTenant, type ReadTenant, readTenants, type TenantPorts, type Tenants } from './tenants.ts'
import { readSource, type Source } from './yaml.ts'

/** What of the world the loader may use. */
export interface LoadPorts extends Omit<TenantPorts, 'memory'> {
  readonly regex: RegexEngine
  /** Hand in the same one for every load of one file: what has not changed is not read and compiled again. */
  readonly memory?: Memory
  /** Unix seconds: when the `tests:` without a time of their own happen. */
  readonly now: number
}

/** What one load leaves for the next; opaque. */
export interface Memory {
  readonly tenants: Map<string, ReadTenant>
  main?: {
    readonly state: string
    readonly main: MainFile
    readonly tables: Tables
    readonly targets: readonly OpenTarget[]
  }
  policy?: Policy
}

/** A memory in which nothing is yet. */
export function newMemory(): Memory {
  return { tenants: new Map() }
}

type OpenTarget = TargetRules & { readonly audience: string }

/** A configuration that is in use from now on. */
export interface Loaded {
  readonly ok: true
  readonly config: GatewayConfig
  readonly policy: Policy
  /** SHA-256 over all files, without secrets: tells replicas and audit lines which configuration this is. */
  readonly digest: string
  /** Changes with every file and secret that was read. Never to be written anywhere. */
  readonly state: string
  /** How many `tests:` passed, of the main file and of tenants. */
  readonly tests: number
  readonly warnings: readonly Problem[]
  readonly disabledTenants: readonly DisabledTenant[]
  /** What was read, by absolute path: what `watch` has to look at. Files of tenants stand for themselves in their folder. */
  readonly read: { readonly files: readonly string[]; readonly folders: readonly string[] }
}

/** A configuration that cannot be used, with every reason in file order. */
export interface Refused {
  readonly ok: false
  readonly problems: readonly Problem[]
}

/** What takes the place of required keys that are wrong, while the rest is looked through. */
const stand = { issuer: 'https://stand.invalid', listen: { port: 0 }, store: { kind: 'embedded', path: ':memory:' } }

/**
 * Reads a configuration with everything that it names: tenants, tables, secrets. Never throws for what a file says.
 * @param path of the main file; it is named so in problems, and relative paths in it count from its folder
 */
export async function load(path: string, parts: Parts, given: LoadPorts): Promise<Loaded | Refused> {
  const opened = new Set<string>()
  const readFile = (file: string) => {
    opened.add(resolve(file))
    return given.readFile(file)
  }
  const ports = { ...given, readFile }
  const text = await ports.readFile(path).catch((error: unknown) => ({ error }))
  if (typeof text !== 'string') {
    const message = unreadable(text.error, 'name the file by --config or LOTSE_CONFIG')
    return { ok: false, problems: [{ file: path, line: 1, column: 1, path: [], message }] }
  }
  const source = readSource(path, text)
  if (source.value === undefined) return { ok: false, problems: source.problems }
  const schema = configSchema(parts)
  const parsed = parse(schema.main, source.value, stand)
  const problems = parsed.findings.map((finding) => source.problem(finding.path, finding.message, finding.at))
  const rest = parsed.value
    ? await lookThrough({ source, parsed, parts, schema, ports, text, opened }, parsed.value)
    : undefined
  const all = inFileOrder([...source.problems, ...problems, ...(rest?.problems ?? [])], [path])
  return all.length > 0 || !rest?.loaded ? { ok: false, problems: all } : rest.loaded
}

interface Work {
  readonly source: Source
  readonly parsed: Parsed<MainFile>
  readonly parts: Parts
  readonly schema: ConfigSchema
  readonly ports: LoadPorts
  readonly text: string
  /** Absolute paths of all files that were opened. */
  readonly opened: ReadonlySet<string>
}

interface Outcome {
  readonly problems: readonly Problem[]
  readonly loaded?: Loaded
}

/** Everything after the shape: references, tables, what parts say about each other, tenants, rules, tests. */
async function lookThrough(work: Work, read: MainFile): Promise<Outcome> {
  const { source, parsed, parts, ports } = work
  const folder = dirname(resolve(source.file))
  const { rules, ruleSets, vars, tables: written, assurance, breakGlass, tests, ...referring } = read
  const filled = await fillReferences(referring, { folder, env: ports.env, readFile: ports.readFile })
  const main = { ...read, ...(filled.value as typeof referring) }
  const { tables, mistakes: badTables, texts } = await readTables(main, folder, ports)
  const targets = openTargets(main.targets, parts)
  const known = knownNames(source.value, targets)
  const mistakes = [...filled.problems, ...badTables, ...mainMistakes(main, known), ...work.schema.contradictions(main)]
  const problems = mistakes.map((each) => source.problem(parsed.original(each.path), each.message))
  // Rules that speak of something left out above would only be reported for its absence.
  const whole = !['connectors', 'targets', 'tables', 'ruleSets', 'vars', 'assurance'].some((key) =>
    parsed.incomplete.has(key),
  )
  if (!whole || badTables.length > 0) {
    const also = connectorMistakes(main).map((each) => source.problem(parsed.original(each.path), each.message))
    return { problems: [...problems, ...also] }
  }
  const { memory, readFile, listDir, env } = ports
  const near: TenantPorts = { readFile, listDir, env, ...(memory && { memory: memory.tenants }) }
  const tenants = await readTenants(main, work.schema, near)
  const state = hash([work.text, ...texts, ...filled.secrets])
  const kept = remembered(memory, { state, main, tables, targets })
  const judged = judge({
    ...kept,
    tenants: tenants.tenants,
    disabled: tenants.disabled,
    regex: ports.regex,
    now: ports.now,
    previous: memory?.policy,
  })
  const wrong = judged.mistakes.map((each) => source.problem(parsed.original(each.path), each.message))
  if (!judged.policy || problems.length > 0 || wrong.length > 0) return { problems: [...problems, ...wrong] }
  if (memory) memory.policy = judged.policy
  return {
    problems: [],
    loaded: assemble(work, { main: kept.main, filled, texts, tenants, judged, policy: judged.policy }),
  }
}

/** The main file as it was read before where nothing of it has changed, so that its rules are not compiled again. */
function remembered(memory: Memory | undefined, fresh: NonNullable<Memory['main']>): NonNullable<Memory['main']> {
  if (!memory) return fresh
  if (memory.main?.state !== fresh.state) memory.main = fresh
  return memory.main
}

interface Pieces {
  readonly main: MainFile
  readonly filled: Filled
  readonly texts: readonly string[]
  readonly tenants: Tenants
  readonly judged: Judged
  readonly policy: Policy
}

function assemble({ source, text, opened }: Work, { main, filled, texts, tenants, judged, policy }: Pieces): Loaded {
  const { rules, ruleSets, vars, tables, breakGlass, tests, tenants: block, ...config } = main
  const visible = [text, ...texts, ...tenants.texts]
  const warnings = [...tenants.absent, ...quietWarnings(main)]
  return {
    ok: true,
    config: {
      ...config,
      connectors: [...main.connectors, ...judged.tenants.flatMap(({ file }) => file.connectors)],
    },
    policy,
    digest: hash(visible),
    state: hash([...visible, ...filled.secrets, ...tenants.secrets]),
    tests: judged.tests,
    warnings: inFileOrder(
      [...warnings.map((each) => source.problem(each.path, each.message)), ...judged.warnings],
      [source.file],
    ),
    disabledTenants: [...tenants.disabled, ...judged.disabled],
    read: {
      files: [...opened].filter((file) => dirname(file) !== block?.folder),
      folders: block ? [block.folder] : [],
    },
  }
}

/** What is allowed but seldom meant. */
function quietWarnings({ connectors, clients, rules, breakGlass, tests, tenants }: MainFile): readonly Mistake[] {
  const own = tenants === undefined
  return [
    ...(connectors.length === 0 && own ? [{ path: [], message: 'no connectors: nobody can sign in' }] : []),
    ...(clients.length === 0 ? [{ path: [], message: 'no clients: nobody can ask for a token' }] : []),
    ...(rules.length + breakGlass.length === 0 && own ? [{ path: [], message: 'no rules: nobody gets anything' }] : []),
    ...(rules.length > 0 && tests.length === 0
      ? [{ path: ['rules'], message: 'no tests: say who gets what, and a change of rules cannot surprise you' }]
      : []),
  ]
}

function hash(texts: readonly string[]): string {
  const sum = createHash('sha256')
  for (const text of texts) sum.update(`${text.length}:`).update(text)
  return sum.digest('hex')
}

function openTargets(targets: readonly TargetConfig[], { targets: types }: Parts) {
  // The schema has read the options that belong to this type, which is all that `open` asks for.
  return targets.flatMap((target) => types[target.type]?.open(target as never) ?? [])
}

/** The names that clients may refer to, also of entries that have mistakes of their own. */
function knownNames(file: unknown, targets: readonly OpenTarget[]) {
  const ids = (section: string) =>
    [valueAt(file, [section])].flat().flatMap((item) => {
      const id = valueAt(item, ['id'])
      return typeof id === 'string' ? [id] : []
    })
  const audiences = new Map(targets.map(({ id, audience }) => [id, audience]))
  return {
    connectors: new Set(ids('connectors')),
    targets: new Map(ids('targets').map((id) => [id, audiences.get(id) ?? id])),
  }
}

async function readTables({ tables }: MainFile, folder: string, ports: LoadPorts) {
  const read: Record<string, Tables[string]> = {}
  const mistakes: Mistake[] = []
  const texts: string[] = []
  for (const [name, table] of Object.entries(tables)) {
    if (!isCsvTable(table)) {
      read[name] = table as Tables[string]
      continue
    }
    const path = ['tables', name, 'csv']
    const text = await ports.readFile(resolve(folder, table.csv)).catch((error: unknown) => ({ error }))
    if (typeof text !== 'string') {
      mistakes.push({ path, message: unreadable(text.error, 'write it, or name another') })
      continue
    }
    const rows = readTable(text)
    if (typeof rows === 'number') {
      mistakes.push({ path, message: `line ${rows} of ${table.csv} is not key,text; write two columns` })
    } else read[name] = rows
    texts.push(text)
  }
  return { tables: read, mistakes, texts }
}
