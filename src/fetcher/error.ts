/** Why a request was not made or its answer not taken. `code` is what callers branch on. */
export class FetchError extends TypeError {
  readonly code:
    | 'FETCH_SCHEME'
    | 'FETCH_ADDRESS'
    | 'FETCH_TOO_LARGE'
    | 'FETCH_TIMEOUT'
    | 'FETCH_UNREACHABLE'
    | 'FETCH_REDIRECT'
    | 'FETCH_ENCODING'

  constructor(code: FetchError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause })
    this.name = 'FetchError'
    this.code = code
  }
}

/** What went wrong with a request, in the words of `FetchError`; the caller's own reason to stop stays what it is. */
export function explain(error: Error, url: URL, signal: AbortSignal): Error {
  if (error instanceof FetchError) return error
  if (signal.aborted) {
    const timedOut = signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError'
    if (timedOut) return new FetchError('FETCH_TIMEOUT', `${url.origin} did not answer in time`)
    // A signal of the process is a text.
    return signal.reason instanceof Error
      ? signal.reason
      : new FetchError('FETCH_UNREACHABLE', `${url.origin} was left: ${signal.reason}`)
  }
  return new FetchError('FETCH_UNREACHABLE', `${url.origin} cannot be reached`, error)
}
