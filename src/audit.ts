import type { RuleOutcome } from './core/decision.ts'

/**
 * The closed list of audit events, version 1. Everything that can tell who a person is stands under `personal`, so that a
 * reader can drop it; nothing secret stands anywhere (law 12). One JSON object a line: `{v, time, id, event, …}`.
 */
export type AuditEvent =
  | {
      event: 'login.success'
      client?: string
      connector: string
      session?: string
      because: readonly RuleOutcome[]
      personal: Personal
    }
  | {
      event: 'login.refused'
      client?: string
      connector?: string
      code: string
      because?: readonly RuleOutcome[]
      personal: Personal
    }
  | { event: 'break-glass'; client?: string; connector: string; because: readonly RuleOutcome[]; personal: Personal }
  | {
      event: 'token.issued'
      client: string
      grantType: string
      target?: string
      jti?: string
      kinds: readonly string[]
      until?: number
      personal: Personal
    }
  | { event: 'token.refused'; client?: string; grantType?: string; code: string; personal: Personal }
  | { event: 'token.revoked'; client: string; jti?: string; personal: Personal }
  | { event: 'family.revoked'; client: string; cause: EndCause; personal: Personal }
  | {
      event: 'session.ended'
      cause: EndCause
      /** Where the upstream said more than that: what became of what the sign-in rested on. */
      why?: string
      /** Equal in two lines about one sign-in, as a crash may leave them. */
      signIn?: string
      connector?: string
      /** The client that asked for it. */
      client?: string
      /** The clients that held tokens of it. */
      clients?: readonly string[]
      personal: Personal
    }
  | { event: 'device.confirmed'; client: string; personal: Personal }
  | { event: 'device.declined'; client: string; personal: Personal }
  /** Is about to be written at a target, in one go; a crash may leave two lines about one. */
  | { event: 'lease.given'; target: string; leases: readonly string[]; personal: Personal }
  | { event: 'lease.taken'; target: string; leases: readonly string[]; personal: Personal }
  | { event: 'account.locked'; target: string; personal: Personal }
  | { event: 'account.unlocked'; target: string; personal: Personal }
  /** Changed rules would take from so many accounts at once that nothing is taken before an operator says so. */
  | { event: 'reconcile.held'; target: string; accounts: number }
  /** Are about to be written at a cluster, or to go there, in one go; a crash may leave two lines about one. */
  | { event: 'binding.made'; target: string; bindings: readonly string[] }
  | { event: 'binding.removed'; target: string; bindings: readonly string[] }
  /** So many are to go at once that none goes before an operator says so. */
  | { event: 'binding.held'; target: string; count: number }
  | { event: 'key.rotated'; ring: string; alg: string; kid: string; how: string }
  | { event: 'key.imported'; ring: string; alg: string; kid: string }
  | { event: 'config.loaded'; digest: string; tenantsDisabled: readonly string[] }
  | { event: 'config.refused'; problems: number }
  | { event: 'process.started'; version: string }
  | { event: 'process.stopped' }

/**
 * Why access ended: the person signed out; another person signed in in that browser; the upstream said so by itself; a recheck found
 * person or session gone; the rules allow nothing any more; an operator's command; the proof ran out; a used refresh token came again;
 * a further sign-in was one too many.
 */
export type EndCause =
  | 'person'
  | 'other-person'
  | 'client'
  | 'upstream'
  | 'recheck'
  | 'rule'
  | 'operator'
  | 'expiry'
  | 'theft'
  | 'limit'

export interface Personal {
  /** The gateway's `sub`. */
  readonly sub?: string
  readonly upstreamId?: string
  readonly username?: string
  readonly address?: string
  readonly userAgent?: string
}

/**
 * Writes one event; resolves when the line was handed to the operating system.
 * @param id the error id or request id that ties page, log and audit line together
 * @throws where the line cannot be written: the login or token that it tells of must then fail
 */
export type Audit = (id: string, event: AuditEvent) => Promise<void>
