import type { Grant, GrantKind } from './decision.ts'
import type { Assurance, BreakGlass, IdentityTemplate, Rule, Tables, TenantLimits, Vars } from './rule.ts'

/** A regular expression that runs in linear time and matches the whole text (law 11). */
export interface CompiledRegex {
  /** The named groups, in no order. */
  readonly names: readonly string[]
  /** The named groups' texts, or undefined where the whole text does not match. */
  match(text: string): Readonly<Record<string, string>> | undefined
}

/** The engine that is handed in; the core has none of its own. */
export interface RegexEngine {
  /**
   * @param largest instructions of its automaton; as many as an operator's may have where absent
   * @throws {Error} where the source is not a valid expression; its message is shown to the operator
   */
  compile(source: string, largest?: number): CompiledRegex
}

/** What the rules must know of a target. A `Target` (targets/target.ts) is one. */
export interface TargetRules {
  readonly id: string
  /** Which shapes of grant it can carry; a rule that gives another is refused. */
  readonly carries: ReadonlySet<GrantKind>
  /** Why it cannot take a grant, in a sentence; undefined where it can. Pure. */
  refuse(grant: Grant): string | undefined
  /**
   * One writing for all names that it may take for one, such as `WEB` for `web`; absent where names differ by any letter. What is forbidden
   * or kept for break glass is so in all of them, since a claim chooses the writing.
   */
  alike?(name: string): string
  /** It knows groups by name alone, without a domain: captured text needs a name space there (law 15). */
  readonly namesUsers?: boolean
}

/** What the rules must know of a connector. */
export interface ConnectorRules {
  readonly id: string
  /** The Keystone domain in which its people live. */
  readonly domain?: string
  readonly emailDomains?: readonly string[]
  readonly identity?: IdentityTemplate
}

/** One tenant: its own part, and in `limits` what the main file allows it. */
export interface TenantSource {
  readonly id: string
  readonly connectors: readonly ConnectorRules[]
  readonly admit: readonly string[]
  readonly vars: Vars
  readonly rules: readonly Rule[]
  readonly ruleSets: readonly string[]
  readonly limits: TenantLimits
}

/** Everything that decides. Compiling again is cheap for parts that are the same objects as before. */
export interface PolicySource {
  readonly rules: readonly Rule[]
  readonly ruleSets: Readonly<Record<string, readonly Rule[]>>
  readonly vars: Vars
  readonly tables: Tables
  readonly assurance: Assurance
  readonly breakGlass: readonly BreakGlass[]
  readonly connectors: readonly ConnectorRules[]
  readonly targets: readonly TargetRules[]
  readonly tenants: readonly TenantSource[]
  /** Ids of tenants that are there and take no part in this: whom they would bring is no mistake of those who admit them. */
  readonly elsewhere?: ReadonlySet<string>
  /** Of those and these, as `longerIds` finds it; of `tenants` alone where absent. */
  readonly longer?: ReadonlyMap<string, readonly string[]>
}

/** Something that is wrong with a policy; `path` leads to it in the main file, or in the tenant's own where `tenant` is set. */
export interface PolicyProblem {
  readonly path: readonly (string | number)[]
  readonly message: string
  readonly fix?: string
  /** The tenant that must be disabled (law 13); absent where the main file is wrong. */
  readonly tenant?: string
}
