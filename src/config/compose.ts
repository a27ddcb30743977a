import { z } from 'zod'
import type { TargetRules } from '../core/policy.ts'
import { path } from './fields.ts'
import type { ConnectorConfig, GatewayConfig, TargetConfig } from './gateway.ts'
import {
  assuranceSchema,
  breakGlassSchema,
  identitySchema,
  ruleSetsSchema,
  rulesSchema,
  tableSourceSchema,
  tenantLimitsSchema,
  tenantRuleFields,
  testsSchema,
  varsSchema,
} from './rules.ts'
import { connectorFields, serverFields, targetFields } from './schema.ts'

/** What a type of connector brings: its own options, and what they may contradict each other in. */
export interface ConnectorType {
  readonly options: z.ZodRawShape
  problems?(config: never): readonly { readonly path: readonly (string | number)[]; readonly message: string }[]
}

/** What a type of target brings: its own options, and the target itself, since rules must know what it can carry. */
export interface TargetType {
  readonly options: z.ZodRawShape
  problems?(config: never): readonly { readonly path: readonly (string | number)[]; readonly message: string }[]
  open(config: never): TargetRules & { readonly audience: string }
}

/** The tables of connectors/index.ts and targets/index.ts. */
export interface Parts {
  readonly connectors: Readonly<Record<string, ConnectorType>>
  readonly targets: Readonly<Record<string, TargetType>>
}

/** What the main file lets a tenant have. */
const tenantSchema = tenantLimitsSchema.extend({
  connectorTypes: z.array(z.string()).default([]).describe('Types of connectors that its file may configure.'),
  emailDomains: z
    .array(z.string().regex(/^[a-z0-9.<>-]{1,253}$/, 'not an e-mail domain; write it in lower case without @'))
    .default([])
    .describe('E-mail domains that its connectors may assert; exact, `<tenant.id>` is filled in.'),
})

/** A tenant's id, which is the name of its file: no dots, so that `acme.staff` can be a connector of `acme` alone. */
export const tenantId = () =>
  z
    .string()
    .regex(
      /^(?=.{1,32}$)[a-z0-9]+(-[a-z0-9]+)*$/,
      'not a tenant id; write lower-case letters, digits and single - (32 at most)',
    )

/** What a tenant may have: where its rules may act, what its connectors may be and assert. */
export type TenantAllowance = z.output<typeof tenantSchema>

const tenantsSchema = z
  .strictObject({
    folder: path().prefault('./tenants').describe('The folder of the files, each `<tenant id>.yaml`.'),
    each: tenantSchema
      .optional()
      .describe(
        'What every tenant with a file may have; `<tenant.id>` in it is the tenant. Without it only those named.',
      ),
    named: z
      .record(tenantId(), tenantSchema)
      .default({})
      .describe('What single tenants may have, instead of what `each` says.'),
  })
  .optional()
  .describe('Customers with files of their own; what such a file says beyond this disables that tenant.')

const tableName = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/

const ruleFields = {
  rules: rulesSchema,
  ruleSets: ruleSetsSchema,
  vars: varsSchema,
  tables: z
    .record(z.string().regex(tableName, 'not a name; write letters, digits, - _, a letter first'), tableSourceSchema)
    .default({})
    .describe('Maps for lookups: inline, or `{ csv: path }` with two columns, key and text.'),
  assurance: assuranceSchema,
  breakGlass: breakGlassSchema,
  tests: testsSchema,
  tenants: tenantsSchema,
} as const

const listOf = (kind: string, types: Readonly<Record<string, { options: z.ZodRawShape }>>, common: z.ZodRawShape) => {
  const branches = Object.entries(types).map(([type, { options }]) =>
    z.strictObject({ type: z.literal(type).describe(`The type of ${kind}.`), ...common, ...options }),
  )
  const [first, ...rest] = branches
  if (!first) throw new TypeError(`no type of ${kind}`)
  return z.array(z.discriminatedUnion('type', [first, ...rest])).default([])
}

/** The rules and tests of the main file, with tables that may still stand in files of their own. */
export type RuleConfig = Readonly<z.output<z.ZodObject<typeof ruleFields>>>

/** The main file as the schema reads it: references are still references, CSV tables still paths. */
export type MainFile = GatewayConfig & RuleConfig

/** One tenant's file as the schema reads it. */
export type TenantFile = Readonly<z.output<z.ZodObject<typeof tenantRuleFields>>> & {
  readonly label?: string | undefined
  readonly connectors: readonly ConnectorConfig[]
}

/**
 * The only description of the configuration: validation, config/schema.json and docs/config.md come from it.
 * `main` reads the main file, `tenant` one file of a tenant.
 */
export function configSchema(parts: Parts) {
  const connectors = listOf('connector', parts.connectors, { ...connectorFields, identity: identitySchema })
  const targets = listOf('target', parts.targets, targetFields)
  const main = z.strictObject({
    ...serverFields,
    connectors: connectors.describe('Upstreams that prove who somebody is.'),
    targets: targets.describe('Consumers of tokens: Keystones, clusters, applications.'),
    ...ruleFields,
  })
  const tenant = z.strictObject({
    label: z.string().min(1).max(80).optional().describe("The customer's name."),
    connectors: connectors.describe('Its own upstreams; ids begin with the tenant id and a dot.'),
    ...tenantRuleFields,
  })
  // The parts' own options are known by their types' names alone, so the outputs are stated here once.
  return {
    main: main as unknown as z.ZodType<MainFile>,
    tenant: tenant as unknown as z.ZodType<TenantFile>,
    /** What options of single connectors and targets contradict each other in. */
    contradictions: (file: {
      readonly connectors: readonly ConnectorConfig[]
      readonly targets?: readonly TargetConfig[]
    }) => [
      ...contradictionsOf('connectors', file.connectors, parts.connectors),
      ...contradictionsOf('targets', file.targets ?? [], parts.targets),
    ],
  }
}

function contradictionsOf(
  section: 'connectors' | 'targets',
  list: readonly { readonly type: string }[],
  types: Readonly<Record<string, Pick<ConnectorType, 'problems'>>>,
) {
  return list.flatMap((each, index) => {
    const found = types[each.type]?.problems?.(each as never) ?? []
    return found.map(({ path, message }) => ({ path: [section, index, ...path], message }))
  })
}

export type ConfigSchema = ReturnType<typeof configSchema>
