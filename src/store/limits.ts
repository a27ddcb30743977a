import type { Kind, Links } from './store.ts'

/* The bounds that `Store` promises for all stores. */

/** Whether something can be stored under a key: a store that turned lone surrogates into U+FFFD would make two keys one. */
export function isKey(key: string): boolean {
  return key.length <= 512 && key.isWellFormed()
}

/** @throws {RangeError} for what is no key */
export function checkKey(key: string): void {
  if (!isKey(key)) throw new RangeError('a key is well-formed text of at most 512 characters')
}

/** @throws {RangeError} for less than a second */
export function checkedTtl(ttl: number): number {
  if (!(ttl >= 1)) throw new RangeError(`a ttl is at least 1 second, not ${ttl}`)
  return ttl
}

/** @throws {RangeError} for what a store could not give back */
export function checkEntry(kind: Kind, id: string, value: string, { alias, groups = [] }: Links = {}): void {
  checkKey(id)
  if (alias !== undefined) checkKey(alias)
  for (const group of groups) checkKey(group)
  if (groups.length > 5) throw new RangeError(`${kind.name}: an entry has at most 5 groups`)
  if (value.length > 1_048_576 || !value.isWellFormed()) {
    throw new RangeError(`${kind.name}: a value is well-formed text of at most 1 MiB`)
  }
}
