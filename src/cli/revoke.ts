import { randomBytes } from 'node:crypto'
import type { Audit } from '../audit.ts'
import { openDue } from '../leases/due.ts'
import { type Ends, type Family, type Found, openEnds, type Selector } from '../lifecycle/end.ts'
import { openProofShelf, type ProofShelf } from '../lifecycle/proofs.ts'
import { createLog } from '../log.ts'
import { type Beside, type Needed, openBeside } from './beside.ts'
import { type Args, type Command, configOption, exit, type Io, UsageError } from './command.ts'
import { dropKey, type KeyPlan, planForKey } from './revoke-key.ts'
import { isNothing, type Outcome, report, totals } from './revoke-report.ts'
import { type Chosen, chosen, type SelectorName, selectorOf, selectorOptions } from './selectors.ts'

const names = Object.keys(selectorOptions) as SelectorName[]
/** What may be many people at once, by a slip of one word. */
const wide: readonly SelectorName[] = ['connector', 'client', 'key']
/** Sign-ins and families that a wide selector ends unasked. */
const UNASKED = 10
/** Seconds for which what was ended refuses late writes, as in the gateway: longer than any request. */
const REFUSE = 86_400

/** `lotse revoke`: ends what people and clients hold, at once. */
export const command: Command = {
  usage: `(${names.map((name) => `--${name} ${selectorOptions[name].value}`).join(' | ')}) [--dry-run] [--json] [--yes]`,
  details: `Ends exactly what the selector names: sessions, refresh tokens with all that rests on them, and written grants. A
running gateway acts by it within a second, and tells clients with a back channel; one that is down tells them
when it starts. Nothing of it comes back, and nobody is locked out: a person whom the rules allow may sign in again.

--key rotates the key's ring in an emergency first: what the key signed is refused from then on.
--connector, --client and --key ask for --yes where more than ${UNASKED} sign-ins or sets of tokens would end.
Exits with 1 where nothing was found. Works while rules, tenants and secrets of the configuration are broken.`,
  options: {
    ...configOption,
    ...selectorOptions,
    'dry-run': { help: 'say what would end, and change nothing' },
    yes: { help: 'end it, however much it is' },
    json: { help: 'one JSON object, for programs' },
  },
  async run(args, io) {
    const choice = chosen(args, names)
    if (args.flag('dry-run') && args.flag('yes')) throw new UsageError('--dry-run and --yes contradict each other')
    const needed: readonly Needed[] =
      choice.by === 'key' ? ['store', 'audit', 'keys', 'targets', 'clients'] : ['store', 'audit']
    // What can be refused by the words alone is refused before the store is opened.
    const selector = choice.by === 'key' ? undefined : selectorOf({ by: choice.by, text: choice.text })
    const beside = await openBeside(args, io, needed)
    try {
      return await (selector ? revoke({ args, io, beside, choice }, selector) : revokeKey({ args, io, beside, choice }))
    } finally {
      await beside.close()
    }
  },
}

interface Revoking {
  readonly args: Args
  readonly io: Io
  readonly beside: Beside
  readonly choice: Chosen
}

async function revoke(revoking: Revoking, selector: Selector): Promise<number> {
  const ends = endsOf(revoking, await auditFor(revoking))
  const found = await ends.find(selector)
  const state = asked(revoking, found)
  // Also where nothing was found: a grant written at a target may have outlived the sign-in for which it was.
  if (state === 'ended') await ends.end(selector, 'operator', { reference: 'command' })
  return tell(revoking, { selector, found, state })
}

async function revokeKey(revoking: Revoking): Promise<number> {
  const { beside, choice, io } = revoking
  const audit = await auditFor(revoking)
  const keys = await beside.keys(audit)
  const plan: KeyPlan | string = planForKey(keys, beside.config.clients, choice.text)
  if (typeof plan === 'string') {
    io.err(`lotse revoke: ${plan}`)
    return exit.refused
  }
  const { key, selector } = plan
  const ends = endsOf(revoking, audit)
  const found = await ends.find(selector)
  const state = asked(revoking, found)
  if (state !== 'ended') return tell(revoking, { selector, found, state, key: { ring: key.ring, alg: key.alg } })
  const successor = await dropKey(keys, key)
  await ends.end(selector, 'operator', { reference: 'command' })
  return tell(revoking, { selector, found, state, key: { ring: key.ring, alg: key.alg, successor } })
}

/** Opened before anything ends: what cannot be written down is not begun. */
async function auditFor({ args, beside }: Revoking): Promise<Audit> {
  return args.flag('dry-run') ? () => Promise.reject(new Error('a dry run writes nothing')) : beside.audit()
}

const random = () => randomBytes(32).toString('base64url')

function endsOf({ beside, io }: Revoking, audit: Audit): Ends {
  const { store } = beside
  return openEnds({
    store,
    proofs: openProofShelf(store, io.now),
    audit,
    log: createLog('warn', (line) => io.err(line.trimEnd())),
    now: io.now,
    random,
    // The serving process looks at them within a second, at every target into which it writes.
    touched: openDue(store, io.now, random).mark,
    refuseFor: REFUSE,
  })
}

/** What the words allow to be done about what was found. */
function asked({ args, choice }: Revoking, found: Found): Outcome['state'] {
  if (args.flag('dry-run')) return 'dry run'
  const { signIns, families } = totals(found)
  return wide.includes(choice.by) && !args.flag('yes') && signIns + families > UNASKED ? 'refused' : 'ended'
}

async function tell({ args, io, choice, beside }: Revoking, outcome: Omit<Outcome, 'people'>): Promise<number> {
  const people = await peopleOf(openProofShelf(beside.store, io.now), outcome.found.families)
  const { out, err } = report({ ...outcome, people }, choice, args.flag('json') ? 'json' : 'text')
  for (const line of out) io.out(line)
  for (const line of err) io.err(`lotse revoke: ${line}`)
  return outcome.state === 'refused' || isNothing(outcome) ? exit.refused : exit.ok
}

/** Whose tokens they are, as the upstream knows them, by the ids of the proofs that they rest on. */
async function peopleOf(proofs: ProofShelf, families: readonly Family[]): Promise<Outcome['people']> {
  const people = new Map<string, string>()
  for (const { proof: id } of families) {
    const proof = id === undefined || people.has(id) ? undefined : await proofs.get(id)
    if (id !== undefined && proof) people.set(id, `${proof.subject.connector}/${proof.subject.id}`)
  }
  return people
}
