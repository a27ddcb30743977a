import { LoginError } from '../core/errors.ts'
import type { ClaimRecord } from '../core/subject.ts'

type Json = Readonly<Record<string, unknown>>

/** What a subject takes from an upstream's JSON. Both maps have no prototype: `constructor` is there only if it was sent. */
export interface Claims {
  readonly claims: Readonly<Record<string, readonly string[]>>
  readonly records: Readonly<Record<string, readonly ClaimRecord[]>>
}

/** How much one person's claims may be; an upstream that sends more is misconfigured or hostile. */
export const limits = {
  /** Values, or records, of one claim. */
  values: 2000,
  /** UTF-16 units of one value. */
  value: 1024,
  /** UTF-16 units of all names and values together. */
  total: 256 * 1024,
  /** Names of claims, nested ones counted by their pointers. */
  names: 500,
  /** UTF-16 units of a name. */
  name: 256,
  /** Levels of nesting. */
  depth: 8,
} as const

/** Claims of the protocol, read where they are checked and of no use in a rule. */
const protocol = new Set(
  'iss aud exp nbf iat nonce azp at_hash c_hash s_hash jti sid auth_time _claim_names _claim_sources'.split(' '),
)

/** Claims that only a signed ID token may say: userinfo never overwrites or adds them. */
const signedOnly = new Set([...protocol, 'sub', 'acr', 'amr'])

/** What belongs together and is said together: an address, and whether it was verified. */
const addressClaims = new Set(['email', 'email_verified'])

/**
 * Puts the ID token's and userinfo's claims together; what is signed wins. The caller has checked that `sub` is equal.
 * `email_verified` is about the address beside it: it comes from where the address does, so that nobody's unverified address of
 * the one is verified by what the other says of another address.
 * @see OpenID Connect Core 5.1, 5.3.2
 */
export function mergeUserinfo(idToken: Json, userinfo: Json): Json {
  const hasAddress = Object.hasOwn(idToken, 'email')
  const sameAddress = hasAddress && idToken['email'] === userinfo['email']
  const signed = Object.entries(idToken).filter(([name]) => hasAddress || !addressClaims.has(name))
  const known = new Set(signed.map(([name]) => name))
  const added = Object.entries(userinfo).filter(
    ([name]) => !signedOnly.has(name) && !known.has(name) && (!hasAddress || sameAddress || !addressClaims.has(name)),
  )
  return Object.fromEntries([...signed, ...added])
}

/**
 * Turns an upstream's JSON into lists of strings: booleans and numbers become text, nested names JSON pointers
 * (`/realm_access/roles`), arrays of objects records. Null is absence. Arrays directly inside arrays are not read.
 * @param ignore top-level names that are not read at all
 * @throws {LoginError} `claims_unusable`, naming the claim, where a limit is passed or the upstream left claims out
 */
export function readClaims(json: Json, ignore: readonly string[]): Claims {
  const skipped = new Set([...protocol, ...ignore])
  refuseLeftOut(json, skipped)
  const into: Sink = { claims: Object.create(null), records: Object.create(null), size: 0, names: new Set() }
  for (const [name, value] of Object.entries(json)) {
    // A top-level name that begins with `/` could pass as a nested one; `__proto__` is nobody's claim.
    if (skipped.has(name) || name.startsWith('/') || name === '__proto__') continue
    read(into, name, value, `/${escaped(name)}`, 1)
  }
  return { claims: into.claims, records: into.records }
}

/**
 * The value that identifies the person for good.
 * @throws {LoginError} `claims_unusable` where it is missing, or could be mistaken for another
 */
export function readSubjectId(json: Json, claim: string): string {
  const value = Object.hasOwn(json, claim) ? json[claim] : undefined
  const id = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value
  // Lone surrogates all hash alike: two people would get one account.
  if (typeof id !== 'string' || id === '' || id.length > 255 || !id.isWellFormed() || /\p{Cc}/u.test(id))
    throw unusable(claim, 'is missing or no text of 1 to 255 characters; it is what identifies the person')
  return id
}

interface Sink {
  readonly claims: Record<string, string[]>
  readonly records: Record<string, ClaimRecord[]>
  readonly names: Set<string>
  size: number
}

/** Entra ID leaves `groups` out when a person has more than 200, and says so here: rules would see nobody's groups. */
function refuseLeftOut(json: Json, skipped: ReadonlySet<string>) {
  const names = json['_claim_names']
  const left = typeof names === 'object' && names !== null ? Object.keys(names) : []
  const overage = json['hasgroups'] === true || json['hasgroups'] === 'true' ? ['groups'] : []
  for (const name of [...left, ...overage]) {
    if (Object.hasOwn(json, name) || (skipped.has(name) && !protocol.has(name))) continue
    throw unusable(
      name,
      'was left out by the upstream because it has too many values (_claim_names); let it send app roles or only the ' +
        'groups assigned to the application, or put the claim under `ignore`',
    )
  }
}

function read(into: Sink, name: string, value: unknown, pointer: string, depth: number): void {
  if (depth > limits.depth) throw unusable(pointer, `is nested deeper than ${limits.depth} levels`)
  if (Array.isArray(value)) {
    readArray(into, name, value)
  } else if (isObject(value)) {
    for (const [key, nested] of Object.entries(value)) {
      const below = `${pointer}/${escaped(key)}`
      read(into, below, nested, below, depth + 1)
    }
  } else {
    const text = scalar(value)
    if (text !== undefined) put(into, into.claims, name, [checked(name, text)])
  }
}

function readArray(into: Sink, name: string, values: readonly unknown[]) {
  if (values.length > limits.values)
    throw unusable(name, `has ${values.length} values, more than ${limits.values}; let the upstream send fewer`)
  const texts = values.flatMap((value) => scalar(value) ?? [])
  const records = values.filter(isObject).flatMap((value) => readRecord(name, value))
  if (records.length > limits.values) throw unusable(name, `has more than ${limits.values} records`)
  // An empty list is a claim that is there: `present` must hold for it, as for `groups: []`.
  if (texts.length || !records.length)
    put(
      into,
      into.claims,
      name,
      texts.map((text) => checked(name, text)),
    )
  if (records.length) put(into, into.records, name, records)
}

/** One record for each value of a list in it, so that `{project, roles: [a, b]}` stays two pairs that belong together. */
function readRecord(claim: string, json: Json): readonly ClaimRecord[] {
  let rows: [string, string][][] = [[]]
  for (const [name, value] of flat(claim, json, '', 1)) {
    const texts = (Array.isArray(value) ? value : [value]).flatMap((one) => scalar(one) ?? [])
    if (!texts.length) continue
    if (rows.length * texts.length > limits.values) throw unusable(claim, `has more than ${limits.values} records`)
    rows = rows.flatMap((row) => texts.map((text): [string, string][] => [...row, [name, checked(claim, text)]]))
  }
  return rows.map((row) => {
    const record: Record<string, string> = Object.create(null)
    for (const [name, text] of row) record[name] = text
    return record
  })
}

function flat(claim: string, json: Json, prefix: string, depth: number): readonly (readonly [string, unknown])[] {
  if (depth > limits.depth) throw unusable(claim, `is nested deeper than ${limits.depth} levels`)
  return Object.entries(json).flatMap(([key, value]) => {
    if (key === '__proto__' || (!prefix && key.startsWith('/'))) return []
    const pointer = `${prefix}/${escaped(key)}`
    return isObject(value) ? flat(claim, value, pointer, depth + 1) : [[prefix ? pointer : key, value] as const]
  })
}

function put<T>(into: Sink, map: Record<string, readonly T[]>, name: string, values: readonly T[]) {
  if (name.length > limits.name || !name.isWellFormed()) throw unusable(name.slice(0, 80), 'has an unusable name')
  into.names.add(name)
  into.size += name.length + JSON.stringify(values).length
  if (into.names.size > limits.names) throw unusable(name, `is one of more than ${limits.names} claims`)
  if (into.size > limits.total) throw unusable(name, `makes the claims larger than ${limits.total} characters`)
  map[name] = values
}

function checked(claim: string, text: string): string {
  if (text.length > limits.value)
    throw unusable(
      claim,
      `has a value of ${text.length} characters, more than ${limits.value}; put it under \`ignore\``,
    )
  if (!text.isWellFormed()) throw unusable(claim, 'has a value that is no Unicode text')
  return text
}

function scalar(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

/** @see RFC 6901 section 3 */
const escaped = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1')

function unusable(claim: string, why: string): LoginError {
  const name = claim
    .toWellFormed()
    .replace(/\p{Cc}/gu, '?')
    .slice(0, 80)
  return new LoginError('claims_unusable', `the claim ${name} ${why}`, { facts: { claim: name, why } })
}
