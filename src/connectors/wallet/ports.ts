import type { Check, Clock } from '../../core/ports.ts'
import type { Documents } from './keys/documents.ts'
import type { Anchors } from './keys/x509.ts'

/** What checking a presentation needs of the world, made once for a connector. */
export interface VerifyPorts {
  readonly now: Clock
  /**
   * What an issuer publishes, by `openDocuments({ fetch, now })`: reach `public`, so that no wallet makes the gateway ask its own network.
   * Issuers that the configuration names do not share with others: else strangers with slow hosts could keep them from being asked.
   */
  readonly documents: (issuer: string) => Documents
  /** `openAnchors(…)` */
  readonly anchors: Anchors
  /** Whether an issuer (a did or an https URL) may be asked for its keys: one that no configuration trusts is never fetched. */
  readonly allowed: (issuer: string) => boolean
  /** The leniencies that the operator takes. */
  readonly lenient: ReadonlySet<Leniency>
}

/**
 * Deviations from the standards that real issuers and wallets have, each taken only where the operator names it. None of them leaves
 * a signature, a binding or a time unchecked.
 */
export const leniencies = {
  'vc-typ':
    'a VC-JWT with typ `vc+ld+jwt`, `vc+ld+json+jwt` or `JWT` instead of `vc+jwt` (Gaia-X notaries and examples)',
  'vp-typ': 'a presentation with typ `vc+jwt`, `vp+ld+jwt`, `vp+ld+json+jwt` or `JWT` instead of `vp+jwt`',
  'sd-jwt-typ': 'an SD-JWT VC with typ `vc+sd-jwt`, its name until November 2024',
  'enveloped-separator':
    'an enveloped credential as `data:application/vc+jwt;…` instead of `data:application/vc+jwt,…`',
  'kid-unknown': 'a `kid` of the issuer that its DID document does not have: each of its keys is tried',
  'iss-missing': 'a VC-JWT without `iss` in its header or payload, of which `issuer` alone says by whom it is',
  'header-milliseconds': '`iat` and `exp` in a JOSE header in milliseconds',
  'undefined-terms': 'a Tagus document with properties that no context defines: they are not signed, and not read',
  'anchor-sent': 'the trust anchor itself in `x5c`, which HAIP forbids',
} as const

export type Leniency = keyof typeof leniencies

/** Notes the deviations of one credential. */
export interface Deviations {
  /** @throws {LoginError} `upstream_rejected` where the operator does not take it */
  take(name: Leniency): void
  readonly taken: ReadonlySet<Leniency>
}

/** Takes down what was checked and found, for `lotse explain`. What fails is thrown instead. */
export type Note = (check: Check) => void

/** What readers of formats need. */
export interface Checking {
  readonly ports: VerifyPorts
  /** Anew for each credential. */
  readonly deviations: () => Deviations
  readonly note: Note
}

/** What the check of one credential needs. */
export interface OneChecking {
  readonly ports: VerifyPorts
  readonly deviations: Deviations
}
