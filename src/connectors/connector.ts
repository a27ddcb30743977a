import type { Clock, GeneratedFile, Log } from '../core/ports.ts'
import type { Proof } from '../core/subject.ts'

/** What a connector must find again when the upstream answers: nonce, PKCE verifier, request id. Kept in the store. */
export type Memo = Readonly<Record<string, string>>

/** What `begin` wants the browser to do. The transport is a value, so that every protocol has the same two verbs. */
export type Challenge =
  | { readonly kind: 'redirect'; readonly url: URL; readonly memo: Memo }
  | {
      readonly kind: 'form'
      readonly action: URL
      readonly fields: Readonly<Record<string, string>>
      readonly memo: Memo
    }
  | { readonly kind: 'wallet'; readonly requestUri: URL; readonly memo: Memo }

/** What the client asked for; passed upstream and then checked in the answer, never assumed. */
export interface Hints {
  readonly acrValues?: readonly string[]
  /** Seconds. */
  readonly maxAge?: number
  readonly prompt?: 'login' | 'none' | 'consent' | 'select_account'
  readonly loginHint?: string
  readonly uiLocales?: string
}

/** An upstream's answer as it arrived, and what `begin` left for it. */
export interface Answer {
  /** The callback URL, built from the configured issuer, with the query that arrived. */
  readonly url: URL
  /** The fields of a POSTed answer. */
  readonly form?: URLSearchParams
  readonly memo: Memo
}

/** One finding of `inspect`: the same checks as `complete`, each with what was seen. */
export interface Check {
  readonly check: string
  readonly ok: boolean
  readonly found?: string
}

/** A configured upstream that proves who somebody is. Sees no cookie, no store and no framework. */
export interface Connector {
  readonly id: string
  /**
   * Starts a sign-in.
   * @param state comes back unchanged as OIDC `state`, SAML `RelayState`, OpenID4VP `state`
   * @throws {LoginError} `upstream_unavailable`
   */
  begin(state: string, hints: Hints): Promise<Challenge>
  /**
   * Turns the upstream's answer into a proof. Nothing is believed before its signature, issuer, audience, freshness and
   * binding to `memo` were checked (law 2).
   * @throws {LoginError} `upstream_rejected`, `upstream_unavailable`, `upstream_declined`, `acr_not_met`, `claims_unusable`
   */
  complete(answer: Answer): Promise<Proof>
  /** Still there, and with which claims? */
  recheck?(proof: Proof): Promise<Proof | 'gone'>
  /** Ends the upstream's session too. */
  logout?(proof: Proof, returnTo: URL): Promise<URL | undefined>
  /** What the upstream's operator needs: redirect URIs, SP metadata. */
  print?(): readonly GeneratedFile[]
  /** For `lotse explain --answer`. */
  inspect?(answer: Answer): Promise<readonly Check[]>
}

/** The powers that a connector may use; nothing else of the world reaches it. */
export interface ConnectorPorts {
  readonly now: Clock
  readonly fetch: typeof globalThis.fetch
  /** The URL to which the upstream answers: `{issuer}/callback/{id}`. */
  readonly callback: URL
  /** Encrypts under the root secret, bound to `context`. */
  readonly seal: (plaintext: string, context: string) => string
  /** @throws where the text was not sealed here or for another context */
  readonly open: (sealed: string, context: string) => string
  readonly log: Log
}
