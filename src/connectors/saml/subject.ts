import { LoginError } from '../../core/errors.ts'
import type { RegexEngine } from '../../core/policy.ts'
import type { Subject } from '../../core/subject.ts'
import { readClaims, readSubjectId } from '../claims.ts'
import { attributeNamed, synonyms } from './attributes.ts'
import type { Idp, Scope } from './idp.ts'
import { printable } from './limits.ts'
import type { SamlConfig } from './options.ts'
import type { Verified } from './verify.ts'

/** What a subject is made by: the connector's options, the engine for scopes that are patterns, our own entityID. */
export interface Reader {
  readonly config: Pick<SamlConfig, 'id' | 'subject'>
  readonly regex: RegexEngine
  readonly entityId: string
}

/** Claims that the gateway says about the IdP itself; an attribute cannot. */
const own = ['idp', 'registrationAuthority'] as const

type Values = Map<string, readonly string[]>

/**
 * The person of whom an assertion speaks. Attributes are called by one name each, whatever they were sent as; what ends in a scope that is not
 * this IdP's is left out: in a federation one IdP could else name the people of all others.
 * @returns `dropped`: the names of attributes that lost a value to their scope
 * @throws {LoginError} `claims_unusable` where nothing names the person for good, or an attribute is there under two names with two values
 */
export function subjectOf(
  verified: Verified,
  idp: Idp,
  reader: Reader,
): { readonly subject: Subject; readonly dropped: readonly string[] } {
  const { values, dropped } = sorted(verified, scopesOf(idp, reader.regex))
  const id = identify(verified, values, reader)
  for (const [name, sources] of Object.entries(synonyms)) {
    const source = sources.find((each) => values.has(each))
    if (source !== undefined && !values.has(name)) values.set(name, values.get(source) ?? [])
  }
  values.set('idp', [idp.entityId])
  if (idp.registrationAuthority !== undefined) values.set('registrationAuthority', [idp.registrationAuthority])
  const { claims, records } = readClaims(Object.fromEntries(values), [])
  const { contextClass } = verified
  const amr = values.get('amr')
  const subject: Subject = {
    connector: reader.config.id,
    id,
    claims,
    records,
    authTime: verified.authnInstant,
    ...(contextClass !== undefined && { acr: contextClass }),
    ...(amr !== undefined && { amr }),
  }
  return { subject, dropped }
}

/** Attributes by their claims' names, without values of a foreign scope. */
function sorted({ attributes }: Verified, isOurs: (scope: string) => boolean) {
  const values: Values = new Map()
  const dropped: string[] = []
  for (const { name, values: all } of attributes) {
    const { claim, kind } = attributeNamed(name)
    if (kind === 'unread') continue
    if (own.some((each) => each === claim)) throw unusable(claim, 'is what the gateway says about the IdP itself')
    const kept = all.filter((value) => kind === undefined || isOurs(scopeIn(value, kind)))
    if (kept.length < all.length) dropped.push(claim)
    if (kept.length === 0 && all.length > 0) continue
    const before = values.get(claim)
    if (before !== undefined && !equal(before, kept)) throw unusable(claim, 'is there under two names, and differs')
    values.set(claim, kept)
  }
  return { values, dropped: [...new Set(dropped)] }
}

/** The scope of a value; empty, and so nobody's, where it has none or could have two. */
function scopeIn(value: string, kind: 'scoped' | 'scope'): string {
  if (kind === 'scope') return value
  const [local, scope, more] = value.split('@')
  return local && scope && more === undefined ? scope : ''
}

/** Scopes of one IdP that may be expressions; further ones match nothing. Who has any has one or two, and each costs milliseconds to compile. */
const PATTERNS = 10
/** Instructions of one: a match takes as long as these times the text, and those of domains have a hundred. */
const LARGEST = 200
/** Scopes of one person that are held against expressions, and characters of one, as of a domain's name. */
const SCOPES = 20
const LONGEST = 255

/** Whether a scope is one that the IdP's metadata has (shibmd:Scope); names of domains have no case. */
function scopesOf({ scopes }: Idp, regex: RegexEngine): (scope: string) => boolean {
  const plain = new Set(scopes.flatMap(({ text, pattern }) => (pattern ? [] : [text.toLowerCase()])))
  const patterns = scopes.filter(({ pattern }) => pattern).slice(0, PATTERNS)
  const judged = new Map<string, boolean>()
  let tests: readonly ((scope: string) => boolean)[] | undefined
  return (scope) => {
    if (scope === '' || plain.has(scope.toLowerCase())) return scope !== ''
    const before = judged.get(scope)
    if (before !== undefined || judged.size >= SCOPES || scope.length > LONGEST) return before ?? false
    tests ??= patterns.map(testOf(regex))
    const ours = tests.some((matches) => matches(scope))
    judged.set(scope, ours)
    return ours
  }
}

const testOf =
  (regex: RegexEngine) =>
  ({ text }: Scope): ((scope: string) => boolean) => {
    try {
      const compiled = regex.compile(text, LARGEST)
      return (scope) => compiled.match(scope) !== undefined
    } catch {
      // An expression that the engine does not take matches nothing: values are dropped, and named in the log.
      return () => false
    }
  }

/**
 * The person's name for good, by the first of the configured identifiers that is there. Each kind has its own prefix, so that equal texts of
 * two kinds are two people, and what is not unique by itself has the IdP's name in it, so that no IdP can speak for another's.
 */
function identify({ issuer, nameId }: Verified, values: Values, { config, entityId }: Reader): string {
  for (const name of config.subject) {
    if (name === 'persistent' || name === 'emailAddress') {
      // SAML Core 8.3.7: the NameQualifier is the IdP's name, and may be left out. Another's would be another's person.
      const { format, value, nameQualifier = issuer } = nameId
      if (!format.endsWith(`:nameid-format:${name}`) || nameQualifier !== issuer) continue
      return `${name}:${parted(issuer)}!${name === 'persistent' ? `${entityId}!` : ''}${checked(name, value)}`
    }
    const found = values.get(name) ?? []
    if (found.length > 1) throw unusable(name, 'has several values; it is what identifies the person')
    const [value] = found
    if (value === undefined) continue
    // Subject Identifier Attributes 3.3.1: "case-insensitive"; the scope was checked above, so that it is unique by itself.
    if (attributeNamed(name).kind === 'scoped') return `${name}:${checked(name, value).toLowerCase()}`
    return `${name}:${parted(issuer)}!${checked(name, value)}`
  }
  const sent = [...values.keys()].map((name) => printable(name, 60)).join(' ')
  throw new LoginError(
    'claims_unusable',
    `nothing names the person for good: none of ${config.subject.join(', ')}; NameID ${printable(nameId.format)}, attributes ${sent || 'none'}`,
    { facts: { claim: config.subject.join(', '), why: 'is missing; one of these is what identifies the person' } },
  )
}

/** An IdP's name that ends at the first `!`: one called as another's person would be, up to a `!` in her name, could else speak for her. */
function parted(issuer: string): string {
  if (issuer.includes('!')) throw unusable('entityID', 'has a "!"; only people with a scoped identifier come from it')
  return issuer
}

/** A text of 1 to 255 characters that could be mistaken for no other. */
const checked = (name: string, value: string) => readSubjectId({ [name]: value }, name)

const equal = (a: readonly string[], b: readonly string[]) =>
  a.length === b.length && a.every((each) => b.includes(each))

const unusable = (claim: string, why: string) =>
  new LoginError('claims_unusable', `the attribute ${printable(claim, 80)} ${why}`, {
    facts: { claim: printable(claim, 80), why },
  })
