/**
 * Reads a table of two columns, key and text; a key on several lines has several texts, an empty line is passed over.
 * @see RFC 4180 for quoting; there is no header line
 * @returns the table, or the number of the first line (from 1) that is none
 */
export function readTable(text: string): Readonly<Record<string, readonly string[]>> | number {
  const table: Record<string, string[]> = Object.create(null) as Record<string, string[]>
  const row = /("(?:[^"]|"")*"|[^",\r\n]*)(?:,("(?:[^"]|"")*"|[^",\r\n]*))?(\r?\n|$)/y
  const input = text.replace(/^\uFEFF/, '')
  let line = 1
  while (row.lastIndex < input.length) {
    const found = row.exec(input)
    if (!found) return line
    const [all, key, value] = found
    if (all.trim() !== '' && (value === undefined || !key)) return line
    if (key && value !== undefined) {
      const name = unquoted(key)
      table[name] = [...(table[name] ?? []), unquoted(value)]
    }
    line += all.split('\n').length - 1
  }
  return table
}

function unquoted(field: string): string {
  return field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field.trim()
}
