import {
  type Call,
  found,
  inner,
  isAdmin,
  managed,
  mayIn,
  mayList,
  paged,
  type Reply,
  type World,
  within,
} from './common.ts'
import {
  deleteGrant,
  deleteMember,
  headGrant,
  headMember,
  listAssignments,
  listMembers,
  putGrant,
  putMember,
} from './grants.ts'
import {
  addDomain,
  addGroup,
  addProject,
  addUser,
  type Domain,
  type Group,
  type Named,
  type Project,
  sameName,
} from './state.ts'
import { deleteUser, getUser, groupsOfUser, knownIdps, listUsers, makeCredential, patchUser, whole } from './users.ts'

type Handler = (world: World, call: Call) => Reply
export type Route = readonly [method: string, path: RegExp, handler: Handler]

/** Everything under /v3 that needs a token and is no /auth. */
export const adminRoutes: readonly Route[] = [
  ['GET', /^\/domains$/, (world, call) => listed(world, call, 'domains', domainsFor(world, call))],
  ['POST', /^\/domains$/, (world, call) => made(world, call, 'domain', undefined)],
  ['GET', /^\/domains\/(\w+)$/, (world, call) => one(world, call, 'domain', world.state.domains)],
  ['GET', /^\/projects$/, (world, call) => listed(world, call, 'projects', within(world, call, world.state.projects))],
  ['POST', /^\/projects$/, (world, call) => made(world, call, 'project', domainIn(call, 'project'))],
  ['GET', /^\/projects\/(\w+)$/, (world, call) => one(world, call, 'project', world.state.projects)],
  ['PATCH', /^\/projects\/(\w+)$/, patchProject],
  ['GET', /^\/groups$/, (world, call) => listed(world, call, 'groups', within(world, call, world.state.groups))],
  ['POST', /^\/groups$/, (world, call) => made(world, call, 'group', domainIn(call, 'group'))],
  ['GET', /^\/groups\/(\w+)$/, (world, call) => one(world, call, 'group', world.state.groups)],
  ['GET', /^\/groups\/(\w+)\/users$/, listMembers],
  ['PUT', /^\/groups\/(\w+)\/users\/(\w+)$/, putMember],
  ['HEAD', /^\/groups\/(\w+)\/users\/(\w+)$/, headMember],
  ['DELETE', /^\/groups\/(\w+)\/users\/(\w+)$/, deleteMember],
  ['GET', /^\/roles$/, (world, call) => listed(world, call, 'roles', world.state.roles.values())],
  ['GET', /^\/users$/, listUsers],
  ['POST', /^\/users$/, (world, call) => made(world, call, 'user', domainIn(call, 'user'))],
  ['GET', /^\/users\/(\w+)$/, getUser],
  ['PATCH', /^\/users\/(\w+)$/, patchUser],
  ['DELETE', /^\/users\/(\w+)$/, deleteUser],
  ['GET', /^\/users\/(\w+)\/groups$/, groupsOfUser],
  ['POST', /^\/users\/(\w+)\/application_credentials$/, makeCredential],
  ['GET', /^\/role_assignments$/, listAssignments],
  ['PUT', /^\/(project|domain)s\/(\w+)\/(user|group)s\/(\w+)\/roles\/(\w+)$/, putGrant],
  ['HEAD', /^\/(project|domain)s\/(\w+)\/(user|group)s\/(\w+)\/roles\/(\w+)$/, headGrant],
  ['DELETE', /^\/(project|domain)s\/(\w+)\/(user|group)s\/(\w+)\/roles\/(\w+)$/, deleteGrant],
  [
    'PUT',
    /^\/OS-INHERIT\/(project|domain)s\/(\w+)\/(user|group)s\/(\w+)\/roles\/(\w+)\/(inherited)_to_projects$/,
    putGrant,
  ],
]

const domainIn = (call: Call, kind: string) => String(inner(call, kind)['domain_id'] ?? 'default')

function domainsFor(world: World, call: Call): readonly Domain[] {
  mayList(world, call)
  const domain = isAdmin(world, call.actor) ? undefined : managed(world, call.actor)
  return [...world.state.domains.values()].filter(({ id }) => domain === undefined || id === domain)
}

function listed(world: World, call: Call, kind: string, all: Iterable<Named & { domain_id?: string }>): Reply {
  const { query } = call
  const name = query.get('name')
  const domain = query.get('domain_id')
  const rows = [...all].filter(
    (row) => (name === null || sameName(world.state, row.name, name)) && (domain === null || row.domain_id === domain),
  )
  return paged(world, call, kind, rows)
}

function one(world: World, call: Call, kind: string, all: ReadonlyMap<string, Domain | Project | Group>): Reply {
  const row = found(all, kind, call.parts[0])
  mayIn(world, call, 'domain_id' in row ? row.domain_id : row.id)
  return { status: 200, body: { [kind]: row } }
}

const makers = { domain: addDomain, project: addProject, group: addGroup }

function made(
  world: World,
  call: Call,
  kind: 'domain' | 'project' | 'group' | 'user',
  domain: string | undefined,
): Reply {
  mayIn(world, call, domain)
  if (kind !== 'user') return { status: 201, body: { [kind]: makers[kind](world.state, inner(call, kind)) } }
  knownIdps(world, inner(call, 'user'))
  const user = addUser(world.state, inner(call, 'user'))
  return { status: 201, body: { user: whole(user) } }
}

function patchProject(world: World, call: Call): Reply {
  const project = found(world.state.projects, 'project', call.parts[0])
  mayIn(world, call, project.domain_id)
  const changed = { ...project, ...inner(call, 'project'), id: project.id }
  world.state.projects.set(project.id, changed)
  return { status: 200, body: { project: changed } }
}
