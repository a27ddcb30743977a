/**
 * How a credential travels: the identifiers of OpenID4VP 1.0 (Appendix B), and `vp+jwt` for Gaia-X Loire, for which OpenID4VP has none:
 * VC-JWTs (`vc+jwt`) as EnvelopedVerifiableCredential in a `vp+jwt` that is bound to our nonce and client id (docs/gaia-x-profile.md).
 */
export type Format = 'dc+sd-jwt' | 'jwt_vc_json' | 'vp+jwt'

/** What a JSON document may hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** What a presentation must be bound to, or it is somebody else's. */
export interface Binding {
  readonly nonce: string
  /** The full client id, with its prefix. */
  readonly audience: string
}

/** Who signed a credential, and by what its key became known. */
export interface Issuer {
  /** `iss`: a did or an https URL; of an issuer that names none, the subject of its certificate (RFC 4514). */
  readonly id: string
  /** `x5c`: chained to the configured anchor `anchor`; `did` and `metadata`: said by the issuer's own domain, so whoever has that domain. */
  readonly by: 'x5c' | 'did' | 'metadata'
  /** The thumbprint of the key by which a `did` or `metadata` signed: while it is there, what it signed stands. */
  readonly key?: string
  /** The configured anchor to which the certificate of its key chains: always with `x5c`, and of a `did` whose key names one. */
  readonly anchor?: string
  /** The key of the root to which it chains, beside every `anchor`: SHA-256 of its SPKI, base64url. Under the anchor's name there may be others tomorrow. */
  readonly root?: string
  /** Unix seconds at which the certificate of its key runs out; absent where it has none. */
  readonly certifiedUntil?: number
}

/** Where the status of a credential stands. */
export type StatusReference =
  /** Token Status List: 0 is valid, 1 revoked, 2 suspended. */
  | { readonly kind: 'token'; readonly uri: string; readonly index: number }
  /** Bitstring Status List: one bit (or more) for one purpose. */
  | {
      readonly kind: 'bitstring'
      readonly uri: string
      readonly index: number
      readonly purpose: string
      readonly size: number
    }

/**
 * A credential of a presentation after its signature, its holder's proof, their binding to our request and their time were checked.
 * Whether this issuer may say this is another question (trust.ts), and so is its status.
 */
export interface Credential {
  readonly format: Format
  /** `vct`, or the types of the VC without `VerifiableCredential`, and those of its subject. */
  readonly types: readonly string[]
  /** The `id` of a VC. */
  readonly id?: string
  /**
   * SHA-256 of it as it travelled, and of what else others may name it by (of a VC, JCS of its JSON): lower-case hex. A Gaia-X label says by
   * these for which credentials it was given.
   */
  readonly digests?: readonly string[]
  readonly issuer: Issuer
  /**
   * The key that proved the presentation and to which this credential is bound: its JWK thumbprint (RFC 7638, SHA-256). Absent: the
   * credential is about somebody else than who presents it, so it is evidence about an organisation, and signs nobody in.
   */
  readonly holder?: string
  /** `credentialSubject.id` or `sub`, where there is one. */
  readonly subject?: string
  /** Everything that is claimed and was disclosed, without the envelope (`iss`, `exp`, `cnf`, `status`, `_sd` …); of a VC, what its subject holds. */
  readonly claims: { readonly [name: string]: Json }
  /** Unix seconds. */
  readonly validFrom?: number
  readonly validUntil?: number
  readonly status: readonly StatusReference[]
  /** The leniencies that it needed, by their names. */
  readonly leniencies: readonly string[]
}

/** What speaks about an organisation, from a wallet or from the operator's files; it is bound to nobody and signs nobody in. */
export interface Evidence extends Omit<Credential, 'format' | 'holder'> {
  /** `tagus`: JSON-LD with Gaia-X's own signing input, as the documents of 22.10. */
  readonly format: Format | 'tagus'
}
