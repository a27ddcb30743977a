import { readClaims } from '../connectors/claims.ts'
import type { Subject } from '../core/subject.ts'
import { UsageError } from './command.ts'

/** What the command line says of a person. */
export interface Said {
  readonly connector: string
  /** A JSON object of claims. */
  readonly text: string
  /** `NAME=VALUE` */
  readonly pairs: readonly string[]
  /** Unix seconds of the sign-in. */
  readonly now: number
}

/** What stands above the claims. */
export interface Besides {
  readonly id?: string | undefined
  readonly acr?: string | undefined
  readonly amr?: readonly string[]
  /** The claim that holds the id. */
  readonly subjectClaim?: string
  /** Claims that the connector does not read. */
  readonly ignore?: readonly string[]
}

/**
 * A subject from claims as an upstream would send them, read as the OIDC connector reads them. Nothing is verified: this is for
 * trying rules only.
 * @throws {UsageError} where the claims are no JSON object or a pair has no `=`
 * @throws {LoginError} `claims_unusable`, as a sign-in with them would
 */
export function subjectFrom({ connector, text, pairs, now }: Said, besides: Besides = {}): Subject {
  const json = object(text)
  const read = readClaims(json, besides.ignore ?? [])
  const claims: Record<string, readonly string[]> = Object.assign(Object.create(null), read.claims)
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    if (at < 1) throw new UsageError(`--claim ${JSON.stringify(pair)} has no value; write NAME=VALUE`)
    const name = pair.slice(0, at)
    claims[name] = [...(claims[name] ?? []), pair.slice(at + 1)]
  }
  const acr = besides.acr ?? claims['acr']?.[0]
  const amr = besides.amr && besides.amr.length > 0 ? besides.amr : claims['amr']
  const time = Number(json['auth_time'] ?? now)
  return {
    connector,
    id: besides.id ?? claims[besides.subjectClaim ?? 'sub']?.[0] ?? 'somebody',
    claims,
    records: read.records,
    authTime: Number.isFinite(time) ? time : now,
    ...(acr !== undefined && { acr }),
    ...(amr && { amr }),
  }
}

function object(text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new UsageError('the claims are no JSON; write an object such as {"groups": ["web"]}', { cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new UsageError('the claims are no JSON object; write one such as {"groups": ["web"]}')
}
