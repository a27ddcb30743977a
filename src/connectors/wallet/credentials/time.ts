import { refusal } from '../refusal.ts'
import { type JsonObject, secondsOf } from './jws.ts'

/** Seconds by which the clock of an issuer or wallet may be ahead. */
export const SKEW = 60

export interface Window {
  /** Unix seconds. */
  readonly validFrom?: number
  readonly validUntil?: number
}

/**
 * `nbf`, `iat` and `exp` of a JWT (RFC 7519, 4.1).
 * @throws {LoginError} `upstream_rejected` outside of them
 */
export function checkTime(payload: JsonObject, now: number, what: string): Window {
  const [nbf, iat, exp] = ['nbf', 'iat', 'exp'].map((name) => secondsOf(payload[name], `${name} of ${what}`))
  return within({ ...from(nbf ?? iat), ...until(exp) }, now, what)
}

/** @throws {LoginError} `upstream_rejected` */
export function within(window: Window, now: number, what: string): Window {
  const { validFrom, validUntil } = window
  if (validFrom !== undefined && validFrom > now + SKEW) throw refusal(`${what} is not yet valid`)
  if (validUntil !== undefined && validUntil <= now) throw refusal(`${what} is expired`)
  return window
}

const from = (value: number | undefined) => (value === undefined ? {} : { validFrom: value })
const until = (value: number | undefined) => (value === undefined ? {} : { validUntil: value })

/** The later beginning and the earlier end. */
export function narrower(one: Window, other: Window): Window {
  const begins = [one.validFrom, other.validFrom].filter((each) => each !== undefined)
  const ends = [one.validUntil, other.validUntil].filter((each) => each !== undefined)
  return {
    ...from(begins.length > 0 ? Math.max(...begins) : undefined),
    ...until(ends.length > 0 ? Math.min(...ends) : undefined),
  }
}
