import type { Account, Lease, Observed, Question, Step, Wanted } from '../../live.ts'
import type { KeystoneConfig } from '../options.ts'
import { calledOf, homeOf } from '../person.ts'
import { holderOf, leaseOf, otherName, placeKey, type Seat, type Snapshot, seatsOf, type UserSeen } from './snapshot.ts'
import type { Rename } from './user.ts'

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
      readonly called: { readonly name: string; readonly email?: string }
      readonly domainId: string
    }
  | { readonly op: 'link'; readonly user: string; readonly sub: string }
  | ({ readonly op: 'rename' } & Rename)
  | { readonly op: 'change'; readonly user: string; readonly change: Readonly<Record<string, unknown>> }
  | { readonly op: 'give' | 'take'; readonly lease: Lease }

const step = (kind: Step['kind'], says: string, does: Op, lease?: Lease): Step => ({
  kind,
  says,
  does,
  ...(lease === undefined ? {} : { lease }),
})

/**
 * What has to be done for one account. What somebody else granted or locked stays as it is: only leases are taken back, only what
 * is not there yet is given, and only our own lock is opened: whose it is stands at Keystone, so the ledger's word is not needed for it.
 */
export function plan(config: KeystoneConfig, { account, wanted }: Question, { of }: Observed): readonly Step[] {
  const seen = of as Snapshot // what `observe` made
  const { sub, leases: held } = account
  const user = seen.users.get(sub)
  const take = (lease: Lease) => step('take', held[lease] ?? lease, { op: 'take', lease }, lease)
  if (wanted === 'gone') {
    // The lock first: it cuts every token at once, and what follows may take a while.
    const lock = user?.enabled ? [step('lock', 'user', change(user, { enabled: false, lotse_locked: true }))] : []
    return [...lock, ...Object.keys(held).sort().map(take)]
  }
  if (user?.unlinked) return [step('prepare', 'federated identity of the user', { op: 'link', user: user.id, sub })]
  const seats = seatsOf(config, wanted)
  const leases = user === undefined ? new Map<Lease, string>() : leasesOf(seen, seats, user.id)
  const takes = Object.keys(held)
    .filter((lease) => !leases.has(lease))
    .sort()
    .map(take)
  // An administrator has locked her out: that stands, and nothing is given meanwhile.
  if (user !== undefined && !user.enabled && user.lotse_locked !== true) return takes
  const prepares = preparesOf(config, seen, { sub, wanted, seats, user })
  if (user === undefined || prepares.length > 0) return [...takes, ...prepares]
  // Where she has nothing to do she stays locked.
  if (!user.enabled && leases.size === 0) return takes
  const has = seen.access.get(user.id) ?? new Set()
  const gives = [...leases].filter(([lease]) => !has.has(lease)).sort(byLease)
  return [
    ...takes,
    ...gives.map(([lease, says]) => step('give', says, { op: 'give', lease }, lease)),
    ...tidy({ account, wanted, user }),
    // Last, so that she finds everything in its place.
    ...(user.enabled ? [] : [step('unlock', 'user', change(user, { enabled: true, lotse_locked: false }))]),
  ]
}

const change = ({ id: user }: UserSeen, change: Readonly<Record<string, unknown>>): Op => ({
  op: 'change',
  user,
  change,
})

const byLease = ([one]: readonly [Lease, string], [other]: readonly [Lease, string]) => (one < other ? -1 : 1)

/** The leases that stand for what is wanted, with their names; places and roles that are not there are left out. */
function leasesOf(seen: Snapshot, seats: readonly Seat[], user: string): ReadonlyMap<Lease, string> {
  const found = new Map<Lease, string>()
  for (const seat of seats) {
    const place = placeOf(seen, seat)
    if (place === undefined) continue
    if (seat.kind === 'group') found.set(leaseOf.group(place, user), `in group ${seat.name} (${seat.domain})`)
    for (const name of seat.roles) {
      const role = seen.roles.get(name)
      if (role === undefined || seat.kind === 'group') continue
      const where = seat.kind === 'project' ? `project ${seat.name} (${seat.domain})` : `domain ${seat.name}`
      found.set(leaseOf[seat.kind](place, role, user), `${name} in ${where}`)
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
  if (user === undefined && (found.size > 0 || leasesOf(seen, seats, '').size > 0)) {
    const home = homeOf(config, wanted.identity)
    const domainId = needDomain(home)
    const called = calledOf(wanted.identity)
    if (domainId !== undefined)
      found.set('user', step('prepare', `user ${called.name} (${home})`, { op: 'make-user', sub, called, domainId }))
  }
  return [...found.values()]
}

interface Known {
  readonly account: Account
  readonly wanted: Wanted
  readonly user: UserSeen
}

/**
 * The mark of a lock that is open, and name and e-mail address, which Keystone does not take over from a later sign-in. A name is changed only where a lease says who she is:
 * should Keystone lose her identity on the way, that finds her again.
 */
function tidy({ account, wanted: { identity }, user }: Known): readonly Step[] {
  const { sub, leases } = account
  const { name, email } = calledOf(identity)
  const isCalledSo = user.name === name || user.name === otherName(name, sub)
  const isFound = Object.keys(leases).some((lease) => holderOf(lease) === user.id)
  return [
    ...(isCalledSo || !isFound
      ? []
      : [step('tidy', `name of the user: ${name}`, { op: 'rename', user: user.id, sub, name })]),
    ...(email === undefined || user.email === email
      ? []
      : [step('tidy', `address of the user: ${email}`, change(user, { email }))]),
    // Else it would say "ours" of the lock that an administrator closes next.
    ...(user.enabled && user.lotse_locked === true
      ? [step('tidy', 'mark of a lock that somebody opened', change(user, { lotse_locked: false }))]
      : []),
  ]
}
