import { type Body, type Call, found, inner, mayIn, paged, type Reply, type World, within } from './common.ts'
import { changeUser, nameOf, newId, Refusal, removeUser, rolesIn, sameName, type User, usersBy } from './state.ts'

export function knownIdps(world: World, body: Body) {
  const federated = (body['federated'] ?? []) as User['federated']
  for (const { idp_id, protocols } of federated) {
    const known = world.idps.get(idp_id)
    if (known === undefined) throw new Refusal(400, `Could not find Identity Provider: ${idp_id}`)
    const strange = protocols.find(({ protocol_id }) => !known.has(protocol_id))
    if (strange) throw new Refusal(400, `Could not find federated protocol ${strange.protocol_id}`)
  }
}

/** A user in a list: without federated identities, as Keystone has it. */
export function brief(user: User) {
  const { id, domain_id, enabled, extra } = user
  return { ...extra, id, name: nameOf(user) ?? null, domain_id, enabled, password_expires_at: null, options: {} }
}
export const whole = (user: User) => ({
  ...brief(user),
  ...(user.federated.length > 0 && { federated: user.federated }),
})

export function listUsers(world: World, call: Call): Reply {
  const { query } = call
  const asked = (key: string) => query.get(key) ?? undefined
  const federated = ['idp_id', 'protocol_id', 'unique_id'].some((key) => query.has(key))
  const users = federated
    ? usersBy(world.state, asked('idp_id'), asked('protocol_id'), asked('unique_id'))
    : [...world.state.users.values()]
  const visible = within(world, call, new Map(users.map((user) => [user.id, user])))
  const name = asked('name')
  const rows = visible.filter(
    (user) =>
      (name === undefined ||
        [user.localName, user.displayName].some((own) => own !== undefined && sameName(world.state, own, name))) &&
      (asked('domain_id') ?? user.domain_id) === user.domain_id,
  )
  return paged(world, call, 'users', rows.map(brief))
}

export function userIn(world: World, call: Call, index = 0): User {
  const user = found(world.state.users, 'user', call.parts[index])
  mayIn(world, call, user.domain_id)
  return user
}

export function getUser(world: World, call: Call): Reply {
  return { status: 200, body: { user: whole(userIn(world, call)) } }
}

export function patchUser(world: World, call: Call): Reply {
  const user = userIn(world, call)
  const before = user.enabled
  knownIdps(world, inner(call, 'user'))
  changeUser(world.state, user, inner(call, 'user'))
  if (before && !user.enabled) world.tokens.cut(user.id)
  return { status: 200, body: { user: { ...whole(user), extra: user.extra } } }
}

export function deleteUser(world: World, call: Call): Reply {
  removeUser(world.state, userIn(world, call))
  return { status: 204 }
}

export function groupsOfUser(world: World, call: Call): Reply {
  const user = userIn(world, call)
  const rows = [...world.state.groups.values()].filter(({ id }) => world.state.members.get(id)?.has(user.id))
  return paged(
    world,
    call,
    'groups',
    rows.map((group) => ({ ...group, membership_expires_at: null })),
  )
}

/** For oneself alone, with a token for a project: the roles of that token, in that project, until it is deleted. */
export function makeCredential(world: World, call: Call): Reply {
  const { actor, parts } = call
  if (parts[0] !== actor.user || !actor.place?.startsWith('project:'))
    throw new Refusal(403, 'You are not authorized to perform the requested action.')
  const project = actor.place.slice(8)
  const body = inner(call, 'application_credential')
  const credential = {
    id: newId(),
    name: String(body['name'] ?? ''),
    secret: String(body['secret'] ?? newId()),
    user: actor.user,
    project,
    roles: rolesIn(world.state, actor.place, actor.user),
  }
  world.state.credentials.set(credential.id, credential)
  const { id, name, secret } = credential
  return {
    status: 201,
    body: {
      application_credential: {
        id,
        name,
        secret,
        project_id: project,
        roles: credential.roles.map((role) => ({ id: role })),
      },
    },
  }
}
