import { randomBytes } from 'node:crypto'

/** What a Keystone keeps, and the rules by which it keeps it: names, identities, assignments, memberships. No HTTP. */
export interface KeystoneState {
  readonly domains: Map<string, Domain>
  readonly projects: Map<string, Project>
  readonly groups: Map<string, Group>
  readonly roles: Map<string, Named>
  readonly users: Map<string, User>
  /** By the id of user or group: `project:PLACE:user:ACTOR:ROLE`, also with `domain`, `system`, `group`, and `:inherited` at the end. */
  readonly assignments: Map<string, Set<string>>
  /** By group: ids of users. */
  readonly members: Map<string, Set<string>>
  /** Federated identity (idp, protocol, unique id, joined by line ends) to user. */
  readonly identities: Map<string, string>
  /** Domain and local name, as the database compares it, to user. */
  readonly locals: Map<string, string>
  readonly credentials: Map<string, AppCredential>
  /** Names as MySQL's default collation compares them (`Web` is `wéb`), or as they are. */
  readonly names: 'exact' | 'folded'
}

export interface Named {
  readonly id: string
  readonly name: string
}
export interface Domain extends Named {
  readonly enabled: boolean
  readonly description: string
}
export interface Group extends Named {
  readonly domain_id: string
  readonly description: string
}
export interface Project extends Group {
  readonly enabled: boolean
  readonly tags: readonly string[]
}
export interface Federated {
  readonly idp_id: string
  readonly protocols: readonly { readonly protocol_id: string; readonly unique_id: string }[]
}

/** A user is local, federated, or both: one that was created over the API and has a federated identity has two names. */
export interface User {
  readonly id: string
  readonly domain_id: string
  enabled: boolean
  password?: string
  /** Unique in the domain, and shown before any other. */
  localName?: string
  /** What logins last said; shown where there is no local name. */
  displayName?: string
  federated: readonly Federated[]
  /** Free attributes, e-mail among them. */
  extra: Record<string, unknown>
}
export interface AppCredential extends Named {
  readonly secret: string
  readonly user: string
  readonly project: string
  readonly roles: readonly string[]
}

/** A refusal by Keystone: its status and what it says. */
export class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export const newId = () => randomBytes(16).toString('hex')

const folded = (text: string) => text.normalize('NFKD').replace(/\p{M}/gu, '').trimEnd().toLowerCase()

/** Whether two names are one for this Keystone's database. */
export function sameName({ names }: KeystoneState, one: string, other: string): boolean {
  return names === 'folded' ? folded(one) === folded(other) : one === other
}

export const nameOf = ({ localName, displayName }: User): string | undefined => localName ?? displayName

/** A Keystone after `keystone-manage bootstrap`: the domain Default, the project and the user admin, five roles. */
export function bootstrapped(names: KeystoneState['names'], adminPassword: string): KeystoneState {
  const state: KeystoneState = {
    domains: new Map([
      ['default', { id: 'default', name: 'Default', enabled: true, description: 'The default domain' }],
    ]),
    projects: new Map(),
    groups: new Map(),
    roles: new Map(),
    users: new Map(),
    assignments: new Map(),
    members: new Map(),
    identities: new Map(),
    locals: new Map(),
    credentials: new Map(),
    names,
  }
  for (const name of ['admin', 'manager', 'member', 'reader', 'service']) {
    const id = newId()
    state.roles.set(id, { id, name })
  }
  const project = addProject(state, { name: 'admin', domain_id: 'default' })
  const admin = addUser(state, { name: 'admin', domain_id: 'default', password: adminPassword })
  const role = [...state.roles.values()].find(({ name }) => name === 'admin')
  assign(state, `project:${project.id}:user:${admin.id}:${role?.id}`)
  assign(state, `system:all:user:${admin.id}:${role?.id}`)
  return state
}

const actorOf = (assignment: string) => assignment.split(':')[3] ?? ''

export function assign(state: KeystoneState, assignment: string) {
  const actor = actorOf(assignment)
  state.assignments.set(actor, (state.assignments.get(actor) ?? new Set()).add(assignment))
}

/** Whether it was there. */
export function unassign(state: KeystoneState, assignment: string): boolean {
  return state.assignments.get(actorOf(assignment))?.delete(assignment) ?? false
}

type Body = Readonly<Record<string, unknown>>
const text = (body: Body, key: string, fallback = ''): string =>
  typeof body[key] === 'string' ? (body[key] as string) : fallback

function domainOf(state: KeystoneState, body: Body, status: number): string {
  const id = text(body, 'domain_id', 'default')
  if (!state.domains.has(id)) throw new Refusal(status, `Could not find domain: ${id}.`)
  return id
}

function nameFor(body: Body, longest: number): string {
  const name = text(body, 'name').trim()
  if (name === '' || [...name].length > longest) throw new Refusal(400, `Invalid input for field 'name': '${name}'`)
  return name
}

function refuseTwin(
  state: KeystoneState,
  all: Iterable<Named & { domain_id?: string }>,
  one: Named & { domain_id?: string },
) {
  for (const other of all)
    if (other.id !== one.id && other.domain_id === one.domain_id && sameName(state, other.name, one.name))
      throw new Refusal(409, `Conflict occurred - Duplicate entry found with name ${one.name}.`)
}

export function addDomain(state: KeystoneState, body: Body): Domain {
  const domain = { id: newId(), name: nameFor(body, 64), enabled: true, description: text(body, 'description') }
  // Keystone really falls over here.
  if (folded(domain.name) === 'federated')
    throw new Refusal(500, 'An unexpected error prevented the server from fulfilling your request.')
  refuseTwin(state, state.domains.values(), domain)
  state.domains.set(domain.id, domain)
  return domain
}

export function addProject(state: KeystoneState, body: Body): Project {
  const tags = Array.isArray(body['tags']) ? (body['tags'] as string[]) : []
  const domain_id = domainOf(state, body, 400)
  const project = {
    id: newId(),
    name: nameFor(body, 64),
    domain_id,
    enabled: true,
    description: text(body, 'description'),
    tags,
  }
  refuseTwin(state, state.projects.values(), project)
  state.projects.set(project.id, project)
  return project
}

export function addGroup(state: KeystoneState, body: Body): Group {
  const domain_id = domainOf(state, body, 404)
  const group = { id: newId(), name: nameFor(body, 64), domain_id, description: text(body, 'description') }
  refuseTwin(state, state.groups.values(), group)
  state.groups.set(group.id, group)
  return group
}

const identityKey = (...parts: readonly string[]) => parts.join('\n')

function identitiesOf(federated: readonly Federated[]): readonly string[] {
  return federated.flatMap(({ idp_id, protocols }) =>
    protocols.map(({ protocol_id, unique_id }) => identityKey(idp_id, protocol_id, unique_id)),
  )
}

/** The users with such a federated identity: with all three none or one. */
export function usersBy(state: KeystoneState, idp?: string, protocol?: string, unique?: string): readonly User[] {
  if (idp !== undefined && protocol !== undefined && unique !== undefined) {
    const user = state.users.get(state.identities.get(identityKey(idp, protocol, unique)) ?? '')
    return user === undefined ? [] : [user]
  }
  return [...state.users.values()].filter(({ federated }) =>
    federated.some(
      ({ idp_id, protocols }) =>
        (idp === undefined || idp_id === idp) &&
        protocols.some(
          ({ protocol_id, unique_id }) =>
            (protocol === undefined || protocol_id === protocol) && (unique === undefined || unique_id === unique),
        ),
    ),
  )
}

/** @throws {Refusal} 409 where somebody has one of them */
export function link(state: KeystoneState, user: User, federated: readonly Federated[]) {
  if (identitiesOf(federated).some((key) => state.identities.has(key)))
    throw new Refusal(409, 'Conflict occurred attempting to store federated_user - Duplicate entry.')
  for (const key of identitiesOf(federated)) state.identities.set(key, user.id)
  user.federated = federated
}

function unlink(state: KeystoneState, user: User) {
  for (const key of identitiesOf(user.federated)) state.identities.delete(key)
  user.federated = []
}

/** @throws {Refusal} 409 where another user of the domain has it */
function nameLocally(state: KeystoneState, user: User, name: string) {
  const key = (local: string) => `${user.domain_id}\n${state.names === 'folded' ? folded(local) : local}`
  if ((state.locals.get(key(name)) ?? user.id) !== user.id)
    throw new Refusal(409, `Conflict occurred attempting to store user - Duplicate entry found with name ${name}.`)
  if (user.localName !== undefined) state.locals.delete(key(user.localName))
  state.locals.set(key(name), user.id)
  user.localName = name
}

const federatedIn = (body: Body) => (Array.isArray(body['federated']) ? (body['federated'] as Federated[]) : [])

function extraOf(body: Body): Record<string, unknown> {
  const known = ['id', 'name', 'domain_id', 'enabled', 'password', 'federated', 'options', 'default_project_id']
  return Object.fromEntries(Object.entries(body).filter(([key]) => !known.includes(key)))
}

/** As Keystone does it: a federated identity that is taken is refused after the user was written, who stays behind without one. */
export function addUser(state: KeystoneState, body: Body): User {
  const user: User = {
    id: newId(),
    domain_id: domainOf(state, body, 404),
    enabled: body['enabled'] !== false,
    federated: [],
    extra: extraOf(body),
    ...(typeof body['password'] === 'string' && { password: body['password'] }),
  }
  nameLocally(state, user, nameFor(body, 255))
  state.users.set(user.id, user)
  if (federatedIn(body).length > 0) {
    link(state, user, federatedIn(body))
    user.displayName = text(body, 'name')
  }
  return user
}

/**
 * As Keystone does it, in this order and without a transaction: the old federated identities go, then the name is set (the display name
 * where there is a federated identity left, else the local one), then the new ones come. A conflict on the way leaves it half done.
 */
export function changeUser(state: KeystoneState, user: User, body: Body) {
  const federated = federatedIn(body)
  if (federated.length > 0) unlink(state, user)
  if (typeof body['name'] === 'string') {
    if (user.federated.length > 0) user.displayName = body['name'].trim()
    else nameLocally(state, user, body['name'].trim())
  }
  if (typeof body['enabled'] === 'boolean') user.enabled = body['enabled']
  if (typeof body['password'] === 'string') user.password = body['password']
  Object.assign(user.extra, extraOf(body))
  if (federated.length > 0) {
    link(state, user, federated)
    user.displayName = nameOf(user) ?? ''
  }
}

/** The roles that a user has in a place, directly and by groups. `place` such as `project:ID`. */
export function rolesIn(state: KeystoneState, place: string, user: string): readonly string[] {
  const groups = [...state.members].flatMap(([group, users]) => (users.has(user) ? [group] : []))
  const all = [user, ...groups].flatMap((actor) => [...(state.assignments.get(actor) ?? [])])
  const here = all.filter((assignment) => assignment.startsWith(`${place}:`) && !assignment.endsWith(':inherited'))
  return [...new Set(here.map((assignment) => assignment.split(':')[4] ?? ''))]
}

/** Forgets everything about a user; her next login makes another one. */
export function removeUser(state: KeystoneState, user: User) {
  unlink(state, user)
  for (const [key, id] of state.locals) if (id === user.id) state.locals.delete(key)
  state.users.delete(user.id)
  state.assignments.delete(user.id)
  for (const users of state.members.values()) users.delete(user.id)
  for (const credential of state.credentials.values())
    if (credential.user === user.id) state.credentials.delete(credential.id)
}
