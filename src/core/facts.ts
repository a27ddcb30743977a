import { createHash } from 'node:crypto'
import type { ClaimRecord, Subject } from './subject.ts'

/** A table lookup that found nothing, for the trace. */
export interface Miss {
  readonly table: string
  readonly key: string
}

/** A subject in the form that rules read: total, whatever the claims hold. Made anew for each decision. */
export interface Facts {
  readonly connector: string
  /** `connector/id`. */
  readonly person: string
  /** What stands before captured group names of this connector. */
  readonly space: string
  /** Unix seconds. */
  readonly now: number
  readonly authTime: number
  /** The strings of a claim; empty where it is missing or is no list. */
  values(claim: string): readonly string[]
  records(name: string): readonly ClaimRecord[]
  /** The names of all claims. */
  readonly claims: readonly string[]
  readonly recordNames: readonly string[]
  readonly amr: readonly string[]
  readonly acr?: string
  /** 20 characters, stable for the person, never shared: 100 bits of a hash over connector and id, in lower-case base 32. */
  short(): string
  /** Where lookups that missed are noted; absent when nobody reads them. */
  readonly misses?: Miss[]
}

/** The domain of a verified e-mail address, in lower case; undefined where there is none. */
export function verifiedMailDomain(facts: Facts): string | undefined {
  const [mail, ...more] = facts.values('email')
  if (mail === undefined || more.length > 0 || !facts.values('email_verified').includes('true')) return undefined
  return mailDomain(mail)
}

/** What follows the only `@` of an address, in lower case. */
export function mailDomain(mail: string): string | undefined {
  const at = mail.indexOf('@')
  if (at < 1 || at !== mail.lastIndexOf('@') || at === mail.length - 1 || mail.length > 320) return undefined
  return mail.slice(at + 1).toLowerCase()
}

const base32 = 'abcdefghijklmnopqrstuvwxyz234567'

/** @see Facts.short */
export function shortForm(subject: Pick<Subject, 'connector' | 'id'>): string {
  const hash = createHash('sha256').update(`${subject.connector}\n${subject.id}`).digest()
  let out = ''
  let bits = 0
  let held = 0
  for (const byte of hash) {
    held = ((held << 8) | byte) & 0xffff
    for (bits += 8; bits >= 5; bits -= 5) out += base32[(held >>> (bits - 5)) & 31]
  }
  return out.slice(0, 20)
}

const texts = (value: unknown): readonly string[] => {
  if (!Array.isArray(value)) return []
  return value.every((entry) => typeof entry === 'string') ? value : value.filter((entry) => typeof entry === 'string')
}

const own = (value: object | undefined, key: string): unknown =>
  value !== undefined && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined

/** Reads a subject. Own properties only: a claim called `__proto__` or `constructor` is a claim like any other. */
export function factsOf(subject: Subject, space: string, now: number, misses?: Miss[]): Facts {
  const known = new Map<string, readonly string[]>()
  let short: string | undefined
  return {
    connector: subject.connector,
    person: `${subject.connector}/${subject.id}`,
    space,
    now,
    authTime: Number.isFinite(subject.authTime) ? subject.authTime : 0,
    values(claim) {
      let values = known.get(claim)
      if (values === undefined) {
        values = texts(own(subject.claims, claim))
        known.set(claim, values)
      }
      return values
    },
    records(name) {
      const list = own(subject.records, name)
      return Array.isArray(list) ? list.filter((record) => typeof record === 'object' && record !== null) : []
    },
    claims: Object.keys(subject.claims ?? {}),
    recordNames: Object.keys(subject.records ?? {}),
    amr: texts(subject.amr),
    ...(typeof subject.acr === 'string' ? { acr: subject.acr } : {}),
    short: () => (short ??= shortForm(subject)),
    ...(misses ? { misses } : {}),
  }
}
