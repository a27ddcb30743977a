import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Audit } from '../audit.ts'
import type { SigningAlg } from '../core/ports.ts'
import { readPrivateKey } from '../keys/import.ts'
import { signingAlgs } from '../keys/keypair.ts'
import type { KeyInfo, RingSpec, Rings, Rotation } from '../keys/rings.ts'
import { type Args, type Command, configOption, exit, type Io, UsageError } from './command.ts'
import { instant, jsonLines, tableOf } from './table.ts'

/** What the command works on. */
export interface KeyTools {
  readonly rings: Rings
  readonly specs: readonly RingSpec[]
  /** Seconds that a next key is published before it signs. */
  readonly lead: number
  readonly audit: Audit
  close(): Promise<void>
}

/** `lotse keys`, on the rings that `open` finds for the given arguments. */
export function keysCommand(open: (args: Args, io: Io) => Promise<KeyTools>): Command {
  return {
    usage: 'list | rotate RING [--alg ALG] [--now | --emergency] | import RING FILE [--alg ALG]',
    details: [
      'A running gateway sees what this changes within a second.',
      '',
      'rotate publishes a next key, which signs once it was published for keys.lead; where one was published for so long,',
      '  it signs at once. --now does not wait: who cached the keys may refuse tokens until its cache ends.',
      '  --emergency drops every older key of the algorithm: what they signed is refused from now on.',
      'import takes a private key, PEM or JWK (RSA from 2048 bits, P-256, P-384); FILE is - for standard input. It signs',
      '  after keys.lead, and stays until it is rotated by hand.',
      'The ring saml, which SAML upstreams know, never rotates by itself: rotate it, give them the new metadata within a week.',
      '  For this ring keys.lead is that week, whatever the configuration says.',
    ].join('\n'),
    options: {
      ...configOption,
      alg: { value: 'ALG', help: `the algorithm: ${signingAlgs.join(', ')}; rotate: all of the ring if absent` },
      now: { help: 'rotate at once; the old key stays published until its last token is dead' },
      emergency: { help: 'rotate at once and drop the older keys' },
      json: { help: 'list for programs' },
    },
    async run(args, io) {
      const act = action(args)
      const tools = await open(args, io)
      try {
        return await act(tools, args, io)
      } finally {
        await tools.close()
      }
    },
  }
}

type Action = (tools: KeyTools, args: Args, io: Io) => Promise<number>

const actions: Readonly<
  Record<string, { readonly run: Action; readonly words: readonly string[]; readonly takes: readonly string[] }>
> = {
  list: { run: list, words: [], takes: ['json'] },
  rotate: { run: rotate, words: ['RING'], takes: ['alg', 'now', 'emergency'] },
  import: { run: importFile, words: ['RING', 'FILE'], takes: ['alg'] },
}

/** Everything that can be refused is refused before the store is opened. */
function action(args: Args): Action {
  const [verb, ...words] = args.words
  const found = verb !== undefined && Object.hasOwn(actions, verb) ? actions[verb] : undefined
  if (!found) throw new UsageError(`say what to do with keys: ${Object.keys(actions).join(', ')}`)
  if (words.length !== found.words.length) throw new UsageError(`write: lotse keys ${[verb, ...found.words].join(' ')}`)
  for (const option of ['alg', 'now', 'emergency', 'json'])
    if ((args.flag(option) || args.text(option) !== undefined) && !found.takes.includes(option))
      throw new UsageError(`keys ${verb} takes no --${option}`)
  if (args.flag('now') && args.flag('emergency')) throw new UsageError('--now and --emergency contradict each other')
  algOf(args)
  return found.run
}

function algOf(args: Args): SigningAlg | undefined {
  const text = args.text('alg')
  if (text === undefined) return undefined
  const alg = signingAlgs.find((each) => each === text)
  if (!alg) throw new UsageError(`no algorithm ${text}; write ${signingAlgs.join(', ')}`)
  return alg
}

async function list({ rings }: KeyTools, args: Args, io: Io): Promise<number> {
  const keys = [...rings.list()].sort(byRingAndState)
  if (args.flag('json')) {
    io.out(jsonLines(keys))
    return exit.ok
  }
  if (keys.length === 0) io.err('no keys yet: the gateway makes them at its first start')
  else for (const line of table(keys)) io.out(line)
  return exit.ok
}

const stateOrder = ['current', 'next', 'retired']

function byRingAndState(one: KeyInfo, other: KeyInfo): number {
  const key = ({ ring, alg, state, kid }: KeyInfo) => [ring, alg, stateOrder.indexOf(state), kid].join('\n')
  return key(one) < key(other) ? -1 : 1
}

function table(keys: readonly KeyInfo[]): readonly string[] {
  const rows = keys.map((key) => [
    key.ring,
    key.alg,
    key.state,
    instant(key.stateSince),
    key.imported ? 'imported' : 'made here',
    key.kid,
  ])
  return tableOf(['RING', 'ALG', 'STATE', 'SINCE', 'FROM', 'KID'], rows)
}

async function rotate({ rings, specs, lead }: KeyTools, args: Args, io: Io): Promise<number> {
  const ring = args.words[1] ?? ''
  const how: Rotation = args.flag('emergency') ? 'emergency' : args.flag('now') ? 'now' : 'orderly'
  const spec = specs.find(({ name }) => name === ring)
  if (!spec) throw new UsageError(`no ring ${ring}; there is ${specs.map(({ name }) => name).join(', ')}`)
  const wanted = algOf(args)
  if (wanted && !spec.algs.includes(wanted)) throw new UsageError(`ring ${ring} signs ${spec.algs.join(', ')}`)
  for (const alg of wanted ? [wanted] : spec.algs) {
    const answer = await rings.rotate(ring, alg, how)
    io.out(`${ring} ${alg}: ${sentence(rings, { ring, alg, lead: spec.timing?.lead ?? lead, answer })}`)
  }
  return exit.ok
}

/** What the operator may expect now. */
function sentence(
  rings: Rings,
  { ring, alg, lead, answer }: { ring: string; alg: SigningAlg; lead: number; answer: 'promoted' | 'announced' },
): string {
  const state = answer === 'promoted' ? 'current' : 'next'
  const key = rings.list().find((each) => each.ring === ring && each.alg === alg && each.state === state)
  if (!key) return answer
  if (answer === 'promoted') return `${key.kid} signs now`
  return `${key.kid} is published and signs from ${instant(key.stateSince + lead)} on`
}

async function importFile(tools: KeyTools, args: Args, io: Io): Promise<number> {
  const [, ring = '', file = ''] = args.words
  const text = file === '-' ? await io.input() : await readFile(resolve(io.cwd, file), 'utf8')
  const alg = algOf(args)
  const jwk = readPrivateKey(text)
  const { kid, alg: taken, state, stateSince } = await tools.rings.import(ring, alg ? { ...jwk, alg } : jwk)
  await tools.audit('command', { event: 'key.imported', ring, alg: taken, kid })
  const lead = tools.specs.find(({ name }) => name === ring)?.timing?.lead ?? tools.lead
  const from = state === 'current' ? 'signs now' : `signs from ${instant(stateSince + lead)} on`
  io.out(`${ring} ${taken}: ${kid} is published and ${from}`)
  return exit.ok
}

/** `lotse keys` on the store that the configuration names. */
export const command: Command = keysCommand(async (args, io) => {
  const { openKeyTools } = await import('./key-tools.ts')
  return openKeyTools(args, io)
})
