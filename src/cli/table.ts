/** Columns under their names, as wide as they must be; two spaces between them, none at the end of a line. */
export function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const lines = [head, ...rows.map((row) => row.map(printable))]
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  return lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/**
 * A moment as people and scripts read it: `2027-01-15T08:00:00Z`.
 * @param seconds of Unix time
 */
export const instant = (seconds: number): string => `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`

/** A text of somebody else must not move the cursor of the terminal that shows it. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, escaped)
}

/** The same for a text of several lines, such as JSON, in which it changes nothing but the writing. */
export const printableLines = (text: string): string => text.split('\n').map(printable).join('\n')

/** JSON for programs, which people look at as well: `JSON.stringify` leaves the controls above U+007E as they are. */
export const jsonLines = (value: unknown): string => printableLines(JSON.stringify(value, null, 2))

/** By the half where it is one of a pair, as JSON has it. */
const escaped = (sign: string): string =>
  Array.from({ length: sign.length }, (_, at) => `\\u${sign.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')

/** `1 sign-in`, `2 sign-ins`. */
export const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`
