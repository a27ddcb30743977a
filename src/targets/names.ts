import { LoginError } from '../core/errors.ts'

/** Most bytes of claims, as JSON: Apache stops at 8190 for a header, and base64 and the protocol's own claims take a half. */
export const CLAIM_BYTES = 4096

/** Code units that no name holds: controls, invisible format characters (bidirectional ones too), line separators, halves. */
const invisible = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Cn}\p{Co}]/u

/**
 * Why a text can be no name at any consumer, in a sentence; undefined where it can. Databases compare names without trailing
 * blanks, and what cannot be seen cannot be reviewed, so neither is ever passed on.
 * @param what such as `group`
 * @param max code points, at least 1
 */
export function impossibleName(what: string, text: string, max: number): string | undefined {
  if (text === '') return `the ${what} name is empty`
  if (invisible.test(text)) return `the ${what} name holds control or invisible characters`
  if (text.trim() !== text) return `the ${what} name begins or ends with a blank`
  if ([...text].length > max) return `the ${what} name is longer than ${max} characters`
  return undefined
}

/**
 * A name, or a part of one, as the laxest database compares it: compatibility forms, marks and case gone. `Ádmin` and `ADMIN` are `admin`
 * for MySQL's default collation.
 */
export function lax(text: string): string {
  // Of ASCII there is nothing to decompose, and each name of each token comes by here.
  const plain = /^[\x20-\x7e]*$/.test(text) ? text : text.normalize('NFKD').replace(/\p{M}/gu, '')
  return plain.toLowerCase()
}

/** A whole name in that form, without its outer blanks: so a reserved name is looked up. */
export const folded = (text: string): string => lax(text).trim()

/** Whether Kubernetes keeps names that begin so for itself (law 7): `system:masters` is cluster administrator. */
export function systemName(text: string): boolean {
  return /^(system|kubeadm):/.test(folded(text))
}

/**
 * The claims themselves, where they fit.
 * @throws {LoginError} `grants_too_large` over 4 KB of JSON
 */
export function bounded(target: string, claims: Record<string, unknown>): Record<string, unknown> {
  const bytes = Buffer.byteLength(JSON.stringify(claims))
  if (bytes <= CLAIM_BYTES) return claims
  const detail = `claims for target ${target} are ${bytes} bytes, ${CLAIM_BYTES} at most`
  throw new LoginError('grants_too_large', detail, { facts: { target } })
}

/** Sorted by code unit, each once: equal sets make equal tokens, whoever gave the grants and in which order. */
export function sortedUnique(texts: Iterable<string>): string[] {
  return [...new Set(texts)].sort()
}
