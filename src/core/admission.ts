import type { RuleRef } from './candidates.ts'
import type { Policy } from './compile.ts'
import { type Ban, type Finding, isMain, outcome } from './decide.ts'
import type { RuleOutcome } from './decision.ts'
import type { Facts } from './facts.ts'

/** Whether a rule lets the person in. A tenant that refuses her whole does not admit her either; other tenants are not asked. */
export function admits({ ref, ended, answer }: Finding, bans: readonly Ban[]): boolean {
  if (ended > 0 && ended === answer.rounds.length) return false
  return !bans.some(({ person, finding }) => person === 'whole' && finding.ref.scope.tenant === ref.scope.tenant)
}

/** A tenant lets people in where it has a part, and nowhere else (law 6); nobody does where all of a target is forbidden. */
export function admission(policy: Policy, ref: RuleRef, bans: readonly Ban[], facts: Facts): RuleOutcome {
  const made = outcome(ref, 'admitted', [])
  const { walls, tenant } = ref.scope
  const shutting = bans.filter((ban) => isWholeTarget(ban) && (isMain(ban) || ban.finding.ref.scope.tenant === tenant))
  if (walls === undefined && shutting.length === 0) return made
  const ids = [...(walls?.targets ?? policy.base.targets.keys())]
  return { ...made, targets: ids.filter((id) => !shutting.some((ban) => shuts(ban, id, facts))) }
}

const narrower = ['project', 'domain', 'namespace', 'cluster', 'group', 'roles'] as const

/** It forbids everything at a target, not single things there. */
function isWholeTarget({ person, finding }: Ban): boolean {
  const { forbid = {} } = finding.ref.rule
  return person === 'grants' && !narrower.some((key) => key in forbid)
}

/** Whether such a ban is about a target: its name may be a pattern, with what the rule caught in it. */
function shuts({ finding: { bound, answer } }: Ban, target: string, facts: Facts): boolean {
  const anything = { target, group: '' }
  const site = { home: undefined, alike: (name: string) => name }
  return answer.rounds.some((caught) => bound.forbids(facts, caught, anything, site) !== undefined)
}
