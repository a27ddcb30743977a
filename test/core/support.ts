import assert from 'node:assert/strict'
import { linesOf } from '../../src/config/policy-tests.ts'
import * as schemas from '../../src/config/rules.ts'
import { type Compiled, compile, type Policy } from '../../src/core/compile.ts'
import { decide } from '../../src/core/decide.ts'
import type { ConnectorRules, PolicySource, TargetRules, TenantSource } from '../../src/core/policy.ts'
import type { Subject } from '../../src/core/subject.ts'
import { re2 } from '../../src/regex.ts'

export const NOW = 1_800_000_000

/** Two targets in the shapes of a Keystone and of a cluster. */
export const targets: readonly TargetRules[] = [
  {
    id: 'cloud',
    carries: new Set(['project', 'domain', 'group']),
    refuse: (grant) =>
      'project' in grant && grant.project.length > 64 ? 'a project name has 64 characters at most' : undefined,
  },
  {
    id: 'prod',
    carries: new Set(['namespace', 'cluster', 'group']),
    namesUsers: true,
    refuse: (grant) => {
      if ('group' in grant && grant.group.startsWith('system:')) return 'names that begin with system: are reserved'
      return 'namespace' in grant && !/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(grant.namespace)
        ? 'no name for a namespace'
        : undefined
    },
  },
]

/** A policy as an operator would write it, before the schemas. */
export interface Written {
  readonly rules?: unknown
  readonly ruleSets?: unknown
  readonly vars?: unknown
  readonly tables?: unknown
  readonly assurance?: unknown
  readonly breakGlass?: unknown
  readonly connectors?: readonly ConnectorRules[]
  readonly targets?: readonly TargetRules[]
  readonly tenants?: readonly WrittenTenant[]
}

export interface WrittenTenant {
  readonly id: string
  readonly connectors?: readonly ConnectorRules[]
  readonly limits?: unknown
  readonly vars?: unknown
  readonly admit?: readonly string[]
  readonly rules?: unknown
  readonly ruleSets?: readonly string[]
}

/** What the schemas make of it. */
export function sourceOf(written: Written): PolicySource {
  return {
    rules: schemas.rulesSchema.parse(written.rules),
    ruleSets: schemas.ruleSetsSchema.parse(written.ruleSets),
    vars: schemas.varsSchema.parse(written.vars),
    tables: schemas.tablesSchema.parse(written.tables),
    assurance: schemas.assuranceSchema.parse(written.assurance),
    breakGlass: schemas.breakGlassSchema.parse(written.breakGlass),
    connectors: written.connectors ?? [{ id: 'corp' }, { id: 'social' }],
    targets: written.targets ?? targets,
    tenants: (written.tenants ?? []).map(tenantOf),
  }
}

export function tenantOf(written: WrittenTenant): TenantSource {
  return {
    id: written.id,
    connectors: written.connectors ?? [],
    admit: written.admit ?? [],
    vars: schemas.varsSchema.parse(written.vars),
    rules: schemas.rulesSchema.parse(written.rules),
    ruleSets: written.ruleSets ?? [],
    limits: schemas.tenantLimitsSchema.parse(written.limits ?? {}),
  }
}

export function compiled(written: Written): Compiled {
  return compile(sourceOf(written), { regex: re2 })
}

/** A policy that must be sound. */
export function policyOf(written: Written): Policy {
  const { policy, problems } = compiled(written)
  assert.deepEqual(problems, [])
  return policy
}

/** The problems as `path: message`. */
export function problemsOf(written: Written): readonly string[] {
  return compiled(written).problems.map(
    ({ tenant, path, message }) => `${tenant ?? 'main'} ${path.join('.')}: ${message}`,
  )
}

export function subject(claims: Readonly<Record<string, readonly string[]>>, more: Partial<Subject> = {}): Subject {
  return { connector: 'corp', id: 'a1', claims, records: {}, authTime: NOW, ...more }
}

/** What a subject gets, one line each. */
export function lines(policy: Policy, who: Subject, now = NOW): readonly string[] {
  return [...linesOf(decide(policy, who, now))].sort()
}
