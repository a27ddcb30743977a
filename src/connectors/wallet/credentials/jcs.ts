import { hash } from 'node:crypto'
import type { Json } from '../credential.ts'

/** JSON in its canonical form (RFC 8785): ECMAScript's own numbers and strings, names sorted by UTF-16 code units. */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(canonicalJson).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))
  return `{${entries.map(([name, each]) => `${JSON.stringify(name)}:${canonicalJson(each)}`).join()}}`
}

/** By what a Gaia-X credential is named in others: SHA-256 of the text as it travelled, and of its JSON in canonical form. */
export const digestsOf = (text: string, json: Json): readonly string[] => [
  hash('sha256', text, 'hex'),
  hash('sha256', canonicalJson(json), 'hex'),
]
