import { moment } from '../../../core/dates.ts'
import type { Credential, Json } from '../credential.ts'
import { printable, refusal } from '../refusal.ts'
import { isObject, type JsonObject, listOf, textOf } from './jws.ts'
import type { Window } from './time.ts'

/** What a VC says that is read of it, whoever signed it. */
export interface Said {
  readonly types: readonly string[]
  readonly id?: string
  readonly issuer: string | undefined
  /** `credentialSubject.id`, where there is one. */
  readonly subject?: string
  readonly claims: JsonObject
  readonly window: Window
  readonly status: Json | undefined
}

/** A VC whose signature and times were checked, with what may bind it to a key, and a sentence for a person. */
export interface ReadVc {
  readonly evidence: Omit<Credential, 'format' | 'holder'>
  readonly cnf: Json | undefined
  readonly sentence: string
}

/**
 * Reads a VC of data model 1.1 or 2.0.
 * @throws {LoginError} `upstream_rejected`
 */
export function readVc(vc: JsonObject, what: string): Said {
  const types = typesOf(vc)
  if (!types.includes('VerifiableCredential')) throw refusal(`${what} is no VerifiableCredential`)
  checkContexts([vc, subjectIn(vc)], what)
  const subject = subjectOf(vc, what)
  const id = named(vc['id'], what)
  return {
    // Gaia-X says what a credential is by the type of its subject, and calls each a VerifiableCredential alone.
    types: [...types.filter((type) => type !== 'VerifiableCredential'), ...typesOf(subjectIn(vc))],
    ...(id !== undefined && { id }),
    issuer: isObject(vc['issuer']) ? named(vc['issuer']['id'] ?? null, what) : named(vc['issuer'], what),
    ...(subject !== undefined && { subject }),
    claims: Object.fromEntries(Object.entries(subjectIn(vc)).filter(([name]) => !typing.has(name))),
    window: windowOf(vc, what),
    status: vc['credentialStatus'],
  }
}

/** A name: one text. Undefined where there is none. @throws {LoginError} where it is something else, or several */
function named(value: Json | undefined, what: string): string | undefined {
  if (value !== undefined && typeof value !== 'string') throw refusal(`${what} has a name that is not one text`)
  return value
}

/** What a context in the credential itself may not give another meaning: it is read here by its name. */
const fixed =
  /^(?:@vocab|@base|id|type|gx|issuer|holder|valid(?:From|Until)|issuanceDate|expirationDate|credential(?:Subject|Status)|status\w+|encodedList|Verifiable\w+|EnvelopedVerifiable\w+|Bitstring\w+)$|:/

/**
 * JWTs are read as JSON, each name for what it says. A context that is written into the credential may add names, and neither redefine those that
 * are read here nor one of its own.
 */
function checkContexts(nodes: readonly JsonObject[], what: string): void {
  const names = nodes
    .flatMap((node) => listOf(node['@context']))
    .flatMap((context) => (isObject(context) ? Object.keys(context) : []))
    .filter((name) => name !== '@protected' && name !== '@version')
  if (new Set(names).size < names.length || names.some((name) => fixed.test(name)))
    throw refusal(`${what} redefines a name in a context of its own`)
}

/** What is claimed: the subject itself, without what says of which kind it is. */
function subjectIn(vc: JsonObject): JsonObject {
  const [subject] = listOf(vc['credentialSubject'])
  return isObject(subject) ? subject : {}
}

const typing: ReadonlySet<string> = new Set(['@context', 'type', '@type', '@id'])

/** `type`, or `@type` as some of Gaia-X write it; strings alone. */
export const typesOf = (node: JsonObject): readonly string[] =>
  listOf(node['type'] ?? node['@type']).filter((type) => typeof type === 'string')

/** Who: the text itself, or the `id` of an object. */
export const idOf = (value: Json | undefined): string | undefined =>
  isObject(value) ? textOf(value['id'] ?? value['@id']) : textOf(value)

/** One subject: of several it could not be said of whom a claim is. */
function subjectOf(vc: JsonObject, what: string): string | undefined {
  const subjects = listOf(vc['credentialSubject'])
  const [subject] = subjects
  if (subjects.length !== 1 || !isObject(subject))
    throw refusal(`${what} has ${subjects.length} subjects instead of one`)
  return named(subject['id'] ?? subject['@id'], what)
}

function windowOf(vc: JsonObject, what: string): Window {
  const from = instant(vc['validFrom'] ?? vc['issuanceDate'], what)
  const until = instant(vc['validUntil'] ?? vc['expirationDate'], what)
  return { ...(from !== undefined && { validFrom: from }), ...(until !== undefined && { validUntil: until }) }
}

/** A date with a time and a zone (XML Schema's dateTimeStamp, as both data models ask for), in Unix seconds. */
function instant(value: Json | undefined, what: string): number | undefined {
  if (value === undefined) return undefined
  const seconds = typeof value === 'string' && value.includes('T') ? moment(value) : undefined
  if (seconds === undefined) throw refusal(`${what} has a time that cannot be read: ${printable(value, 40)}`)
  return seconds
}
