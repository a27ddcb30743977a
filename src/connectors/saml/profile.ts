import type { ErrorCode } from '../../core/errors.ts'
import type { Weakness } from './algorithms.ts'
import type { Idp } from './idp.ts'
import { printable } from './limits.ts'
import { childrenOf, ns, onlyChild, type Tag, textIn } from './xml.ts'

/*
 * What the Web Browser SSO profile asks of a response, as a table of pure checks, each with the sentence that it answers. They are about
 * elements that were read (`xml.ts`); whether these were signed is for `verify.ts`.
 *
 * Not checked: `SubjectConfirmationData/@Address` (people move between networks while they sign in), `Consent`, `ProxyRestriction` (the
 * gateway issues no assertions), `OneTimeUse` (every assertion is used once anyway), `SubjectLocality`.
 */

/** What the gateway expects of a response: all of it from our configuration, the IdP's metadata and what we asked. */
export interface Expected {
  /** The one that was asked; never chosen by the message. */
  readonly idp: Idp
  /** Ours. */
  readonly entityId: string
  /** Ours for this connector: what Destination and Recipient must be. */
  readonly acs: string
  /** The ID of our AuthnRequest; an empty one never matches. */
  readonly requestId: string
  /** Unix seconds. */
  readonly now: number
  /** Seconds by which the IdP's clock may differ from ours. */
  readonly skew: number
  /** PEM private keys, the current first. */
  readonly decryption: readonly string[]
  readonly asked: {
    /** AuthnContext classes, one of which must come back. */
    readonly contexts?: readonly string[]
    readonly forceAuthn?: true
    /** Unix seconds. */
    readonly requestedAt: number
  }
  readonly policy: Policy
}

/** Where an IdP may differ from what is asked of all. */
export interface Policy extends Weakness {
  /** What must be signed: POSTed assertions must be, by themselves or by the response around them (SAML Profiles 4.1.4.5). */
  readonly signed: 'either' | 'assertion' | 'response' | 'both'
  /** A response whose assertion is not encrypted is refused. */
  readonly encrypted?: true
}

/** What a check found, in a few printable words; `code` where a refusal means something else than `upstream_rejected`. */
export interface Outcome {
  readonly ok: boolean
  readonly found: string
  readonly code?: ErrorCode
}

export type Checks = Readonly<Record<string, (tag: Tag, expected: Expected) => Outcome>>

const BEARER = 'urn:oasis:names:tc:SAML:2.0:cm:bearer'
const ENTITY = 'urn:oasis:names:tc:SAML:2.0:nameid-format:entity'
const STATUS = 'urn:oasis:names:tc:SAML:2.0:status:'

/** Second-level status codes that mean something else to a person than "refused". */
const statusCodes: Readonly<Record<string, ErrorCode>> = {
  [`${STATUS}NoAuthnContext`]: 'acr_not_met',
  [`${STATUS}AuthnFailed`]: 'upstream_declined',
  [`${STATUS}RequestDenied`]: 'upstream_declined',
}

/**
 * Of the message. Where only the assertion is signed nothing of it is authentic, and nothing is taken from it: these refuse what was meant
 * for others, early and before anything costs time. What the assertion says of the same things is checked below, in what was signed.
 */
export const responseChecks: Checks = {
  /** Core 3.2.2: "Version [Required]: The version of this response. The identifier for the version … is "2.0"." */
  'response version': ({ attributes }) => equal(attributes['Version'], '2.0'),
  /** Core 1.3.4: identifiers are unique; Core 3.2.2: "ID [Required]". */
  'response ID': ({ attributes }) => present(attributes['ID']),
  /** Core 3.2.2: "IssueInstant [Required]: The time instant of issue of the response." */
  'response time': ({ attributes }, expected) => notInFuture(attributes['IssueInstant'], expected),
  /**
   * Profiles 4.1.4.2: "the <Issuer> element … MUST contain the unique identifier of the issuing identity provider; the Format attribute
   * MUST be omitted or have a value of …:entity". It may be missing where only the assertion is signed; no IdP omits it, and attacks do.
   */
  'response Issuer': issuer,
  /** Bindings 3.5.5.2: "the Destination … MUST contain the URL to which the sender has instructed the user agent to deliver the message. The recipient MUST then verify that the value matches". */
  Destination: ({ attributes, children }, { acs }) => {
    const signed = children.some(({ uri, name }) => uri === ns.ds && name === 'Signature')
    const { Destination } = attributes
    return Destination === undefined && !signed ? yes('none, and the response is not signed') : equal(Destination, acs)
  },
  /** Core 3.2.2: "InResponseTo … if the response is generated in response to a request, this attribute MUST be present and its value MUST match". Unsolicited responses are login CSRF. */
  'response InResponseTo': ({ attributes }, { requestId }) => equal(attributes['InResponseTo'], requestId),
  /** Core 3.2.2.2: "urn:oasis:names:tc:SAML:2.0:status:Success: The request succeeded." Any other, or none, did not. */
  Status: status,
}

/** Of the assertion, on the bytes that were signed. */
export const assertionChecks: Checks = {
  /** Core 2.3.3: "Version [Required]". */
  'assertion version': ({ attributes }) => equal(attributes['Version'], '2.0'),
  'assertion ID': ({ attributes }) => present(attributes['ID']),
  'assertion time': ({ attributes }, expected) => notInFuture(attributes['IssueInstant'], expected),
  /** Profiles 4.1.4.2: "Every assertion … MUST … contain an <Issuer> element with the unique identifier of the issuing identity provider". A key may be good for two IdPs, an assertion of one is not the other's. */
  'assertion Issuer': issuer,
  /** Profiles 4.1.4.2: "contain a <Subject> element with at least one <SubjectConfirmation>"; Core 2.4.1: it is the principal whom all statements are about. */
  Subject: (tag) => {
    const subject = onlyChild(tag, ns.saml, 'Subject')
    if (subject === undefined) return no('not exactly one Subject')
    if (childrenOf(subject, ns.saml, 'EncryptedID').length > 0)
      return no('an EncryptedID; encrypt the assertion instead')
    const nameId = onlyChild(subject, ns.saml, 'NameID')
    return nameId === undefined || textIn(nameId) === '' ? no('not exactly one NameID with a value') : yes('one NameID')
  },
  /** Core 2.2.2: "SPNameQualifier: Further qualifies a name with the name of a service provider". Somebody else's name is not ours. */
  SPNameQualifier: (tag, { entityId }) => {
    const found = onlyChild(onlyChild(tag, ns.saml, 'Subject'), ns.saml, 'NameID')?.attributes['SPNameQualifier']
    return found === undefined ? yes('none') : equal(found, entityId)
  },
  /** Profiles 4.1.4.2: "At least one bearer <SubjectConfirmation>"; the rest of its rules is in `confirmation`. */
  SubjectConfirmation: (tag, expected) => {
    const all = childrenOf(onlyChild(tag, ns.saml, 'Subject') ?? tag, ns.saml, 'SubjectConfirmation')
    const outcomes = all.map((each) => confirmation(each, expected))
    return outcomes.find(({ ok }) => ok) ?? outcomes[0] ?? no('none')
  },
  /** Core 2.5.1: "at most one" Conditions; its NotBefore and NotOnOrAfter, and "if any condition is … not understood, the validity cannot be determined". */
  Conditions: (tag, expected) => {
    const conditions = onlyChild(tag, ns.saml, 'Conditions')
    if (conditions === undefined) return no('not exactly one')
    const known = ['AudienceRestriction', 'OneTimeUse', 'ProxyRestriction']
    const other = conditions.children.find(({ uri, name }) => uri !== ns.saml || !known.includes(name))
    if (other !== undefined) return no(`one that is not understood: ${printable(other.name)}`)
    return inWindow(conditions.attributes, expected)
  },
  /** Profiles 4.1.4.2: "MUST contain an <AudienceRestriction> including the service provider's unique identifier as an <Audience>"; Core 2.5.1.4: all restrictions must be satisfied. */
  Audience: (tag, { entityId }) => {
    const restrictions = childrenOf(onlyChild(tag, ns.saml, 'Conditions') ?? tag, ns.saml, 'AudienceRestriction')
    const named = restrictions.map((each) => childrenOf(each, ns.saml, 'Audience').map(textIn))
    const met = named.length > 0 && named.every((audiences) => audiences.includes(entityId))
    return { ok: met, found: named.length === 0 ? 'none' : printable(named.flat().join(' '), 200) }
  },
  /** Profiles 4.1.4.2: "at least one <AuthnStatement>"; one person signed in once. Core 2.7.2: "AuthnInstant [Required]". */
  AuthnStatement: (tag, expected) => {
    const statement = onlyChild(tag, ns.saml, 'AuthnStatement')
    return statement === undefined ? no('not exactly one') : notInFuture(statement.attributes['AuthnInstant'], expected)
  },
  /** Core 2.7.2: "SessionNotOnOrAfter: … a time instant at which the session … MUST be considered ended." */
  'session end': (tag, { now, skew }) => {
    const found = onlyChild(tag, ns.saml, 'AuthnStatement')?.attributes['SessionNotOnOrAfter']
    const at = instant(found)
    return found === undefined ? yes('none said') : { ok: at !== undefined && now < at + skew, found: printable(found) }
  },
  /** Core 3.4.1: "ForceAuthn … the identity provider MUST authenticate the presenter directly rather than rely on a previous security context." */
  ForceAuthn: (tag, { asked, skew }) => {
    if (asked.forceAuthn === undefined) return yes('not asked for')
    const at = instant(onlyChild(tag, ns.saml, 'AuthnStatement')?.attributes['AuthnInstant'])
    return at !== undefined && at >= asked.requestedAt - skew
      ? yes('authenticated after the request')
      : no('authenticated before the request')
  },
  /** Core 3.3.2.2.1: "If the Comparison attribute is … "exact" … the resulting authentication context … MUST be the exact match of at least one". An IdP that ignores the request must not lower the level silently. */
  AuthnContext: (tag, { asked }) => {
    const found = contextClassOf(tag)
    const met = asked.contexts === undefined || (found !== undefined && asked.contexts.includes(found))
    return { ok: met, found: printable(found ?? 'none'), ...(!met && { code: 'acr_not_met' as const }) }
  },
  Attributes: attributes,
}

/** The class by which the person was authenticated: REFEDS MFA, PasswordProtectedTransport. */
export function contextClassOf(assertion: Tag): string | undefined {
  const context = onlyChild(onlyChild(assertion, ns.saml, 'AuthnStatement'), ns.saml, 'AuthnContext')
  return textIn(onlyChild(context, ns.saml, 'AuthnContextClassRef')) || undefined
}

/**
 * Unix seconds of an xs:dateTime; undefined where it is none, or has no time zone.
 * @see SAML Core 1.3.3: "All SAML time values … MUST be expressed in UTC form"
 */
export function instant(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,12})?(?:Z|[+-]\d\d:\d\d)$/.test(text))
    return undefined
  const milliseconds = Date.parse(text)
  return Number.isNaN(milliseconds) ? undefined : milliseconds / 1000
}

/** One SubjectConfirmation by the rules of Profiles 4.1.4.2; Keycloak, as a broker, left out its Recipient and its window. */
export function confirmation(tag: Tag, { acs, requestId, now, skew }: Expected): Outcome {
  // "Method … of urn:oasis:names:tc:SAML:2.0:cm:bearer": a holder of a key would have to show it, and cannot by POST.
  if (tag.attributes['Method'] !== BEARER) return no(`the method ${printable(tag.attributes['Method'] ?? 'none')}`)
  const data = onlyChild(tag, ns.saml, 'SubjectConfirmationData')
  if (data === undefined) return no('bearer without SubjectConfirmationData')
  const { Recipient, NotOnOrAfter, NotBefore, InResponseTo } = data.attributes
  // "contains a Recipient attribute containing the service provider's assertion consumer service URL"
  if (Recipient !== acs) return no(`the Recipient ${printable(Recipient ?? 'none')}`)
  // "a NotOnOrAfter attribute that limits the window during which the assertion can be delivered"
  const end = instant(NotOnOrAfter)
  if (end === undefined || now >= end + skew) return no(`NotOnOrAfter ${printable(NotOnOrAfter ?? 'none')}`)
  // "It MUST NOT contain a NotBefore attribute": some do, and mean it
  const start = NotBefore === undefined ? now : instant(NotBefore)
  if (start === undefined || now < start - skew) return no(`NotBefore ${printable(NotBefore ?? '')}`)
  // "If the containing message is in response to an <AuthnRequest>, then the InResponseTo attribute MUST match the request's ID"
  if (requestId === '' || InResponseTo !== requestId) return no(`InResponseTo ${printable(InResponseTo ?? 'none')}`)
  return yes(`bearer, until ${NotOnOrAfter}`)
}

function issuer(tag: Tag, { idp }: Expected): Outcome {
  const found = onlyChild(tag, ns.saml, 'Issuer')
  const format = found?.attributes['Format'] ?? ENTITY
  return format === ENTITY ? equal(textIn(found), idp.entityId) : no(`the Format ${printable(format)}`)
}

function status(tag: Tag): Outcome {
  const top = onlyChild(onlyChild(tag, ns.samlp, 'Status'), ns.samlp, 'StatusCode')
  const value = top?.attributes['Value'] ?? 'none'
  if (value === `${STATUS}Success`) return yes('Success')
  const second = top === undefined ? undefined : onlyChild(top, ns.samlp, 'StatusCode')?.attributes['Value']
  const code = Object.hasOwn(statusCodes, second ?? '') ? statusCodes[second ?? ''] : undefined
  const found = printable([value, second].filter((each) => each !== undefined).join(' '), 200).replaceAll(STATUS, '')
  return { ok: false, found, ...(code !== undefined && { code }) }
}

/**
 * Core 2.7.3.1: "Name [Required]". One attribute, one place: of two with the same name IdPs mean both and libraries take the last. Names
 * that are a trap in JavaScript or mean something else to rules are nobody's attribute.
 */
function attributes(tag: Tag): Outcome {
  const names = new Set<string>()
  for (const statement of childrenOf(tag, ns.saml, 'AttributeStatement')) {
    if (childrenOf(statement, ns.saml, 'EncryptedAttribute').length > 0)
      return no('an EncryptedAttribute; encrypt the assertion instead')
    for (const { attributes: own } of childrenOf(statement, ns.saml, 'Attribute')) {
      const name = own['Name'] ?? ''
      const shown = printable(name, 60)
      if (name === '' || name.length > 256 || name === '__proto__' || name.startsWith('/') || /\p{Cc}/u.test(name))
        return { ...no(`an attribute with an unusable name: ${shown}`), code: 'claims_unusable' }
      if (names.has(name))
        return { ...no(`two attributes ${shown}; let the IdP send one with several values`), code: 'claims_unusable' }
      names.add(name)
    }
  }
  return yes(`${names.size}`)
}

function inWindow({ NotBefore, NotOnOrAfter }: Tag['attributes'], { now, skew }: Expected): Outcome {
  const [from, to] = [instant(NotBefore), instant(NotOnOrAfter)]
  const begun = NotBefore === undefined || (from !== undefined && now >= from - skew)
  const notEnded = NotOnOrAfter === undefined || (to !== undefined && now < to + skew)
  return { ok: begun && notEnded, found: printable(`${NotBefore ?? 'any time'} to ${NotOnOrAfter ?? 'any time'}`) }
}

/** An IdP whose clock is ahead by more than the skew says when its assertions end by that clock, too. */
function notInFuture(text: string | undefined, { now, skew }: Expected): Outcome {
  const at = instant(text)
  return { ok: at !== undefined && at <= now + skew, found: printable(text ?? 'none') }
}

const yes = (found: string): Outcome => ({ ok: true, found })
const no = (found: string): Outcome => ({ ok: false, found })
const present = (text: string | undefined): Outcome => (text ? yes('there') : no('none'))

/** Equal to what is expected, of which there must be something. */
const equal = (found: string | undefined, wanted: string): Outcome => ({
  ok: wanted !== '' && found === wanted,
  found: found === wanted ? printable(wanted) : `${printable(found ?? 'none')}, expected ${printable(wanted)}`,
})
