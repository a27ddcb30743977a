import { hash } from 'node:crypto'
import type { Proof, Subject } from '../../core/subject.ts'
import type { ConnectorPorts } from '../connector.ts'
import type { SamlConfig } from './options.ts'
import type { NameId, Verified } from './verify.ts'

/** What is kept sealed beside a proof, for a logout: the upstream's own words for the person and her session. */
export interface Kept {
  /** The identity provider's entityID. */
  readonly idp: string
  readonly nameId: NameId
  readonly sessionIndex?: string
}

/** UTF-16 units of a SessionIndex that may be a key; a longer one is not kept, and its logout ends all sessions of the person. */
const INDEX_LIMIT = 255

/** The proof of what an assertion said, good for as long as the connector's answers are and the upstream's session lasts. */
export function proofOf(
  config: SamlConfig,
  ports: ConnectorPorts,
  { subject, verified, at }: { readonly subject: Subject; readonly verified: Verified; readonly at: number },
): Proof {
  const { issuer, nameId, sessionIndex, sessionNotOnOrAfter = Infinity } = verified
  const kept: Kept = { idp: issuer, nameId, ...(sessionIndex !== undefined && { sessionIndex }) }
  const short = sessionIndex !== undefined && sessionIndex.length <= INDEX_LIMIT
  return {
    subject,
    provenAt: at,
    // SAML core 2.7.2: by SessionNotOnOrAfter "the session between the principal and the SAML authority … MUST be considered ended".
    goodUntil: Math.min(at + config.maxProofAge, sessionNotOnOrAfter),
    upstreamName: nameOf(issuer, nameId, ports.sp.entityId),
    ...(short && { upstreamSession: sessionIndex }),
    sealed: ports.seal(JSON.stringify(kept), sealContext(config, subject.id)),
  }
}

/**
 * What was kept for a proof of this connector; undefined where nothing was.
 * @throws where it was sealed elsewhere, or for another person
 */
export function keptOf(config: SamlConfig, ports: ConnectorPorts, proof: Proof): Kept | undefined {
  if (!proof.sealed || proof.subject.connector !== config.id) return undefined
  return JSON.parse(ports.open(proof.sealed, sealContext(config, proof.subject.id))) as Kept
}

/**
 * A digest of the name that an identity provider has for a person. A qualifier that says only who both sides are may be left out
 * of one message and stand in another (SAML core 8.3.7), and a format may be unspecified in one: neither parts two names.
 */
export function nameOf(idp: string, { value, nameQualifier, spNameQualifier }: NameId, entityId: string): string {
  const other = [
    nameQualifier === idp ? '' : (nameQualifier ?? ''),
    spNameQualifier === entityId ? '' : (spNameQualifier ?? ''),
  ]
  return hash('sha256', JSON.stringify([idp, value, ...other]), 'base64url')
}

/** Binds what is sealed to one connector and one person: it opens nowhere else. */
const sealContext = (config: SamlConfig, subject: string) => `saml\n${config.id}\n${subject}`
