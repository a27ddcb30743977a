import type { z } from 'zod'
import { nearest } from '../core/nearest.ts'
import type { Path } from './problem.ts'

type Issue = z.core.$ZodIssue

/** One mistake of one place, in words; `at` says whether the key or the value is to be pointed at. */
export interface Finding {
  readonly path: Path
  readonly message: string
  readonly at: 'key' | 'value'
  /** The key is not known; without it the value may be right. */
  readonly unknown?: true
  /** For an unknown key: the one that was meant. */
  readonly meant?: string | undefined
}

/** What a schema says about a value, in sentences that say what to write instead. No sentence repeats a value. */
export function findingsOf(schema: z.ZodType, value: unknown, issues: readonly Issue[]): readonly Finding[] {
  return issues.flatMap((issue) => sentences(schema, value, issue, []))
}

function sentences(schema: z.ZodType, root: unknown, issue: Issue, above: Path): readonly Finding[] {
  const path = [...above, ...issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step))]
  const seen = valueAt(root, path)
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, root, path)
    return issue.keys.map((key) => ({
      path: [...path, key],
      message: unknownKey(key, known),
      at: 'key',
      unknown: true,
      meant: nearest(key, known),
    }))
  }
  if (issue.code === 'invalid_union' && issue.message === 'Invalid input' && issue.errors.length > 0) {
    return closest(issue.errors).flatMap((inner) => sentences(schema, root, inner, path))
  }
  const types = issue.code === 'invalid_union' && 'options' in issue ? [issue.options].flat().map(String) : []
  const said = types.length > 0 ? wrongWord(types, seen) : undefined
  if (seen === undefined && issue.code !== 'custom')
    return [{ path, message: said ? `missing; ${said.replace(/^not known; /, '')}` : missing(issue), at: 'key' }]
  if (issue.code === 'invalid_key') return issue.issues.map(({ message }) => ({ path, message, at: 'key' }))
  return [{ path, message: said ?? sentence(issue, seen), at: 'value' }]
}

/** The branch of a union that the writer most likely meant: the one with the fewest complaints, the deepest first. */
function closest(branches: readonly (readonly Issue[])[]): readonly Issue[] {
  const weight = (issues: readonly Issue[]) =>
    issues.reduce((sum, issue) => sum + (issue.code === 'invalid_type' && issue.path.length === 0 ? 100 : 1), 0)
  return [...branches].sort((a, b) => weight(a) - weight(b))[0] ?? []
}

function unknownKey(key: string, known: readonly string[]): string {
  const hint = nearest(key, known)
  if (hint) return `unknown key; did you mean ${hint}?`
  return known.length > 0 ? `unknown key; known here: ${known.join(', ')}` : 'unknown key; take it out'
}

function missing(issue: Issue): string {
  const own = issue.message.startsWith('Invalid') ? undefined : issue.message
  if (own) return `missing; ${own.replace(/^not [^;]*; /, '')}`
  return `missing; write ${issue.code === 'invalid_type' ? (kinds[issue.expected]?.[1] ?? issue.expected) : 'it'}`
}

const kinds: Readonly<Record<string, readonly [what: string, write: string]>> = {
  string: ['text', 'text, in quotes where YAML would read something else'],
  number: ['a number', 'a number without quotes'],
  int: ['a whole number', 'a whole number without quotes'],
  boolean: ['true or false', 'true or false without quotes'],
  array: ['a list', '[…] or lines with -'],
  object: ['keys with values', '{ key: value }'],
  record: ['keys with values', '{ key: value }'],
}

function sentence(issue: Issue, seen: unknown): string {
  // A schema's own words come first; zod's own begin like this.
  if (!/^(Invalid|Too (big|small)|Unrecognized)/.test(issue.message)) return issue.message
  switch (issue.code) {
    case 'invalid_type': {
      const [what, write] = kinds[issue.expected] ?? [issue.expected, issue.expected]
      return `${kindOf(seen)} where ${what} belongs; write ${write}`
    }
    case 'invalid_value':
      return wrongWord(issue.values.map(String), seen)
    case 'too_small':
      return issue.origin === 'number'
        ? `too small; write at least ${issue.minimum}`
        : `too short; write ${amount(issue.minimum, issue.origin)} or more`
    case 'too_big':
      return issue.origin === 'number'
        ? `too large; write at most ${issue.maximum}`
        : `too long; write ${amount(issue.maximum, issue.origin)} or fewer`
    default:
      return shapeOf(issue)
  }
}

function wrongWord(known: readonly string[], seen: unknown): string {
  const hint = typeof seen === 'string' ? nearest(seen, known) : undefined
  if (hint) return `not known; did you mean ${hint}?`
  return `not known; write ${known.length > 1 ? 'one of ' : ''}${known.join(', ')}`
}

function amount(count: number | bigint, origin: string): string {
  return `${count} ${origin === 'string' ? 'characters' : 'entries'}`
}

function shapeOf(issue: Issue): string {
  if (issue.code === 'invalid_format' && issue.pattern)
    return `not of the right form; write text that matches ${issue.pattern}`
  if (issue.code === 'invalid_value') return wrongWord(issue.values.map(String), undefined)
  return 'not of the right form; docs/config.md shows it'
}

function kindOf(value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  return (
    { string: 'text', number: 'a number', boolean: 'true or false', object: 'keys with values' }[
      typeof value as string
    ] ?? 'something else'
  )
}

/** What stands at a path of a parsed file; undefined where nothing does. */
export function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, step) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, step)
        ? (value as Readonly<Record<string | number, unknown>>)[step]
        : undefined,
    root,
  )
}

function keysAt(schema: z.ZodType, root: unknown, path: Path): readonly string[] {
  return [...new Set(schemasAt(schema, root, path, 0).flatMap((each) => Object.keys(shape(each))))]
}

type Def = Readonly<Record<string, unknown>>
const def = (schema: z.ZodType): Def => schema._zod.def as unknown as Def
const shape = (schema: z.ZodType): Readonly<Record<string, z.ZodType>> =>
  (def(schema)['shape'] as Readonly<Record<string, z.ZodType>> | undefined) ?? {}

/** The schemas that may describe what stands at `path`; of a discriminated union only those whose literals fit. */
function schemasAt(schema: z.ZodType, value: unknown, path: Path, at: number): readonly z.ZodType[] {
  const { innerType, in: input, options, element, valueType } = def(schema) as Readonly<Record<string, z.ZodType>>
  const wrapped = innerType ?? input
  if (wrapped) return schemasAt(wrapped, value, path, at)
  if (Array.isArray(options)) {
    const fitting = options.filter((each) => fits(each, value))
    return (fitting.length > 0 ? fitting : options).flatMap((each) => schemasAt(each, value, path, at))
  }
  const step = path[at]
  if (step === undefined) return [schema]
  const next = element ?? valueType ?? shape(schema)[String(step)]
  return next ? schemasAt(next, valueAt(value, [step]), path, at + 1) : []
}

/** Whether the literals of a branch (`type: oidc`) are those that were written. */
function fits(schema: z.ZodType, value: unknown): boolean {
  return Object.entries(shape(schema)).every(([key, each]) => {
    const literals = def(each)['type'] === 'literal' ? (def(each)['values'] as readonly unknown[]) : []
    return key !== 'type' || literals.length === 0 || literals.includes(valueAt(value, [key]))
  })
}
