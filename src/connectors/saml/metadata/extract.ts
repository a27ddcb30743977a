import type { Endpoint, Idp } from '../idp.ts'
import { type Draft, draft, idpOf } from './draft.ts'
import { attributeOf, openShaped, type Shape } from './shape.ts'
import { DSIG } from './signature.ts'
import { dateTime, duration } from './time.ts'
import { type Events, refused, type Tag } from './xml.ts'

export const METADATA = 'urn:oasis:names:tc:SAML:2.0:metadata'
const PROTOCOL = 'urn:oasis:names:tc:SAML:2.0:protocol'
const ASSERTION = 'urn:oasis:names:tc:SAML:2.0:assertion'
const ATTRIBUTES = 'urn:oasis:names:tc:SAML:metadata:attribute'
const INFO = 'urn:oasis:names:tc:SAML:metadata:rpi'
const UI = 'urn:oasis:names:tc:SAML:metadata:ui'
const SHIBBOLETH = 'urn:mace:shibboleth:metadata:1.0'

const bindings: Readonly<Record<string, Endpoint['binding']>> = {
  'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect': 'redirect',
  'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST': 'post',
}

/** The entity attributes whose values are kept as categories. */
const categoryAttributes = new Set([
  'http://macedir.org/entity-category',
  'urn:oasis:names:tc:SAML:attribute:assurance-certification',
])

// How much of one entity is kept; whoever has more loses the rest. UTF-16 units of a text, and how many of a kind.
const TEXT = 300
const URL_TEXT = 2000
const KEY_TEXT = 20_000
const FEW = 50
const SCOPES = 2000

/** What the document itself says. */
export interface Whole {
  kind: 'entity' | 'aggregate'
  /** Unix seconds. */
  validUntil?: number
  /** Seconds. */
  cacheDuration?: number
  /** All that were read, of whatever kind. */
  entities: number
}

interface State {
  readonly whole: Whole
  /** The ends of the groups that are open; the innermost last, each the earliest so far. */
  readonly until: number[]
  readonly take: (idp: Idp) => void
  now: Draft
}

/**
 * Reads every IdP of a document. An entity that cannot be used (no key, no endpoint that this gateway speaks, past its end) is left out.
 * @param take gets each IdP; what it got is worth something once the document's signature was found good
 */
export function openExtraction(take: (idp: Idp) => void): Events & { readonly whole: Whole } {
  const whole: Whole = { kind: 'entity', entities: 0 }
  const state: State = { whole, until: [Number.POSITIVE_INFINITY], take, now: draft('', 0) }
  return Object.assign(openShaped(roots, state), { whole })
}

/** The earlier of what is written here and what holds around it. A time that cannot be read has passed. */
function endOf(tag: Tag, around: number): number {
  const text = attributeOf(tag, 'validUntil')
  return text === '' ? around : Math.min(around, dateTime(text) ?? 0)
}

/** A location that a browser may be sent to, or undefined. Metadata is written by many: `javascript:` and plain http are not. */
function location(text: string): string | undefined {
  if (text.length > URL_TEXT || !URL.canParse(text)) return undefined
  const { protocol, hostname, username, password } = new URL(text)
  const here = protocol === 'http:' && /^(?:localhost|127\.[\d.]+|\[::1\])$/.test(hostname)
  return (protocol === 'https:' || here) && !username && !password ? text : undefined
}

const endpoint =
  (list: 'sso' | 'slo') =>
  ({ now }: State, tag: Tag): void => {
    const binding = bindings[attributeOf(tag, 'Binding')]
    const url = location(attributeOf(tag, 'Location'))
    const responseUrl = location(attributeOf(tag, 'ResponseLocation'))
    if (binding && url && now[list].length < FEW)
      now[list].push({ binding, url, ...(responseUrl === undefined ? {} : { responseUrl }) })
  }

/** By language, the first of each; a language is no name of a property of all objects. */
const localized =
  (list: 'names' | 'organisation') =>
  ({ now }: State, text: string, tag: Tag): void => {
    const language = tag.attributes.find(({ name }) => name === 'xml:lang')?.value.toLowerCase() ?? 'en'
    if (text === '' || !/^[a-z]{2,8}(?:-[a-z0-9]{1,8})*$/.test(language)) return
    if (!Object.hasOwn(now[list], language) && Object.keys(now[list]).length < FEW)
      now[list][language] = text.slice(0, TEXT)
  }

const scope: Shape<State> = {
  uri: SHIBBOLETH,
  text({ now }, text, tag) {
    const pattern = /^(?:true|1)$/.test(attributeOf(tag, 'regexp').trim())
    if (text !== '' && text.length <= TEXT && now.scopes.length < SCOPES) now.scopes.push({ text, pattern })
  },
}

function certificate({ now }: State, text: string): void {
  const key = text.replace(/[ \t\r\n]/g, '')
  // A certificate is named twice where one key signs and decrypts.
  if (key.length > KEY_TEXT || !/^[A-Za-z0-9+/]+={0,2}$/.test(key) || now.signing.includes(key)) return
  if (now.signing.length < FEW) now.signing.push(key)
}

const words = ({ now }: State, text: string): void => {
  for (const word of text.split(/\s+/))
    if (word !== '' && word.length <= TEXT && now.keywords.length < FEW) now.keywords.push(word.replaceAll('+', ' '))
}

const idpRole: Shape<State> = {
  uri: METADATA,
  open({ now }, tag) {
    // An entity may also play the IdP of another protocol, or of SAML 1.1.
    const speaks = attributeOf(tag, 'protocolSupportEnumeration').split(/\s+/).includes(PROTOCOL)
    if (!speaks || now.role) return false
    now.role = true
    now.until = endOf(tag, now.until)
    now.wants = /^(?:true|1)$/.test(attributeOf(tag, 'WantAuthnRequestsSigned').trim())
    return true
  },
  inside: {
    Extensions: {
      uri: METADATA,
      inside: {
        Scope: scope,
        UIInfo: {
          uri: UI,
          inside: { DisplayName: { uri: UI, text: localized('names') }, Keywords: { uri: UI, text: words } },
        },
        DiscoHints: {
          uri: UI,
          inside: { DomainHint: { uri: UI, text: words } },
        },
      },
    },
    KeyDescriptor: {
      uri: METADATA,
      // Without `use` a key is for both (Metadata, section 2.4.1.1); reading it as none would leave signatures unchecked (CVE-2026-16443).
      open: (_, tag) => ['', 'signing'].includes(attributeOf(tag, 'use')),
      inside: {
        KeyInfo: {
          uri: DSIG,
          inside: { X509Data: { uri: DSIG, inside: { X509Certificate: { uri: DSIG, text: certificate } } } },
        },
      },
    },
    SingleSignOnService: { uri: METADATA, open: endpoint('sso') },
    SingleLogoutService: { uri: METADATA, open: endpoint('slo') },
    NameIDFormat: {
      uri: METADATA,
      text({ now }, text) {
        if (text.length <= TEXT && now.formats.length < FEW) now.formats.push(text)
      },
    },
  },
}

const entityExtensions: Shape<State> = {
  uri: METADATA,
  inside: {
    Scope: scope,
    RegistrationInfo: {
      uri: INFO,
      open({ now }, tag) {
        now.authority ||= attributeOf(tag, 'registrationAuthority').slice(0, TEXT)
      },
    },
    EntityAttributes: {
      uri: ATTRIBUTES,
      inside: {
        Attribute: {
          uri: ASSERTION,
          open({ now }, tag) {
            now.attribute = attributeOf(tag, 'Name')
          },
          inside: {
            AttributeValue: {
              uri: ASSERTION,
              text({ now }, text) {
                const counts = categoryAttributes.has(now.attribute) && text.length <= TEXT
                if (counts && now.categories.length < FEW) now.categories.push(text)
              },
            },
          },
        },
      },
    },
  },
}

const entity: Shape<State> = {
  uri: METADATA,
  open(state, tag) {
    const until = state.until.at(-1)!
    state.whole.entities += 1
    if (state.until.length === 1) describe(state, tag, 'entity')
    state.now = draft(attributeOf(tag, 'entityID'), endOf(tag, until))
  },
  inside: {
    Extensions: entityExtensions,
    IDPSSODescriptor: idpRole,
    Organization: {
      uri: METADATA,
      inside: { OrganizationDisplayName: { uri: METADATA, text: localized('organisation') } },
    },
  },
  close(state) {
    const idp = idpOf(state.now, state.whole.validUntil ?? Number.POSITIVE_INFINITY)
    if (idp) state.take(idp)
  },
}

const group: Shape<State> = {
  uri: METADATA,
  open(state, tag) {
    if (state.until.length === 1) describe(state, tag, 'aggregate')
    state.until.push(endOf(tag, state.until.at(-1)!))
  },
  close(state) {
    state.until.pop()
  },
  inside: () => roots,
}

const roots: Readonly<Record<string, Shape<State>>> = { EntitiesDescriptor: group, EntityDescriptor: entity }

/** What the root says of the whole. */
function describe({ whole }: State, tag: Tag, kind: Whole['kind']): void {
  whole.kind = kind
  if (attributeOf(tag, 'validUntil') !== '') {
    const until = dateTime(attributeOf(tag, 'validUntil'))
    if (until === undefined) throw refused('its validUntil is no time in UTC')
    whole.validUntil = until
  }
  const cache = duration(attributeOf(tag, 'cacheDuration'))
  if (cache !== undefined) whole.cacheDuration = cache
}
