import { verify } from 'node:crypto'
import { inflateRawSync } from 'node:zlib'
import type { Relayed } from '../connector.ts'
import { queryAlgorithms, SHORT_KEY, signatureProblem, tooShort, type Weakness } from './algorithms.ts'
import type { Idp } from './idp.ts'
import { decode, limits, printable, refusal, textOf } from './limits.ts'
import { instant } from './profile.ts'
import { type CheckSignature, checkSignature } from './signature.ts'
import { keysOf, type NameId, nameIdOf } from './verify.ts'
import { childrenOf, ns, onlyChild, readXml, type Tag, textIn } from './xml.ts'

/** What is expected of a logout message: our configuration, and the metadata of whoever says to have sent it. */
export interface LogoutExpected {
  /** The identity provider of this entityID, where this connector has it. */
  readonly find: (entityId: string) => Promise<Idp | undefined>
  /** The same with other keys, where newer metadata has such. */
  readonly renew: (idp: Idp) => Promise<Idp | undefined>
  /** Unix seconds. */
  readonly now: number
  /** Seconds. */
  readonly skew: number
  readonly policy: Weakness
}

/** A logout message that passed every check. */
export type LogoutMessage = { readonly idp: Idp; readonly id: string; readonly relayState?: string } & (
  | {
      readonly kind: 'request'
      readonly nameId: NameId
      /** All of that name where empty. */
      readonly sessions: readonly string[]
      /** Unix seconds until which it could be shown again. */
      readonly goodUntil: number
    }
  | { readonly kind: 'response'; readonly inResponseTo: string; readonly wholly: boolean }
)

/** A message as its binding brought it; nothing of it is believed. */
interface Carried {
  readonly as: 'SAMLRequest' | 'SAMLResponse'
  readonly xml: string
  readonly relayState?: string
  /** What was signed beside the message (redirect binding). */
  readonly octets?: Octets
}

interface Octets {
  readonly text: string
  readonly algorithm: string
  readonly signature: Buffer
}

/** Seconds after which a message is too old to be believed, whatever it says itself. */
const OLDEST = 300
const SUCCESS = 'urn:oasis:names:tc:SAML:2.0:status:Success'

/**
 * Reads a LogoutRequest or LogoutResponse that a browser brought, and believes only what the identity provider that it names has signed:
 * anybody could send people here to be signed out (SAML profiles 4.4.3.1: "the requester MUST … be authenticated").
 * Not read: an EncryptedID, which is refused; Consent, Reason and extensions.
 * @throws {LoginError} `upstream_rejected`, `upstream_unavailable`
 * @see SAML core 3.7, bindings 3.4 and 3.5, profiles 4.4
 */
export async function readLogout(
  message: Relayed,
  expected: LogoutExpected,
  check: CheckSignature = checkSignature,
): Promise<LogoutMessage> {
  const carried = message.kind === 'redirect' ? fromQuery(message.query) : fromForm(message.form)
  const name = carried.as === 'SAMLRequest' ? 'LogoutRequest' : 'LogoutResponse'
  const sent = readXml(carried.xml)
  if (sent.uri !== ns.samlp || sent.name !== name) throw refusal(`it is no ${name}`)
  const issuer = textIn(onlyChild(sent, ns.saml, 'Issuer'))
  const idp = await expected.find(issuer)
  if (!idp) throw refusal(`its Issuer ${printable(issuer)} is none of this connector`)
  const { policy } = expected
  const by = async (known: Idp) =>
    carried.octets
      ? octetsSigned(carried.octets, known, policy) && sent
      : await signedDocument(carried.xml, sent, { idp: known, check, policy })
  const newer = async () => {
    const renewed = await expected.renew(idp)
    return renewed && (await by(renewed))
  }
  // An identity provider that changed its key ends sessions by the new one.
  const signed = (await by(idp)) || (await newer())
  if (!signed) throw refusal(`no key of ${idp.signing.length} in the IdP's metadata signed it`)
  if (textIn(onlyChild(signed, ns.saml, 'Issuer')) !== idp.entityId) throw refusal('what is signed has another Issuer')
  const head = headOf(signed, message.to, expected)
  const of = { idp, id: head.id, ...(carried.relayState !== undefined && { relayState: carried.relayState }) }
  return name === 'LogoutRequest'
    ? { ...of, kind: 'request', ...requestOf(signed, expected, head.issuedAt) }
    : { ...of, kind: 'response', ...responseOf(signed) }
}

/** SAML bindings 3.4.4.1: each parameter once, and the signature over the octets as they arrived, in the order of the standard. */
function fromQuery(query: string): Carried {
  const raw = new Map<string, string>()
  for (const part of query.split('&')) {
    const [name = '', ...value] = part.split('=')
    if (raw.has(name)) throw refusal('a parameter is there twice')
    raw.set(name, value.join('='))
  }
  const as = raw.has('SAMLRequest') ? 'SAMLRequest' : 'SAMLResponse'
  const value = (name: string): string => {
    try {
      return decodeURIComponent((raw.get(name) ?? '').replaceAll('+', ' '))
    } catch {
      throw refusal('its query is not URL-encoded')
    }
  }
  if (value(as) === '' || (raw.has('SAMLRequest') && raw.has('SAMLResponse'))) throw refusal('it is not one message')
  const encoding = raw.get('SAMLEncoding')
  if (encoding !== undefined && !value('SAMLEncoding').endsWith(':DEFLATE')) throw refusal('it is not deflated')
  if (!raw.has('Signature') || !raw.has('SigAlg')) throw refusal('it is not signed')
  const names = [as, ...(raw.has('RelayState') ? ['RelayState'] : []), 'SigAlg']
  return {
    as,
    xml: inflated(value(as)),
    ...(raw.has('RelayState') && { relayState: value('RelayState') }),
    octets: {
      text: names.map((name) => `${name}=${raw.get(name)}`).join('&'),
      algorithm: value('SigAlg'),
      signature: Buffer.from(value('Signature'), 'base64'),
    },
  }
}

/** A few bytes may inflate to a thousand times as many: no more are made than a message may have. */
function inflated(base64: string): string {
  if (base64.length > limits.encoded) throw refusal('it is too long')
  try {
    return textOf(inflateRawSync(Buffer.from(base64, 'base64'), { maxOutputLength: limits.xml }))
  } catch (cause) {
    throw refusal('it is not deflated, or too long', cause)
  }
}

function fromForm(form: URLSearchParams): Carried {
  const as = form.has('SAMLRequest') ? 'SAMLRequest' : 'SAMLResponse'
  const relayState = form.get('RelayState')
  return { as, xml: decode(form.get(as) ?? ''), ...(relayState !== null && { relayState }) }
}

/** Whether a key of the identity provider signed the query. @throws {LoginError} where none could have */
function octetsSigned({ text, algorithm, signature }: Octets, idp: Idp, policy: Weakness): boolean {
  const hash = Object.hasOwn(queryAlgorithms, algorithm) ? queryAlgorithms[algorithm] : undefined
  if (hash === undefined || (hash === 'sha1' && policy.sha1 !== true))
    throw refusal(`the signature algorithm ${printable(algorithm)} is not allowed`)
  if (tooShort(signature, policy)) throw refusal(`the signature of its query: ${SHORT_KEY}`)
  return keysOf(idp).some((key) => signedBy(key, { hash, text, signature }))
}

/** Whether a key made a signature; what metadata gives for a certificate may be none, and the next one is then asked. */
function signedBy(
  key: string,
  { hash, text, signature }: { readonly hash: string; readonly text: string; readonly signature: Buffer },
): boolean {
  try {
    return verify(hash, Buffer.from(text), key, signature)
  } catch {
    return false
  }
}

/** The signed bytes of a posted message, read; undefined where no key of the identity provider signed it. */
async function signedDocument(
  xml: string,
  sent: Tag,
  { idp, check, policy }: { readonly idp: Idp; readonly check: CheckSignature; readonly policy: Weakness },
): Promise<Tag | undefined> {
  const signature = onlyChild(sent, ns.ds, 'Signature')
  if (signature === undefined) throw refusal('it is not signed, or more than once')
  const problem = signatureProblem(signature, sent, policy)
  if (problem !== undefined) throw refusal(`its signature: ${problem}`)
  const bytes = await check({ xml, element: 'document', keys: keysOf(idp, signature) })
  if (bytes === undefined) return undefined
  const signed = readXml(bytes)
  if (signed.uri !== sent.uri || signed.name !== sent.name || signed.attributes['ID'] !== sent.attributes['ID'])
    throw refusal('another message was signed than was sent')
  return signed
}

/** What every message has to say of itself. */
function headOf({ attributes }: Tag, to: URL, { now, skew }: LogoutExpected) {
  const { ID: id, Version, IssueInstant, Destination } = attributes
  if (!id || id.length > 255 || Version !== '2.0') throw refusal('it has no ID, or is not of SAML 2.0')
  // Bindings 3.4.5.2 and 3.5.5.2: where a message is signed, its Destination has to be there, and the address at which it arrived.
  if (Destination !== to.href) throw refusal(`its Destination is ${printable(Destination ?? 'not there')}`)
  const issuedAt = instant(IssueInstant)
  if (issuedAt === undefined || issuedAt > now + skew || issuedAt < now - OLDEST - skew)
    throw refusal(`its IssueInstant is ${printable(IssueInstant ?? 'not there')}`)
  return { id, issuedAt }
}

/** Core 3.7.1: NotOnOrAfter is when the request ends, and the identifier is of the person as the assertion named her. */
function requestOf(tag: Tag, { now, skew }: LogoutExpected, issuedAt: number) {
  const { NotOnOrAfter } = tag.attributes
  const end = NotOnOrAfter === undefined ? Infinity : instant(NotOnOrAfter)
  if (end === undefined || now >= end + skew) throw refusal(`its NotOnOrAfter is ${printable(NotOnOrAfter ?? '')}`)
  const name = onlyChild(tag, ns.saml, 'NameID')
  if (textIn(name) === '') throw refusal('it names nobody in the clear')
  const sessions = childrenOf(tag, ns.samlp, 'SessionIndex').map(textIn)
  return { nameId: nameIdOf(name), sessions, goodUntil: Math.ceil(Math.min(end, issuedAt + OLDEST) + 2 * skew) }
}

function responseOf(tag: Tag) {
  const inResponseTo = tag.attributes['InResponseTo'] ?? ''
  const top = onlyChild(onlyChild(tag, ns.samlp, 'Status'), ns.samlp, 'StatusCode')
  const second = top && onlyChild(top, ns.samlp, 'StatusCode')?.attributes['Value']
  return { inResponseTo, wholly: top?.attributes['Value'] === SUCCESS && !second?.endsWith(':PartialLogout') }
}
