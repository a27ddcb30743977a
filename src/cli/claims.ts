import type { Subject } from '../core/subject.ts'
import { UsageError } from './command.ts'

type Mutable = { claims: Record<string, string[]>; records: Record<string, Record<string, string>[]> }

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

/** What the command line says over the claims' heads. */
export interface Besides {
  readonly id?: string | undefined
  readonly acr?: string | undefined
  readonly amr?: readonly string[]
}

/**
 * A subject from claims as an upstream would send them. Nothing is verified: this is for trying rules only.
 * @throws {UsageError} where the claims are no JSON object or a pair has no `=`
 */
export function subjectFrom({ connector, text, pairs, now }: Said, { id, acr, amr = [] }: Besides = {}): Subject {
  const found: Mutable = { claims: Object.create(null), records: Object.create(null) }
  for (const [name, value] of Object.entries(object(text))) take(found, name, value)
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    if (at < 1) throw new UsageError(`--claim ${JSON.stringify(pair)} has no value; write NAME=VALUE`)
    add(found.claims, pair.slice(0, at), pair.slice(at + 1))
  }
  const one = (name: string) => found.claims[name]?.[0]
  const methods = amr.length > 0 ? amr : found.claims['amr']
  const level = acr ?? one('acr')
  const time = Number(one('auth_time') ?? now)
  return {
    connector,
    id: id ?? one('sub') ?? 'somebody',
    claims: found.claims,
    records: found.records,
    authTime: Number.isFinite(time) ? time : now,
    ...(level !== undefined && { acr: level }),
    ...(methods && { amr: methods }),
  }
}

function object(text: string): object {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new UsageError('the claims are no JSON; write an object such as {"groups": ["web"]}', { cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw new UsageError('the claims are no JSON object; write one such as {"groups": ["web"]}')
}

/** Top-level names verbatim, nested ones as JSON pointers (RFC 6901), arrays of objects as records. */
function take(found: Mutable, name: string, value: unknown): void {
  const list = Array.isArray(value) ? value : [value]
  for (const each of list) {
    if (each === null || each === undefined) continue
    if (typeof each !== 'object') add(found.claims, name, String(each))
    else if (Array.isArray(value)) addRecord(found, name, each)
    else for (const [key, inner] of Object.entries(each)) take(found, `${pointer(name)}/${escaped(key)}`, inner)
  }
}

const escaped = (key: string) => key.replaceAll('~', '~0').replaceAll('/', '~1')
const pointer = (name: string) => (name.startsWith('/') ? name : `/${escaped(name)}`)

function add(claims: Mutable['claims'], name: string, value: string): void {
  claims[name] = [...(claims[name] ?? []), value]
}

function addRecord({ records }: Mutable, name: string, value: object): void {
  const flat = Object.entries(value).filter(([, each]) => ['string', 'number', 'boolean'].includes(typeof each))
  records[name] = [...(records[name] ?? []), Object.fromEntries(flat.map(([key, each]) => [key, String(each)]))]
}
