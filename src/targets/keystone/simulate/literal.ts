import { NotCovered, PythonError, type PyValue } from './python.ts'

/** What `ast.literal_eval` finds: whether it is a list, and whether it may be a key or a member of a set. */
interface Node {
  readonly value: PyValue
  readonly is: 'list' | 'key' | 'other'
}

interface Cursor {
  readonly text: string
  at: number
  depth: number
  /** A list or dict stands where only a key may: an error of its own, where all the rest is a literal. */
  unhashable: boolean
}

/** No literal: Python's SyntaxError or ValueError, both of which Keystone answers by taking the text as it is. */
class Malformed extends Error {}

/** Deeper brackets are a SyntaxError. */
const DEEPEST = 200

/**
 * The list that Keystone makes of `groups` and `group_ids`: **a text that is a Python list literal is that list**, whoever wrote it,
 * and every other text is one element. A number in
 * parentheses behind a sign (`-(1)`) is taken as text here.
 * @throws {PythonError} TypeError where a list or dict is the key of a dict or in a set
 * @throws {NotCovered} for `\N{…}` in a string
 */
export function listOf(text: string): readonly PyValue[] {
  try {
    const { value, is } = literal(text)
    return is === 'list' ? (value as readonly PyValue[]) : [text]
  } catch (error) {
    if (error instanceof Malformed) return [text]
    throw error
  }
}

function literal(text: string): Node {
  if (text.includes('\u0000')) throw new Malformed()
  const source = text.replace(/^[ \t]+/, '').replace(/\r\n?/g, '\n')
  const cursor: Cursor = {
    text: source,
    at: /^(?:[ \t\f]*(?:#.*)?\n)*/.exec(source)?.[0].length ?? 0,
    depth: 0,
    unhashable: false,
  }
  // An expression that is indented is no expression.
  if (/[ \t]/.test(take(cursor, /[ \t\f]*/y).replace(/^.*\f/, ''))) throw new Malformed()
  const node = expression(cursor)
  take(cursor, /(?:[ \t\f]|\\\n)*(?:#.*)?(?:\n[ \t\f]*(?:#.*)?)*/y)
  if (cursor.at < source.length) throw new Malformed()
  if (cursor.unhashable) throw new PythonError('TypeError', 'unhashable type')
  return node
}

function take(cursor: Cursor, pattern: RegExp): string {
  pattern.lastIndex = cursor.at
  const [found = ''] = pattern.exec(cursor.text) ?? []
  cursor.at += found.length
  return found
}

/** Blanks; inside brackets also line ends and comments. */
const blank = (cursor: Cursor) => take(cursor, cursor.depth > 0 ? /(?:[ \t\f\n]|\\\n|#.*)*/y : /(?:[ \t\f]|\\\n)*/y)

function next(cursor: Cursor): string {
  blank(cursor)
  return cursor.text[cursor.at] ?? ''
}

function eat(cursor: Cursor, char: string): boolean {
  if (next(cursor) !== char) return false
  cursor.at += 1
  return true
}

/** Without brackets a comma makes a tuple. */
function expression(cursor: Cursor): Node {
  const first = element(cursor)
  if (!eat(cursor, ',')) return first
  const rest: Node[] = []
  while (!['', '\n', '#'].includes(next(cursor))) {
    rest.push(element(cursor))
    if (!eat(cursor, ',')) break
  }
  return tuple([first, ...rest])
}

function tuple(nodes: readonly Node[]): Node {
  return { value: nodes.map(({ value }) => value), is: nodes.every(({ is }) => is === 'key') ? 'key' : 'other' }
}

function element(cursor: Cursor): Node {
  const char = next(cursor)
  if (char === '[') return { value: items(cursor, ']').nodes.map(({ value }) => value), is: 'list' }
  if (char === '(') {
    const { nodes, commas } = items(cursor, ')')
    return nodes.length === 1 && nodes[0] !== undefined && commas === 0 ? nodes[0] : tuple(nodes)
  }
  if (char === '{') return braces(cursor)
  return text(cursor) ?? number(cursor) ?? constant(cursor)
}

/** Elements between brackets, and how many commas there were. */
function items(cursor: Cursor, close: string): { readonly nodes: readonly Node[]; readonly commas: number } {
  open(cursor)
  const nodes: Node[] = []
  let commas = 0
  while (!eat(cursor, close)) {
    if (nodes.length > commas) throw new Malformed()
    nodes.push(element(cursor))
    if (eat(cursor, ',')) commas += 1
  }
  cursor.depth -= 1
  return { nodes, commas }
}

function open(cursor: Cursor): void {
  cursor.at += 1
  cursor.depth += 1
  if (cursor.depth > DEEPEST) throw new Malformed()
}

function braces(cursor: Cursor): Node {
  open(cursor)
  const keys: Node[] = []
  const values: Node[] = []
  for (let more = true; more && next(cursor) !== '}'; more = eat(cursor, ',')) {
    keys.push(element(cursor))
    if (eat(cursor, ':')) values.push(element(cursor))
    if (values.length !== 0 && values.length !== keys.length) throw new Malformed()
  }
  if (!eat(cursor, '}')) throw new Malformed()
  cursor.depth -= 1
  if (!keys.every(({ is }) => is === 'key')) cursor.unhashable = true
  return { value: made(keys, values), is: 'other' }
}

function made(keys: readonly Node[], values: readonly Node[]): PyValue {
  const names = keys.map(({ value }) => value)
  if (values.length !== keys.length) return { py: 'set' }
  if (!names.every((name) => typeof name === 'string')) return { py: 'dict' }
  return Object.fromEntries(names.map((name, at) => [name, values[at]?.value]))
}

const numeral =
  /(?:0[xX](?:_?[\da-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|(?:\d(?:_?\d)*)?\.\d(?:_?\d)*(?:[eE][+-]?\d(?:_?\d)*)?|\d(?:_?\d)*\.?(?:[eE][+-]?\d(?:_?\d)*)?)[jJ]?(?!\w)/y

function number(cursor: Cursor): Node | undefined {
  const sign = take(cursor, /[+-][ \t\f]*/y)
  const digits = take(cursor, numeral)
  if (digits === '' && sign === '') return undefined
  if (digits === '' || /^0[\d_]*[1-9][\d_]*$/.test(digits) || digits.length > 4300) throw new Malformed()
  const imaginary = /[jJ]$/.test(digits) && !/^0[xX]/.test(digits)
  if (!imaginary && /^[ \t\f]*[+-]/.test(cursor.text.slice(cursor.at))) {
    take(cursor, /[ \t\f]*[+-][ \t\f]*/y)
    if (!/[jJ]$/.test(take(cursor, numeral))) throw new Malformed()
    return { value: { py: 'complex' }, is: 'key' }
  }
  if (imaginary) return { value: { py: 'complex' }, is: 'key' }
  const value = Number(digits.replaceAll('_', '')) * (sign.startsWith('-') ? -1 : 1)
  return { value: Number.isFinite(value) ? value : { py: 'float' }, is: 'key' }
}

const constants: Readonly<Record<string, PyValue>> = { True: true, False: false, None: null, '...': { py: 'ellipsis' } }

function constant(cursor: Cursor): Node {
  const word = take(cursor, /\.\.\.|[A-Za-z_]\w*/y)
  if (word === 'set' && eat(cursor, '(') && eat(cursor, ')')) return { value: { py: 'set' }, is: 'other' }
  const value = Object.hasOwn(constants, word) ? constants[word] : undefined
  if (value === undefined) throw new Malformed()
  return { value, is: 'key' }
}

/** One or several strings side by side; undefined where there is none. */
function text(cursor: Cursor): Node | undefined {
  const parts: { readonly value: string; readonly bytes: boolean }[] = []
  for (let part = piece(cursor); part !== undefined; part = piece(cursor)) {
    parts.push(part)
    blank(cursor)
  }
  const bytes = parts.filter((part) => part.bytes).length
  if (parts.length === 0) return undefined
  if (bytes > 0 && bytes < parts.length) throw new Malformed()
  return { value: bytes > 0 ? { py: 'bytes' } : parts.map(({ value }) => value).join(''), is: 'key' }
}

const quoted =
  /([bBfFrRuU]{0,2})(?:'''((?:[^\\]|\\.)*?)'''|"""((?:[^\\]|\\.)*?)"""|'((?:[^\\'\n]|\\.)*)'|"((?:[^\\"\n]|\\.)*)")/sy

function piece(cursor: Cursor) {
  quoted.lastIndex = cursor.at
  const found = quoted.exec(cursor.text)
  if (found === null) return undefined
  const prefix = (found[1] ?? '').toLowerCase()
  if (!['', 'r', 'b', 'u', 'br', 'rb'].includes(prefix)) throw new Malformed()
  cursor.at += found[0].length
  const inside = found[2] ?? found[3] ?? found[4] ?? found[5] ?? ''
  const bytes = prefix.includes('b')
  if (bytes && /\P{ASCII}/u.test(inside)) throw new Malformed()
  return { value: prefix.includes('r') ? inside : inside.replace(escapes, (whole) => unescaped(whole, bytes)), bytes }
}

const escapes = /\\(?:[0-7]{1,3}|x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|.)/gs

const letters: Readonly<Record<string, string>> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

function unescaped(whole: string, bytes: boolean): string {
  const body = whole.slice(1)
  const kind = body[0] ?? ''
  if (/^[0-7]/.test(body)) return String.fromCodePoint(Number.parseInt(body, 8))
  if (kind === 'x' || (!bytes && (kind === 'u' || kind === 'U'))) {
    const code = Number.parseInt(body.slice(1), 16)
    if (body.length === 1 || code > 0x10ffff) throw new Malformed()
    return String.fromCodePoint(code)
  }
  if (!bytes && kind === 'N') throw new NotCovered('a character by its name (\\N{…}) in a Python string')
  // An unknown escape stays as it is.
  return letters[body] ?? whole
}
