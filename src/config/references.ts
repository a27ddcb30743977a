import { isAbsolute, normalize, resolve } from 'node:path'
import { referenceOf } from './fields.ts'
import type { Path } from './problem.ts'

/** Where references may lead, and how they are read. */
export interface Scope {
  /** The folder from which relative paths count. */
  readonly folder: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** @throws where the file cannot be read */
  readonly readFile: (path: string) => Promise<string>
  /** Why this file may not read that variable or path; undefined where it may. Absent: the main file, which may read all. */
  readonly refuse?: (kind: 'env' | 'file' | 'path', text: string) => string | undefined
}

/** A value with its references replaced, and those that lead nowhere. */
export interface Filled {
  readonly value: unknown
  readonly problems: readonly { readonly path: Path; readonly message: string }[]
  /** What secrets were read, to see whether one has changed. Never written anywhere. */
  readonly secrets: readonly string[]
}

/** Puts the text in the place of every reference: secrets that files and variables hold, and absolute paths. */
export async function fillReferences(value: unknown, scope: Scope, path: Path = []): Promise<Filled> {
  const reference = referenceOf(value)
  if (reference) return fillOne(reference, scope, path)
  if (Array.isArray(value)) {
    if (value.length === 0) return { value, problems: [], secrets: [] }
    const parts = await Promise.all(value.map((each, index) => fillReferences(each, scope, [...path, index])))
    return joined(
      parts.map((part) => part.value),
      parts,
    )
  }
  if (typeof value !== 'object' || value === null) return { value, problems: [], secrets: [] }
  const entries = Object.entries(value)
  const parts = await Promise.all(entries.map(([key, each]) => fillReferences(each, scope, [...path, key])))
  return joined(Object.fromEntries(entries.map(([key], index) => [key, parts[index]?.value])), parts)
}

function joined(value: unknown, parts: readonly Filled[]): Filled {
  return {
    value,
    problems: parts.flatMap((part) => part.problems),
    secrets: parts.flatMap((part) => part.secrets),
  }
}

type Reference = NonNullable<ReturnType<typeof referenceOf>>

async function fillOne({ kind, text }: Reference, scope: Scope, path: Path): Promise<Filled> {
  const fail = (message: string): Filled => ({ value: '', problems: [{ path, message }], secrets: [] })
  const refused = scope.refuse?.(kind, text)
  if (refused) return fail(refused)
  if (kind === 'path') return { value: resolve(scope.folder, text), problems: [], secrets: [] }
  if (kind === 'env') {
    const found = scope.env[text]
    if (found === undefined) return fail(`the variable ${text} is not set; set it, or name another`)
    return found === ''
      ? fail(`the variable ${text} is empty; set it`)
      : { value: found, problems: [], secrets: [found] }
  }
  const content = await scope.readFile(resolve(scope.folder, text)).catch((error: unknown) => error as Error)
  if (typeof content !== 'string') return fail(`the file ${text} ${unreadable(content, 'write it, or name another')}`)
  const secret = content.replace(/\r?\n$/, '')
  return secret === '' ? fail(`the file ${text} is empty`) : { value: secret, problems: [], secrets: [secret] }
}

/** Why a file could not be read, without its content, and what to do: `otherwise`, unless it is there and not for this user. */
export function unreadable(error: unknown, otherwise: string): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unreadable'
  const why = { ENOENT: 'there is none', EACCES: 'no permission', EISDIR: 'it is a folder' }[code] ?? code
  return `cannot be read (${why}); ${code === 'EACCES' ? 'let the user who runs this read it' : otherwise}`
}

/**
 * The bounds of a tenant's file: its secrets lie in the folder of its name beside it, or in variables that begin with its name,
 * so that it cannot send another tenant's secret, or any file of this machine, to an upstream of its own (law 6).
 * Not checked: symbolic links inside that folder, which only the operator of this machine can make.
 */
export function tenantBounds(tenant: string): NonNullable<Scope['refuse']> {
  const prefix = `LOTSE_${tenant.toUpperCase().replaceAll('-', '_')}__`
  return (kind, text) => {
    if (kind === 'env') {
      return text.startsWith(prefix)
        ? undefined
        : `a tenant's file reads only variables that begin with ${prefix}; rename it`
    }
    const inside = !isAbsolute(text) && normalize(text).startsWith(`${tenant}/`)
    return inside ? undefined : `a tenant's file reads only files under ${tenant}/ beside it; move it there`
  }
}
