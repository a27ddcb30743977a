import process from 'node:process'
import { setFlagsFromString } from 'node:v8'
import type { Io } from './cli/command.ts'
import { printableLines } from './cli/table.ts'

/** What came of standard output. */
const output = { lost: false }

/**
 * `lotse explain | head` closes the pipe early: no error of ours. Nothing ends here: a command that writes files, or changes something,
 * goes on to its end, and says by its code where its words went nowhere.
 */
function written(error: NodeJS.ErrnoException | null | undefined): void {
  if (!error || error.code === 'EPIPE') return
  output.lost = true
  process.exitCode = 3
}

function send(words: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(words, (error) => (error ? reject(error) : resolve()))
  })
}

/** Says why nothing can be done with this Node, and ends; whatever an older one lacks is imported after this. */
export function needsNode(major: number): void {
  if (Number.parseInt(process.version.slice(1), 10) >= major) return
  process.stderr.write(`lotse needs Node ${major} or newer, and this is ${process.version}\n`)
  process.exit(3)
}

/** Aborted by the first SIGINT or SIGTERM; somebody who asks twice does not want to wait for what was accepted. */
function stopSignal(): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(130)
      stop.abort(signal)
    })
  }
  return stop.signal
}

/** Hands argv, environment, streams and signals of this process to a command line: nothing else in the project reads `process`. */
export async function runProcess(main: (words: readonly string[], io: Io) => Promise<number>): Promise<void> {
  // The image's flag has done its work on this thread's heap, and would hold for later threads over their own limits: 0 is "not given".
  setFlagsFromString('--max-semi-space-size=0')
  // Each write hears of its own failure. A log that nobody reads any more is no reason to end.
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
  const hangups: (() => void)[] = []
  const code = await main(process.argv.slice(2), {
    out: (line) => process.stdout.write(`${line}\n`, written),
    send,
    // What a server, an upstream or a person wrote stands in errors, and in the log: it is read at a terminal.
    err: (line) => process.stderr.write(`${printableLines(line)}\n`),
    input: async () => (await import('node:stream/consumers')).text(process.stdin),
    env: process.env,
    cwd: process.cwd(),
    columns: process.stdout.isTTY && !process.env['NO_COLOR'] ? process.stdout.columns : undefined,
    now: () => Math.floor(Date.now() / 1000),
    parent: process.ppid,
    stop: stopSignal(),
    onHangup: (listener) => {
      if (hangups.push(listener) === 1) process.on('SIGHUP', () => hangups.forEach((each) => void each()))
    },
  })
  process.exitCode = output.lost ? 3 : code
}
