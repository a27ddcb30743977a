import { basename, join } from 'node:path'
import type { TenantSource } from '../core/policy.ts'
import type { Mistake } from './check-clients.ts'
import { tenantMistakes } from './check-tenant.ts'
import type { ConfigSchema, MainFile, TenantAllowance, TenantFile } from './compose.ts'
import { parse } from './parse.ts'
import type { Problem } from './problem.ts'
import { fillReferences, tenantBounds, unreadable } from './references.ts'
import { readSource, type Source } from './yaml.ts'

/** How tenants' files are reached. */
export interface TenantPorts {
  /** @throws where the file cannot be read */
  readonly readFile: (path: string) => Promise<string>
  /** The names of the files in a folder. @throws where there is no such folder */
  readonly listDir: (path: string) => Promise<readonly string[]>
  readonly env: Readonly<Record<string, string | undefined>>
  /** What earlier loads have read, by path: an unchanged file is not read as YAML again. Filled by the loader. */
  readonly memory?: Map<string, ReadTenant>
}

/** One file of a tenant, read for itself. */
export interface ReadTenant {
  readonly text: string
  readonly allowed: TenantAllowance
  /** `allowed` as text, to see whether it has changed. */
  readonly bounds: string
  readonly source: Source
  readonly file: TenantFile | undefined
  readonly problems: readonly Problem[]
  /** With secrets in place, once they were. */
  tenant?: { readonly secrets: readonly string[]; readonly value: Tenant }
}

/** A tenant whose file is right by itself. */
export interface Tenant {
  readonly id: string
  readonly source: Source
  readonly file: TenantFile
  /** What its rules are compiled from; the same object as long as nothing of it changes. */
  readonly rules: TenantSource
}

/** A tenant that takes no part until its file is right (law 13). */
export interface DisabledTenant {
  readonly id: string
  readonly problems: readonly Problem[]
}

export interface Tenants {
  readonly tenants: readonly Tenant[]
  readonly disabled: readonly DisabledTenant[]
  /** Names and texts of all files, for the digest. */
  readonly texts: readonly string[]
  readonly secrets: readonly string[]
  /** Files that were looked for and are not there. */
  readonly absent: readonly Mistake[]
}

const none: Tenants = { tenants: [], disabled: [], texts: [], secrets: [], absent: [] }

/** How many files are open at once. */
const AT_ONCE = 64

/** Reads all tenants' files beside the main file; each stands or falls by itself. */
export async function readTenants(main: MainFile, schema: ConfigSchema, ports: TenantPorts): Promise<Tenants> {
  const block = main.tenants
  if (!block) return none
  const listed = await ports.listDir(block.folder).catch((error: unknown) => ({ error }))
  if ('error' in listed) {
    const message = `the folder ${block.folder} ${unreadable(listed.error, 'make it, or name another')}`
    return { ...none, absent: [{ path: ['tenants', 'folder'], message }] }
  }
  const names = listed.filter((name) => /\.ya?ml$/.test(name) && !name.startsWith('.')).sort()
  const read: Awaited<ReturnType<typeof readTenant>>[] = []
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const batch = names.slice(at, at + AT_ONCE)
    read.push(...(await Promise.all(batch.map((name) => readTenant(name, main, schema, ports)))))
  }
  const missing = Object.keys(block.named).filter((id) => !names.includes(`${id}.yaml`))
  return {
    tenants: read.flatMap(({ tenant }) => (tenant ? [tenant] : [])),
    disabled: read.flatMap(({ id, tenant, problems }) => (tenant ? [] : [{ id, problems }])),
    texts: read.flatMap(({ id, text }) => [id, text]),
    secrets: read.flatMap(({ secrets }) => secrets),
    absent: missing.map((id) => ({ path: ['tenants', 'named', id], message: `has no file ${id}.yaml yet` })),
  }
}

interface Outcome {
  readonly id: string
  readonly text: string
  readonly secrets: readonly string[]
  readonly problems: readonly Problem[]
  readonly tenant?: Tenant
}

async function readTenant(name: string, main: MainFile, schema: ConfigSchema, ports: TenantPorts): Promise<Outcome> {
  const folder = main.tenants?.folder ?? '.'
  const path = join(folder, name)
  const id = basename(name).replace(/\.ya?ml$/, '')
  const fail = (problems: readonly Problem[], text = ''): Outcome => ({ id, text, problems, secrets: [] })
  const refuse = (message: string) => fail([{ file: path, line: 1, column: 1, path: [], message }])
  if (!name.endsWith('.yaml')) return refuse(`tenants' files end in .yaml; rename it to ${id}.yaml`)
  const text = await ports.readFile(path).catch((error: unknown) => ({ error }))
  if (typeof text !== 'string') return refuse(unreadable(text.error, 'write it, or take it away'))
  const allowed = allowance(main, id)
  if (!allowed)
    return refuse(`the main file gives this tenant nothing; name it under tenants.named, or write tenants.each`)
  const known = ports.memory?.get(path)
  const same = known?.text === text && (known.allowed === allowed || known.bounds === JSON.stringify(allowed))
  const fresh = same ? known : understand(path, text, allowed, schema)
  ports.memory?.set(path, fresh)
  if (!fresh.file || fresh.problems.length > 0) return fail(fresh.problems, text)
  const { source, file } = fresh
  const scope = { folder, env: ports.env, readFile: ports.readFile, refuse: tenantBounds(id) }
  const filled = await fillReferences(file.connectors, scope, ['connectors'])
  const connectors = filled.value as TenantFile['connectors']
  const wrong = [
    ...filled.problems,
    ...tenantMistakes(id, file, allowed, main),
    ...schema.contradictions({ connectors }),
  ]
  if (wrong.length > 0)
    return fail(
      wrong.map((each) => source.problem(each.path, each.message)),
      text,
    )
  const before = fresh.tenant
  const unchanged = JSON.stringify(before?.secrets) === JSON.stringify(filled.secrets)
  const tenant = before && unchanged ? before.value : completed(id, fresh, connectors)
  if (tenant) fresh.tenant = { secrets: filled.secrets, value: tenant }
  return { id, text, problems: [], secrets: filled.secrets, ...(tenant && { tenant }) }
}

function completed(id: string, read: ReadTenant, connectors: TenantFile['connectors']): Tenant | undefined {
  const { source, allowed, file } = read
  if (!file) return undefined
  const own = connectors.map((connector) => ({ ...connector, tenant: id }))
  const { admit, vars, rules, ruleSets } = file
  const { connectorTypes, emailDomains, ...limits } = allowed
  return {
    id,
    source,
    file: { ...file, connectors: own },
    rules: { id, connectors: own, admit, vars, rules, ruleSets, limits },
  }
}

function understand(path: string, text: string, allowed: TenantAllowance, schema: ConfigSchema): ReadTenant {
  const source = readSource(path, text)
  const bounds = JSON.stringify(allowed)
  if (source.value === undefined) return { text, allowed, bounds, source, file: undefined, problems: source.problems }
  const { findings, value } = parse(schema.tenant, source.value)
  const found = findings.map((finding) => source.problem(finding.path, finding.message, finding.at))
  return { text, allowed, bounds, source, file: value, problems: [...source.problems, ...found] }
}

function allowance({ tenants }: MainFile, id: string): TenantAllowance | undefined {
  if (!/^(?=.{1,32}$)[a-z0-9]+(-[a-z0-9]+)*$/.test(id)) return undefined
  return Object.hasOwn(tenants?.named ?? {}, id) ? tenants?.named[id] : tenants?.each
}
