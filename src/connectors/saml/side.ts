/** A key of the gateway as a SAML service provider. */
export interface SpKey {
  readonly kid: string
  readonly state: 'next' | 'current' | 'retired'
  /** PEM (PKCS#8), RSA. */
  readonly privateKey: string
  /** Its self-signed certificate: base64 of DER, without line breaks. */
  readonly certificate: string
}

/** A text in one language or in several, by the language's tag. */
export type Worded = string | Readonly<Record<string, string>>

/** What the gateway tells of itself in its SAML metadata. */
export interface SpAbout {
  readonly name: Worded
  readonly description?: Worded
  readonly logo?: { readonly url: string; readonly width: number; readonly height: number }
  readonly information?: Worded
  readonly privacy?: Worded
  readonly organization?: { readonly name: Worded; readonly url: Worded }
  readonly contacts: readonly {
    readonly type: 'technical' | 'support' | 'administrative' | 'security'
    readonly name: string
    readonly email: string
  }[]
  readonly categories: readonly string[]
  readonly attributes: readonly string[]
}

/** The gateway as a SAML service provider: one entity for all of its upstreams. */
export interface ServiceProvider {
  readonly entityId: string
  /** Asked at each use: keys rotate. Empty where there are none yet. */
  keys(): readonly SpKey[]
  about(): SpAbout
}
