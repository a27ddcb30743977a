/** Where an IdP takes messages, and by which binding. */
export interface Endpoint {
  readonly binding: 'redirect' | 'post'
  readonly url: string
  /** Where answers go instead, if the metadata says so. */
  readonly responseUrl?: string
}

/** A scope that an IdP may assert; a pattern is anchored and runs in the linear-time engine. */
export interface Scope {
  readonly text: string
  readonly pattern: boolean
}

/** A text in several languages, by the language's tag (`de`, `en`). */
export type Localized = Readonly<Record<string, string>>

/** One identity provider as its metadata says it: plain data, JSON-safe, small enough for ten thousand of them. */
export interface Idp {
  readonly entityId: string
  /** Base64 of DER, without line breaks; the keys that are for signing, or for anything. At least one. */
  readonly signing: readonly string[]
  /** Single sign-on, in the metadata's order. At least one. */
  readonly sso: readonly Endpoint[]
  /** Single logout; empty where the IdP has none. */
  readonly slo: readonly Endpoint[]
  readonly wantsSignedRequests: boolean
  readonly nameIdFormats: readonly string[]
  /** `shibmd:Scope`: what scoped attributes may end in. */
  readonly scopes: readonly Scope[]
  /** `mdui:DisplayName`, else the organisation's, else empty. */
  readonly names: Localized
  /** `mdui:Keywords` and `mdui:DomainHint`: what else finds it. */
  readonly keywords: readonly string[]
  readonly logo?: string
  readonly registrationAuthority?: string
  /** Entity categories and assurance certifications (`mdattr:EntityAttributes`). */
  readonly categories: readonly string[]
  /** It asks not to be shown in discovery (REFEDS hide-from-discovery). */
  readonly hidden: boolean
  /** Unix seconds; what its entity or the aggregate around it says, the earlier of them. */
  readonly validUntil?: number
}

/**
 * The IdPs of a connector as they are known at this moment; reads are quick and from memory or the store.
 * What is past its `validUntil` is not there.
 */
export interface IdpDirectory {
  /** @throws {LoginError} `upstream_unavailable` where nothing is known yet and the source cannot be read */
  find(entityId: string): Promise<Idp | undefined>
  /** The only one there is; undefined for a federation. @throws {LoginError} `upstream_unavailable` */
  only(): Promise<Idp | undefined>
}
