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
  | { event: 'token.revoked'; client: string; personal: Personal }
  | { event: 'family.revoked'; client: string; cause: 'reuse'; personal: Personal }
  | { event: 'session.ended'; client?: string; cause: 'person' | 'client' | 'other-person'; personal: Personal }
  | { event: 'device.confirmed'; client: string; personal: Personal }
  | { event: 'device.declined'; client: string; personal: Personal }
  | { event: 'key.rotated'; ring: string; alg: string; kid: string; how: string }
  | { event: 'key.imported'; ring: string; alg: string; kid: string }
  | { event: 'config.loaded'; digest: string; tenantsDisabled: readonly string[] }
  | { event: 'config.refused'; problems: number }
  | { event: 'process.started'; version: string }
  | { event: 'process.stopped' }

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
