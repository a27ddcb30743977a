import { admission, admits } from './admission.ts'
import { alikeAt, type Bound, bind, type Site } from './bind.ts'
import type { Caught } from './bind-texts.ts'
import { reserved } from './break-glass.ts'
import type { RuleRef } from './candidates.ts'
import type { Policy } from './compile.ts'
import type { Decision, Grant, Identity, RuleOutcome } from './decision.ts'
import { type Answer, ask } from './evaluate.ts'
import { type Facts, factsOf, type Miss } from './facts.ts'
import { describeGrant, mergeGrants, placeName } from './grants.ts'
import { outside, settle } from './scope.ts'
import type { Subject } from './subject.ts'
import { badName } from './text.ts'

/** A grant that a rule produced and nobody can take. */
export interface Refused {
  readonly grant: Grant
  readonly by: 'rules' | 'target'
  readonly why: string
}

/** One rule asked: what it would give, before anything is forbidden. */
export interface Finding {
  readonly ref: RuleRef
  readonly bound: Bound
  readonly answer: Answer
  readonly grants: readonly Grant[]
  readonly refused: readonly Refused[]
  /** Unix seconds; Infinity where nothing ends. */
  readonly until: number
  /** Rounds whose end has passed or cannot be read. */
  readonly ended: number
}

/** What the rules say about a subject. Pure and total: never throws, never waits, whatever the claims hold. */
export function decide(policy: Policy, subject: Subject, now: number): Decision {
  const people = policy.people.get(subject.connector)
  if (people === undefined) return nobody({ username: '' })
  const facts = factsOf(subject, people.groups, now)
  const refs = policy.reach.get(subject.connector)?.candidates(facts) ?? []
  return conclude(policy, facts, people.identity(facts), examineAll(policy, refs, facts))
}

/** The facts of a subject with a list in which missed lookups are noted; undefined for an unknown connector. */
export function tracedFacts(policy: Policy, subject: Subject, now: number, misses: Miss[]): Facts | undefined {
  const people = policy.people.get(subject.connector)
  return people && factsOf(subject, people.groups, now, misses)
}

function examineAll(policy: Policy, refs: readonly RuleRef[], facts: Facts): readonly Finding[] {
  const home = homeOf(policy, facts)
  const findings: Finding[] = []
  for (const ref of refs) {
    const finding = examine(policy, ref, facts, home)
    if (finding.answer.rounds.length > 0 || finding.answer.needs !== undefined) findings.push(finding)
  }
  return findings
}

/** The domain in which the connector's people live: what a grant without a domain means. */
function homeOf(policy: Policy, facts: Facts): string | undefined {
  return policy.people.get(facts.connector)?.owned.connector.domain
}

/** Asks one rule. @param home the domain of the connector's people */
export function examine(policy: Policy, ref: RuleRef, facts: Facts, home: string | undefined): Finding {
  ref.bound ??= bind(ref.rule, ref.scope, policy.base.binder)
  const { bound } = ref
  const answer = ask(bound, facts)
  const rounds = answer.closed ?? answer.rounds
  if (rounds.length === 0 || ref.rule.forbid !== undefined)
    return { ref, bound, answer, grants: [], refused: [], until: Number.POSITIVE_INFINITY, ended: 0 }
  return harvest(policy, { ref, bound, answer, facts, home }, rounds)
}

interface Field {
  readonly ref: RuleRef
  readonly bound: Bound
  readonly answer: Answer
  readonly facts: Facts
  readonly home: string | undefined
}

function harvest(policy: Policy, { ref, bound, answer, facts, home }: Field, rounds: readonly Caught[]): Finding {
  const grants: Grant[] = []
  const refused: Refused[] = []
  let until = Number.POSITIVE_INFINITY
  let ended = 0
  for (const caught of rounds) {
    const end = bound.until(facts, caught)
    if (end === undefined || end <= facts.now) {
      ended++
      continue
    }
    until = Math.min(until, end)
    for (const raw of bound.grants(facts, caught)) {
      const grant = settled(policy, ref, raw)
      const no = refusal(policy, ref, grant, home)
      if (no === undefined) grants.push(grant)
      else refused.push(no)
    }
  }
  return { ref, bound, answer, grants, refused, until, ended }
}

function settled(policy: Policy, { scope }: RuleRef, grant: Grant): Grant {
  const target = policy.base.targets.get(grant.target)
  return scope.walls === undefined || target === undefined ? grant : settle(scope.walls, grant, target)
}

function refusal(policy: Policy, { scope }: RuleRef, grant: Grant, home: string | undefined): Refused | undefined {
  const target = policy.base.targets.get(grant.target)
  if (target === undefined) return { grant, by: 'rules', why: `there is no target ${grant.target}` }
  const place = 'domain' in grant ? grant.domain : undefined
  const name = 'cluster' in grant ? undefined : badName(placeName(grant))
  const odd = name ?? (place === undefined ? undefined : badName(place))
  if (odd !== undefined) return { grant, by: 'rules', why: odd }
  // Law 6 by construction: no grant of a tenant's rule leaves here without passing its walls.
  const beyond = scope.walls && outside(scope.walls, grant, target, home)
  if (beyond !== undefined) return { grant, by: 'rules', why: beyond }
  const held = reserved(policy.base.glasses, grant, alikeAt(target))
  if (held !== undefined) return { grant, by: 'rules', why: `\`${describeGrant(held)}\` is for break glass alone` }
  const why = target.refuse(grant)
  return why === undefined ? undefined : { grant, by: 'target', why }
}

/** Something given: by a rule, or by break glass, which no tenant can forbid. */
interface Gift {
  readonly rule: string
  readonly finding?: Finding
  readonly grants: readonly Grant[]
  readonly until: number
}

/** A forbidding rule and what it took. */
export interface Ban {
  readonly finding: Finding
  readonly person: 'whole' | 'grants'
  readonly taken: Grant[]
}

/** Puts findings together: denies first, then what is left. */
export function conclude(policy: Policy, facts: Facts, identity: Identity, findings: readonly Finding[]): Decision {
  const matched = findings.filter((finding) => finding.answer.rounds.length > 0)
  const bans = bansOf(matched)
  const banned = bans.filter((ban) => ban.person === 'whole' && isMain(ban))
  if (banned.length > 0) return { ...nobody(identity), because: banned.map((ban) => forbade(ban, facts)) }
  const offered = [...glassGifts(policy, facts), ...matched.map(giftOf)]
  const left = bans.length === 0 ? offered : offered.map((gift) => spared(policy, gift, bans, facts))
  const gifts = left.filter((gift) => gift.grants.length > 0)
  const admitted = matched.filter((finding) => finding.ref.rule.admit && admits(finding, bans))
  const grants = gathered(gifts)
  const wantsAcr = wantedAcr(policy, findings)
  const because = [
    ...bans.filter((ban) => ban.taken.length > 0 || ban.person === 'whole').map((ban) => forbade(ban, facts)),
    ...gifts.map(gave),
    ...admitted.map(({ ref }) => admission(policy, ref, bans, facts)),
    ...refusals(matched),
  ]
  const allowed = grants.length > 0 || admitted.length > 0
  // Also where all that its rule gave was taken: an admission ends with it.
  const until = earliest([...gifts, ...admitted.map(giftOf)])
  const decision = { allowed, identity, grants, until, because }
  return wantsAcr === undefined ? decision : { ...decision, wantsAcr }
}

function nobody(identity: Identity): Decision {
  return { allowed: false, identity, grants: [], until: Number.POSITIVE_INFINITY, because: [] }
}

function bansOf(matched: readonly Finding[]): readonly Ban[] {
  const bans: Ban[] = []
  for (const finding of matched) {
    const { forbid } = finding.ref.rule
    if (forbid !== undefined) bans.push({ finding, person: forbid.person ? 'whole' : 'grants', taken: [] })
  }
  return bans
}

// Loops where flatMap would read better: these run for every token, and flatMap costs ten times as much.
function gathered(gifts: readonly Gift[]): readonly Grant[] {
  const all: Grant[] = []
  for (const gift of gifts) for (const grant of gift.grants) all.push(grant)
  return mergeGrants(all)
}

function earliest(gifts: readonly Gift[]): number {
  let least = Number.POSITIVE_INFINITY
  for (const gift of gifts) least = Math.min(least, gift.until)
  return least
}

function refusals(matched: readonly Finding[]): readonly RuleOutcome[] {
  const outcomes: RuleOutcome[] = []
  for (const { ref, refused } of matched) for (const one of refused) outcomes.push(refusedOutcome(ref, one))
  return outcomes
}

function giftOf(finding: Finding): Gift {
  return { rule: finding.ref.rule.name, finding, grants: finding.grants, until: finding.until }
}

function glassGifts(policy: Policy, facts: Facts): readonly Gift[] {
  if (policy.base.glasses.length === 0) return []
  return policy.base.glasses.flatMap((glass) => {
    // From the authentication, not from now: a refresh does not prolong it, and a clock ahead gains nothing.
    const until = Math.min(facts.authTime, facts.now) + glass.max
    const open =
      glass.people.has(facts.person) && facts.amr.some((method) => glass.amr.has(method)) && facts.now < until
    return open ? [{ rule: glass.name, grants: glass.grants, until }] : []
  })
}

/** What the bans leave of a gift. */
function spared(policy: Policy, gift: Gift, all: readonly Ban[], facts: Facts): Gift {
  const home = homeOf(policy, facts)
  // No tenant forbids break glass.
  const bans = gift.finding === undefined ? all.filter(isMain) : all
  const grants = gift.grants.flatMap((grant) => {
    const site = { home, alike: alikeAt(policy.base.targets.get(grant.target)) }
    let left: Grant | undefined = grant
    for (const ban of bans)
      if (left !== undefined && concerns(policy, ban, grant, home)) left = without(left, ban, facts, site)
    return left ?? []
  })
  return { ...gift, grants }
}

export const isMain = ({ finding }: Ban) => finding.ref.scope.tenant === undefined

/** A tenant's ban acts on what lies inside its own walls, whoever gave it. */
function concerns(policy: Policy, ban: Ban, grant: Grant, home: string | undefined): boolean {
  const { walls } = ban.finding.ref.scope
  if (walls === undefined) return true
  const target = policy.base.targets.get(grant.target)
  return outside(walls, grant, target, home) === undefined
}

function without(grant: Grant, ban: Ban, facts: Facts, site: Site): Grant | undefined {
  let left: Grant | undefined = grant
  for (const caught of ban.finding.answer.rounds) {
    if (left === undefined) return undefined
    const taken = ban.finding.bound.forbids(facts, caught, left, site)
    if (taken === undefined) continue
    ban.taken.push(taken)
    left = minus(left, taken)
  }
  return left
}

function minus(grant: Grant, taken: Grant): Grant | undefined {
  if (!('roles' in grant) || !('roles' in taken)) return undefined
  const roles = grant.roles.filter((role) => !taken.roles.includes(role))
  return roles.length === 0 ? undefined : { ...grant, roles }
}

/** The lowest strength that would have opened a rule that gives or admits. */
function wantedAcr({ base }: Policy, findings: readonly Finding[]): string | undefined {
  const { ranks } = base.binder
  let lowest = Number.POSITIVE_INFINITY
  for (const { answer, grants, ref } of findings)
    if (answer.needs !== undefined && (grants.length > 0 || ref.rule.admit))
      lowest = Math.min(lowest, ranks.get(answer.needs) ?? lowest)
  return base.strengths[lowest]
}

export function outcome(
  ref: RuleRef,
  effect: RuleOutcome['effect'],
  grants: readonly Grant[],
  because?: string,
): RuleOutcome {
  const rule = ref.rule.name
  const { tenant } = ref.scope
  if (tenant === undefined) return because === undefined ? { rule, effect, grants } : { rule, effect, grants, because }
  return because === undefined ? { rule, tenant, effect, grants } : { rule, tenant, effect, grants, because }
}

function forbade({ finding, person, taken }: Ban, facts: Facts): RuleOutcome {
  const because = finding.bound.because(facts, finding.answer.rounds[0] ?? [])
  return outcome(finding.ref, 'forbade', person === 'whole' ? [] : mergeGrants(taken), because)
}

function gave({ rule, finding, grants }: Gift): RuleOutcome {
  const merged = mergeGrants(grants)
  return finding === undefined ? { rule, effect: 'broke-glass', grants: merged } : outcome(finding.ref, 'gave', merged)
}

function refusedOutcome(ref: RuleRef, { grant, by, why }: Refused): RuleOutcome {
  return outcome(ref, by === 'target' ? 'refused-by-target' : 'refused', [grant], why)
}
