#!/usr/bin/env node
import process from 'node:process'
import { text } from 'node:stream/consumers'

/*
 * The only file that reads `process`: it hands argv, environment, streams and signals to the command line.
 * What an older Node lacks (node:sqlite) fails while it is imported, so nothing is before this.
 */
if (Number.parseInt(process.version.slice(1), 10) < 24) {
  process.stderr.write(`lotse needs Node 24 or newer, and this is ${process.version}\n`)
  process.exit(3)
}
const { main } = await import('./cli/index.ts')

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // Somebody who asks twice does not want to wait for what was accepted.
    if (stop.signal.aborted) process.exit(130)
    stop.abort(signal)
  })
}
// Each write hears of its own failure. A log that nobody reads any more is no reason to end.
process.stdout.on('error', () => {})
process.stderr.on('error', () => {})

/** `lotse explain | head` closes the pipe early: no error of ours. */
function written(error: NodeJS.ErrnoException | null | undefined): void {
  if (error) process.exit(error.code === 'EPIPE' ? 0 : 3)
}

function send(words: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(words, (error) => (error ? reject(error) : resolve()))
  })
}

const hangups: (() => void)[] = []
process.exitCode = await main(process.argv.slice(2), {
  out: (line) => process.stdout.write(`${line}\n`, written),
  send,
  err: (line) => process.stderr.write(`${line}\n`),
  input: () => text(process.stdin),
  env: process.env,
  cwd: process.cwd(),
  columns: process.stdout.isTTY && !process.env['NO_COLOR'] ? process.stdout.columns : undefined,
  now: () => Math.floor(Date.now() / 1000),
  stop: stop.signal,
  onHangup: (listener) => {
    if (hangups.push(listener) === 1) process.on('SIGHUP', () => hangups.forEach((each) => void each()))
  },
})
