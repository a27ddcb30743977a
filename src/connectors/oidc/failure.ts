import { errors as jose } from 'jose'
import {
  AuthorizationResponseError,
  ClientError,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
} from 'openid-client'
import { type ErrorCode, LoginError } from '../../core/errors.ts'

/** OAuth errors of an upstream that mean something else than "refused". */
const meanings: Readonly<Record<string, ErrorCode>> = {
  access_denied: 'upstream_declined',
  consent_required: 'upstream_declined',
  server_error: 'upstream_unavailable',
  temporarily_unavailable: 'upstream_unavailable',
  unmet_authentication_requirements: 'acr_not_met',
}

/** What a client may be told word for word: registered codes, never an upstream's own text. */
const passedOn = new Set([
  ...Object.keys(meanings),
  'login_required',
  'interaction_required',
  'account_selection_required',
])

/**
 * Says in our words why talking to the upstream failed. The library's errors carry tokens and claims as their `cause`, so
 * only names and fixed texts are taken from them (law 12). `facts.error` is the OAuth error that a client may see.
 */
export function failure(thrown: unknown): LoginError {
  if (thrown instanceof LoginError) return thrown
  if (thrown instanceof AuthorizationResponseError)
    return refused(thrown.error, thrown.error_description, 'upstream_rejected')
  if (thrown instanceof ResponseBodyError)
    return refused(
      thrown.error,
      thrown.error_description,
      isOutage(thrown.status) ? 'upstream_unavailable' : 'upstream_rejected',
    )
  if (thrown instanceof WWWAuthenticateChallengeError) {
    const error = printable(String(thrown.cause[0]?.parameters['error'] ?? 'no error code'), 60)
    if (isOutage(thrown.status))
      return new LoginError('upstream_unavailable', `the upstream answered with status ${thrown.status}: ${error}`)
    return new LoginError('upstream_rejected', `the upstream does not accept the gateway's own proof: ${error}`)
  }
  const code = codeOf(thrown)
  if (code === 'FETCH_TOO_LARGE') return new LoginError('upstream_rejected', 'the upstream answered with too much data')
  if (code.startsWith('FETCH_') || code === 'OAUTH_TIMEOUT' || code === 'OAUTH_ABORT')
    return new LoginError('upstream_unavailable', `the upstream cannot be reached (${code})${because(thrown)}`)
  const { cause } = thrown as { cause?: unknown }
  if (cause instanceof Response)
    return new LoginError(
      isOutage(cause.status) ? 'upstream_unavailable' : 'upstream_rejected',
      `the upstream answered with status ${cause.status}`,
    )
  return new LoginError(
    'upstream_rejected',
    `the upstream's answer was refused: ${fixedText(thrown)} (${code || 'no code'})`,
  )
}

/**
 * The OAuth error code and status with which an endpoint refused; undefined where that was no refusal of its own. Doorkeeper
 * (GitLab) puts a challenge beside every error, also of the token endpoint: there the code stands in the header.
 */
export function refusalOf(thrown: unknown): { readonly status: number; readonly error?: string } | undefined {
  if (thrown instanceof ResponseBodyError) return { status: thrown.status, error: thrown.error }
  if (thrown instanceof WWWAuthenticateChallengeError) {
    const error = thrown.cause.find(({ parameters }) => parameters.error !== undefined)?.parameters.error
    return { status: thrown.status, ...(error !== undefined && { error }) }
  }
  const { cause } = (thrown ?? {}) as { cause?: unknown }
  return cause instanceof Response ? { status: cause.status } : undefined
}

/** Whether another look at the upstream's keys may help: the key is not there, or the one with this id does not fit. */
export function isKeyTrouble(thrown: unknown): boolean {
  if (!(thrown instanceof ClientError)) return false
  if (thrown.code === 'OAUTH_KEY_SELECTION_FAILED') return true
  // The library gives a failed signature the code of every malformed answer; its cause alone carries what was verified.
  const detail = (thrown.cause as { cause?: unknown } | undefined)?.cause
  return typeof detail === 'object' && detail !== null && 'signature' in detail && 'algorithm' in detail
}

function refused(error: string, description: string | undefined, otherwise: ErrorCode): LoginError {
  const known = Object.hasOwn(meanings, error) ? meanings[error]! : otherwise
  const words = description ? `: ${printable(description, 200)}` : ''
  return new LoginError(known, `the upstream says ${printable(error, 60)}${words}`, {
    facts: passedOn.has(error) ? { error } : {},
  })
}

/** What passes by itself: the upstream is down, or asked for patience (RFC 6585 4). */
const isOutage = (status: number) => status >= 500 || status === 429

const printable = (text: string, length: number) => text.slice(0, length).replace(/[^\x20-\x7e]/g, '?')

const codeOf = (thrown: unknown) => {
  const code = (thrown as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : ''
}

/** The system's word (ECONNREFUSED, CERT_HAS_EXPIRED), which the fetcher hands on as the cause's code. */
const because = (thrown: unknown) => {
  const code = codeOf((thrown as { cause?: unknown } | undefined)?.cause)
  return code ? `: ${code}` : ''
}

/** Texts of the library itself; those of a JSON parser quote the input. */
function fixedText(thrown: unknown): string {
  if (thrown instanceof jose.JOSEError) return thrown.message
  if (!(thrown instanceof ClientError)) return 'an unexpected failure'
  const inner = thrown.cause
  return inner instanceof Error && inner.name === 'OperationProcessingError' ? inner.message : thrown.message
}
