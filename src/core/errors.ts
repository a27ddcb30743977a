/**
 * Every way in which a sign-in or a request can fail for a reason that a person can be told.
 * Titles and advice stand in http/pages, by code and language; docs/errors.md is generated from the same table.
 */
const statuses = {
  /** The upstream said no, or its answer did not pass a check (signature, issuer, audience, nonce, time, size). */
  upstream_rejected: 403,
  /** The upstream cannot be reached or answers with a server error. */
  upstream_unavailable: 503,
  /** The person declined, or the upstream's own page was left. */
  upstream_declined: 403,
  /** A credential that was presented does not hold any more: revoked or suspended by its issuer. */
  credential_revoked: 403,
  /** The upstream did not reach the authentication strength that was asked for. */
  acr_not_met: 403,
  /** No rule gives this person anything here. */
  nothing_granted: 403,
  /** A rule refuses this person. */
  forbidden: 403,
  /** A claim is missing or of no use: no stable subject, too long, too many. */
  claims_unusable: 403,
  /** What the rules give does not fit into a token of this target. */
  grants_too_large: 403,
  /** The sign-in has expired, was already finished, or was begun in another browser. */
  login_expired: 400,
  /** The answer arrived in a browser that did not begin this sign-in. */
  wrong_browser: 400,
  /** No connector of this name, or none for this organisation. */
  unknown_connector: 404,
  not_found: 404,
  method_not_allowed: 405,
  bad_request: 400,
  too_large: 413,
  too_many_attempts: 429,
  /** The store, the audit log or another part that a sign-in needs cannot be used now. */
  unavailable: 503,
  internal: 500,
} as const

export type ErrorCode = keyof typeof statuses

/** All codes, in the order of the table. */
export const errorCodes = Object.keys(statuses) as readonly ErrorCode[]

/** The HTTP status that goes with a code. */
export function statusOf(code: ErrorCode): number {
  return statuses[code]
}

/**
 * A failure that may be shown: `code` picks status and texts; `cause` and `detail` are for the log alone and never reach a
 * page, an answer or a client. `facts` are safe values that a text may name (an organisation's label, a needed acr).
 */
export class LoginError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly expose = true
  readonly facts: Readonly<Record<string, string>>

  /** @param detail for the log: what was checked and found, without secrets, tokens or assertions */
  constructor(
    code: ErrorCode,
    detail: string,
    options: { cause?: unknown; facts?: Readonly<Record<string, string>> } = {},
  ) {
    super(detail, 'cause' in options ? { cause: options.cause } : {})
    this.name = 'LoginError'
    this.code = code
    this.status = statuses[code]
    this.facts = options.facts ?? {}
  }
}
