/** What Python's `json` and `ast` make; `{ py: 'bytes' }` stands for a value of a type that JSON does not have. */
export type PyValue =
  | string
  | number
  | boolean
  | null
  | readonly PyValue[]
  | { readonly [name: string]: PyValue | undefined }

export type PyObject = { readonly [name: string]: PyValue | undefined }

/** An exception that Keystone raises while it reads a mapping; `kind` is the name of its class. */
export class PythonError extends Error {
  override readonly name = 'PythonError'
  readonly kind: string
  /** Keystone's answer, where it is not the usual one of this class. */
  readonly status: number | undefined

  constructor(kind: string, message: string, status?: number) {
    super(message)
    this.kind = kind
    this.status = status
  }
}

/** The simulator does not know what Python does here, and says so rather than guess. */
export class NotCovered extends Error {
  override readonly name = 'NotCovered'
}

export const isObject = (value: unknown): value is PyObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** By code point, as Python sorts; JavaScript sorts by UTF-16 unit. */
export function byCodePoint(a: string, b: string): number {
  const [left, right] = [[...a], [...b]]
  for (const [at, char] of left.entries()) {
    const difference = (char.codePointAt(0) ?? 0) - (right[at]?.codePointAt(0) ?? -1)
    if (difference !== 0) return difference
  }
  return left.length - right.length
}

const hex = (code: number, digits: number) => code.toString(16).padStart(digits, '0')

function escaped(code: number): string {
  if (code <= 0xff) return `\\x${hex(code, 2)}`
  return code <= 0xffff ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`
}

const short: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

/** `repr()` of a string. What is printable is Unicode's newest here; letters younger than the Python are escaped by it. */
function reprText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const inside = [...text].map((char) => {
    if (char === quote) return `\\${char}`
    const plain = char === ' ' || !/[\p{C}\p{Z}]/u.test(char)
    return short[char] ?? (plain ? char : escaped(char.codePointAt(0) ?? 0))
  })
  return `${quote}${inside.join('')}${quote}`
}

/** `repr()` of what a mapping substitutes: a text, or a list of texts. */
export function repr(value: string | readonly string[]): string {
  return typeof value === 'string' ? reprText(value) : `[${value.map(reprText).join(', ')}]`
}

/** `ascii()`: `repr()` with everything else escaped. */
export function ascii(value: string | readonly string[]): string {
  return repr(value).replace(/\P{ASCII}/gu, (char) => escaped(char.codePointAt(0) ?? 0))
}

/** `urllib.parse.quote`: UTF-8, percent-encoded, with `/` left as it is. */
export function quote(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replace(/[!'()*]/g, (char) => `%${hex(char.charCodeAt(0), 2).toUpperCase()}`)
    .replaceAll('%2F', '/')
}

/**
 * `json.loads`.
 * @throws {PythonError} JSONDecodeError
 * @throws {NotCovered} for NaN and Infinity, which Python takes and JSON does not have
 */
export function loads(text: string): PyValue {
  try {
    return JSON.parse(text) as PyValue
  } catch {
    if (/NaN|Infinity/.test(text.replace(/"(?:[^"\\]|\\.)*"/g, ''))) throw new NotCovered('NaN or Infinity in JSON')
    throw new PythonError('JSONDecodeError', `no JSON: ${text.slice(0, 40)}`)
  }
}
