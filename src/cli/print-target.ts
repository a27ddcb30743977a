import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { TargetConfig } from '../config/gateway.ts'
import type { Loaded } from '../config/load.ts'
import { decide } from '../core/decide.ts'
import { type Grant, grantsAt } from '../core/decision.ts'
import type { GeneratedFile } from '../core/ports.ts'
import { type Possible, possibleGrants } from '../core/possible.ts'
import { keptCluster } from '../live-targets.ts'
import { targetTypes } from '../targets/index.ts'
import type { PrintWorld, Target } from '../targets/target.ts'
import { openBeside } from './beside.ts'
import { type Args, type Io, UsageError } from './command.ts'
import { signedIn } from './signed-in.ts'

/** What printing for a type of target gives: each names its own configuration, which its own schema has read. */
interface Printer {
  readonly flavours: readonly string[]
  printProblems(config: TargetConfig, world: PrintWorld): readonly string[]
  printFiles(config: TargetConfig, world: PrintWorld): readonly GeneratedFile[]
}

/** The options that only clusters have. */
export const clusterOptions = {
  namespaces: { value: 'A,B', help: 'namespaces in which rules give roles by names without an end' },
  seen: { help: 'the same for the namespaces of everybody who is signed in now' },
  'issuer-ca': { value: 'FILE', help: "PEM of who signed the gateway's certificate" },
  'cluster-ca': { value: 'FILE', help: "PEM of who signed the cluster's certificate" },
} as const

/** The files for a target; undefined where the configuration does not do for them, which has been said then. */
export async function filesOfTarget(
  target: TargetConfig,
  loaded: Loaded,
  args: Args,
  io: Io,
): Promise<readonly GeneratedFile[] | undefined> {
  const type = targetTypes[target.type as keyof typeof targetTypes]
  if (!('print' in type)) {
    io.err(`lotse print: there is nothing to print for a target of type ${target.type} yet`)
    return undefined
  }
  const { flavours, printProblems, printFiles } = (await type.print()) as unknown as Printer
  const flavour = args.text('flavour')
  if (flavour !== undefined && !flavours.includes(flavour))
    throw new UsageError(`no flavour ${JSON.stringify(flavour)}; there are ${flavours.join(', ')}`)
  const { issuer, clients, connectors } = loaded.config
  const world: PrintWorld = {
    issuer: new URL(issuer),
    clients,
    domains: [...new Set(connectors.flatMap(({ domain }) => domain ?? []))],
    ...(flavour === undefined ? {} : { flavour }),
    ...(await clusterWorld(target, loaded, args, io)),
  }
  const problems = printProblems(target, world)
  for (const problem of problems) io.err(`lotse print: target ${target.id}: ${problem}`)
  return problems.length > 0 ? undefined : printFiles(target, world)
}

async function clusterWorld(target: TargetConfig, loaded: Loaded, args: Args, io: Io): Promise<Partial<PrintWorld>> {
  if (target.type !== 'kubernetes') {
    refuseClusterOptions(target.id, args)
    return {}
  }
  const opened = targetTypes.kubernetes.open(target as never) // it was read by the schema of its type
  const named = namespacesOf(args, opened)
  const seen = args.flag('seen') ? await seenNamespaces(target.id, loaded, args, io) : undefined
  const possible = possibleGrants(loaded.policy, opened, [...new Set([...named, ...(seen ?? [])])])
  // The gateway binds what it meets by itself there, and no list is wanted.
  const wanted = keptCluster(target) ? { ...possible, open: [] } : possible
  for (const line of missing(wanted, named, seen)) io.err(`lotse print: ${line}`)
  const [issuer, consumer] = [await pem(args, io, 'issuer-ca'), await pem(args, io, 'cluster-ca')]
  return { possible, authorities: { ...(issuer && { issuer }), ...(consumer && { consumer }) } }
}

/** @throws {UsageError} where an option that only clusters have was given for something else */
export function refuseClusterOptions(id: string, args: Args): void {
  const stray = Object.keys(clusterOptions).find((option) => args.flag(option) || args.text(option) !== undefined)
  if (stray !== undefined) throw new UsageError(`--${stray} is for clusters, and ${id} is none`)
}

function namespacesOf(args: Args, target: Target): readonly string[] {
  const names = (args.text('namespaces') ?? '').split(',').filter((name) => name !== '')
  for (const namespace of names) {
    const bad = target.refuse({ target: target.id, namespace, roles: ['view'] })
    if (bad !== undefined) throw new UsageError(`--namespaces ${namespace}: ${bad}`)
  }
  return names
}

/** What the files will not have, although somebody named it or a rule gives it. */
function missing(
  { grants, open }: Possible,
  named: readonly string[],
  seen: readonly string[] | undefined,
): readonly string[] {
  const given = new Set(grants.flatMap(namespaceOf))
  const unsaid = open.length > 0 && named.length === 0 && seen === undefined
  return [
    ...named.filter((name) => !given.has(name)).map((name) => `no rule gives roles in the namespace ${name}`),
    ...(unsaid
      ? [
          `claims complete ${open.join(', ')}: say by --namespaces A,B or --seen which bindings are printed for namespaces`,
        ]
      : []),
  ]
}

/** In which namespaces the rules give roles to those who are signed in. */
async function seenNamespaces(
  target: string,
  { config, policy }: Loaded,
  args: Args,
  io: Io,
): Promise<readonly string[]> {
  const beside = await openBeside(args, io, ['store'])
  try {
    const found: string[] = []
    for (const { id } of config.connectors) {
      const live = await signedIn({ kind: 'connector', id }, beside.store, io)
      const grants = live.flatMap(({ proof }) => grantsAt(decide(policy, proof.subject, io.now()), target))
      found.push(...grants.flatMap(namespaceOf))
    }
    return found
  } finally {
    await beside.close()
  }
}

const namespaceOf = (grant: Grant) => ('namespace' in grant ? [grant.namespace] : [])

/** @throws {UsageError} where the file holds no certificate */
async function pem(args: Args, io: Io, option: keyof typeof clusterOptions): Promise<string | undefined> {
  const path = args.text(option)
  if (path === undefined) return undefined
  const blocks = (await readFile(resolve(io.cwd, path), 'utf8')).match(
    /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g,
  )
  if (blocks === null) throw new UsageError(`--${option}: there is no certificate in ${path}`)
  return `${blocks.join('\n').replaceAll('\r', '')}\n`
}
