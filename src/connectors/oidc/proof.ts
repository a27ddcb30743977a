import { decodeJwt } from 'jose'
import type { Proof, Subject } from '../../core/subject.ts'
import type { ConnectorPorts } from '../connector.ts'
import type { OidcConfig } from './options.ts'

/** What is kept sealed beside a proof: the newest of each that the upstream gave. */
export interface Kept {
  readonly idToken: string
  readonly refreshToken?: string
}

/** What one exchange with the upstream came to, once all of it was checked. */
export interface Found {
  readonly subject: Subject
  readonly session: string | undefined
  readonly kept: Kept
  /** Unix seconds at which it was checked. */
  readonly at: number
}

/** The proof of what was found, good for as long as the connector's answers are. */
export function proofOf(config: OidcConfig, ports: ConnectorPorts, { subject, session, kept, at }: Found): Proof {
  return {
    subject,
    provenAt: at,
    goodUntil: at + config.maxProofAge,
    ...(session !== undefined && { upstreamSession: session }),
    sealed: ports.seal(JSON.stringify(kept), sealContext(config, subject.id)),
  }
}

/**
 * What was kept for a proof of this connector; undefined where nothing was.
 * @throws where it was sealed elsewhere, or for another person
 */
export function keptOf(config: OidcConfig, ports: ConnectorPorts, proof: Proof): Kept | undefined {
  if (!proof.sealed || proof.subject.connector !== config.id) return undefined
  return JSON.parse(ports.open(proof.sealed, sealContext(config, proof.subject.id))) as Kept
}

/**
 * Whether what was kept is of the upstream to which the connector leads now. A configuration may have led it to another one since: that
 * one is shown nothing of the first, and people of the first are none of its own.
 */
export function isOfHere({ issuer }: OidcConfig, { idToken }: Kept): boolean {
  const { iss = '' } = decodeJwt(idToken)
  return URL.canParse(iss) && new URL(iss).href === new URL(issuer).href
}

/** The upstream's name of its session. Longer ones are not kept: a logout from there then finds the person alone. */
export function sessionOf(sid: unknown): string | undefined {
  return isName(sid) ? sid : undefined
}

/** A text that may be a key: 1 to 255 UTF-16 units, all of them Unicode. */
export const isName = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= 255 && value.isWellFormed()

/** Binds what is sealed to one connector and one person: it opens nowhere else. */
const sealContext = (config: OidcConfig, subject: string) => `oidc\n${config.id}\n${subject}`
