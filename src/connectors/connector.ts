import type { RegexEngine } from '../core/policy.ts'
import type { Check, Clock, GeneratedFile, Log } from '../core/ports.ts'
import type { Proof, Subject } from '../core/subject.ts'
import type { ServiceProvider } from './saml/side.ts'
import type { WalletRequest, WalletSide } from './wallet/side.ts'

/**
 * What a connector must find again when the upstream answers: nonce, PKCE verifier, request id. Kept in the store.
 * `idp` is the identity provider of a federation that was asked.
 */
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
  /** `seconds` is how long a wallet may take, at most 600. */
  | {
      readonly kind: 'wallet'
      readonly requests: readonly WalletRequest[]
      readonly seconds: number
      readonly memo: Memo
    }

/** Where the browser goes on, when nothing has to be found again afterwards. */
export type Departure =
  | { readonly kind: 'redirect'; readonly url: URL }
  | { readonly kind: 'form'; readonly action: URL; readonly fields: Readonly<Record<string, string>> }

/** What the client asked for; passed upstream and then checked in the answer, never assumed. */
export interface Hints {
  readonly acrValues?: readonly string[]
  /** Seconds. */
  readonly maxAge?: number
  readonly prompt?: 'login' | 'none' | 'consent' | 'select_account'
  readonly loginHint?: string
  readonly uiLocales?: string
  /** Which identity provider of a federation, by its entityID. */
  readonly idp?: string
}

/** An upstream's answer as it arrived, and what `begin` left for it. */
export interface Answer {
  /** The callback URL, built from the configured issuer, with the query that arrived. */
  readonly url: URL
  /** The fields of a POSTed answer. */
  readonly form?: URLSearchParams
  readonly memo: Memo
}

/** Something that is good once: an id that no other has in this connector, and until when it must be remembered (Unix seconds). */
export interface Once {
  readonly id: string
  readonly until: number
}

/** A proof as an answer brought it. Where the answer may come once only, it is believed by whoever claims `once`, and by nobody else. */
export interface Proved extends Proof {
  readonly once?: Once
}

/** A message by which an upstream says that it ended something; `front-channel` comes through a browser, in a frame. */
export type Message =
  | { readonly kind: 'back-channel'; readonly form: URLSearchParams }
  | { readonly kind: 'front-channel'; readonly query: URLSearchParams }

/**
 * A message that a browser carries over and waits with: its query as it arrived, since that is what is signed, or a posted form.
 * `to` is the address at which it arrived, built from the configured issuer.
 */
export type Relayed =
  | { readonly kind: 'redirect'; readonly query: string; readonly to: URL }
  | { readonly kind: 'form'; readonly form: URLSearchParams; readonly to: URL }

/** A person who is gone, where more can be said of it than that. */
export interface Gone {
  readonly kind: 'gone'
  /** For the audit log: of what, never of whom. */
  readonly why: string
}

/** What an upstream ended: one of its sessions, all of a person, or one of a person. At least one of `session` and `id` is there. */
export interface Heard {
  /** As `Proof.upstreamSession`. */
  readonly session?: string
  /** As `Subject.id`. */
  readonly id?: string
  readonly once?: Once
}

/** What an upstream ended, while the browser waits to go back there. */
export interface Asked {
  /** As `Proof.upstreamName`. */
  readonly name: string
  /** As `Proof.upstreamSession`; all sessions of that name where empty. */
  readonly sessions: readonly string[]
  readonly once: Once
  /** What to send back. `partly`: a client could not be told in time. */
  readonly reply: (how: 'wholly' | 'partly') => Promise<Departure>
}

/** The answer to a logout that the gateway asked for. */
export interface Returned {
  /** As `logout` was given it. */
  readonly state: string
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
   * @throws {LoginError} `upstream_rejected`, `upstream_unavailable`, `upstream_declined`, `credential_revoked`, `acr_not_met`, `claims_unusable`
   */
  complete(answer: Answer): Promise<Proved>
  /**
   * Still there, and with which claims? The answer is about the same person and session as `proof`.
   * @returns the proof renewed; `gone` where the upstream says that person or session are over; `unknown` where this upstream
   *   cannot be asked about this proof, which then lives until its `goodUntil`
   * @throws {LoginError} `upstream_unavailable`: the upstream is down, for everybody; another code: nothing was learnt about this person
   */
  recheck?(proof: Proof): Promise<Proof | Gone | 'gone' | 'unknown'>
  /**
   * Where to send the browser to end the upstream's session too; undefined where the upstream has no such place.
   * @param back the upstream sends the browser to `returnTo` afterwards, with `state` in its query
   */
  logout?(proof: Proof, back: { readonly returnTo: URL; readonly state: string }): Promise<Departure | undefined>
  /**
   * Reads a message by which the upstream ends something. Nothing is believed before signature, issuer, audience and time were
   * checked (law 2); whether it came before is for the caller, by `once`.
   * @throws {LoginError} `upstream_rejected`, `upstream_unavailable`
   */
  hear?(message: Message): Promise<Heard>
  /**
   * Reads what a browser carries over from the upstream at its logout: a request to end something, or the answer to one of ours.
   * Nothing is believed before signature, issuer, destination and time were checked.
   * @throws {LoginError} `upstream_rejected`, `upstream_unavailable`
   */
  relay?(message: Relayed): Promise<Asked | Returned>
  /** Where people of several identity providers come: how each says which is hers. Undefined where there is one. @throws {LoginError} `upstream_unavailable` */
  discover?(): Promise<Discovery | undefined>
  /** Once a second: begins with what is due by the time, such as reading metadata again. Never throws and does not wait for it. */
  tend?(): void
  standing?(): Standing
  readonly wallet?: WalletSide
  /**
   * The checks of `complete`, each with its finding, up to the first stage that fails: for `lotse explain`. What only its own sign-in
   * could tell (its request, its time) is taken from the answer itself, and said. Never rejects for what the answer is.
   */
  inspect?(answer: Captured): Promise<Inspection>
  /** What the upstream's operator needs: redirect URIs, SP metadata. */
  print?(): readonly GeneratedFile[]
  /** What can be said of the configuration without asking anybody: files that it names. Never rejects. */
  review?(): Promise<readonly Check[]>
  /** What can be asked of the upstream without a person: reachable, itself, with usable keys; and what it offers. Never rejects. */
  probe?(): Promise<readonly Check[]>
}

/** An answer that somebody kept, long after its sign-in: the text as it travelled, or what it holds. */
export interface Captured {
  readonly text: string
}

/** What became of a captured answer: its checks, and the person of whom it speaks where none of them failed. */
export interface Inspection {
  readonly checks: readonly Check[]
  readonly subject?: Subject
}

/** An identity provider that a person may choose. */
export interface Choice {
  /** Its entityID. */
  readonly id: string
  readonly name: string
  /** A domain that is its own, to tell two of one name apart. */
  readonly domain?: string
}

/** How a person says which identity provider of a federation is hers. */
export interface Discovery {
  /** By entityID, or by the domain of an e-mail address where it is the domain of exactly one. @throws {LoginError} `upstream_unavailable` */
  find(hint: string, language: string): Promise<Choice | undefined>
  /** The best fifty, and how many there are; all of them for no words. */
  search(words: string, language: string): { readonly shown: readonly Choice[]; readonly total: number }
  /** Another service that asks instead of the gateway's own page. @param returnTo takes the choice in the parameter `entityID` */
  service?(returnTo: URL): URL
}

/** What a connector knows of its upstreams by their metadata. */
export interface Standing {
  /** Unix seconds of the last reading that was good; of the oldest source where there are several. Absent: there was none yet. */
  readonly readAt?: number
  /** Unix seconds at which the first of it comes to its end. */
  readonly validUntil?: number
  readonly idps: number
}

/** Gets a document that is too large to hold: the body of a 200 goes to `sink`, which counts once this has resolved. */
export type Download = (
  url: string,
  headers: Readonly<Record<string, string>>,
  sink: (chunk: Uint8Array) => Promise<void>,
) => Promise<Response>

/** Texts of one connector that outlive the process; whatever is kept can be had anew. */
export interface Kept {
  get(name: string): Promise<string | undefined>
  /** @param text at most 1,048,576 characters. @param seconds for which it is kept, at least 1 */
  put(name: string, text: string, seconds: number): Promise<void>
  delete(name: string): Promise<void>
}

/** The powers that a connector may use; nothing else of the world reaches it. */
export interface ConnectorPorts {
  readonly now: Clock
  /** Bounded, also in time. */
  readonly fetch: typeof globalThis.fetch
  readonly download: Download
  readonly kept: Kept
  /** The URL to which the upstream answers: `{issuer}/callback/{id}`. */
  readonly callback: URL
  /** Where a discovery service sends a browser back to. */
  readonly discovery: URL
  /** Where a wallet fetches what it is asked and where it answers, each with the request's id below it. */
  readonly wallet: { readonly request: URL; readonly response: URL }
  /** Where an upstream says that it ended a session, from server to server and in a frame, and where it sends a browser back to. */
  readonly logout: { readonly back: URL; readonly front: URL; readonly saml: URL; readonly returned: URL }
  /** The gateway as SAML upstreams know it. */
  readonly sp: ServiceProvider
  /** The linear-time engine for patterns that come from outside. */
  readonly regex: RegexEngine
  /** Encrypts under the root secret, bound to `context`. */
  readonly seal: (plaintext: string, context: string) => string
  /** @throws where the text was not sealed here or for another context */
  readonly open: (sealed: string, context: string) => string
  readonly log: Log
}

/** The gateway's own addresses for a connector. */
export function urlsFor(issuer: URL, id: string): Pick<ConnectorPorts, 'callback' | 'discovery' | 'logout' | 'wallet'> {
  return {
    callback: new URL(`/callback/${id}`, issuer),
    discovery: new URL(`/discovery/${id}`, issuer),
    wallet: { request: new URL('/wallet/request', issuer), response: new URL('/wallet/response', issuer) },
    logout: {
      back: new URL(`/logout/back/${id}`, issuer),
      front: new URL(`/logout/front/${id}`, issuer),
      saml: new URL(`/logout/saml/${id}`, issuer),
      returned: new URL('/logout/returned', issuer),
    },
  }
}
