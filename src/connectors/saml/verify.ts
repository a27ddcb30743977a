import { LoginError } from '../../core/errors.ts'
import type { Check } from '../../core/ports.ts'
import { signatureProblem } from './algorithms.ts'
import { decrypt } from './decrypt.ts'
import type { Idp } from './idp.ts'
import { decode, refusal, signedLimits } from './limits.ts'
import {
  assertionChecks,
  type Checks,
  confirmation,
  contextClassOf,
  type Expected,
  instant,
  type Policy,
  responseChecks,
} from './profile.ts'
import { type CheckSignature, checkSignature } from './signature.ts'
import { childrenOf, ns, onlyChild, readXml, type Tag, textIn, within } from './xml.ts'

export interface NameId {
  readonly value: string
  /** `…:unspecified` where the IdP says none (SAML Core 2.2.2). */
  readonly format: string
  readonly nameQualifier?: string
  readonly spNameQualifier?: string
}

export interface Attribute {
  readonly name: string
  readonly nameFormat?: string
  readonly friendlyName?: string
  /** Texts; a `NameID` inside as `NameQualifier!SPNameQualifier!value`. A value that is other XML is not read. */
  readonly values: readonly string[]
}

/** What an IdP said, all of it read from bytes that it signed. */
export interface Verified {
  /** To be taken once, with `goodUntil` (Profiles 4.1.4.5: "MUST ensure that bearer assertions are not replayed"). */
  readonly assertionId: string
  /** Unix seconds until which the assertion could be shown again; a day at most, since the request that it answers is long gone then. */
  readonly goodUntil: number
  readonly issuer: string
  readonly nameId: NameId
  readonly sessionIndex?: string
  /** Unix seconds at which the IdP ends the session: nothing that rests on the assertion may live longer. */
  readonly sessionNotOnOrAfter?: number
  /** Unix seconds. */
  readonly authnInstant: number
  readonly contextClass?: string
  readonly attributes: readonly Attribute[]
}

const DAY = 86_400
const UNSPECIFIED = 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified'

/** Hears of every check, in the order in which they are made. */
type Note = (check: Check) => void

/**
 * Reads a response that was posted to us, and believes only what is signed. Order: what is cheap and what is not believed first; then the
 * signatures; then the profile, on the signed bytes alone.
 * @param check where signatures are checked: in a server, a thread of its own
 * @throws {LoginError} `upstream_rejected`, `acr_not_met`, `upstream_declined`, `claims_unusable`; its detail names the check
 */
export function verifyResponse(
  encoded: string,
  expected: Expected,
  check: CheckSignature = checkSignature,
): Promise<Verified> {
  return walk(encoded, expected, check, () => {})
}

/** The same checks, each with what it found; the first stage with a failed one is the last. Never rejects for what the message is. */
export async function inspectResponse(
  encoded: string,
  expected: Expected,
  check: CheckSignature = checkSignature,
): Promise<readonly Check[]> {
  const checks: Check[] = []
  try {
    await walk(encoded, expected, check, (each) => void checks.push(each))
  } catch (error) {
    if (!(error instanceof LoginError)) throw error
  }
  return checks
}

async function walk(encoded: string, expected: Expected, check: CheckSignature, note: Note): Promise<Verified> {
  const { idp, policy } = expected
  const xml = await step(note, 'size and encoding', () => decode(encoded))
  const sent = await step(note, 'XML', () => document(xml, ns.samlp, 'Response'))
  run(responseChecks, sent, expected, note)
  await step(note, 'form', () => form(sent))
  const ask = (text: string, element: 'document' | 'assertion', of: Tag) =>
    signedPart({ text, element, of }, expected, check)

  const whole = await step(note, 'response signature', () => ask(xml, 'document', sent))
  if (whole !== undefined) run(responseChecks, whole, expected, () => {})
  const response = whole ?? sent

  const encrypted = onlyChild(response, ns.saml, 'EncryptedAssertion')
  const text = encrypted && (await step(note, 'decryption', () => decrypt(encrypted, expected.decryption)))
  const inside = text === undefined ? onlyChild(response, ns.saml, 'Assertion') : document(text, ns.saml, 'Assertion')
  if (inside === undefined) throw refusal('what is signed holds no assertion')
  if (text !== undefined) form(inside)
  const own = await step(note, 'assertion signature', () =>
    text === undefined ? ask(xml, 'assertion', inside) : ask(text, 'document', inside),
  )

  const done = { response: whole !== undefined, assertion: own !== undefined, encrypted: text !== undefined }
  await step(note, 'what is signed', () => enough(done, policy))
  const assertion = own ?? inside
  run(assertionChecks, assertion, expected, note)
  return read(assertion, idp, expected)
}

/** Whether all is signed and encrypted that must be. */
function enough(done: Readonly<Record<'response' | 'assertion' | 'encrypted', boolean>>, policy: Policy): void {
  const { signed } = policy
  if (!done.response && !done.assertion) throw refusal('it is not signed')
  if ((signed === 'both' || signed === 'response') && !done.response) throw refusal('the response is not signed')
  if ((signed === 'both' || signed === 'assertion') && !done.assertion) throw refusal('the assertion is not signed')
  if (policy.encrypted === true && !done.encrypted) throw refusal('the assertion is not encrypted')
}

/** One check that is no row of a table. */
async function step<T>(note: Note, name: string, check: () => T | Promise<T>): Promise<T> {
  try {
    const result = await check()
    note({ check: name, ok: true })
    return result
  } catch (error) {
    if (error instanceof LoginError) note({ check: name, ok: false, found: error.message })
    throw error
  }
}

/** All checks of a table; the first that failed is what is thrown. */
function run(checks: Checks, tag: Tag, expected: Expected, note: Note): void {
  let failed: LoginError | undefined
  for (const [name, check] of Object.entries(checks)) {
    const { ok, found, code = 'upstream_rejected' } = check(tag, expected)
    note({ check: name, ok, found })
    if (!ok) failed ??= new LoginError(code, `the SAML response was refused: ${name}: ${found}`)
  }
  if (failed !== undefined) throw failed
}

function document(xml: string, uri: string, name: string): Tag {
  return named(readXml(xml), uri, name)
}

function named(root: Tag, uri: string, name: string): Tag {
  if (root.uri !== uri || root.name !== name) throw refusal(`it is no ${name}`)
  return root
}

/**
 * One assertion, one signature each for the response and for it, directly below them and after their Issuer, and no identifier twice:
 * signature wrapping needs a second place for something. Only inside `Advice`, which nobody reads, may there be other assertions.
 * @see Somorovsky et al. 2012, "On Breaking SAML: Be Whoever You Want to Be"
 */
function form(root: Tag): void {
  const ids = new Set<string>()
  for (const { attributes } of within(root)) {
    for (const name of ['ID', 'Id', 'id', 'AssertionID', '{http://www.w3.org/XML/1998/namespace}id']) {
      const id = attributes[name]
      if (id !== undefined && ids.size === ids.add(id).size) throw refusal('an identifier is there twice')
    }
  }
  const assertions: Tag[] = []
  const look = (tag: Tag, parent: Tag | undefined) => {
    if (tag.name === 'Assertion' || tag.name === 'EncryptedAssertion') {
      if (tag.uri !== ns.saml || parent !== (tag === root ? undefined : root))
        throw refusal('an assertion is out of its place')
      assertions.push(tag)
    }
    if (tag.name === 'Signature' && tag.uri === ns.ds) {
      const holder = parent === root || (parent !== undefined && assertions.includes(parent))
      const [first, second] = parent?.children ?? []
      if (!holder || first?.name !== 'Issuer' || second !== tag) throw refusal('a signature is out of its place')
      return
    }
    if (tag.uri === ns.saml && tag.name === 'Advice') return
    for (const child of tag.children) look(child, tag)
  }
  look(root, undefined)
  if (assertions.length !== 1) throw refusal(`it has ${assertions.length} assertions`)
}

/**
 * The signed bytes of an element, read; undefined where it has no signature of its own. One that is there must be good.
 */
async function signedPart(
  part: { readonly text: string; readonly element: 'document' | 'assertion'; readonly of: Tag },
  { idp, policy }: Expected,
  check: CheckSignature,
): Promise<Tag | undefined> {
  const { text, element, of } = part
  const signature = onlyChild(of, ns.ds, 'Signature')
  if (signature === undefined) {
    if (childrenOf(of, ns.ds, 'Signature').length > 0) throw refusal('it has more than one signature')
    return undefined
  }
  const problem = signatureProblem(signature, of, policy)
  if (problem !== undefined) throw refusal(`the signature of the ${of.name}: ${problem}`)
  const bytes = await check({ xml: text, element, keys: keysOf(idp, signature) })
  if (bytes === undefined) throw refusal(`no key of ${idp.signing.length} in the IdP's metadata signed the ${of.name}`)
  const signed = named(readXml(bytes, signedLimits), of.uri, of.name)
  if (signed.attributes['ID'] !== of.attributes['ID']) throw refusal(`another ${of.name} was signed than was sent`)
  return signed
}

/** The IdP's certificates as PEM; the one that the signature names first, which saves a try. Trusted are these alone, whatever it names. */
export function keysOf({ signing }: Idp, signature?: Tag): readonly string[] {
  const named = signature === undefined ? [] : [...within(signature)].filter(({ name }) => name === 'X509Certificate')
  const first = new Set(named.map(({ text }) => text.replace(/\s+/g, '')))
  const sorted = [...signing.filter((each) => first.has(each)), ...signing.filter((each) => !first.has(each))]
  return sorted.map(
    (each) => `-----BEGIN CERTIFICATE-----\n${each.replace(/(.{64})/g, '$1\n').trim()}\n-----END CERTIFICATE-----\n`,
  )
}

/** Out of an assertion that passed every check. */
function read(assertion: Tag, idp: Idp, expected: Expected): Verified {
  const subject = onlyChild(assertion, ns.saml, 'Subject')
  const statement = onlyChild(assertion, ns.saml, 'AuthnStatement')
  const bearer = childrenOf(subject ?? assertion, ns.saml, 'SubjectConfirmation').find(
    (each) => confirmation(each, expected).ok,
  )
  const window = onlyChild(bearer, ns.saml, 'SubjectConfirmationData')?.attributes['NotOnOrAfter']
  const { SessionIndex, SessionNotOnOrAfter, AuthnInstant } = statement?.attributes ?? {}
  const sessionEnd = instant(SessionNotOnOrAfter)
  const contextClass = contextClassOf(assertion)
  return {
    assertionId: assertion.attributes['ID'] ?? '',
    goodUntil: Math.ceil(Math.min((instant(window) ?? 0) + expected.skew, expected.now + DAY)),
    issuer: idp.entityId,
    nameId: nameIdOf(onlyChild(subject, ns.saml, 'NameID')),
    ...(SessionIndex && { sessionIndex: SessionIndex }),
    ...(sessionEnd !== undefined && { sessionNotOnOrAfter: Math.floor(sessionEnd) }),
    authnInstant: Math.floor(instant(AuthnInstant) ?? 0),
    ...(contextClass !== undefined && { contextClass }),
    attributes: childrenOf(assertion, ns.saml, 'AttributeStatement').flatMap((each) =>
      childrenOf(each, ns.saml, 'Attribute').map(attributeOf),
    ),
  }
}

/** A NameID with its qualifiers as they are; what they must be is for who uses them. */
export function nameIdOf(tag: Tag | undefined): NameId {
  const { Format, NameQualifier, SPNameQualifier } = tag?.attributes ?? {}
  return {
    value: textIn(tag),
    format: Format ?? UNSPECIFIED,
    ...(NameQualifier && { nameQualifier: NameQualifier }),
    ...(SPNameQualifier && { spNameQualifier: SPNameQualifier }),
  }
}

function attributeOf(tag: Tag): Attribute {
  const { Name = '', NameFormat, FriendlyName } = tag.attributes
  const values = childrenOf(tag, ns.saml, 'AttributeValue').flatMap((value) => {
    const [child, another] = value.children
    if (child === undefined) return value.attributes[`{${ns.xsi}}nil`] === 'true' ? [] : [textIn(value)]
    if (child.uri !== ns.saml || child.name !== 'NameID' || another !== undefined) return []
    const { nameQualifier = '', spNameQualifier = '', value: id } = nameIdOf(child)
    return [`${nameQualifier}!${spNameQualifier}!${id}`]
  })
  return {
    name: Name,
    ...(NameFormat && { nameFormat: NameFormat }),
    ...(FriendlyName && { friendlyName: FriendlyName }),
    values,
  }
}
