import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import type { Audit } from '../audit.ts'
import { problemText } from '../config/problem.ts'
import { configurationReader, runnable } from '../configuration.ts'
import type { Log } from '../core/ports.ts'
import { type Leases, openLeases } from '../leases/leases.ts'
import type { PassOptions } from '../leases/pass.ts'
import type { World } from '../leases/world.ts'
import { openLines } from '../lifecycle/lines.ts'
import { openProofShelf } from '../lifecycle/proofs.ts'
import { leaseWorld, writablePool } from '../live-targets.ts'
import { createLog } from '../log.ts'
import { openTargets } from '../signing.ts'
import { TargetUnavailable } from '../targets/live.ts'
import { type Beside, openBeside } from './beside.ts'
import { type Args, type Command, configOption, configPath, exit, type Io, UsageError } from './command.ts'
import { boundReport } from './reconcile-bound.ts'
import { accountReport, type Report } from './reconcile-report.ts'
import { jsonLines } from './table.ts'

/** `lotse reconcile`: makes targets equal to what the rules say, now and beside the gateway that serves. */
export const command: Command = {
  usage: '[TARGET] [--dry-run] [--yes] [--json] [--config FILE]',
  details: `Compares everybody at the targets into which the gateway writes (those with reconcile, clusters with apply, or the one
that is named) with what the rules say about who is signed in now, and does what is missing. The gateway does the same
by itself; both may run at once. What administrators granted by hand is never touched.

Where changed rules, or claims, would take from more accounts at once than the target's atOnce allows, or more bindings
of a cluster would go, nothing is taken, by the gateway neither, and this exits with 1: --dry-run shows it, --yes
carries it out.
Upstreams are not asked: the serving gateway does that. Exits with 3 where a target cannot be asked or
written, or where it is stopped before everybody is done.`,
  options: {
    ...configOption,
    'dry-run': { help: 'print the plan, and change nothing' },
    yes: { help: 'take from however many' },
    json: { help: 'a JSON array, for programs' },
  },
  async run(args, io) {
    if (args.words.length > 1) throw new UsageError('name one target, or none')
    if (args.flag('dry-run') && args.flag('yes')) throw new UsageError('--dry-run and --yes contradict each other')
    const read = await configurationReader(io)(resolve(io.cwd, configPath(args, io)))
    if (!read.ok) {
      for (const problem of read.problems) io.err(problemText(problem))
      return exit.refused
    }
    const { config, decide, always } = runnable(read)
    const log = createLog('warn', (line) => io.err(line.trimEnd()))
    const writable = await writablePool({ now: io.now, log })(config, openTargets(config), always)
    const targets = chosenOf([...writable.targets.keys(), ...writable.bound.keys()], args.words[0])
    const beside = await openBeside(args, io, ['store', 'audit'])
    try {
      const world = leaseWorld(config, writable, decide)
      return await reconcile({ args, io, targets, world, leases: await leasesOf(beside, { args, io, log, world }) })
    } finally {
      await beside.close()
    }
  },
}

function chosenOf(live: readonly string[], only: string | undefined): readonly string[] {
  const known = live.join(', ') || 'none'
  if (only === undefined && live.length > 0) return live
  if (only !== undefined && live.includes(only)) return [only]
  throw new UsageError(
    only === undefined
      ? 'no target of this configuration has reconcile or apply: the gateway writes into none'
      : `the gateway does not write into a target ${JSON.stringify(only)}; with reconcile or apply there is ${known}`,
  )
}

interface Given {
  readonly args: Args
  readonly io: Io
  readonly log: Log
  readonly world: World
}

async function leasesOf({ store, audit: openAudit }: Beside, { args, io, log, world }: Given): Promise<Leases> {
  const never = () => Promise.reject(new Error('a dry run writes nothing'))
  const audit: Audit = args.flag('dry-run') ? never : await openAudit()
  return openLeases({
    store: args.flag('dry-run') ? { ...store, put: never, add: never, swap: never, delete: never } : store,
    proofs: openProofShelf(store, io.now),
    lines: openLines(store, audit),
    audit,
    log,
    now: io.now,
    random: () => randomBytes(32).toString('base64url'),
    meter: { due: () => {}, target: () => {}, passed: () => {}, held: () => {} },
    world: () => world,
    stop: io.stop,
  })
}

interface Reconciling {
  readonly args: Args
  readonly io: Io
  /** Ids. */
  readonly targets: readonly string[]
  readonly world: World
  readonly leases: Leases
}

async function reconcile({ args, io, targets, world, leases }: Reconciling): Promise<number> {
  const how: PassOptions['how'] = args.flag('dry-run') ? 'look' : args.flag('yes') ? 'all' : 'guarded'
  const all: Report[] = []
  let failed = false
  for (const target of targets) {
    const report = await one({ io, world, leases }, target, how)
    if (report) all.push(report)
    failed ||= report?.failed ?? true
  }
  if (args.flag('json')) io.out(jsonLines(all.map(({ json }) => json)))
  else for (const { lines } of all) for (const line of lines) io.out(line)
  for (const { summary } of all) for (const line of summary) io.err(`lotse reconcile: ${line}`)
  if (failed) return exit.failed
  return all.some(({ held }) => held) ? exit.refused : exit.ok
}

/** Undefined where the target cannot be asked, which has been said then. */
async function one(
  { io, world, leases }: Pick<Reconciling, 'io' | 'world' | 'leases'>,
  target: string,
  how: PassOptions['how'],
): Promise<Report | undefined> {
  const progress = (done: number, of: number) => {
    if (of > 100) io.err(`lotse reconcile: ${target}: ${done} of ${of} accounts`)
  }
  const options: PassOptions = { how, reference: 'command', progress }
  const live = world.targets.get(target)
  const bound = world.bound.get(target)
  try {
    if (live) return accountReport(await leases.pass(live, options), how)
    return bound && boundReport(await leases.passBound(bound, options), how)
  } catch (error) {
    if (!(error instanceof TargetUnavailable)) throw error
    io.err(`lotse reconcile: ${target}: ${error.message}`)
    return undefined
  }
}
