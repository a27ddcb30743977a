import { type Document, isAlias, isMap, isPair, isScalar, isSeq, LineCounter, type Pair, parseDocument } from 'yaml'
import type { Path, Problem } from './problem.ts'

/** The largest file that is read, in characters. */
const MAX_LENGTH = 5 * 1024 * 1024

/** How many nodes aliases may stand for: a bill of some kilobytes must not become a gigabyte. */
const MAX_ALIASES = 1000

/** A file as read: its value, and the place of each part of it. */
export interface Source {
  readonly file: string
  /** Undefined where the file is no usable YAML. */
  readonly value: unknown
  readonly problems: readonly Problem[]
  /** A problem at the key or value of this path; where the path does not exist, at the nearest part above it. */
  problem(path: Path, message: string, at?: 'key' | 'value'): Problem
}

/** Reads YAML 1.2 with anchors and merge keys. Duplicate keys, unknown tags and several documents are problems. */
export function readSource(file: string, text: string): Source {
  if (text.length > MAX_LENGTH)
    return unusable(file, 'the file is larger than 5 MB; move rules into rule sets or tables')
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, merge: true, prettyErrors: false, stringKeys: true })
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { file, line: Math.max(1, line), column: Math.max(1, col) }
  }
  const found = [...document.errors, ...document.warnings]
  const problems: Problem[] = found.map((error) => ({
    ...place(error.pos[0]),
    path: error.code === 'DUPLICATE_KEY' ? [keyAt(text, error.pos[0])] : [],
    message: syntaxText(error.code, error.message),
  }))
  const broken = document.errors.some(({ code }) => code !== 'DUPLICATE_KEY')
  const { value, failure } = broken ? {} : plain(document)
  if (failure) problems.push({ ...place(0), path: [], message: failure })
  return {
    file,
    value,
    problems,
    problem: (path, message, at = 'value') => ({ ...place(offsetOf(document, path, at)), path, message }),
  }
}

function unusable(file: string, message: string): Source {
  const problem = (path: Path, text: string): Problem => ({ file, line: 1, column: 1, path, message: text })
  return { file, value: undefined, problems: [problem([], message)], problem }
}

function plain(document: Document): { value?: unknown; failure?: string } {
  try {
    const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES })
    return value === null || value === undefined ? { failure: 'the file is empty' } : { value }
  } catch (error) {
    if (error instanceof ReferenceError) return { failure: 'aliases multiply the file beyond reason; write it out' }
    throw error
  }
}

function keyAt(text: string, offset: number): string {
  return /^[^\s:,{}[\]]+/.exec(text.slice(offset, offset + 128).replaceAll(/["']/g, ''))?.[0] ?? '?'
}

function syntaxText(code: string, message: string): string {
  if (code === 'DUPLICATE_KEY') return 'this key stands here twice; keep one'
  if (code === 'MULTIPLE_DOCS') return 'several documents in one file; keep one'
  if (code === 'TAG_RESOLVE_FAILED') return `${message}; write the value without a tag`
  if (code === 'NON_STRING_KEY') return 'a key that is no text; write it in quotes'
  return `not readable as YAML: ${message[0]?.toLowerCase() ?? ''}${message.slice(1)}`
}

/** The offset of what a path names; the deepest part that exists where it does not. */
function offsetOf(document: Document, path: Path, at: 'key' | 'value'): number {
  let node: unknown = document.contents
  let offset = start(node) ?? 0
  for (const [index, step] of path.entries()) {
    const last = index === path.length - 1
    const next = child(document, node, step)
    if (!next) break
    const key = start(next.key)
    const value = start(next.value)
    offset = (last && at === 'value' ? (value ?? key) : (key ?? value)) ?? offset
    node = next.value
  }
  return offset
}

function child(
  document: Document,
  parent: unknown,
  step: string | number,
): { key?: unknown; value: unknown } | undefined {
  const node = isAlias(parent) ? parent.resolve(document) : parent
  if (isSeq(node)) {
    const value = typeof step === 'number' ? node.items[step] : undefined
    return value === undefined ? undefined : isPair(value) ? value : { value }
  }
  if (!isMap(node)) return undefined
  return node.items.find((pair) => keyText(pair) === String(step)) ?? merged(document, node.items, step)
}

function merged(document: Document, pairs: readonly Pair[], step: string | number) {
  for (const { value } of pairs.filter((pair) => keyText(pair) === '<<')) {
    const resolved = isAlias(value) ? value.resolve(document) : value
    for (const from of isSeq(resolved) ? resolved.items : [resolved]) {
      const found: { key?: unknown; value: unknown } | undefined = child(document, from, step)
      if (found) return found
    }
  }
  return undefined
}

function keyText(pair: Pair): string {
  return String(isScalar(pair.key) ? pair.key.value : pair.key)
}

function start(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('range' in node)) return undefined
  return Array.isArray(node.range) && typeof node.range[0] === 'number' ? node.range[0] : undefined
}
