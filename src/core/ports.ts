/** Types that several folders share: a clock, a log, a generated file, the names of rings and algorithms. No code. */

/** Unix seconds, whole. A parameter everywhere: no part reads the wall clock by itself. */
export type Clock = () => number

/** Logs one line; `fields` never hold secrets, tokens, assertions or cookies (law 12). */
export type Log = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void

/** A file that the operator of an upstream or of a consumer needs; `path` is relative and has no `..`. */
export interface GeneratedFile {
  readonly path: string
  readonly content: string
  /** It holds a secret: written for its owner's eyes alone, and never to a terminal. */
  readonly secret?: true
}

/** One finding about an upstream or a target, with what was seen. */
export interface Check {
  readonly check: string
  readonly ok: boolean
  readonly found?: string
  /** It hinders no sign-in, and an operator wants to know it. */
  readonly note?: true
}

export type SigningAlg = 'ES256' | 'ES384' | 'RS256' | 'PS256'

/** The ring whose keys are published at `/jwks`; every other ring is published at `/jwks/:ring` alone. */
export const ISSUER_RING = 'issuer'
/** The ring by which the gateway signs to SAML upstreams, and decrypts what they send; published in its metadata. */
export const SAML_RING = 'saml'
