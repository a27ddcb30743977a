import type { ConnectorPorts } from '../connector.ts'
import type { Idp, IdpDirectory } from './idp.ts'
import type { SamlConfig } from './options.ts'
import type { CheckSignature } from './signature.ts'

/** Seconds by which an identity provider's clock may be wrong. */
export const SKEW = 60

/** A connector with what its parts share. */
export interface Saml {
  readonly config: SamlConfig
  readonly ports: ConnectorPorts
  readonly directory: IdpDirectory
  /** In a thread of its own. */
  readonly check: CheckSignature
  /** The same identity provider by the newest metadata; undefined where it has no other keys there. @throws {LoginError} `upstream_unavailable` */
  readonly renew: (idp: Idp) => Promise<Idp | undefined>
}
