import { parseArgs } from 'node:util'
import { nearest } from '../core/nearest.ts'
import type { Clock } from '../core/ports.ts'

/** Exit codes of every command; `lotse --help` and docs/guides/command-line.md name them. */
export const exit = {
  /** Done, and the answer is yes. */
  ok: 0,
  /** Done, and the answer is no: the configuration has problems, a check did not hold. */
  refused: 1,
  /** The command line was not understood; nothing was done. */
  usage: 2,
  /** It could not be done: a file, the store or the network failed. */
  failed: 3,
} as const

/** What a command may use of the process; process.ts fills it, tests hand in their own. */
export interface Io {
  /** Writes text to standard output, with a line end after it. */
  readonly out: (text: string) => void
  /** Writes text to standard output as it is; resolves when the operating system has it. @throws where it does not take it */
  readonly send: (text: string) => Promise<void>
  /** Writes text to standard error, with a line end after it. */
  readonly err: (text: string) => void
  /** All of standard input. */
  readonly input: () => Promise<string>
  readonly env: Readonly<Record<string, string | undefined>>
  /** The working directory. */
  readonly cwd: string
  /** Columns of the terminal behind standard output; undefined where there is none, and then no colour is written. */
  readonly columns: number | undefined
  readonly now: Clock
  /** The id of the process that started this one; absent where nobody needs it. */
  readonly parent?: number
  /** Aborted by SIGINT or SIGTERM: finish what was accepted and return. A second signal ends the process at once. */
  readonly stop: AbortSignal
  /** Calls back at every SIGHUP, until the process ends. */
  readonly onHangup: (listener: () => void) => void
}

/** One option of a command; `value` names what it takes (`FILE`), and an option without is a switch. */
export interface Option {
  readonly help: string
  readonly value?: string
  readonly short?: string
  readonly repeat?: true
}

/** The words after the command, understood. */
export interface Args {
  readonly words: readonly string[]
  /** Whether a switch was given. */
  flag(option: string): boolean
  /** The value of an option; undefined where it was not given. */
  text(option: string): string | undefined
  /** All values of an option that may be repeated. */
  list(option: string): readonly string[]
}

/** One command. Its file exports it as `command`; the table in cli/index.ts names and summarises it. */
export interface Command {
  /** The grammar after the command's name: `(--claims FILE | --claim NAME=VALUE…) --connector ID`. */
  readonly usage: string
  /** Further paragraphs for `--help`. */
  readonly details?: string
  readonly options: Readonly<Record<string, Option>>
  /**
   * Runs to its end and says how it went, by one of `exit`.
   * @throws {UsageError} where the arguments make no sense together (exit 2); any other error is printed and exits 3
   */
  run(args: Args, io: Io): Promise<number>
}

/** The command line was not understood; the message says what to write instead. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The option by which every command finds the configuration. */
export const configOption = {
  config: {
    value: 'FILE',
    short: 'c',
    help: 'the main configuration file; LOTSE_CONFIG or config/gateway.yaml if absent',
  },
} as const satisfies Record<string, Option>

/** The path of the main configuration file, as given or by default. */
export function configPath(args: Args, io: Io): string {
  return args.text('config') ?? io.env['LOTSE_CONFIG'] ?? 'config/gateway.yaml'
}

/**
 * Reads the words after a command's name.
 * @throws {UsageError} for an unknown option (with the nearest known one), a missing or a surplus value
 */
export function readArgs(words: readonly string[], options: Readonly<Record<string, Option>>): Args {
  const spec = Object.fromEntries(
    Object.entries(options).map(([name, { value, short, repeat }]) => [
      name,
      { type: value ? 'string' : 'boolean', multiple: repeat ?? false, ...(short && { short }) } as const,
    ]),
  )
  const { values, positionals } = parsed(words, spec)
  return {
    words: positionals,
    flag: (option) => values[option] === true,
    text: (option) => {
      const value = values[option]
      return typeof value === 'string' ? value : undefined
    },
    list: (option) => {
      const value = values[option]
      return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
    },
  }
}

/** Of two values the first would be dropped in silence: of two people who are to be revoked one would stay. @throws {UsageError} */
function onceEach(tokens: readonly { readonly kind: string; readonly name?: string }[], options: Spec): void {
  const met = new Set<string>()
  for (const { kind, name = '' } of tokens) {
    if (kind !== 'option' || options[name]?.type !== 'string' || options[name].multiple) continue
    if (met.has(name)) throw new UsageError(`--${name} is there twice; it takes one value`)
    met.add(name)
  }
}

type Spec = Record<string, { type: 'string' | 'boolean'; multiple: boolean; short?: string }>

type Parsed = { values: Readonly<Record<string, unknown>>; positionals: readonly string[] }

/** Ids of keys and sign-ins may begin with `-`; a long text after an option that takes one is its value, and no row of switches. */
function valuesJoined(words: readonly string[], options: Spec): string[] {
  const joined: string[] = []
  for (const word of words) {
    const before = joined.at(-1) ?? ''
    const takes = before.startsWith('--') && options[before.slice(2)]?.type === 'string'
    if (takes && /^-{1,2}[\w-]{30,}$/.test(word)) joined.splice(-1, 1, `${before}=${word}`)
    else joined.push(word)
  }
  return joined
}

function parsed(words: readonly string[], options: Spec): Parsed {
  const known = { ...options, help: { type: 'boolean', multiple: false, short: 'h' } as const }
  try {
    const args = valuesJoined(words, known)
    const { tokens, ...read } = parseArgs({ args, options: known, allowPositionals: true, strict: true, tokens: true })
    onceEach(tokens, known)
    return read
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
    const wrong = words.find(
      (word) => word.startsWith('--') && !Object.hasOwn(known, word.slice(2).split('=')[0] ?? ''),
    )
    if (!wrong) throw new UsageError(cause.message.split('. To specify')[0] ?? cause.message, { cause })
    const hint = nearest(wrong.slice(2).split('=')[0] ?? '', Object.keys(known))
    throw new UsageError(`unknown option ${wrong.split('=')[0]}${hint ? `; did you mean --${hint}?` : ''}`, { cause })
  }
}
