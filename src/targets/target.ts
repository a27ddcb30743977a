import type { ClientConfig } from '../config/clients.ts'
import type { Decision, Grant, GrantKind } from '../core/decision.ts'
import type { SigningAlg } from '../core/ports.ts'
import type { Possible } from '../core/possible.ts'

export type TokenForm = 'id_token' | 'access_token' | 'introspection' | 'userinfo'

/** A configured consumer: one Keystone, one Kubernetes cluster, or any other OIDC client's application. */
export interface Target {
  readonly id: string
  /** What a person reads: "Keystone of Cloud Nord". */
  readonly label: string
  /** The `aud` of access tokens and the RFC 8707 resource indicator; no two targets share one (law 8). */
  readonly audience: string
  /** The ring that signs this target's access tokens: its own (Keystone, mod_auth_openidc checks no `aud`) or `ISSUER_RING`. */
  readonly ring: string
  readonly alg: SigningAlg
  /** Seconds that an access token or ID token lives at most. */
  readonly ttl: number
  /** Which shapes of grant this target can carry; a rule that gives another is refused at load. */
  readonly carries: ReadonlySet<GrantKind>
  /** It knows people and groups by name alone, without a domain: captured text needs a name space there (law 15). */
  readonly namesUsers?: boolean
  /** One writing for all names that this target may take for one, where letters alone do not tell names apart. Pure. */
  alike?(name: string): string
  /** Why this target cannot take a grant (reserved or impossible name), in a sentence for the trace; undefined where it can. Pure. */
  refuse(grant: Grant): string | undefined
  /** Every claim name that `claims` may return, in any form: the Provider passes only names that it was told of. */
  readonly claimNames: readonly string[]
  /**
   * The decision in the words of this consumer: only its own grants (law 8), each value encoded for its reader (law 9), the same groups in every form. Pure.
   * @throws {LoginError} `grants_too_large` over 4 KB of claims, `claims_unusable` where the person's own name or domain is impossible here
   */
  claims(decision: Decision, form: TokenForm): Record<string, unknown>
  /** The names that `explain` prints: the exact projects, groups and RBAC subjects as this consumer will see them. Pure. */
  describe(decision: Decision): readonly string[]
}

/** What a consumer's own configuration is made of, beside the target. */
export interface PrintWorld {
  readonly issuer: URL
  /** Every client of the gateway; the target's own is the one whose id is its audience. */
  readonly clients: readonly ClientConfig[]
  /** Which of several ways the consumer is set up; the target's own default where absent. */
  readonly flavour?: string
  /** Domains of the connectors, in which people live; each once. */
  readonly domains?: readonly string[]
  /** What the rules could ever give at the target, for those whose own rights have to name it. */
  readonly possible?: Possible
  /** PEM of who signed the certificates of the gateway and of the consumer, where machines do not trust them anyway. */
  readonly authorities?: { readonly issuer?: string; readonly consumer?: string }
}
