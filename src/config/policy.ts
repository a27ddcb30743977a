import { compile, type Policy } from '../core/compile.ts'
import type { PolicyProblem, PolicySource, RegexEngine, TargetRules, TenantSource } from '../core/policy.ts'
import type { Tables } from '../core/rule.ts'
import { longerIds } from '../core/scope.ts'
import type { Mistake } from './check-clients.ts'
import type { MainFile } from './compose.ts'
import { failedTests } from './policy-tests.ts'
import type { Problem } from './problem.ts'
import type { DisabledTenant, Tenant } from './tenants.ts'

/** Everything that decides, read. */
export interface Case {
  readonly main: MainFile
  readonly tables: Tables
  readonly targets: readonly TargetRules[]
  readonly tenants: readonly Tenant[]
  /** Tenants whose files are wrong by themselves. */
  readonly disabled: readonly Pick<DisabledTenant, 'id'>[]
  readonly regex: RegexEngine
  /** Unix seconds. */
  readonly now: number
  /** What was compiled last time: what is still the same is taken over. */
  readonly previous?: Policy | undefined
}

export interface Judged {
  /** Undefined where the main file's rules or tests are wrong. */
  readonly policy: Policy | undefined
  /** What is wrong with the main file. */
  readonly mistakes: readonly Mistake[]
  /** The tenants that take part. */
  readonly tenants: readonly Tenant[]
  readonly disabled: readonly DisabledTenant[]
  /** How many tests passed. */
  readonly tests: number
  /** What is weak in files of tenants that take part. */
  readonly warnings: readonly Problem[]
}

/**
 * Compiles the rules and runs the tests. The main file's tests see the main file alone, a tenant's tests the main file and that
 * tenant: so no tenant can make the main file, or another tenant, fail (law 13).
 */
export function judge(given: Case): Judged {
  const { main, tables, targets, tenants, regex, now } = given
  const { rules, ruleSets, vars, assurance, breakGlass, connectors } = main
  const elsewhere = new Set([...given.disabled, ...tenants].map(({ id }) => id))
  const shared = { rules, ruleSets, vars, tables, assurance, breakGlass, connectors, targets }
  const around = { ...shared, elsewhere, longer: longerIds(elsewhere) }
  const source = (some: readonly TenantSource[]): PolicySource => ({ ...around, tenants: some })
  const alone = compile(source([]), { regex }, given.previous)
  const mistakes =
    alone.problems.length > 0 ? alone.problems.map(mistakeOf) : failedTests(alone.policy, main.tests, now)
  if (mistakes.length > 0) return { policy: undefined, mistakes, tenants: [], disabled: [], tests: 0, warnings: [] }

  const first = compile(source(tenants.map((tenant) => tenant.rules)), { regex }, given.previous ?? alone.policy)
  const failures = new Map<string, Mistake[]>()
  for (const problem of first.problems) add(failures, problem.tenant ?? '', mistakeOf(problem))
  for (const tenant of tenants.filter(({ id, file }) => !failures.has(id) && file.tests.length > 0)) {
    const own = compile(source([tenant.rules]), { regex }, first.policy).policy
    for (const failed of failedTests(own, tenant.file.tests, now)) add(failures, tenant.id, failed)
  }
  const right = tenants.filter(({ id }) => !failures.has(id))
  const rest =
    failures.size === 0 ? first : compile(source(right.map((tenant) => tenant.rules)), { regex }, first.policy)
  return {
    policy: rest.policy,
    mistakes: failures.get('') ?? [],
    tenants: right,
    disabled: tenants.flatMap(({ id, source: file }) => {
      const own = failures.get(id)
      return own ? [{ id, problems: own.map((each) => file.problem(each.path, each.message)) }] : []
    }),
    tests: [main, ...right.map(({ file }) => file)].reduce((sum, { tests }) => sum + tests.length, 0),
    warnings: right.flatMap((tenant) => absentUpstreams(tenant, rest.policy)),
  }
}

/** Connectors that a tenant admits and that nobody has at this moment. */
function absentUpstreams({ source, file: { admit } }: Tenant, { people }: Policy): readonly Problem[] {
  return admit.flatMap((id, i) =>
    people.has(id) ? [] : [source.problem(['admit', i], `there is no connector ${id} now: nobody comes by it`)],
  )
}

function add(to: Map<string, Mistake[]>, key: string, mistake: Mistake): void {
  to.set(key, [...(to.get(key) ?? []), mistake])
}

function mistakeOf({ path, message, fix }: PolicyProblem): Mistake {
  return { path, message: fix ? `${message}; ${fix}` : message }
}
