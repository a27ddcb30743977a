import type { Lease, Question } from '../../live.ts'
import { homeOf } from '../person.ts'
import { allPeople, type Looking, type People, somePeople } from './people.ts'
import { plan } from './plan.ts'
import { holderOf, leaseOf, type Place, placeKey, type Seat, type Snapshot, seatsOf } from './snapshot.ts'

/** From so many accounts on everything is read at once. */
const MANY = 20
export const areMany = (questions: readonly Question[]): boolean => questions.length > MANY

interface Row {
  readonly id: string
  readonly name: string
  readonly domain_id: string
}

interface Assignment {
  readonly role: { readonly id: string }
  readonly user?: { readonly id: string }
  readonly scope: {
    readonly project?: { readonly id: string }
    readonly domain?: { readonly id: string }
    readonly 'OS-INHERIT:inherited_to'?: string
  }
}

interface Membership {
  readonly id: string
  /** A membership that a mapping gave, and that ends by itself. */
  readonly membership_expires_at?: string | null
}

/** What is there for these accounts. Few: a handful of questions each. Many: every list once, whatever their number. */
export async function observe(looking: Looking, questions: readonly Question[]): Promise<Snapshot> {
  const { config, directory } = looking
  const seats = questions.flatMap(({ wanted }) => (wanted === 'gone' ? [] : seatsOf(config, wanted)))
  const homes = questions.flatMap(({ wanted }) => (wanted === 'gone' ? [] : [homeOf(config, wanted.identity)]))
  const [domains, roles] = await Promise.all([
    directory.domains([...seats.map(({ domain }) => domain), ...homes]),
    directory.roles(seats.flatMap((seat) => seat.roles)),
  ])
  const places = seats.flatMap(({ kind, name, domain }): Place[] => (kind === 'domain' ? [] : [{ kind, name, domain }]))
  const many = areMany(questions)
  const found = many ? await allPlaces(looking) : await somePlaces(looking, domains, places)
  tellMissing(looking, { seats, homes }, { domains, ...found })
  const rest = { domains, roles, ...found, blocked: directory.blocked() }
  if (!many) {
    const users = await somePeople(looking, questions)
    return { ...rest, users, access: await someAccess(looking, users) }
  }
  const { presumed, known } = await allPeople(looking, questions)
  const access = await allAccess(looking, groupsIn(questions, domains, found.groups, places))
  // Whose leases say who she is has only to be asked for where there is something to do: what is done is done to nobody else.
  const first: Snapshot = { ...rest, users: new Map([...known, ...presumed]), access }
  const open = questions.filter(
    (question) => presumed.has(question.account.sub) && plan(config, question, { of: first }).length > 0,
  )
  const users = new Map(first.users)
  for (const { account } of open) users.delete(account.sub)
  for (const [sub, user] of await somePeople(looking, open)) users.set(sub, user)
  return { ...first, users }
}

/** Without a word somebody would find nothing, and nobody would know why. */
function tellMissing(
  { config, directory }: Looking,
  { seats, homes }: { readonly seats: readonly Seat[]; readonly homes: readonly string[] },
  seen: Pick<Snapshot, 'domains' | 'projects' | 'groups'>,
): void {
  const create = config.reconcile?.create ?? []
  for (const name of create.includes('domain') ? [] : [...seats.map(({ domain }) => domain), ...homes]) {
    if (!seen.domains.has(name)) directory.missing(`domain ${name}`)
  }
  for (const { kind, name, domain } of seats) {
    const domainId = seen.domains.get(domain)
    if (kind === 'domain' || domainId === undefined || create.includes(kind)) continue
    const places = kind === 'project' ? seen.projects : seen.groups
    if (!places.has(placeKey(kind, domainId, name))) directory.missing(`${kind} ${name} (${domain})`)
  }
}

type Places = Pick<Snapshot, 'projects' | 'groups'>

async function allPlaces({ api }: Looking): Promise<Places> {
  const [projects, groups] = await Promise.all([
    api.rows<Row>('projects', '/projects'),
    api.rows<Row>('groups', '/groups'),
  ])
  return { projects: byName('project', projects), groups: byName('group', groups) }
}

const byName = (kind: Place['kind'], rows: readonly Row[]) =>
  new Map(rows.map(({ id, name, domain_id }) => [placeKey(kind, domain_id, name), id]))

async function somePlaces(
  { api }: Looking,
  domains: ReadonlyMap<string, string>,
  places: readonly Place[],
): Promise<Places> {
  const wanted = new Map<string, readonly [Place['kind'], string, string]>()
  for (const { kind, name, domain } of places) {
    const id = domains.get(domain)
    if (id !== undefined) wanted.set(placeKey(kind, id, name), [kind, id, name])
  }
  const found = await Promise.all(
    [...wanted.values()].map(async ([kind, domainId, name]) => {
      const rows = await api.rows<Row>(`${kind}s`, `/${kind}s?${new URLSearchParams({ name, domain_id: domainId })}`)
      // A database may find `web` for `wéb`: only the very name is the place that is meant (law 6).
      return rows.filter((row) => row.name === name && row.domain_id === domainId).map((row) => ({ kind, row }))
    }),
  )
  const of = (kind: Place['kind']) => found.flat().flatMap((each) => (each.kind === kind ? [each.row] : []))
  return { projects: byName('project', of('project')), groups: byName('group', of('group')) }
}

type Access = Snapshot['access']

async function someAccess({ api }: Looking, users: People): Promise<Access> {
  const found = await Promise.all(
    [...users.values()].map(async ({ id }) => {
      const [assignments, groups] = await Promise.all([
        api.rows<Assignment>('role_assignments', `/role_assignments?user.id=${id}`),
        api.rows<Membership>('groups', `/users/${id}/groups`),
      ])
      const own = groups.filter((group) => !group.membership_expires_at).map((group) => leaseOf.group(group.id, id))
      return [id, new Set([...assignments.flatMap(leaseIn), ...own])] as const
    }),
  )
  return new Map(found)
}

async function allAccess({ api }: Looking, groups: readonly string[]): Promise<Access> {
  const access = new Map<string, Set<Lease>>()
  const add = (lease: Lease) => {
    const user = holderOf(lease)
    access.set(user, (access.get(user) ?? new Set()).add(lease))
  }
  const assignments = await api.rows<Assignment>('role_assignments', '/role_assignments')
  for (const lease of assignments.flatMap(leaseIn)) add(lease)
  await Promise.all(
    groups.map(async (group) => {
      const members = await api.rows<{ readonly id: string }>('users', `/groups/${group}/users`, 'is empty')
      for (const { id } of members) add(leaseOf.group(group, id))
    }),
  )
  return access
}

/** A direct role of a user; what is inherited or for the whole system is no lease. */
function leaseIn({ role, user, scope }: Assignment): readonly Lease[] {
  if (user === undefined || scope['OS-INHERIT:inherited_to'] !== undefined) return []
  if (scope.project) return [leaseOf.project(scope.project.id, role.id, user.id)]
  return scope.domain ? [leaseOf.domain(scope.domain.id, role.id, user.id)] : []
}

/** The groups about which anybody asks: of leases, by their ids, and of wishes. */
function groupsIn(
  questions: readonly Question[],
  domains: ReadonlyMap<string, string>,
  groups: ReadonlyMap<string, string>,
  places: readonly Place[],
): readonly string[] {
  const leased = questions.flatMap(({ account }) =>
    Object.keys(account.leases).flatMap((lease) => (lease.startsWith('group:') ? (lease.split(':')[1] ?? []) : [])),
  )
  const wanted = places.flatMap(({ kind, name, domain }) => {
    const id = domains.get(domain)
    return kind === 'group' && id !== undefined ? (groups.get(placeKey(kind, id, name)) ?? []) : []
  })
  return [...new Set([...leased, ...wanted])].sort()
}
