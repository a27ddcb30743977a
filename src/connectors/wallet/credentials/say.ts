import type { Credential, Issuer } from '../credential.ts'
import { printable } from '../refusal.ts'
import type { Window } from './time.ts'

const day = (seconds: number) => new Date(seconds * 1000).toISOString()

/** A time of validity, for a person. */
export function spanOf(window: Window): string {
  const from = window.validFrom === undefined ? 'any time' : day(window.validFrom)
  return `from ${from} until ${window.validUntil === undefined ? 'further notice' : day(window.validUntil)}`
}

/** Who signed and by what it is known, for a person. */
export function issuerText({ id, by, anchor }: Issuer): string {
  const backed = anchor === undefined ? '' : `, certified by the anchor ${anchor}`
  return `${printable(id, 300)}, by ${by}${backed}`
}

/** A credential, for a person. */
export const sentenceOf = (credential: Pick<Credential, 'types' | 'issuer' | 'validFrom' | 'validUntil'>) =>
  `${printable(credential.types.join(' '))}: ${issuerText(credential.issuer)}, ${spanOf(credential)}`
