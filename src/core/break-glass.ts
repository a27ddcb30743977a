import type { TableMaps } from './bind-texts.ts'
import { literalGrant } from './check-rule.ts'
import type { Grant } from './decision.ts'
import { describeGrant, placeName } from './grants.ts'
import type { PolicyProblem, TargetRules } from './policy.ts'
import type { BreakGlass, GrantTemplate, Text } from './rule.ts'
import { fitsGlob, partsOf, resolve } from './text.ts'

/** A block of the configuration, checked: literal grants for named people. */
export interface Glass {
  readonly name: string
  readonly people: ReadonlySet<string>
  readonly amr: ReadonlySet<string>
  /** Seconds after authentication. */
  readonly max: number
  readonly grants: readonly Grant[]
}

/** What stands in the blocks, and what is wrong with them. */
export function readGlass(
  blocks: readonly BreakGlass[],
  targets: ReadonlyMap<string, TargetRules>,
  connectors: ReadonlySet<string>,
): { readonly glasses: readonly Glass[]; readonly problems: readonly PolicyProblem[] } {
  const problems: PolicyProblem[] = []
  const glasses = blocks.map((block, i) => {
    for (const [j, person] of block.subjects.entries())
      if (!connectors.has(person.slice(0, person.indexOf('/'))))
        problems.push({ path: ['breakGlass', i, 'subjects', j], message: `there is no connector for ${person}` })
    const grants = block.give.flatMap((template, j) => {
      const read = glassGrant(template, targets)
      if (typeof read !== 'string') return [read]
      problems.push({ path: ['breakGlass', i, 'give', j], message: read })
      return []
    })
    return { name: block.name, people: new Set(block.subjects), amr: new Set(block.amr), max: block.max, grants }
  })
  return { glasses, problems }
}

function glassGrant(template: GrantTemplate, targets: ReadonlyMap<string, TargetRules>): Grant | string {
  const target = targets.get(template.target)
  if (target === undefined) return `there is no target ${template.target}`
  const grant = literalGrant(template, new Map())
  if (grant === undefined) return 'a break-glass grant is literal: no holes and no lookups'
  const why = target.refuse(grant)
  return why === undefined ? grant : `target ${target.id} cannot take \`${describeGrant(grant)}\`: ${why}`
}

const sameShape = (a: object, b: object) =>
  (['project', 'namespace', 'cluster', 'group'] as const).every((key) => key in a === key in b)

/**
 * The break-glass grant that a rule's grant would be or hold; such a grant is taken from the rule.
 * @param alike of the grant's target, as at `TargetRules`
 */
export function reserved(glasses: readonly Glass[], grant: Grant, alike: (name: string) => string): Grant | undefined {
  for (const { grants } of glasses) for (const held of grants) if (meets(held, grant, alike)) return held
  return undefined
}

function meets(held: Grant, grant: Grant, alike: (name: string) => string): boolean {
  if (held.target !== grant.target || !sameShape(held, grant)) return false
  if (alike(placeName(held)) !== alike(placeName(grant))) return false
  const domains = ['domain' in held ? held.domain : undefined, 'domain' in grant ? grant.domain : undefined]
  if (domains[0] !== undefined && domains[1] !== undefined && alike(domains[0]) !== alike(domains[1])) return false
  if (!('roles' in held) || !('roles' in grant)) return true
  return grant.roles.some((role) => held.roles.some((one) => alike(one) === alike(role)))
}

/**
 * The break-glass grant that a rule's template could ever become, whatever the claims hold.
 * @param constants what dotted holes stand for; those that are missing may stand for anything
 */
export function reaches(
  glasses: readonly Glass[],
  template: GrantTemplate,
  tables: TableMaps,
  constants: ReadonlyMap<string, string>,
): Grant | undefined {
  const could = (text: Text | undefined, name: string | undefined): boolean => {
    if (text === undefined || name === undefined) return true
    if (typeof text !== 'string') return [...(tables.get(text.lookup)?.values() ?? [])].flat().includes(name)
    const literals = ['']
    for (const part of resolve(partsOf(text), constants))
      if (typeof part === 'string') literals[literals.length - 1] += part
      else literals.push('')
    return fitsGlob(literals, name)
  }
  const roles = template.roles
  const couldRole = (role: string) =>
    roles !== undefined && ('lookup' in roles ? could(roles, role) : roles.includes(role))
  for (const { grants } of glasses)
    for (const held of grants) {
      if (held.target !== template.target || !sameShape(held, template)) continue
      const named =
        template.project ?? template.namespace ?? template.group ?? (template.cluster ? undefined : template.domain)
      const domain = 'domain' in held ? held.domain : undefined
      if (!could(named, placeName(held)) || !could(template.domain, domain)) continue
      if (!('roles' in held) || held.roles.some(couldRole)) return held
    }
  return undefined
}
