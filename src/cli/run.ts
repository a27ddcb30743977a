import { nearest } from '../core/nearest.ts'
import { StoreUnavailable } from '../store/store.ts'
import { type Args, type Command, exit, type Io, type Option, readArgs, UsageError } from './command.ts'

/** One line of the table of commands: its file is loaded when it is called. */
export interface Entry {
  readonly name: string
  readonly summary: string
  readonly load: () => Promise<{ readonly command: Command }>
}

const exitCodes = [
  'Exit codes: 0 done · 1 the answer is no (problems found, a check did not hold)',
  '            2 the command line was not understood · 3 it could not be done (a file, the store, the network)',
]

/**
 * The command line: finds the command, reads its arguments, runs it.
 * @param commands the table of those that there are
 * @param words what stands after `lotse`
 * @returns the exit code; nothing is thrown
 */
export async function runLine(commands: readonly Entry[], words: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = words
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    for (const line of overview(commands)) (name === undefined ? io.err : io.out)(line)
    return name === undefined ? exit.usage : exit.ok
  }
  const wanted = name === '--version' ? 'version' : name
  const entry = commands.find((candidate) => candidate.name === wanted)
  if (!entry) return refuse(io, unknownCommand(commands, name), 'lotse --help')
  const { command } = await entry.load()
  return runCommand(entry, command, rest, io)
}

async function runCommand(entry: Entry, command: Command, words: readonly string[], io: Io): Promise<number> {
  try {
    if (beforeDashes(words).some((word) => word === '--help' || word === '-h')) {
      for (const line of helpOf(entry, command)) io.out(line)
      return exit.ok
    }
    return await command.run(readArgs(words, command.options) satisfies Args, io)
  } catch (error) {
    if (error instanceof UsageError) return refuse(io, error.message, `lotse ${entry.name} --help`)
    io.err(`lotse ${entry.name}: ${reasonOf(error)}`)
    return exit.failed
  }
}

/** A store says what is the matter beside its message, which is for clients. */
function reasonOf(error: unknown): string {
  if (error instanceof StoreUnavailable) return error.detail
  return error instanceof Error ? error.message : String(error)
}

function refuse(io: Io, message: string, help: string): number {
  io.err(`lotse: ${message}`)
  io.err(`       '${help}' says more`)
  return exit.usage
}

function unknownCommand(commands: readonly Entry[], name: string): string {
  const hint = nearest(
    name,
    commands.map((entry) => entry.name),
  )
  return `no command ${JSON.stringify(name)}${hint ? `; did you mean '${hint}'?` : ''}`
}

function beforeDashes(words: readonly string[]): readonly string[] {
  const end = words.indexOf('--')
  return end < 0 ? words : words.slice(0, end)
}

function overview(commands: readonly Entry[]): readonly string[] {
  return [
    'lotse: identity federation gateway for OpenStack and Kubernetes',
    '',
    'Usage: lotse COMMAND [OPTIONS]',
    '',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(19)} ${summary}`),
    '',
    "'lotse COMMAND --help' says more about one.",
    ...exitCodes,
  ]
}

function helpOf(entry: Entry, command: Command): readonly string[] {
  const rows = Object.entries<Option>({ ...command.options, help: { short: 'h', help: 'print this' } })
  const heads = rows.map(
    ([name, { short, value }]) => `${short ? `-${short}, ` : '    '}--${name}${value ? ` ${value}` : ''}`,
  )
  const width = Math.max(...heads.map((head) => head.length))
  return [
    `lotse ${entry.name}: ${entry.summary}`,
    '',
    `Usage: lotse ${entry.name} ${command.usage}`.trimEnd(),
    ...(command.details ? ['', ...command.details.trim().split('\n')] : []),
    '',
    ...rows.map(
      ([, { help, repeat }], index) => `  ${heads[index]!.padEnd(width)}  ${help}${repeat ? ' (may be repeated)' : ''}`,
    ),
    '',
    ...exitCodes,
  ]
}
