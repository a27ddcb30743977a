import type { Grant, Identity } from '../../../core/decision.ts'
import type { Lease, Wanted } from '../../live.ts'
import type { KeystoneConfig } from '../options.ts'
import { domainOf } from '../person.ts'

/** A federated user of ours, as Keystone has her. */
export interface UserSeen {
  readonly id: string
  readonly name?: string | null
  readonly email?: string | null
  readonly domain_id?: string
  readonly enabled: boolean
  /**
   * Whose lock it is where she is not enabled: written with it in one request, so that no crash can part the two. Whoever may set it at
   * Keystone may enable her there as well, so it opens nothing to anybody.
   */
  readonly lotse_locked?: unknown
  /** Known by her leases alone: Keystone lost her federated identity halfway through a change of her name, and a sign-in would make another user. */
  readonly unlinked?: true
}

/** What there is at a Keystone, as far as it was asked for. Names are compared as they are written: `wéb` is not `web`. */
export interface Snapshot {
  /** By `sub`. */
  readonly users: ReadonlyMap<string, UserSeen>
  /** Direct roles and memberships, as leases are written, by user id. */
  readonly access: ReadonlyMap<string, ReadonlySet<Lease>>
  /** Ids by name. */
  readonly domains: ReadonlyMap<string, string>
  readonly roles: ReadonlyMap<string, string>
  /** Ids by `placeKey`. */
  readonly projects: ReadonlyMap<string, string>
  readonly groups: ReadonlyMap<string, string>
  /** What could not be made a moment ago, by `placeKey` or, for a domain, its name: it is not tried at each look. */
  readonly blocked: ReadonlySet<string>
}

/** A project or a group, by name. */
export interface Place {
  readonly kind: 'project' | 'group'
  readonly name: string
  /** The name of its domain. */
  readonly domain: string
}

/** The key of a project or a group in the domain of an id. */
export const placeKey = (kind: 'project' | 'group', domainId: string, name: string) => `${kind}\n${domainId}\n${name}`

/** What a grant means at a Keystone: roles in a project or a domain, or membership of a group; names filled in. */
export interface Seat {
  readonly kind: 'project' | 'domain' | 'group'
  readonly name: string
  readonly domain: string
  readonly roles: readonly string[]
}

/** Where a grant leads. */
function seatOf(config: KeystoneConfig, identity: Identity, grant: Grant): Seat | undefined {
  const domain = domainOf(config, identity, grant)
  if ('project' in grant) return { kind: 'project', name: grant.project, domain, roles: grant.roles }
  if ('group' in grant) return { kind: 'group', name: grant.group, domain, roles: [] }
  if ('namespace' in grant || 'cluster' in grant) return undefined
  return { kind: 'domain', name: grant.domain, domain: grant.domain, roles: grant.roles }
}

/** A name that nobody else has: another account of the domain may be called as she is, since only the `sub` tells people apart. */
export const otherName = (name: string, sub: string) => `${name}~${sub.slice(0, 8)}`

/** Everything that an account is to have, place by place. */
export function seatsOf(config: KeystoneConfig, { identity, grants }: Wanted): readonly Seat[] {
  return grants.flatMap((grant) => seatOf(config, identity, grant) ?? [])
}

/**
 * Leases name everything by its id, the user last: a project that was renamed is still found, and so is what was given to a user whom
 * somebody deleted, or moved to another identity, since.
 */
export const leaseOf = {
  project: (project: string, role: string, user: string): Lease => `project:${project}:${role}:${user}`,
  domain: (domain: string, role: string, user: string): Lease => `domain:${domain}:${role}:${user}`,
  group: (group: string, user: string): Lease => `group:${group}:${user}`,
} as const

/** The user to whom a lease was given. */
export const holderOf = (lease: Lease): string => lease.slice(lease.lastIndexOf(':') + 1)

/** Where a lease is written and taken back. */
export function pathOf(lease: Lease): string {
  const [kind, place = '', ...rest] = lease.split(':')
  const [first = '', user = ''] = rest
  return kind === 'group' ? `/groups/${place}/users/${first}` : `/${kind}s/${place}/users/${user}/roles/${first}`
}
