import { appendFileSync, readFileSync } from 'node:fs'

/** One measured time. */
export interface Measure {
  readonly upstream: string
  readonly what: string
  readonly seconds: number
  /** At most so many seconds are right. */
  readonly bound: number
}

/** Keeps a measured time for the table; the group names the file. */
export function note(measure: Measure): void {
  const file = process.env['LOTSE_MEASURES']
  if (file) appendFileSync(file, `${JSON.stringify(measure)}\n`)
}

/** The table of what was noted. */
export function table(file: string): string {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  const rows = lines
    .map((line) => JSON.parse(line) as Measure)
    .map(({ upstream, what, seconds, bound }) => [upstream, what, seconds.toFixed(2), String(bound)])
    .sort(([a = '', b = ''], [c = '', d = '']) => a.localeCompare(c) || b.localeCompare(d))
  const all = [['upstream', 'from the change there until', 'seconds', 'bound'], ...rows]
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  const [upstream = 0, what = 0, seconds = 0, bound = 0] = widths
  return all
    .map(([a = '', b = '', c = '', d = '']) =>
      [a.padEnd(upstream), b.padEnd(what), c.padStart(seconds), d.padStart(bound)].join('  '),
    )
    .join('\n')
}
