import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { entityXml, groupXml, signer, signMetadata } from './saml-metadata.ts'
import { type SamlIdp, startSamlIdp } from './saml-server.ts'

/** A federation: its signed metadata in a file, with one IdP that answers ("University of Giessen") and others that are only listed. */
export interface Federation {
  readonly idp: SamlIdp
  /** For the connector's option `metadata`; the certificate is in `env`. */
  readonly metadata: string
  readonly env: Readonly<Record<string, string>>
  /** Writes the file anew, with these entities beside the usual ones. */
  publish(others: readonly string[]): void
  close(): Promise<void>
}

/** The `md:Extensions` of an IdP with a scope and names. */
export const shown = (scope: string, names: Readonly<Record<string, string>>): string => {
  const texts = Object.entries(names).map(
    ([tag, name]) => `<mdui:DisplayName xml:lang="${tag}">${name}</mdui:DisplayName>`,
  )
  return `<shibmd:Scope>${scope}</shibmd:Scope><mdui:UIInfo>${texts.join('')}</mdui:UIInfo>`
}

/** Entities that are only listed, in two languages. */
export const institutes = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, n) => {
    const names = { de: `Institut Nummer ${n}`, en: `Institute number ${n}` }
    return entityXml({ entityId: `https://idp.institute-${n}.example`, role: shown(`institute-${n}.example`, names) })
  })

const hide =
  '<mdattr:EntityAttributes><saml:Attribute Name="http://macedir.org/entity-category"><saml:AttributeValue>http://refeds.org/category/hide-from-discovery</saml:AttributeValue></saml:Attribute></mdattr:EntityAttributes>'

export async function startFederation(others: readonly string[] = []): Promise<Federation> {
  const operator = signer()
  const folder = mkdtempSync(join(tmpdir(), 'lotse-federation-'))
  const file = join(folder, 'federation.xml')
  const idp = await startSamlIdp({ people: [{ name: 'ada-1' }] })
  const giessen = shown('uni-giessen.example', { de: 'Universität Gießen', en: 'University of Giessen' })
  const oxford = shown('ox.example', { en: 'University of Oxford' })
  const hidden = shown('hidden.example', { en: 'Hidden University' })

  const publish: Federation['publish'] = (more) => {
    const real = idp.metadata().replace(/(<md:IDPSSODescriptor [^>]*>)/, `$1<md:Extensions>${giessen}</md:Extensions>`)
    const listed = [
      entityXml({ entityId: 'https://ox.example/idp', role: oxford }),
      entityXml({ entityId: 'https://hidden.example', role: hidden, extensions: hide }),
    ]
    const until = new Date(Date.now() + 86_400_000).toISOString()
    const xml = groupXml([real, ...listed, ...more], `ID="_all" validUntil="${until}"`)
    writeFileSync(file, signMetadata(xml, operator.key))
  }
  publish(others)
  return {
    idp,
    metadata: `{ file: '${file}', certificate: { env: FEDERATION } }`,
    env: { FEDERATION: operator.certificate },
    publish,
    async close() {
      await idp.close()
      rmSync(folder, { recursive: true })
    },
  }
}
