import type { Grant, Identity } from '../../core/decision.ts'
import { asciiName } from './encode.ts'
import { type KeystoneConfig, schemaOf } from './options.ts'

// What claims say of a person, and what the reconciler writes of her: one answer for both, so that a sign-in changes nothing.

/** The domain in which a person lives. Schema 1.0 puts everybody into that of the identity provider. */
export function homeOf(config: KeystoneConfig, { domain }: Identity): string {
  return schemaOf(config) === '1.0' ? config.domain : (domain ?? config.domain)
}

/** The domain of what a grant names. */
export function domainOf(config: KeystoneConfig, { domain }: Identity, grant: Grant): string {
  return ('domain' in grant ? grant.domain : undefined) ?? domain ?? config.domain
}

/** How a person is called. An address is left out rather than garbled: Apache would hand on Latin-1, or split at `;`. */
export function calledOf({ username, email }: Identity): { readonly name: string; readonly email?: string } {
  return { name: asciiName(username), ...(email !== undefined && asciiName(email) === email ? { email } : {}) }
}
