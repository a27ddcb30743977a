import { LoginError } from '../../core/errors.ts'

/** A refusal of what a wallet sent. @param why goes to the log: our own words, what was found made printable */
export function refusal(why: string, cause?: unknown): LoginError {
  return new LoginError(
    'upstream_rejected',
    `the presentation was refused: ${why}`,
    cause === undefined ? {} : { cause },
  )
}

/** What a log line may hold of another's text. */
export const printable = (value: unknown, length = 120) =>
  // Not by String(), which JSON with a member of the name toString breaks.
  (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing'))
    .slice(0, length)
    .replace(/[^\x20-\x7e]/g, '?')
