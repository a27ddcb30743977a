import type { PyObject } from './python.ts'

/** The releases whose mapping engine is known exactly: Debian 12's and the newest. */
export type Release = '22' | '30'

/** A mapping as Keystone stores it; it is taken to be one that Keystone's own schema let in. */
export interface MappingLike {
  readonly schema_version?: string
  readonly rules: readonly Rule[]
}

export interface Rule {
  readonly local: readonly Template[]
  readonly remote: readonly Remote[]
}

/** Texts with `{0}` in them, in any depth. */
export interface Template {
  readonly [name: string]: string | Template | readonly Template[] | undefined
}

export interface Remote {
  readonly type: string
  readonly any_one_of?: readonly unknown[]
  readonly not_any_of?: readonly unknown[]
  readonly whitelist?: readonly unknown[]
  readonly blacklist?: readonly unknown[]
  readonly regex?: boolean
}

/**
 * Whether Python's `re.search` finds the expression somewhere in the text.
 * @throws {PythonError} `error` where Python refuses the expression
 * @throws {NotCovered} where it is not known what Python says
 */
export type Search = (expression: string, text: string) => boolean

/**
 * What the engine is: a release, and how it searches by regular expression; without the latter, which
 * the mapping of `lotse print` never needs, mappings with expressions are not covered.
 */
export interface Engine {
  readonly release: Release
  readonly search?: Search
}

/** What Keystone's mapping engine hands to its sign-in. */
export interface Mapped {
  readonly user: PyObject
  /** In no order. */
  readonly group_ids: readonly unknown[]
  readonly group_names: readonly unknown[]
  readonly projects: readonly unknown[]
}

export type Outcome =
  | { readonly kind: 'mapped'; readonly mapped: Mapped }
  /** Keystone answers with `status`; `error` is the class of its exception. */
  | { readonly kind: 'refused'; readonly error: string; readonly status: number; readonly says: string }
  | { readonly kind: 'not-covered'; readonly why: string }
