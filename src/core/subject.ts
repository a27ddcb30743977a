import { hash } from 'node:crypto'

/** One record of an upstream's array of objects, kept whole: what belongs together stays together. */
export type ClaimRecord = Readonly<Record<string, string>>

/** What an upstream proved about one person or workload, in one shape for every protocol. Immutable and JSON-safe. */
export interface Subject {
  /** Connector id from the configuration: the name space that keeps equal upstream ids of two connectors apart. */
  readonly connector: string
  /** Upstream-unique and stable: OIDC `sub`, SAML persistent id, (credential issuer, holder). Never an e-mail address. */
  readonly id: string
  /** Every claim is a list of strings; top-level names verbatim, nested ones as JSON pointers (`/realm_access/roles`). */
  readonly claims: Readonly<Record<string, readonly string[]>>
  /** Arrays of objects, by the same names as claims. */
  readonly records: Readonly<Record<string, readonly ClaimRecord[]>>
  /** Unix seconds at which the upstream authenticated the person. */
  readonly authTime: number
  readonly acr?: string
  readonly amr?: readonly string[]
}

/**
 * The upstream's answer that a session's tokens rest on. No refresh token, session, token or lease outlives `goodUntil`.
 */
export interface Proof {
  readonly subject: Subject
  /** Unix seconds at which the upstream's answer was checked. */
  readonly provenAt: number
  /** Unix seconds. */
  readonly goodUntil: number
  /** The upstream's own name of its session, where it says one (OIDC `sid`, SAML `SessionIndex`): by it a logout from there finds us. */
  readonly upstreamSession?: string
  /** The upstream's own name of the person, where its sessions have names for her alone (SAML NameID); a digest of it. */
  readonly upstreamName?: string
  /** What a recheck or an upstream logout needs, encrypted with the root secret; opaque outside its connector. */
  readonly sealed?: string
}

/**
 * The `sub` that the gateway issues: base64url(sha256(connector "\n" id)), 43 characters, free of `;`, `,` and `:`,
 * equal for one person at every client, never equal for two connectors.
 */
export function accountId(subject: Pick<Subject, 'connector' | 'id'>): string {
  return hash('sha256', `${subject.connector}\n${subject.id}`, 'base64url')
}
