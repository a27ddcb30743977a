/**
 * The rule language as plain data: what the configuration's schemas (config/rules.ts) hand over once they have read it.
 * A test asserts that these types and the schemas' outputs are the same.
 */

/** A text that is looked up in a table: `key` is a template; a key that the table lacks gives nothing. */
export interface Lookup {
  readonly lookup: string
  readonly key: string
}

/** A text with `<name>` holes, or what a table holds under one. */
export type Text = string | Lookup

/** What one rule goes through: every value of a claim, or every record of an upstream's array of objects. */
export interface Each {
  readonly claim?: string
  readonly record?: string
  readonly pattern?: string
  readonly regex?: string
  readonly inTable?: string
  /** The name of what the table holds, with `inTable`. */
  readonly as?: string
  /** A pattern per field, with `record`. */
  readonly fields?: Readonly<Record<string, string>>
  readonly ignoreCase?: true
}

/** One condition; exactly one subject (`claim`, `subject`, `email`, `acr`, `amr`) and, with `claim`, one operator. */
export interface RuleTest {
  readonly claim?: string
  readonly is?: Text
  readonly anyOf?: readonly string[]
  readonly allOf?: readonly string[]
  readonly noneOf?: readonly string[]
  readonly prefix?: string
  readonly pattern?: string
  readonly regex?: string
  readonly inTable?: string
  readonly present?: true
  readonly absent?: true
  readonly ignoreCase?: true
  /** People as `connector/id`. */
  readonly subject?: readonly string[] | { readonly inTable: string }
  readonly email?: { readonly domains: readonly string[] }
  readonly acr?: { readonly atLeast: string }
  readonly amr?: readonly string[]
}

/** A grant with holes; the fields say which of the five shapes of core/decision.ts it has. */
export interface GrantTemplate {
  readonly target: string
  readonly project?: Text
  readonly domain?: Text
  readonly namespace?: Text
  readonly cluster?: true
  readonly group?: Text
  readonly roles?: readonly string[] | Lookup
}

/** What nobody whom the rule matches may have; `*` stands for any text. With `person` everything. */
export interface Forbid {
  readonly person?: true
  readonly target?: string
  readonly project?: string
  readonly domain?: string
  readonly namespace?: string
  readonly cluster?: true
  readonly group?: string
  readonly roles?: readonly string[]
  readonly because: Text
}

/** When a rule's grants end: with a day in a time zone, or at a moment. A claim's name, or `<name>` for a captured text. */
export interface Until {
  readonly endOf?: string
  readonly zone?: string
  readonly at?: string
}

/** One named piece of policy: from whom, under which tests, what is given or forbidden. */
export interface Rule {
  readonly name: string
  readonly from: readonly string[]
  readonly each?: Each
  readonly if?: readonly RuleTest[]
  readonly give?: readonly GrantTemplate[]
  readonly until?: Until
  readonly forbid?: Forbid
  readonly admit?: true
}

/** Named people who get a power for minutes; the only way to these grants. */
export interface BreakGlass {
  readonly name: string
  /** People as `connector/id`. */
  readonly subjects: readonly string[]
  /** One of these must be among the subject's `amr`. */
  readonly amr: readonly string[]
  /** Seconds after authentication. */
  readonly max: number
  readonly give: readonly GrantTemplate[]
}

/** A subject with claims, and the lines that the rules must give it. */
export interface PolicyTest {
  readonly name: string
  readonly subject: {
    readonly connector: string
    readonly id: string
    readonly claims: Readonly<Record<string, readonly string[]>>
    readonly records: Readonly<Record<string, readonly Readonly<Record<string, string>>[]>>
    readonly acr?: string
    readonly amr?: readonly string[]
  }
  /** The moment of the decision and of the authentication, a date or an RFC 3339 time; now where absent. */
  readonly at?: string
  readonly expect: readonly string[]
  readonly username?: string
  readonly until?: string
  readonly wantsAcr?: string
  readonly because?: string
}

/** Table name → key → texts. */
export type Tables = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>

/** Names that all rules of a file may use as `<vars.name>`. */
export type Vars = Readonly<Record<string, string>>

/** Strengths of authentication, lowest first; each is a list of `acr` values that mean the same, its name first. */
export type Assurance = readonly (readonly string[])[]

/** How a connector's people are named: claims' texts inside a name space of their own (law 15). */
export interface IdentityTemplate {
  readonly username: string
  readonly name: string
  readonly email: string
  readonly prefix?: string
  readonly suffix?: string
  readonly groupPrefix?: string
}

/** Where a tenant's rules may act; `*` stands for any text, `<tenant.id>` for the tenant's id. Absent means nothing there. */
export interface TenantLimits {
  readonly targets: readonly string[]
  readonly domains: readonly string[]
  /** Narrows the projects inside `domains`; all of them where absent. */
  readonly projects?: readonly string[]
  readonly namespaces: readonly string[]
  /** Groups at targets that have no domains. */
  readonly groups: readonly string[]
}
