import { X509Certificate } from 'node:crypto'
import type { Check } from '../../core/ports.ts'
import type { Idp } from './idp.ts'
import type { Directory } from './metadata/directory.ts'
import type { SamlConfig } from './options.ts'

/** Seconds before the end of a certificate at which an operator wants to know of it. */
const SOON = 30 * 86_400

/** What there is to review: a connector's options, its directory, and the time (Unix seconds). */
export interface Reviewed {
  readonly config: SamlConfig
  readonly directory: Directory
  readonly now: number
}

/** What can be said without asking anybody: metadata in files, and certificates by which metadata is signed. Never rejects. */
export async function review({ config, directory, now }: Reviewed): Promise<readonly Check[]> {
  const files = config.metadata.every((source) => 'file' in source)
  return [...(await directory.review()), ...pinned(config, now), ...(files ? await upstream(directory, now) : [])]
}

/** The same with all metadata read now. Never rejects. */
export async function probe({ config, directory, now }: Reviewed): Promise<readonly Check[]> {
  return [...(await directory.probe()), ...pinned(config, now), ...(await upstream(directory, now))]
}

function pinned({ metadata }: SamlConfig, now: number): readonly Check[] {
  return metadata.flatMap((source) => {
    const name = 'url' in source ? source.url : 'file' in source ? source.file : source.mdq
    return source.certificate === undefined ? [] : [certificate(`certificate of ${name}`, source.certificate, now)]
  })
}

/** What a connector with one identity provider will meet there. */
async function upstream(directory: Directory, now: number): Promise<readonly Check[]> {
  const idp = await directory.only().catch(() => undefined)
  if (!idp) return []
  const bindings = (list: Idp['sso']) => [...new Set(list.map(({ binding }) => binding))].join(', ')
  return [
    { check: 'identity provider', ok: true, found: idp.entityId },
    {
      check: 'single sign-on',
      ok: idp.sso.length > 0,
      found: bindings(idp.sso) || 'by no binding that is spoken here',
    },
    idp.slo.length > 0
      ? { check: 'single logout', ok: true, found: bindings(idp.slo) }
      : { check: 'single logout', ok: true, note: true, found: 'none: a sign-out here leaves its session' },
    ...idp.signing.map((base64, index) => certificate(`signing certificate ${index + 1}`, base64, now)),
  ]
}

/**
 * One certificate: its key decides, since who is named by metadata is trusted by nothing else; its dates are for operators who would
 * be surprised by others that keep to them.
 * @param text PEM, or base64 of DER
 */
function certificate(check: string, text: string, now: number): Check {
  try {
    const read = new X509Certificate(text.includes('-----') ? text : Buffer.from(text, 'base64'))
    const { asymmetricKeyType: type = 'unknown', asymmetricKeyDetails: details } = read.publicKey
    const bits = details?.modulusLength
    const end = read.validToDate.getTime() / 1000
    const algorithm = read.signatureAlgorithm ?? 'an unknown algorithm'
    const what = `${type}${bits === undefined ? '' : ` ${bits}`}, ${algorithm}, until ${read.validToDate.toISOString().slice(0, 10)}`
    if (type === 'rsa' && (bits ?? 0) < 2048) return { check, ok: false, found: `${what}: the key is too short` }
    if (end < now) return { check, ok: true, note: true, found: `${what}: over, and still taken by its key` }
    if (end < now + SOON) return { check, ok: true, note: true, found: `${what}: ends soon, ask for the next one` }
    return { check, ok: true, found: what }
  } catch {
    return { check, ok: false, found: 'no certificate that can be read' }
  }
}
