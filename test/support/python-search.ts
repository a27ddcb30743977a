import type { RegexEngine } from '../../src/core/policy.ts'
import { NotCovered, PythonError } from '../../src/targets/keystone/simulate/python.ts'
import type { Search } from '../../src/targets/keystone/simulate/rules.ts'

/**
 * `re.search` by an engine in linear time. It covers literals, classes, `\d \w \s` as Unicode has them, groups, alternatives, counts,
 * `^ $ \A \Z`, `(?i)`, `(?m)`, `(?s)`. Not covered: references, look-around, conditions, atomic groups and possessive counts,
 * `(?x)`, `(?a)`, `(?L)`, `\N{…}`; counts over 1000; `\b` and `(?i)` where text or expression is not ASCII; `\W` and `\S` in a class.
 */
export function searchBy(engine: RegexEngine): Search {
  return (expression, text) => {
    const { source, asciiOnly } = translated(expression)
    if (asciiOnly && !/^\p{ASCII}*$/u.test(expression + text)) throw new NotCovered('\\b or (?i) beyond ASCII')
    return compiled(engine, source).match(text) !== undefined
  }
}

function compiled(engine: RegexEngine, source: string) {
  try {
    return engine.compile(`(?s:.*?)(?:${source})(?s:.*)`)
  } catch (cause) {
    throw new NotCovered('an expression that the linear-time engine refuses', { cause })
  }
}

interface Reader {
  readonly text: readonly string[]
  at: number
  asciiOnly: boolean
  groups: number
}

const refused = (message: string) => new PythonError('error', message)

function translated(expression: string): { readonly source: string; readonly asciiOnly: boolean } {
  const reader: Reader = { text: [...expression], at: 0, asciiOnly: false, groups: 0 }
  const multiline = globalFlags(reader)
  const source = alternatives(reader, multiline.has('m'))
  if (reader.at < reader.text.length) throw refused('unbalanced parenthesis')
  return { source: `${[...multiline].map((flag) => `(?${flag})`).join('')}${source}`, asciiOnly: reader.asciiOnly }
}

/** Flags for the whole expression, which Python takes at its very start alone. */
function globalFlags(reader: Reader): ReadonlySet<string> {
  const found = /^(?:\(\?([aiLmsux]+)\))+/.exec(reader.text.join(''))
  const flags = new Set((found?.[0] ?? '').replace(/[()?]/g, ''))
  reader.at = found?.[0].length ?? 0
  return checkedFlags(reader, flags)
}

function checkedFlags(reader: Reader, flags: Set<string>): Set<string> {
  if (['a', 'L', 'x'].some((flag) => flags.has(flag))) throw new NotCovered('the flags a, L and x')
  flags.delete('u')
  if (flags.has('i')) reader.asciiOnly = true
  return flags
}

function alternatives(reader: Reader, multiline: boolean): string {
  const branches = [sequence(reader, multiline)]
  while (reader.text[reader.at] === '|') {
    reader.at += 1
    branches.push(sequence(reader, multiline))
  }
  return branches.join('|')
}

function sequence(reader: Reader, multiline: boolean): string {
  const parts: string[] = []
  for (
    let char = reader.text[reader.at];
    char !== undefined && char !== '|' && char !== ')';
    char = reader.text[reader.at]
  ) {
    const item = atom(reader, multiline)
    const times = count(reader)
    if (times !== '' && item.zeroWidth) throw refused('nothing to repeat')
    if (times !== '' && count(reader) !== '') throw refused('multiple repeat')
    parts.push(item.source === '' ? '' : `${item.source}${times}`)
  }
  return parts.join('')
}

interface Item {
  readonly source: string
  /** A place or nothing at all, which Python repeats no more. */
  readonly zeroWidth?: true
}

const places: Readonly<Record<string, string>> = { A: '\\A', Z: '\\z', b: '\\b', B: '\\B' }

function atom(reader: Reader, multiline: boolean): Item {
  const char = reader.text[reader.at] ?? ''
  if (count({ ...reader }) !== '') throw refused('nothing to repeat')
  reader.at += 1
  if (char === '(') return group(reader, multiline)
  if (char === '[') return { source: bracket(reader) }
  if (char === '.') return { source: '.' }
  if (char === '^') return { source: '^', zeroWidth: true }
  // Before a line end that is the last character, too.
  if (char === '$') return { source: multiline ? '$' : '(?:\\n?\\z)', zeroWidth: true }
  if (char !== '\\') return { source: literal(char) }
  const place = places[reader.text[reader.at] ?? '']
  if (place === undefined) return { source: escaped(reader, false) }
  reader.at += 1
  if (/b/i.test(place)) reader.asciiOnly = true
  return { source: place, zeroWidth: true }
}

const literal = (char: string) => `\\x{${(char.codePointAt(0) ?? 0).toString(16)}}`

/** `*`, `+`, `?`, `{2,3}` and their lazy forms in the engine's words; empty where there is none. */
function count(reader: Reader): string {
  const found = /^(?:[*+?]|\{(?:(\d+)(,?)(\d*)|(,)(\d*))\})/.exec(reader.text.slice(reader.at, reader.at + 24).join(''))
  if (found === null) return ''
  reader.at += found[0].length
  const [whole, low = '0', comma = '', high = '', lead, upTo = ''] = found
  const end = high + upTo
  if (end !== '' && Number(end) < Number(low)) throw refused('min repeat greater than max repeat')
  const times = /^[*+?]/.test(whole) ? whole : `{${low}${comma === '' && lead === undefined ? '' : `,${end}`}}`
  if (reader.text[reader.at] === '+') throw new NotCovered('a possessive count')
  if (reader.text[reader.at] !== '?') return times
  reader.at += 1
  return `${times}?`
}

function group(reader: Reader, multiline: boolean): Item {
  const head = /^\?(?::|P<([^>]*)>|#[^)]*\)|([imsu]*)(?:-([ims]+))?:)/.exec(reader.text.slice(reader.at).join(''))
  if (reader.text[reader.at] === '?' && head === null) throw unknownGroup(reader)
  const [whole = '', name, on = '', off = ''] = head ?? []
  if (name !== undefined && !/^[\p{L}_][\p{L}\p{N}_]*$/u.test(name)) throw refused('bad character in group name')
  reader.at += [...whole].length
  if (whole.startsWith('?#')) return { source: '', zeroWidth: true }
  const flags = [...checkedFlags(reader, new Set(on))].join('')
  const within = flags.includes('m') || (multiline && !off.includes('m'))
  const inside = alternatives(reader, within)
  if (reader.text[reader.at] !== ')') throw refused('missing ), unterminated subpattern')
  reader.at += 1
  reader.groups += 1
  return { source: `(?${flags}${off === '' ? '' : `-${off}`}:${inside})` }
}

function unknownGroup(reader: Reader): Error {
  const after = reader.text.slice(reader.at, reader.at + 4).join('')
  if (/^\?(?:[=!>(]|<[=!]|P=|[aLx])/.test(after)) return new NotCovered(`the group (${after}`)
  return refused(/^\?[ims]+\)/.test(after) ? 'global flags not at the start of the expression' : 'unknown extension')
}

const sets: Readonly<Record<string, string>> = {
  d: '\\p{Nd}',
  w: '\\p{L}\\p{N}_',
  s: '\\t-\\r\\x1c-\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}',
}

const controls: Readonly<Record<string, string>> = { a: '\x07', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

/** What stands behind a backslash: one character, or a set of them. */
function escaped(reader: Reader, inClass: boolean): string {
  const char = reader.text[reader.at++]
  if (char === undefined) throw refused('bad escape (end of pattern)')
  const set = sets[char.toLowerCase()]
  if (set !== undefined) {
    if (char === char.toLowerCase()) return inClass ? set : `[${set}]`
    if (!inClass) return `[^${set}]`
    if (char === 'D') return '\\P{Nd}'
    throw new NotCovered('\\W or \\S in a class')
  }
  if (char === 'N') throw new NotCovered('\\N{…}')
  if (char === 'b' && inClass) return literal('\b')
  if (char in controls) return literal(controls[char] ?? '')
  if (/[xuU]/.test(char)) return literal(String.fromCodePoint(hexadecimal(reader, char)))
  if (/\d/.test(char)) return literal(octal(reader, char, inClass))
  if (/[A-Za-z]/.test(char)) throw refused(`bad escape \\${char}`)
  return literal(char)
}

const lengths: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }

function hexadecimal(reader: Reader, kind: string): number {
  const length = lengths[kind] ?? 2
  const digits = reader.text.slice(reader.at, reader.at + length).join('')
  const code = Number.parseInt(digits, 16)
  if (digits.length < length || !/^[\da-fA-F]+$/.test(digits) || code > 0x10ffff) throw refused('incomplete escape')
  reader.at += length
  return code
}

function octal(reader: Reader, first: string, inClass: boolean): string {
  const rest = /^[0-7]*/.exec(reader.text.slice(reader.at, reader.at + 2).join(''))?.[0] ?? ''
  const digits = first + rest
  if (first !== '0' && !inClass && digits.length < 3) throw new NotCovered('a reference to a group')
  if (/[89]/.test(digits) || Number.parseInt(digits, 8) > 0o377) throw refused('bad octal escape')
  reader.at += rest.length
  return String.fromCodePoint(Number.parseInt(digits, 8))
}

function bracket(reader: Reader): string {
  const { text } = reader
  const negated = text[reader.at] === '^'
  if (negated) reader.at += 1
  const members: string[] = []
  for (let first = true; first || text[reader.at] !== ']'; first = false) {
    const from = member(reader)
    if (text[reader.at] !== '-' || text[reader.at + 1] === ']') members.push(from)
    else {
      reader.at += 1
      members.push(range(from, member(reader)))
    }
  }
  reader.at += 1
  return `[${negated ? '^' : ''}${members.join('')}]`
}

function member(reader: Reader): string {
  const char = reader.text[reader.at++]
  if (char === undefined) throw refused('unterminated character set')
  return char === '\\' ? escaped(reader, true) : literal(char)
}

function range(from: string, to: string): string {
  const [low, high] = [from, to].map((end) => /^\\x\{([\da-f]+)\}$/.exec(end)?.[1])
  if (low === undefined || high === undefined || Number.parseInt(low, 16) > Number.parseInt(high, 16)) {
    throw refused('bad character range')
  }
  return `${from}-${to}`
}
