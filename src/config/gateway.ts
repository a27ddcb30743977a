import type { z } from 'zod'
import type { Assurance } from '../core/acr.ts'
import type { IdentityTemplate } from '../core/rule.ts'
import type { connectorFields, serverFields, targetFields } from './schema.ts'

type Read<Fields extends z.ZodRawShape> = z.output<z.ZodObject<Fields>>

/** A connector as loaded: the fields of every connector, its type, and the options of that type beside them. */
export type ConnectorConfig = Read<typeof connectorFields> & {
  readonly type: string
  readonly identity: IdentityTemplate
  /** The tenant whose file brought it; absent for connectors of the main file. */
  readonly tenant?: string
  readonly [option: string]: unknown
}

/** A target as loaded: the fields of every target, its type, and the options of that type beside them. */
export type TargetConfig = Read<typeof targetFields> & {
  readonly type: string
  readonly [option: string]: unknown
}

/** Everything beside the rules, with defaults filled in, secrets in the place of their references and paths absolute. */
export type GatewayConfig = Readonly<Read<typeof serverFields>> & {
  /** Those of the main file, then those of the tenants that are in order. */
  readonly connectors: readonly ConnectorConfig[]
  readonly targets: readonly TargetConfig[]
  readonly assurance: Assurance
}
