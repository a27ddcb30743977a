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

/**
 * Reads lines of so many columns each; empty lines and those that begin with `#` are passed over.
 * @returns the lines, or the number of the first (from 1) that has another number of columns, or an empty one
 */
export function readRows(text: string, columns: number): readonly (readonly string[])[] | number {
  const rows: string[][] = []
  const cell = /("(?:[^"]|"")*"|[^",]*)(,|$)/y
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const row: string[] = []
    cell.lastIndex = 0
    for (let found = cell.exec(line); found; found = found[2] === ',' ? cell.exec(line) : null)
      row.push(unquoted(found[1] ?? ''))
    if (row.length !== columns || row.includes('') || cell.lastIndex !== line.length) return index + 1
    rows.push(row)
  }
  return rows
}

function unquoted(field: string): string {
  return field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field.trim()
}
