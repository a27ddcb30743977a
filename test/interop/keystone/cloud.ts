/** What a Keystone answered. */
export interface Told {
  readonly status: number
  readonly body: Json
  /** The token that it made, if any. */
  readonly token: string
}

// biome-ignore lint/suspicious/noExplicitAny: answers are read as far as a test needs them
export type Json = any

/** A project, or whatever else has a name and lives in a domain. */
export interface Named {
  readonly name: string
  readonly domain?: string
}

/** A Keystone as its administrator has it. */
export interface Cloud {
  /** `/v3` in front of the path. */
  api(method: string, path: string, body?: object): Promise<Told>
  /** As `api`; the body of what has to succeed. @throws where it does not */
  must(method: string, path: string, body?: object): Promise<Json>
  /** The id of a domain. @throws where there is none */
  domain(name: string): Promise<string>
  /** Makes a group. @returns its id */
  group(domain: string, name: string): Promise<string>
  /** A group and a project of the same name, in which the group has a role: what an operator does where the mapping knows groups only. */
  team(domain: string, name: string, role: string): Promise<void>
  /** Every role that somebody wrote for a user herself in a project. */
  grants(user: string): Promise<readonly { readonly project: string; readonly domain: string; readonly role: string }[]>
  /** `project PROJECT: ROLE` and `group GROUP` of a user, sorted: everything that somebody wrote for her, names in her own domain. */
  assignments(user: string): Promise<readonly string[]>
}

const json = { 'content-type': 'application/json' }

/** One request to Keystone, as it is. */
export async function ask(url: string, init: RequestInit = {}): Promise<Told> {
  const answer = await fetch(url, { redirect: 'manual', ...init })
  const text = await answer.text()
  const told = text.startsWith('{') ? JSON.parse(text) : { text }
  return { status: answer.status, body: told, token: answer.headers.get('x-subject-token') ?? '' }
}

export async function openCloud(url: string, password: string): Promise<Cloud> {
  const admin = { name: 'admin', domain: { id: 'default' } }
  const identity = { methods: ['password'], password: { user: { ...admin, password } } }
  const login = await ask(`${url}/v3/auth/tokens`, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ auth: { identity, scope: { project: admin } } }),
  })
  if (login.status !== 201) throw new Error(`the administrator got ${login.status} ${JSON.stringify(login.body)}`)
  const api = async (method: string, path: string, body?: object) => {
    const headers = { ...json, 'x-auth-token': login.token }
    return await ask(`${url}/v3${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) })
  }
  const must = async (method: string, path: string, body?: object) => {
    const told = await api(method, path, body)
    if (told.status >= 300) throw new Error(`${method} ${path}: ${told.status} ${JSON.stringify(told.body)}`)
    return told.body
  }
  const domain = async (name: string): Promise<string> => {
    const { domains } = await must('GET', `/domains?name=${encodeURIComponent(name)}`)
    if (domains.length !== 1) throw new Error(`no domain ${name}`)
    return domains[0].id
  }
  const group = async (of: string, name: string): Promise<string> =>
    (await must('POST', '/groups', { group: { name, domain_id: await domain(of) } })).group.id
  const grants: Cloud['grants'] = async (user) => {
    const { role_assignments: all } = await must('GET', `/role_assignments?user.id=${user}&include_names=true`)
    return all.map(({ scope, role }: Json) => {
      const { project } = scope
      if (!project) throw new Error(`a role outside of projects: ${JSON.stringify(scope)}`)
      return { project: project.name, domain: project.domain.name, role: role.name }
    })
  }
  return {
    api,
    must,
    domain,
    group,
    async team(of, name, role) {
      const domain_id = await domain(of)
      const id = await group(of, name)
      const { project } = await must('POST', '/projects', { project: { name, domain_id } })
      const { roles } = await must('GET', `/roles?name=${role}`)
      await must('PUT', `/projects/${project.id}/groups/${id}/roles/${roles[0].id}`)
    },
    grants,
    async assignments(user) {
      const { groups } = await must('GET', `/users/${user}/groups`)
      const given = (await grants(user)).map(({ project, role }) => `project ${project}: ${role}`)
      return [...groups.map(({ name }: Json) => `group ${name}`), ...given].sort()
    },
  }
}
