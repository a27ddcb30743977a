import { ascii, NotCovered, PythonError, repr } from './python.ts'

/** What a remote entry matched: one text, or a list where there is not exactly one. */
export type Match = string | readonly string[]

interface Cursor {
  readonly text: readonly string[]
  at: number
  /** `{}` counts by itself, `{0}` is counted by hand; both in one text are an error. */
  numbering: { by?: 'hand' | 'itself'; next: number }
}

const wrong = (message: string) => new PythonError('ValueError', message)

/**
 * `str.format(*matches)`, with which Keystone fills local entries. A brace that is meant as a brace is written twice; what is filled
 * in is never read again (`{0}` in a claim stays `{0}`).
 * @throws {PythonError} DirectMappingError for an index that is not there, KeyError for a name, ValueError and TypeError as Python does
 * @throws {NotCovered} for attributes (`{0.upper}`)
 */
export function format(template: string, matches: readonly Match[]): string {
  return expand({ text: [...template], at: 0, numbering: { next: 0 } }, matches, 2)
}

function expand(cursor: Cursor, matches: readonly Match[], depth: number): string {
  const { text } = cursor
  if (depth === 0) throw wrong('Max string recursion exceeded')
  const made: string[] = []
  while (cursor.at < text.length) {
    const char = text[cursor.at++] ?? ''
    if (char !== '{' && char !== '}') made.push(char)
    else if (text[cursor.at] === char) made.push(text[cursor.at++] ?? '')
    else if (char === '}' || cursor.at >= text.length) throw wrong(`Single '${char}' encountered in format string`)
    else made.push(rendered(cursor, matches, depth))
  }
  return made.join('')
}

/** One replacement field; the cursor stands behind its brace. */
function rendered(cursor: Cursor, matches: readonly Match[], depth: number): string {
  const { name, conversion, spec } = field(cursor)
  const found = lookup(name, cursor, matches)
  const inner: Cursor = { text: [...spec], at: 0, numbering: cursor.numbering }
  // Python expands a specification only where it has a brace.
  const how = spec.includes('{') ? expand(inner, matches, depth - 1) : spec
  const value = converted(found, conversion)
  if (typeof value === 'string') return padded(value, how)
  if (how !== '') throw new PythonError('TypeError', 'unsupported format string passed to list.__format__')
  return repr(value)
}

interface Field {
  readonly name: string
  readonly conversion: string
  readonly spec: string
}

function field(cursor: Cursor): Field {
  const { text } = cursor
  const start = cursor.at
  let char = ''
  while (cursor.at < text.length) {
    char = text[cursor.at++] ?? ''
    if (char === '{') throw wrong("unexpected '{' in field name")
    if (char === '}' || char === ':' || char === '!') break
    if (char === '[') while (cursor.at < text.length && text[cursor.at] !== ']') cursor.at += 1
  }
  const name = text.slice(start, cursor.at - 1).join('')
  if (char === '}') return { name, conversion: '', spec: '' }
  if (char === ':') return { name, conversion: '', spec: specification(cursor) }
  if (char !== '!') throw wrong("expected '}' before end of string")
  if (cursor.at >= text.length) throw wrong('end of string while looking for conversion specifier')
  const conversion = text[cursor.at++] ?? ''
  const after = text[cursor.at++]
  if (after === '}') return { name, conversion, spec: '' }
  if (after !== undefined && after !== ':') throw wrong("expected ':' after conversion specifier")
  return { name, conversion, spec: specification(cursor) }
}

function specification(cursor: Cursor): string {
  const { text } = cursor
  const start = cursor.at
  for (let open = 1; cursor.at < text.length; ) {
    const char = text[cursor.at++]
    open += char === '{' ? 1 : char === '}' ? -1 : 0
    if (open === 0) return text.slice(start, cursor.at - 1).join('')
  }
  throw wrong("unmatched '{' in format spec")
}

function lookup(name: string, cursor: Cursor, matches: readonly Match[]): Match {
  const [first = ''] = /^[^.[]*/.exec(name) ?? []
  const value = matches[indexOf(first, cursor)]
  if (value === undefined) throw new PythonError('DirectMappingError', `{${first}} is no match of this rule`)
  return deeper(value, name.slice(first.length))
}

function indexOf(first: string, { numbering }: Cursor): number {
  if (first !== '' && !/^\p{Nd}+$/u.test(first)) throw new PythonError('KeyError', `{${first}}`)
  const by = first === '' ? 'itself' : 'hand'
  numbering.by ??= by
  if (numbering.by !== by) throw wrong('cannot switch between manual and automatic field numbering')
  return by === 'itself' ? numbering.next++ : Number(first)
}

/** `[2]` behind the number; a text has characters, a list has texts. */
function deeper(value: Match, rest: string): Match {
  if (rest === '') return value
  if (rest.startsWith('.')) throw new NotCovered('an attribute in a local entry')
  if (!rest.startsWith('[')) throw wrong("Only '.' or '[' may follow ']' in format field specifier")
  const end = rest.indexOf(']')
  if (end < 0) throw wrong("Missing ']' in format string")
  const index = rest.slice(1, end)
  if (index === '') throw wrong('Empty attribute in format string')
  if (!/^\d+$/.test(index)) throw new PythonError('TypeError', 'indices must be integers')
  const found = [...value][Number(index)]
  // Keystone takes every IndexError for a number that is too high.
  if (found === undefined) throw new PythonError('DirectMappingError', `${rest} is out of range`)
  return deeper(found, rest.slice(end + 1))
}

function converted(value: Match, conversion: string): Match {
  if (conversion === '') return value
  if (conversion === 'r') return repr(value)
  if (conversion === 'a') return ascii(value)
  if (conversion === 's') return typeof value === 'string' ? value : repr(value)
  throw wrong(`Unknown conversion specifier ${conversion}`)
}

/** A text's own format specification: fill, alignment, width, precision. */
function padded(value: string, spec: string): string {
  const parts = /^(?:(?<fill>.)?(?<align>[<>^=]))?(?<zero>0)?(?<width>\d+)?(?:\.(?<precision>\d+))?s?$/su.exec(spec)
  if (parts?.groups === undefined || parts.groups['align'] === '=') throw wrong('Invalid format specifier')
  const { fill, align = '<', zero, width = '0', precision } = parts.groups
  const text = [...value].slice(0, precision === undefined ? undefined : Number(precision))
  const missing = Math.max(0, Number(width) - text.length)
  const left = align === '<' ? 0 : align === '>' ? missing : Math.floor(missing / 2)
  const pad = fill ?? (zero === undefined ? ' ' : '0')
  return `${pad.repeat(left)}${text.join('')}${pad.repeat(missing - left)}`
}
