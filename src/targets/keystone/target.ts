import { type Decision, type Grant, type GrantKind, grantKind, grantsAt } from '../../core/decision.ts'
import { LoginError } from '../../core/errors.ts'
import { bounded, folded, impossibleName, lax, sortedUnique } from '../names.ts'
import type { Target } from '../target.ts'
import { asciiJson, asciiName, passesApache } from './encode.ts'
import { type KeystoneConfig, schemaOf } from './options.ts'
import { calledOf, domainOf, homeOf } from './person.ts'
import { serviceClaimNames, serviceClaims } from './service-token.ts'

const claimNames = ['preferred_username', 'openstack_user_domain', 'email', 'email_verified', 'name', 'groups'] as const

/** Longest names in Keystone's database; code points. */
const longest = { domain: 64, project: 64, group: 64, role: 255 } as const

/**
 * One Keystone. Told by claims alone its mapping reads `sub`, `preferred_username`, `email`, `openstack_user_domain`, `groups`
 * and, from mapping schema 3.0 on, `openstack_projects`; roles in a domain have no place in a mapping and are not carried. With
 * `reconcile` the gateway writes groups and roles itself (live/), and the claims say only who it is.
 */
export function openKeystone(config: KeystoneConfig): Target {
  return {
    id: config.id,
    label: config.label ?? config.id,
    audience: config.audience ?? config.id,
    // Its own: the Apache modules check neither `aud` nor `typ`, only the key (law 8).
    ring: `keystone-${config.id}`,
    alg: config.alg,
    ttl: config.ttl,
    carries: new Set(carries(config)),
    refuse: (grant) => refuse(config, grant),
    alike: lax,
    claimNames: [...claimNames, ...serviceClaimNames, ...(mapsProjects(config) ? ['openstack_projects'] : [])],
    // Groups are the same in every form: a login whose groups differ from the last one's revokes all other tokens of the person.
    // What services read beside them is in no token, and so is not counted.
    claims: (decision, form) => ({
      ...bounded(config.label ?? config.id, claims(config, decision)),
      ...(form === 'introspection' ? serviceClaims(userDomain(config, decision), projectsOf(config, decision)) : {}),
    }),
    describe: (decision) => describe(config, decision),
  }
}

/** Whether the mapping gives roles in projects: schema 3.0 takes every other direct role away, so never beside `reconcile`. */
const mapsProjects = (config: KeystoneConfig) => config.reconcile === undefined && schemaOf(config) === '3.0'

function carries(config: KeystoneConfig): readonly GrantKind[] {
  if (config.reconcile !== undefined) return ['project', 'domain', 'group']
  return mapsProjects(config) ? ['project', 'group'] : ['group']
}

function refuse(config: KeystoneConfig, grant: Grant): string | undefined {
  const kind = grantKind(grant)
  if (kind === 'project' && !carries(config).includes(kind))
    return `mapping schema ${schemaOf(config)} carries groups only; projects need 3.0, or reconcile`
  if (!carries(config).includes(kind))
    return kind === 'domain'
      ? 'a Keystone mapping carries no domain roles; they need reconcile'
      : `a Keystone has no ${kind} roles`
  const named = 'domain' in grant ? grant.domain : undefined
  if (config.reconcile !== undefined && 'project' in grant && isCloudsOwn(grant.project))
    return `the project ${grant.project} is the cloud's own; the gateway writes nothing into it`
  // Its roles were given by others, and are not seen here: a captured name must not lead into the cloud's own team (law 15).
  if (config.reconcile !== undefined && 'group' in grant && isCloudsOwn(grant.group) && !config.adminRoles)
    return `the group ${grant.group} may be the cloud's own; the target's adminRoles says no`
  return (
    (named === undefined ? undefined : badDomain(named)) ??
    ('project' in grant ? impossibleName('project', grant.project, longest.project) : undefined) ??
    ('group' in grant ? impossibleName('group', grant.group, longest.group) : undefined) ??
    ('roles' in grant ? badRoles(config, grant.roles) : undefined)
  )
}

/** How installers call what the cloud itself needs, in any writing that a database may take for it. */
const isCloudsOwn = (name: string): boolean => ['admin', 'service'].includes(folded(name))

/** Keystone keeps a domain `Federated` for itself and answers 500 to another one, in any case of letters. */
function badDomain(domain: string): string | undefined {
  if (folded(domain) === 'federated') return 'the domain name Federated is reserved by Keystone'
  return impossibleName('domain', domain, longest.domain)
}

function badRoles(config: KeystoneConfig, roles: readonly string[]): string | undefined {
  if (roles.length === 0) return 'a project grant without roles gives nothing, and Keystone refuses the whole login'
  for (const role of roles) {
    const bad = impossibleName('role', role, longest.role)
    if (bad !== undefined) return bad
    if (folded(role) === 'admin' && !config.adminRoles)
      return `the role ${role} is reserved; the target's adminRoles says no`
  }
  return undefined
}

/** The domain of people who come without one must be sayable in a header, else a login ends in Keystone's 404 or 500. */
function userDomain(config: KeystoneConfig, decision: Decision): string {
  const domain = homeOf(config, decision.identity)
  const impassable = 'the domain name is not ASCII, or holds ; , braces, quotes or a backslash'
  const why = badDomain(domain) ?? (passesApache(domain) ? undefined : impassable)
  if (why !== undefined) throw new LoginError('claims_unusable', `no user domain at target ${config.id}: ${why}`)
  return domain
}

interface Seat {
  readonly name: string
  readonly domain: { readonly name: string }
}

function claims(config: KeystoneConfig, decision: Decision): Record<string, unknown> {
  const { emailVerified, name } = decision.identity
  const called = calledOf(decision.identity)
  const groups = config.reconcile === undefined ? groupsOf(config, decision) : []
  return {
    preferred_username: called.name,
    openstack_user_domain: userDomain(config, decision),
    ...(called.email === undefined ? {} : { email: called.email, email_verified: emailVerified === true }),
    ...(name === undefined ? {} : { name: asciiName(name) }),
    // An empty variable is a value: a group without a name. Absent, the rule that reads groups does not apply.
    ...(groups.length === 0 ? {} : { groups: groups.map((group) => `JSON:${asciiJson(group)}`).join(';') }),
    // Always there: absent, Keystone answers 401; `[]` takes away what the last login gave.
    ...(mapsProjects(config) ? { openstack_projects: asciiJson(projectsOf(config, decision)) } : {}),
  }
}

/** One key for (domain, name): neither can hold U+0000, so no two pairs share one. */
const seatKey = (domain: string, name: string): string => `${domain}\u0000${name}`

function seat(key: string): Seat {
  const [domain = '', name = ''] = key.split('\u0000')
  return { name, domain: { name: domain } }
}

/** What this Keystone can take of the decision; the rules' trace already named the rest. */
function taken(config: KeystoneConfig, decision: Decision): readonly Grant[] {
  return grantsAt(decision, config.id).filter((grant) => refuse(config, grant) === undefined)
}

function groupsOf(config: KeystoneConfig, decision: Decision): readonly Seat[] {
  const groups = taken(config, decision).flatMap((grant) =>
    'group' in grant ? [seatKey(domainOf(config, decision.identity, grant), grant.group)] : [],
  )
  return sortedUnique(groups).map(seat)
}

function projectsOf(config: KeystoneConfig, decision: Decision) {
  const roles = new Map<string, string[]>()
  for (const grant of taken(config, decision)) {
    if (!('project' in grant)) continue
    const key = seatKey(domainOf(config, decision.identity, grant), grant.project)
    roles.set(key, [...(roles.get(key) ?? []), ...grant.roles])
  }
  return sortedUnique(roles.keys()).map((key) => ({
    ...seat(key),
    roles: sortedUnique(roles.get(key) ?? []).map((name) => ({ name })),
  }))
}

function describe(config: KeystoneConfig, decision: Decision): readonly string[] {
  const domains = taken(config, decision).flatMap((grant) =>
    grantKind(grant) === 'domain' && 'roles' in grant && 'domain' in grant
      ? [`domain ${grant.domain}: ${sortedUnique(grant.roles).join(', ')}`]
      : [],
  )
  return [
    `user ${calledOf(decision.identity).name} in domain ${homeOf(config, decision.identity)}`,
    ...domains,
    ...projectsOf(config, decision).map(
      ({ name, domain, roles }) =>
        `project ${name} in domain ${domain.name}: ${roles.map((role) => role.name).join(', ')}`,
    ),
    ...groupsOf(config, decision).map(({ name, domain }) => `group ${name} in domain ${domain.name}`),
  ]
}
