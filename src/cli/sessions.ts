import { resolve } from 'node:path'
import { problemText } from '../config/problem.ts'
import { configurationReader } from '../configuration.ts'
import { decide } from '../core/decide.ts'
import type { Decision } from '../core/decision.ts'
import { accountId, type Subject } from '../core/subject.ts'
import type { SignIn } from '../lifecycle/end.ts'
import { openBeside } from './beside.ts'
import { type Args, type Command, configOption, configPath, exit, type Io } from './command.ts'
import { clientsOf } from './revoke-report.ts'
import { chosen, selectorOf, selectorOptions } from './selectors.ts'
import { signedIn } from './signed-in.ts'
import { count, instant, jsonLines, tableOf } from './table.ts'

/** `lotse sessions`: what a person, or everybody of a connector, holds at this moment. */
export const command: Command = {
  usage: '(--subject SUB | --subject CONNECTOR/ID | --connector ID) [--json] [--config FILE]',
  details: `One line for each sign-in: since when, when the upstream last answered for it and until when that is good, from which
client and address it came, which clients hold tokens of it, and what the rules give for it now. --json also has the
ids by which lotse revoke ends one sign-in (--proof) or one browser's session (--session).
Where the configuration does not load, sign-ins are listed without what the rules give. Exits with 1 where nobody is
signed in.`,
  options: {
    ...configOption,
    subject: selectorOptions.subject,
    connector: selectorOptions.connector,
    json: { help: 'a JSON array, for programs' },
  },
  async run(args, io) {
    const choice = chosen(args, ['subject', 'connector'])
    const selector = selectorOf({ by: choice.by === 'subject' ? 'subject' : 'connector', text: choice.text })
    const beside = await openBeside(args, io, ['store'])
    try {
      const live = (await signedIn(selector, beside.store, io)).toSorted(bySince)
      const decideNow = live.length === 0 ? undefined : await rulesOf(args, io)
      const held = live.map((signIn) => ({ signIn, decision: decideNow?.(signIn.proof.subject) }))
      if (args.flag('json')) io.out(jsonLines(held.map(json)))
      else if (held.length > 0) for (const line of text(held)) io.out(line)
      if (held.length === 0) io.err(`lotse sessions: nobody is signed in by ${choice.by} ${choice.text}`)
      return held.length === 0 ? exit.refused : exit.ok
    } finally {
      await beside.close()
    }
  },
}

const bySince = (one: SignIn, other: SignIn) => one.proof.signedInAt - other.proof.signedInAt

/** The rules as the configuration has them now; undefined, with a line on standard error, where it does not load. */
async function rulesOf(args: Args, io: Io): Promise<((subject: Subject) => Decision) | undefined> {
  const loaded = await configurationReader(io)(resolve(io.cwd, configPath(args, io)))
  if (loaded.ok) return (subject) => decide(loaded.policy, subject, io.now())
  const [first] = loaded.problems
  io.err(
    `lotse sessions: without what the rules give, since the configuration does not load: ${first && problemText(first)}`,
  )
  return undefined
}

interface Held {
  readonly signIn: SignIn
  /** Undefined where the rules could not be read. */
  readonly decision: Decision | undefined
}

function text(held: readonly Held[]): readonly string[] {
  const head = ['PERSON', 'SINCE', 'LAST PROVEN', 'GOOD UNTIL', 'CAME FROM', 'CLIENTS', 'GETS', 'PROOF']
  const rows = held.map(({ signIn: { id, proof, families }, decision }) => [
    `${proof.subject.connector}/${proof.subject.id}`,
    instant(proof.signedInAt),
    instant(proof.provenAt),
    instant(proof.goodUntil),
    `${proof.via.client} at ${proof.via.address}`,
    clientsOf(families).join(', ') || '-',
    decision ? given(decision) : '?',
    id,
  ])
  return [...tableOf(head, rows), count(held.length, 'sign-in')]
}

/** Short enough for a line: how much at which target. */
function given({ allowed, grants }: Decision): string {
  if (!allowed) return 'nothing'
  const targets = [...new Set(grants.map(({ target }) => target))]
  if (targets.length === 0) return 'to come in'
  return targets
    .map((target) => `${target}: ${count(grants.filter((grant) => grant.target === target).length, 'grant')}`)
    .join(', ')
}

/** Everything but claims and what is sealed. */
function json({ signIn: { id, proof, sessions, families }, decision }: Held) {
  const { subject, signedInAt, provenAt, goodUntil, via } = proof
  return {
    proof: id,
    sub: accountId(subject),
    connector: subject.connector,
    upstreamId: subject.id,
    since: signedInAt,
    provenAt,
    goodUntil,
    client: via.client,
    address: via.address,
    clients: clientsOf(families),
    sessions,
    // Infinity is no JSON.
    decision: decision && { ...decision, until: Number.isFinite(decision.until) ? decision.until : null },
  }
}
