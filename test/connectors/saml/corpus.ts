import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { constants, inflateRawSync } from 'node:zlib'
import type { Expected, Policy } from '../../../src/connectors/saml/profile.ts'
import { corpus } from '../../support/corpora.ts'
import { idpRecord } from '../../support/saml-idp.ts'

/* Public SAML responses: the records of saml/cases.json, each under the key, clock and parameters that it names. */

export const saml = corpus('saml')

export interface Record {
  readonly file: string
  readonly source: string
  readonly upstream_verdict: string
  readonly key: string
  readonly measured_detail: string
}

export interface Case {
  readonly record: Record
  /** Short and unique: source and file. */
  readonly name: string
  readonly encoded: string
  /** As text; what was deflated for the redirect binding is inflated. */
  readonly xml: string
  /** Certificates by the record, and those in the file: base64 of DER. */
  readonly keys: readonly string[]
  readonly embedded: readonly string[]
  /** The issuer, addresses, request and clock for which the file was made, as far as it says them. */
  expected(keys: readonly string[], policy: Policy): Expected
}

const bare = (pem: string) => pem.replace(/-----[^-]+-----|&#\w+;|\s/g, '')
const file = (...path: readonly string[]) => readFileSync(join(saml.path, ...path), 'utf8')
const certificatesIn = (xml: string) =>
  [...xml.matchAll(/X509Certificate[^>]*>([^<]+)</g)].map(([, text = '']) => bare(text))

export function cases(): readonly Case[] {
  return (JSON.parse(file('cases.json')) as Record[]).map(read)
}

function read(record: Record): Case {
  const raw = readFileSync(join(saml.path, '..', record.file))
  const isXml = (bytes: Buffer) => /^(?:\uFEFF)?\s*</.test(bytes.toString('utf8', 0, 80))
  const sent = isXml(raw) ? raw : Buffer.from(raw.toString(), 'base64')
  const xml = (isXml(sent) ? sent : unpacked(sent)).toString('utf8')
  return {
    record,
    name: `${record.source} ${record.file.replace(/^.*\/(?=[^/]+\/[^/]+$)/, '')}`,
    encoded: sent.toString('base64'),
    xml,
    keys: keysOf(record),
    embedded: [...new Set(certificatesIn(xml))],
    expected: (keys, policy) => expectedIn(record, xml, keys, policy),
  }
}

/** Some are deflated, some are base64 twice. */
function unpacked(bytes: Buffer): Buffer {
  try {
    return inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH })
  } catch {
    return Buffer.from(bytes.toString(), 'base64')
  }
}

function keysOf({ source, file: path }: Record): readonly string[] {
  if (source === 'node-saml') return [bare(file('node-saml/cert.pem'))]
  if (source === 'python3-saml') return [bare(JSON.parse(file('python3-saml/settings/settings1.json')).idp.x509cert)]
  if (source === 'ruby-saml')
    return ['ruby-saml.crt', 'certificate1'].map((name) => bare(file('ruby-saml/certificates', name)))
  if (source !== 'crewjam')
    return [bare(file('simplesamlphp-xml-security/resources/certificates/selfsigned.simplesamlphp.org.crt'))]
  const paired = path.replace(/^saml\//, '').replace(/_response$/, '')
  const onelogin = 'crewjam/testdata/TestSPCanHandleOneloginResponse_IDPMetadata'
  const signed = 'crewjam/testdata/TestServiceProviderCanHandleSignedAssertionsResponse_IDPMetadata'
  const metadata = path.includes('Xsw') ? [onelogin, signed] : [`${paired}_IDPMetadata`, `${paired}_idp_metadata`]
  return metadata.flatMap((name) => {
    try {
      return certificatesIn(file(name))
    } catch {
      return []
    }
  })
}

function expectedIn({ source }: Record, xml: string, keys: readonly string[], policy: Policy): Expected {
  const first = (pattern: RegExp) => pattern.exec(xml)?.[1]?.trim().replaceAll('&amp;', '&')
  const times = (pattern: RegExp) => [...xml.matchAll(pattern)].map(([, text = '']) => Date.parse(text) / 1000)
  const issuer = first(/<(?:\w+:)?Issuer[^>]*>\s*([^<\s]+)\s*</) ?? 'urn:none'
  const begun = times(/ (?:IssueInstant|AuthnInstant|NotBefore)="([^"]*)"/g)
  const ended = times(/ NotOnOrAfter="([^"]*)"/g)
  return {
    idp: { ...idpRecord(issuer, []), signing: keys },
    entityId: first(/Audience[^>]*>\s*([^<\s]*)\s*<\//) ?? 'urn:none',
    acs: first(/Destination="([^"]+)"/) ?? first(/Recipient="([^"]+)"/) ?? 'urn:none',
    requestId: first(/InResponseTo="([^"]*)"/) ?? '',
    now:
      source === 'node-saml'
        ? Date.parse('2020-09-25T16:59:00Z') / 1000
        : Math.floor(Math.min(Math.max(...begun, 0) + 1, Math.min(...ended) - 1)),
    skew: 60,
    decryption: source === 'node-saml' ? [file('node-saml/testshib encryption pvk.pem')] : [],
    asked: { requestedAt: 0 },
    policy,
  }
}
