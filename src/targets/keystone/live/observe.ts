import type { Lease, Question } from '../../live.ts'
import type { KeystoneConfig } from '../options.ts'
import type { KeystoneApi } from './api.ts'
import type { Directory } from './directory.ts'
import { homeOf, leaseOf, type Place, placeKey, type Snapshot, seatsOf, type UserSeen } from './snapshot.ts'

/** From so many accounts on everything is read at once. */
const MANY = 20

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

export interface Looking {
  readonly config: KeystoneConfig
  readonly api: KeystoneApi
  readonly directory: Directory
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
  const many = questions.length > MANY
  const [found, people] = await Promise.all([
    many ? allPlaces(looking) : somePlaces(looking, domains, places),
    many ? allPeople(looking, questions) : somePeople(looking, questions),
  ])
  const access = many
    ? await allAccess(looking, { users: people, groups: groupsIn(questions, domains, found.groups, places) })
    : await someAccess(looking, people)
  return { users: people, access, domains, roles, ...found, blocked: directory.blocked() }
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

type People = ReadonlyMap<string, UserSeen>

async function somePeople(looking: Looking, questions: readonly Question[]): Promise<People> {
  const found = await Promise.all(questions.map(({ account }) => personOf(looking, account.sub)))
  return new Map(found.flatMap((each, index) => (each ? [[questions[index]?.account.sub ?? '', each]] : [])))
}

async function personOf({ api, config }: Looking, sub: string): Promise<UserSeen | undefined> {
  const who = { idp_id: config.identityProvider, protocol_id: config.protocol, unique_id: sub }
  const rows = await api.rows<UserSeen>('users', `/users?${new URLSearchParams(who)}`)
  return rows[0]
}

/** One list for those who carry our mark, a question for each of the others: whoever came before us gets the mark by `tidy`. */
async function allPeople(looking: Looking, questions: readonly Question[]): Promise<People> {
  const query = new URLSearchParams({ idp_id: looking.config.identityProvider })
  const rows = await looking.api.rows<UserSeen>('users', `/users?${query}`)
  const marked = new Map(rows.flatMap((row) => (row.lotse_sub === undefined ? [] : [[row.lotse_sub, row] as const])))
  // Where all carry the mark, who is not among them is not there.
  const strangers = rows.some(({ lotse_sub }) => lotse_sub === undefined)
  const missing = strangers ? questions.filter(({ account }) => !marked.has(account.sub)) : []
  return new Map([...marked, ...(await somePeople(looking, missing))])
}

type Access = Snapshot['access']

async function someAccess({ api }: Looking, users: People): Promise<Access> {
  const found = await Promise.all(
    [...users.values()].map(async ({ id }) => {
      const [assignments, groups] = await Promise.all([
        api.rows<Assignment>('role_assignments', `/role_assignments?user.id=${id}`),
        api.rows<Membership>('groups', `/users/${id}/groups`),
      ])
      const own = groups.filter((group) => !group.membership_expires_at).map((group) => leaseOf.group(group.id))
      return [id, new Set([...assignments.flatMap(leaseIn), ...own])] as const
    }),
  )
  return new Map(found)
}

async function allAccess(
  { api }: Looking,
  { users, groups }: { readonly users: People; readonly groups: readonly string[] },
): Promise<Access> {
  const access = new Map<string, Set<Lease>>([...users.values()].map(({ id }) => [id, new Set<Lease>()]))
  const assignments = await api.rows<Assignment>('role_assignments', '/role_assignments')
  for (const each of assignments) for (const lease of leaseIn(each)) access.get(each.user?.id ?? '')?.add(lease)
  await Promise.all(
    groups.map(async (group) => {
      const { status, body } = await api.send('GET', `/groups/${group}/users`)
      if (status === 404) return
      const { users: members = [] } = body as { users?: readonly { readonly id: string }[] }
      for (const { id } of members) access.get(id)?.add(leaseOf.group(group))
    }),
  )
  return access
}

/** A direct role of a user; what is inherited or for the whole system is no lease. */
function leaseIn({ role, user, scope }: Assignment): readonly Lease[] {
  if (user === undefined || scope['OS-INHERIT:inherited_to'] !== undefined) return []
  if (scope.project) return [leaseOf.project(scope.project.id, role.id)]
  return scope.domain ? [leaseOf.domain(scope.domain.id, role.id)] : []
}

/** The groups about which anybody asks: of leases, by their ids, and of wishes. */
function groupsIn(
  questions: readonly Question[],
  domains: ReadonlyMap<string, string>,
  groups: ReadonlyMap<string, string>,
  places: readonly Place[],
): readonly string[] {
  const leased = questions.flatMap(({ account }) =>
    Object.keys(account.leases).filter((key) => key.startsWith('group:')),
  )
  const wanted = places.flatMap(({ kind, name, domain }) => {
    const id = domains.get(domain)
    return kind === 'group' && id !== undefined ? (groups.get(placeKey(kind, id, name)) ?? []) : []
  })
  return [...new Set([...leased.map((key) => key.slice('group:'.length)), ...wanted])].sort()
}
