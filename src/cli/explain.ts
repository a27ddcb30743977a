import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { ConnectorConfig, TargetConfig } from '../config/gateway.ts'
import type { Loaded } from '../config/load.ts'
import { problemText } from '../config/problem.ts'
import { configurationReader } from '../configuration.ts'
import type { Decision } from '../core/decision.ts'
import { LoginError } from '../core/errors.ts'
import { explain } from '../core/explain.ts'
import type { Check } from '../core/ports.ts'
import { accountId, type Subject } from '../core/subject.ts'
import { reaches } from '../http/proofs.ts'
import { clusterAccess, keptCluster } from '../live-targets.ts'
import { targetTypes } from '../targets/index.ts'
import { TargetUnavailable } from '../targets/live.ts'
import { line } from './check-live.ts'
import { subjectFrom } from './claims.ts'
import { type Args, type Command, configOption, configPath, exit, type Io, UsageError } from './command.ts'
import { type ChartedTarget, chart } from './explain-chart.ts'
import { jsonLines } from './table.ts'

/** `lotse explain`: what the rules say about somebody, rule by rule, without a sign-in. */
export const command: Command = {
  usage: '(--claims FILE | --claim NAME=VALUE… | --answer FILE) --connector ID [--target ID] [--live] [--json]',
  details: `What was said, what the rules say to it, and what comes of it at each target.
FILE is a JSON object of claims as the upstream sends them, - for standard input; nested objects become JSON pointers
(/realm_access/roles). NAME=VALUE is one value; the same name again adds one. Without sub or --subject the id is
"somebody". Strengths (acr) are meant as the rules name them: a connector's own translation is not applied.
--answer takes a SAML response that was captured, as base64, as a form's body or as XML, or the vp_token of a wallet as JSON:
each check of a sign-in with what it found, the path of trust, then the same for the person of whom it speaks. Its time and its
request are taken from itself; keys and status of a wallet's issuers are asked for now.
--live asks each cluster with apply, or the one named, what it would let this person do, under exactly the names
that her tokens have, by the gateway's own account. Exits with 1 where the rules give this person nothing, with 3
where a cluster cannot be asked.`,
  options: {
    ...configOption,
    connector: { value: 'ID', help: 'the connector that the person came by' },
    claims: { value: 'FILE', help: 'a JSON object of claims, or - for standard input' },
    claim: { value: 'NAME=VALUE', repeat: true, help: 'one value of one claim' },
    answer: { value: 'FILE', help: 'a captured SAML response or vp_token, or - for standard input' },
    subject: { value: 'ID', help: "the person's id at the upstream; the claim sub if absent" },
    acr: { value: 'ACR', help: 'the strength of the sign-in; the claim acr if absent' },
    amr: { value: 'AMR', repeat: true, help: 'a method of the sign-in; the claim amr if absent' },
    target: { value: 'ID', help: 'only this target' },
    live: { help: 'ask clusters what they let this person do' },
    json: { help: 'one JSON object, for programs' },
  },
  run: async (args, io) => {
    const id = args.text('connector')
    if (id === undefined) throw new UsageError('say by --connector ID where the person came from')
    if (args.words.length > 0) {
      throw new UsageError(`${JSON.stringify(args.words[0])} is too much; write --claim NAME=VALUE`)
    }
    const loaded = await configurationReader(io)(configPath(args, io))
    if (!loaded.ok) {
      for (const problem of loaded.problems) io.err(problemText(problem))
      return exit.refused
    }
    const connector = loaded.config.connectors.find((each) => each.id === id)
    if (!connector) {
      const known = loaded.config.connectors.map((each) => each.id).join(', ')
      throw new UsageError(`no connector ${JSON.stringify(id)}; there is ${known || 'none'}`)
    }
    if (args.text('answer') === undefined)
      return answer({ args, io, loaded, checks: [], subject: await asked(args, io, connector) })
    const { inspectAnswer } = await import('./explain-answer.ts')
    const { checks, subject } = await inspectAnswer(connector, loaded.config, args, io)
    if (!args.flag('json')) for (const check of checks) io.out(line(connector.id, check))
    if (subject) return answer({ args, io, loaded, checks, subject })
    if (args.flag('json')) io.out(jsonLines({ checks }))
    return exit.refused
  },
}

async function asked(args: Args, io: Io, connector: ConnectorConfig): Promise<Subject> {
  const file = args.text('claims')
  const text =
    file === undefined ? '{}' : file === '-' ? await io.input() : await readFile(resolve(io.cwd, file), 'utf8')
  const { subjectClaim, ignore } = connector
  const said = { connector: connector.id, text, pairs: args.list('claim'), now: io.now() }
  return subjectFrom(said, {
    id: args.text('subject'),
    acr: args.text('acr'),
    amr: args.list('amr'),
    ...(typeof subjectClaim === 'string' && { subjectClaim }),
    ...(Array.isArray(ignore) && { ignore: ignore.map(String) }),
  })
}

interface Answering {
  readonly args: Args
  readonly io: Io
  readonly loaded: Loaded
  /** Of a captured answer; empty where none was. */
  readonly checks: readonly Check[]
  readonly subject: Subject
}

async function answer({ args, io, loaded, checks, subject }: Answering): Promise<number> {
  const explanation = explain(loaded.policy, subject, io.now())
  const { decision } = explanation
  const about = { decision, sub: accountId(subject), issuer: new URL(loaded.config.issuer) }
  const asked = chosen(args, loaded)
  if (args.flag('live')) refuseUnasked(asked)
  const foretell = args.flag('live') ? reviewedLive : foretold
  const targets = await Promise.all(asked.map((target) => foretell(target, about)))
  if (args.flag('json')) {
    const until = Number.isFinite(decision.until) ? decision.until : null
    const { sub } = about
    const { rules } = explanation
    const checked = checks.length > 0 ? { checks } : {}
    io.out(jsonLines({ ...checked, subject, sub, decision: { ...decision, until }, rules, targets }))
  } else for (const line of chart({ subject, explanation, targets, columns: io.columns })) io.out(line)
  if (targets.some(({ unasked }) => unasked !== undefined)) return exit.failed
  return decision.allowed ? exit.ok : exit.refused
}

function chosen(args: Args, { config }: Loaded): readonly TargetConfig[] {
  const wanted = args.text('target')
  if (wanted !== undefined && !config.targets.some(({ id }) => id === wanted)) {
    throw new UsageError(
      `no target ${JSON.stringify(wanted)}; there is ${config.targets.map(({ id }) => id).join(', ') || 'none'}`,
    )
  }
  return config.targets.filter(({ id }) => wanted === undefined || id === wanted)
}

interface About {
  readonly decision: Decision
  readonly sub: string
  readonly issuer: URL
}

/** What comes of a decision at one target: the names that it will see, and what it makes of them where that is known. */
async function foretold(config: TargetConfig, about: About): Promise<ChartedTarget> {
  const type = targetTypes[config.type as keyof typeof targetTypes]
  // The schema has read the options of exactly this type.
  const { id, label, describe } = type.open(config as never)
  const names = { id, label, names: describe(about.decision) }
  if (!('simulate' in type) || !reaches(about.decision, id)) return names
  const { simulate } = await type.simulate()
  try {
    return { ...names, keystone: simulate(config as never, about) }
  } catch (error) {
    if (!(error instanceof LoginError)) throw error
    return { ...names, unsayable: `${error.message} (${error.code})` }
  }
}

/** @throws {UsageError} where the gateway has no account at any of these */
function refuseUnasked(targets: readonly TargetConfig[]): void {
  if (targets.some((target) => keptCluster(target))) return
  const ids = targets.map(({ id }) => id).join(', ')
  throw new UsageError(
    `--live asks clusters by the gateway's own account, and it has none at ${ids}; give the target apply`,
  )
}

/** The same, with what the cluster itself says where the gateway may ask it. */
async function reviewedLive(config: TargetConfig, about: About): Promise<ChartedTarget> {
  const names = await foretold(config, about)
  const cluster = keptCluster(config)
  if (cluster === undefined || !reaches(about.decision, config.id)) return names
  try {
    targetTypes.kubernetes.open(cluster).claims(about.decision, 'access_token')
    const { reviewed } = await targetTypes.kubernetes.ask()
    return { ...names, cluster: await reviewed(cluster, about.decision, clusterAccess(cluster)) }
  } catch (error) {
    if (error instanceof LoginError) return { ...names, unsayable: `${error.message} (${error.code})` }
    if (error instanceof TargetUnavailable) return { ...names, unasked: error.message }
    throw error
  }
}
