import type { Lease, Observed, Question, Step, Wanted } from '../../live.ts'
import type { KeystoneConfig } from '../options.ts'
import {
  calledOf,
  homeOf,
  leaseOf,
  nameKey,
  otherName,
  placeKey,
  type Seat,
  type Snapshot,
  seatsOf,
  type UserSeen,
} from './snapshot.ts'

/** What a step does at Keystone. */
export type Op =
  | { readonly op: 'make-domain'; readonly name: string }
  | {
      readonly op: 'make'
      readonly kind: 'project' | 'group'
      readonly name: string
      readonly domain: string
      readonly domainId: string
    }
  | {
      readonly op: 'make-user'
      readonly sub: string
      readonly called: Readonly<Record<string, string>>
      readonly domainId: string
    }
  | {
      readonly op: 'change'
      readonly user: string
      readonly sub: string
      readonly change: Readonly<Record<string, unknown>>
    }
  | { readonly op: 'give' | 'take'; readonly lease: Lease; readonly user: string }
  /** Its user is gone, and the grant with her. */
  | { readonly op: 'forget' }

const step = (kind: Step['kind'], says: string, does: Op, lease?: Lease): Step => ({
  kind,
  says,
  does,
  ...(lease === undefined ? {} : { lease }),
})

/**
 * What has to be done for one account. What somebody else granted or locked stays as it is: only leases are taken back, only what
 * is not there yet is given, and only our own lock is opened.
 */
export function plan(config: KeystoneConfig, { account, wanted }: Question, { of }: Observed): readonly Step[] {
  const seen = of as Snapshot // what `observe` made
  const user = seen.users.get(account.sub)
  const take = (lease: Lease) =>
    step(
      'take',
      account.leases[lease] ?? lease,
      user === undefined ? { op: 'forget' } : { op: 'take', lease, user: user.id },
      lease,
    )
  const held = Object.keys(account.leases).sort()
  if (wanted === 'gone') {
    // The lock first: it cuts every token at once, and what follows may take a while.
    const lock = user?.enabled
      ? [step('lock', 'user', { op: 'change', user: user.id, sub: account.sub, change: { enabled: false } })]
      : []
    return [...lock, ...held.map(take)]
  }
  const seats = seatsOf(config, wanted)
  const leases = leasesOf(seen, seats)
  const takes = held.filter((lease) => !leases.has(lease)).map(take)
  // An administrator has locked her out: that stands, and nothing is given meanwhile.
  if (user !== undefined && !user.enabled && !account.locked) return takes
  const prepares = preparesOf(config, seen, { sub: account.sub, wanted, seats, user })
  if (user === undefined || prepares.length > 0) return [...takes, ...prepares]
  const has = seen.access.get(user.id) ?? new Set()
  const gives = [...leases].filter(([lease]) => !has.has(lease)).sort(byLease)
  return [
    ...takes,
    ...tidy(seen, { sub: account.sub, wanted, user }),
    ...gives.map(([lease, says]) => step('give', says, { op: 'give', lease, user: user.id }, lease)),
    // Last, so that she finds everything in its place.
    ...(user.enabled
      ? []
      : [step('unlock', 'user', { op: 'change', user: user.id, sub: account.sub, change: { enabled: true } })]),
  ]
}

const byLease = ([one]: readonly [Lease, string], [other]: readonly [Lease, string]) => (one < other ? -1 : 1)

/** The leases that stand for what is wanted, with their names; places and roles that are not there are left out. */
function leasesOf(seen: Snapshot, seats: readonly Seat[]): ReadonlyMap<Lease, string> {
  const found = new Map<Lease, string>()
  for (const seat of seats) {
    const place = placeOf(seen, seat)
    if (place === undefined) continue
    if (seat.kind === 'group') found.set(leaseOf.group(place), `in group ${seat.name} (${seat.domain})`)
    for (const name of seat.roles) {
      const role = seen.roles.get(name)
      if (role === undefined || seat.kind === 'group') continue
      const where = seat.kind === 'project' ? `project ${seat.name} (${seat.domain})` : `domain ${seat.name}`
      found.set(leaseOf[seat.kind](place, role), `${name} in ${where}`)
    }
  }
  return found
}

function placeOf(seen: Snapshot, { kind, name, domain }: Seat): string | undefined {
  const domainId = seen.domains.get(domain)
  if (kind === 'domain' || domainId === undefined) return domainId
  return (kind === 'project' ? seen.projects : seen.groups).get(placeKey(kind, domainId, name))
}

interface Wish {
  readonly sub: string
  readonly wanted: Wanted
  readonly seats: readonly Seat[]
  readonly user: UserSeen | undefined
}

/** What has to be made before anything can be given; a domain first, since what lies in it needs its id. */
function preparesOf(config: KeystoneConfig, seen: Snapshot, { sub, wanted, seats, user }: Wish): readonly Step[] {
  const create = config.reconcile?.create ?? []
  const found = new Map<string, Step>()
  const needDomain = (name: string): string | undefined => {
    const id = seen.domains.get(name)
    if (id === undefined && create.includes('domain') && !seen.blocked.has(name))
      found.set(name, step('prepare', `domain ${name}`, { op: 'make-domain', name }))
    return id
  }
  for (const { kind, name, domain } of seats) {
    const domainId = needDomain(domain)
    if (kind === 'domain' || domainId === undefined || !create.includes(kind)) continue
    const key = placeKey(kind, domainId, name)
    if ((kind === 'project' ? seen.projects : seen.groups).has(key) || seen.blocked.has(key)) continue
    found.set(key, step('prepare', `${kind} ${name} (${domain})`, { op: 'make', kind, name, domain, domainId }))
  }
  // Nobody is made who would get nothing.
  if (user === undefined && (found.size > 0 || leasesOf(seen, seats).size > 0)) {
    const home = homeOf(config, wanted.identity)
    const domainId = needDomain(home)
    const { name, email } = calledOf(wanted.identity)
    const called = { ...nameAt(seen, sub, name), lotse_name: name, ...(email === undefined ? {} : { email }) }
    if (domainId !== undefined)
      found.set('user', step('prepare', `user ${name} (${home})`, { op: 'make-user', sub, called, domainId }))
  }
  return [...found.values()]
}

/** Her name, or another one where somebody has it. */
const nameAt = ({ blocked }: Snapshot, sub: string, name: string) => ({
  name: blocked.has(nameKey(sub)) ? otherName(name, sub) : name,
})

interface Known {
  readonly sub: string
  readonly wanted: Wanted
  readonly user: UserSeen
}

/** Keystone does not take over a name or an address from a later sign-in. */
function tidy(seen: Snapshot, { sub, wanted: { identity }, user }: Known): readonly Step[] {
  const { name, email } = calledOf(identity)
  const change = {
    ...(user.lotse_name === name ? {} : { ...nameAt(seen, sub, name), lotse_name: name }),
    ...(email === undefined || user.email === email ? {} : { email }),
    ...(user.lotse_sub === sub ? {} : { lotse_sub: sub }),
  }
  if (Object.keys(change).length === 0) return []
  return [step('tidy', `user ${name}: ${Object.keys(change).join(', ')}`, { op: 'change', user: user.id, sub, change })]
}
