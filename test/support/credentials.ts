import { createPublicKey, generateKeyPairSync, hash, type KeyObject, sign } from 'node:crypto'
import { openDocuments } from '../../src/connectors/wallet/keys/documents.ts'
import { type Anchors, openAnchors } from '../../src/connectors/wallet/keys/x509.ts'
import { type Leniency, leniencies, type VerifyPorts } from '../../src/connectors/wallet/ports.ts'
import { NOW } from './x509.ts'

/** What a document of the web of a test is: its text, or what to do. */
export type Web = Readonly<Record<string, string | (() => Response | Promise<Response>)>>

/** Ports whose web is a table; what is not in it cannot be reached. `asked` are the addresses, in order. */
export function worldOf(
  web: Web = {},
  more: {
    readonly anchors?: Readonly<Record<string, string>>
    readonly lenient?: readonly Leniency[]
    readonly now?: () => number
  } = {},
): VerifyPorts & { readonly asked: string[]; readonly anchors: Anchors } {
  const asked: string[] = []
  const now = more.now ?? (() => NOW)
  const fetch = async (input: RequestInfo | URL) => {
    const url = String(input)
    asked.push(url)
    const found = web[url]
    if (found === undefined) throw Object.assign(new TypeError('no such host'), { code: 'FETCH_UNREACHABLE' })
    return typeof found === 'string' ? new Response(found) : await found()
  }
  const documents = openDocuments({ fetch: fetch as typeof globalThis.fetch, now })
  return {
    asked,
    now,
    documents: () => documents,
    anchors: openAnchors(more.anchors ?? {}),
    allowed: () => true,
    lenient: new Set(more.lenient ?? []),
  }
}

export const allLeniencies = Object.keys(leniencies) as readonly Leniency[]

export const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey

/** The public JWK of a private key. */
export const publicOf = (key: KeyObject) =>
  createPublicKey(key as never).export({ format: 'jwk' }) as { kty: string; crv: string; x: string; y: string }

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** A compact JWS, ES256 for a P-256 key and EdDSA for another. */
export function signed(header: object, payload: object, key: KeyObject): string {
  const ec = key.asymmetricKeyType === 'ec'
  const text = `${encode({ alg: ec ? 'ES256' : 'EdDSA', ...header })}.${encode(payload)}`
  const signature = sign(ec ? 'sha256' : null, Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}

export const digest = (text: string) => hash('sha256', text, 'base64url')

/** A disclosure of a claim or, without a name, of an element. */
export const disclosure = (...parts: readonly unknown[]) => encode(['salt', ...parts])

/** What an issuer makes: claims that are disclosed selectively in `hidden`. */
export interface Issue {
  readonly key: KeyObject
  readonly header?: object
  readonly open?: object
  readonly hidden?: Readonly<Record<string, unknown>>
  readonly holder?: KeyObject | undefined
}

/** An SD-JWT VC without key binding, all of it disclosed. */
export function issued({ key, header, open, hidden = {}, holder }: Issue): string {
  const disclosures = Object.entries(hidden).map(([name, value]) => disclosure(name, value))
  const payload = {
    iat: NOW - 3600,
    exp: NOW + 3600,
    vct: 'https://credentials.example/employee',
    ...(holder && { cnf: { jwk: publicOf(holder) } }),
    ...(disclosures.length > 0 && { _sd: disclosures.map(digest) }),
    ...open,
  }
  return `${[signed({ typ: 'dc+sd-jwt', ...header }, payload, key), ...disclosures].join('~')}~`
}

export const binding = {
  nonce: 'n-0S6_WzA2Mj-0S6_WzA2Mj',
  audience: 'x509_hash:Uvo3HtuIxuhC92rShpgqcT3YXwrqRxWEviRiA0OZszk',
} as const

/** A presentation: what was issued, with the proof that its holder makes. */
export function bound(
  issuance: string,
  holder: KeyObject,
  more: { readonly header?: object; readonly payload?: object } = {},
): string {
  const payload = { nonce: binding.nonce, aud: binding.audience, iat: NOW, sd_hash: digest(issuance), ...more.payload }
  return `${issuance}${signed({ typ: 'kb+jwt', ...more.header }, payload, holder)}`
}
