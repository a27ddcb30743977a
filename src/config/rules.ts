import { z } from 'zod'
import { duration, name } from './fields.ts'
import { grantSchema, person, ruleSchema, template, text, word } from './rule.ts'

/** `rules:` of the main file and of a tenant. */
export const rulesSchema = z.array(ruleSchema).default([]).describe('Who gets what.')

/** `ruleSets:` of the main file: rules that tenants take by name, each with its own vars. */
export const ruleSetsSchema = z
  .record(word(), z.array(ruleSchema).min(1))
  .default({})
  .describe('Rules that tenants use by name.')

/** `vars:` of the main file and of a tenant, which wins. */
export const varsSchema = z
  .record(word(), text().max(256))
  .default({})
  .describe('Texts that rules use as `<vars.name>`; a tenant has its own.')

const tableEntry = z.union([text().transform((value) => [value]), z.array(text()).min(1)], {
  error: 'write a text (in quotes) or a list of texts',
})

/** A table as it stands in the file; the loader replaces `{ csv }` by the map that the file holds. */
export const tableSourceSchema = z.union([z.strictObject({ csv: text().min(1) }), z.record(text(), tableEntry)])

/** `{ csv: path }` or a map. */
export type TableSource = z.output<typeof tableSourceSchema>

/** Whether a table still stands in a file of its own. A map whose only key is `csv` is one, too: name that key otherwise. */
export const isCsvTable = (table: TableSource): table is { csv: string } =>
  Object.keys(table).length === 1 && typeof table['csv'] === 'string'

/** `tables:` once the loader has read the CSV files: name → key → texts. */
export const tablesSchema = z
  .record(word(), z.record(text(), tableEntry))
  .default({})
  .describe('Maps for lookups: inline, or `{ csv: path }` with two columns, key and text.')

/** `assurance:`: `acr` values, lowest first. */
export const assuranceSchema = z
  .array(
    z.union([
      text()
        .min(1)
        .transform((value) => [value]),
      z.array(text().min(1)).min(1),
    ]),
  )
  .default([])
  .describe(
    'Strengths of authentication, lowest first; a list in the list holds `acr` values that mean the same, its name first.',
  )

/** `breakGlass:`. */
export const breakGlassSchema = z
  .array(
    z.strictObject({
      name: text().min(1).max(120),
      subjects: z.array(person()).min(1).describe('People, each written `connector/id`.'),
      amr: z.array(text().min(1)).min(1).describe('One of these methods must have been used, such as hwk or mfa.'),
      max: duration()
        .refine((seconds) => seconds <= 900, 'longer than 15m; write 15m or less')
        .prefault('15m')
        .describe('How long after the authentication the power lasts, 15m at most.'),
      give: z.array(grantSchema).min(1).describe('Literal grants, reachable by no rule.'),
    }),
  )
  .default([])
  .describe('Named people who get a power for minutes, in an emergency.')

const oneOrMore = z.union([text().transform((value) => [value]), z.array(text())], {
  error: 'write texts (in quotes); arrays of objects stand under `records`',
})

/** `tests:`: who gets what; a configuration whose tests fail does not load. */
export const testsSchema = z
  .array(
    z.strictObject({
      name: text().min(1),
      subject: z.strictObject({
        connector: name(),
        id: text().min(1),
        claims: z.record(text(), oneOrMore).default({}),
        records: z.record(text(), z.array(z.record(text(), text()))).default({}),
        acr: text().exactOptional(),
        amr: z.array(text()).exactOptional(),
      }),
      at: text().exactOptional().describe('When: a date or an RFC 3339 time; now where absent.'),
      expect: z
        .array(text())
        .describe(
          'Every grant, as `cloud project web: member`; `admitted` for somebody who gets in without one; [] for nobody.',
        ),
      username: text().exactOptional(),
      until: text().exactOptional().describe('The end, an RFC 3339 time.'),
      wantsAcr: text().exactOptional(),
      because: text().exactOptional().describe('A part of some reason in the decision.'),
    }),
  )
  .default([])
  .describe('Who gets what: a configuration whose tests fail does not load.')

/** `identity:` of a connector: how its people are named, inside its own name space (law 15). */
export const identitySchema = z
  .strictObject({
    username: template().default('<preferred_username>').describe('A template whose holes are claims.'),
    name: template().default('<name>').describe('A template whose holes are claims.'),
    email: text().min(1).default('email').describe('The claim that holds the e-mail address.'),
    prefix: text()
      .max(64)
      .exactOptional()
      .describe('Before every user name; `<connector id>:` where neither this nor `suffix` is set.'),
    suffix: text().max(64).exactOptional().describe('After every user name, such as `@corp.example`.'),
    groupPrefix: text().max(64).exactOptional().describe('What `<space>` stands for; `<connector id>:` where absent.'),
  })
  .prefault({})
  .describe('How people of this connector are named.')

/** What the main file lets a tenant do; `<tenant.id>` is filled in when the rules are compiled. */
export const tenantLimitsSchema = z
  .strictObject({
    targets: z.array(name()).default([]).describe('Targets at which its rules may give something.'),
    domains: z.array(text().min(1)).default([]).describe('Keystone domains; `*` stands for any text.'),
    projects: z
      .array(text().min(1))
      .exactOptional()
      .describe('Projects inside those domains; all of them where absent.'),
    namespaces: z.array(text().min(1)).default([]).describe('Kubernetes namespaces; `*` stands for any text.'),
    groups: z.array(text().min(1)).default([]).describe('Groups at targets without domains.'),
  })
  .describe("Where a tenant's rules may act: everything else is refused, whatever the claims contain.")

/** The part of a tenant's file that is about rules. */
export const tenantRuleFields = {
  vars: varsSchema,
  admit: z
    .array(name())
    .default([])
    .describe("Connectors of others whose people this tenant's rules may give something."),
  rules: rulesSchema,
  ruleSets: z.array(word()).default([]).describe("Names of the main file's rule sets."),
  tests: testsSchema,
} as const
