import { type Call, found, isAdmin, managed, mayIn, mayList, paged, type Reply, type World } from './common.ts'
import { assign, type KeystoneState, nameOf, Refusal, unassign } from './state.ts'
import { brief } from './users.ts'

export function listMembers(world: World, call: Call): Reply {
  const group = found(world.state.groups, 'group', call.parts[0])
  mayIn(world, call, group.domain_id)
  const users = [...(world.state.members.get(group.id) ?? [])].flatMap((id) => world.state.users.get(id) ?? [])
  return paged(world, call, 'users', users.map(brief))
}

export function memberIn(world: World, call: Call) {
  const group = found(world.state.groups, 'group', call.parts[0])
  mayIn(world, call, group.domain_id)
  const user = found(world.state.users, 'user', call.parts[1])
  const users = world.state.members.get(group.id) ?? new Set<string>()
  world.state.members.set(group.id, users)
  return { user: user.id, users }
}

export function putMember(world: World, call: Call): Reply {
  const { user, users } = memberIn(world, call)
  users.add(user)
  return { status: 204 }
}

export function headMember(world: World, call: Call): Reply {
  const { user, users } = memberIn(world, call)
  return { status: users.has(user) ? 204 : 404 }
}

export function deleteMember(world: World, call: Call): Reply {
  const { user, users } = memberIn(world, call)
  if (!users.delete(user)) throw new Refusal(404, `User '${user}' not found in group '${call.parts[0]}'`)
  // Leaving a group kills every token of the user, unscoped ones too.
  world.tokens.cut(user)
  return { status: 204 }
}

export function grantIn(world: World, call: Call, mustExist: 'actor' | 'place') {
  const [kind, place = '', actorKind, actor = '', role = ''] = call.parts
  const { state } = world
  if (mustExist === 'actor') found<unknown>(actorKind === 'user' ? state.users : state.groups, actorKind ?? '', actor)
  const domain =
    kind === 'domain' ? found(state.domains, 'domain', place).id : found(state.projects, 'project', place).domain_id
  found(state.roles, 'role', role)
  mayIn(world, call, domain)
  if (!isAdmin(world, call.actor) && !['member', 'reader', 'manager'].includes(state.roles.get(role)?.name ?? ''))
    throw new Refusal(403, 'You are not authorized to perform the requested action: identity:create_grant.')
  return `${kind}:${place}:${actorKind}:${actor}:${role}`
}

export function putGrant(world: World, call: Call): Reply {
  const inherited = call.parts[5] === 'inherited' ? ':inherited' : ''
  assign(world.state, `${grantIn(world, call, 'actor')}${inherited}`)
  return { status: 204 }
}

export function headGrant(world: World, call: Call): Reply {
  const grant = grantIn(world, call, 'place')
  return { status: world.state.assignments.get(call.parts[3] ?? '')?.has(grant) ? 204 : 404 }
}

export function deleteGrant(world: World, call: Call): Reply {
  if (unassign(world.state, grantIn(world, call, 'place'))) return { status: 204 }
  throw new Refusal(404, `Could not find role assignment with role: ${call.parts[4]}.`)
}

export function listAssignments(world: World, call: Call): Reply {
  mayList(world, call)
  const { state } = world
  const { query } = call
  const actor = query.get('user.id') ?? query.get('group.id')
  const all = actor === null ? [...state.assignments.values()] : [state.assignments.get(actor) ?? new Set<string>()]
  const domain = isAdmin(world, call.actor) ? undefined : managed(world, call.actor)
  const rows = all
    .flatMap((set) => [...set])
    .map((assignment) => assignment.split(':'))
    .filter(([kind, place = '', , , role]) => {
      const home = kind === 'project' ? state.projects.get(place)?.domain_id : place
      return (
        (domain === undefined || home === domain) &&
        (query.get('role.id') ?? role) === role &&
        (!query.has('scope.project.id') || (kind === 'project' && query.get('scope.project.id') === place)) &&
        (!query.has('scope.domain.id') || (kind === 'domain' && query.get('scope.domain.id') === place))
      )
    })
  const links = { next: null, self: `${world.url}/role_assignments`, previous: null }
  return {
    status: 200,
    body: { role_assignments: rows.map((row) => shown(state, row, query.has('include_names'))), links },
  }
}

function shown(
  state: KeystoneState,
  [kind = '', place = '', actorKind = '', actor = '', role = '', inherited]: readonly string[],
  named: boolean,
) {
  const inDomain = (domain?: string) =>
    domain === undefined ? {} : { domain: { id: domain, name: state.domains.get(domain)?.name } }
  const project = state.projects.get(place)
  const user = state.users.get(actor)
  const group = state.groups.get(actor)
  const more = <T>(names: T) => (named ? names : {})
  return {
    scope:
      kind === 'system'
        ? { system: { all: true } }
        : {
            [kind]: {
              id: place,
              ...more({ name: (project ?? state.domains.get(place))?.name, ...inDomain(project?.domain_id) }),
            },
            ...(inherited && { 'OS-INHERIT:inherited_to': 'projects' }),
          },
    [actorKind]: {
      id: actor,
      ...more({ name: user ? nameOf(user) : group?.name, ...inDomain((user ?? group)?.domain_id) }),
    },
    role: { id: role, ...more({ name: state.roles.get(role)?.name }) },
  }
}
