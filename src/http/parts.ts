import type { Audit } from '../audit.ts'
import type { ClientConfig } from '../config/clients.ts'
import type { Connector, Standing } from '../connectors/connector.ts'
import type { Assurance } from '../core/acr.ts'
import type { Decision } from '../core/decision.ts'
import type { Clock, Log } from '../core/ports.ts'
import type { Subject } from '../core/subject.ts'
import type { Rings } from '../keys/rings.ts'
import type { Root } from '../keys/root.ts'
import type { Leases } from '../leases/leases.ts'
import type { Ends } from '../lifecycle/end.ts'
import type { Delivery } from '../lifecycle/notices.ts'
import type { ProofShelf } from '../lifecycle/proofs.ts'
import type { Rechecks } from '../lifecycle/recheck.ts'
import type { Store } from '../store/store.ts'
import type { Target } from '../targets/target.ts'
import type { Look } from './pages/index.ts'

/** What a person meets of a connector, and how to reach the connector itself; opening it is lazy and may fail. */
export interface ConnectorEntry {
  readonly id: string
  readonly label: string
  readonly hint?: string
  readonly unlisted: boolean
  readonly emailDomains: readonly string[]
  /** Seconds. */
  readonly recheckAfter: number
  /** Seconds. */
  readonly recheckGrace: number
  /** Seconds; the gateway's own where absent. */
  readonly sessionIdle?: number
  /** Seconds; the gateway's own where absent. */
  readonly sessionMax?: number
  /** Where the browser of an answer goes that nobody asked for; such an answer is refused where absent. */
  readonly restartAt?: string
  /** @throws {LoginError} `upstream_unavailable` */
  readonly open: () => Promise<Connector>
  /** Once a second: opens what is to be ready before the first sign-in, and lets it do what is due. Never throws. */
  readonly tend: () => void
  readonly standing: () => Standing | undefined
}

/** Lengths of time in seconds. */
export interface Lifetimes {
  readonly sessionIdle: number
  readonly sessionMax: number
  readonly refresh: number
  /** How many sign-ins one person may have at once. */
  readonly perPerson?: number
}

/** Counters that the HTTP layer feeds; labels are bounded. */
export interface Meter {
  login(connector: string, code: string): void
  token(grantType: string, target: string): void
  request(route: string, status: number, seconds: number): void
  storeError(): void
}

/** Everything that the HTTP layer may use: one composed gateway value. A reload or a rotation makes a new one beside it. */
export interface Parts {
  readonly issuer: URL
  readonly clients: ReadonlyMap<string, ClientConfig>
  readonly connectors: ReadonlyMap<string, ConnectorEntry>
  /**
   * The gateway's own SAML metadata, signed, with the endpoints of one connector or of all that are listed; undefined where there is
   * none.
   */
  readonly samlMetadata: (connector: string | undefined) => Promise<string | undefined>
  readonly targets: ReadonlyMap<string, Target>
  readonly lifetimes: Lifetimes
  readonly assurance: Assurance
  readonly decide: (subject: Subject, now: number) => Decision
  readonly store: Store
  /** Grows with whatever this process takes back. */
  readonly withdrawn: () => number
  readonly proofs: ProofShelf
  readonly rechecks: Rechecks
  readonly ends: Ends
  readonly delivery: Delivery
  readonly leases: Pick<Leases, 'arrived' | 'served' | 'mark'>
  readonly rings: Rings
  readonly root: Root
  readonly audit: Audit
  readonly log: Log
  readonly meter: Meter
  readonly look: Look
  readonly now: Clock
  /** Unguessable text of at least 256 bits, base64url. */
  readonly random: () => string
  /** For back-channel logout: bounded, and refuses addresses that were not listed. */
  readonly fetch: typeof globalThis.fetch
}
