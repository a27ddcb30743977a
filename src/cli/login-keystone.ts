import { asObject, type Json, objectOf, SignInRefused } from './sign-in/gateway.ts'
import { printable } from './table.ts'

/** A Keystone, and under which names it knows the gateway. */
export interface KeystoneDoor {
  /** The address of its API, with or without version. */
  readonly url: string
  readonly identityProvider: string
  readonly protocol: string
}

/** A token of Keystone, and for what it is. */
export interface KeystoneSession {
  /** The address of the API with its version. */
  readonly api: string
  readonly token: string
  /** ISO 8601, as Keystone says it. */
  readonly expires: string
  /** Absent where the token is for no project. */
  readonly project?: Project
}

export interface Project {
  readonly id: string
  readonly name: string
  /** The name of its domain; its id before a token for it was asked. */
  readonly domain: string
}

type Fetch = typeof globalThis.fetch

/**
 * A Keystone token for no project, for an access token of the gateway.
 * @throws {SignInRefused} where Keystone, or the web server in front of it, does not take it
 */
export async function exchange(door: KeystoneDoor, accessToken: string, fetch: Fetch): Promise<KeystoneSession> {
  const api = `${door.url.replace(/\/+$/, '').replace(/\/v3$/, '')}/v3`
  const path = `/OS-FEDERATION/identity_providers/${door.identityProvider}/protocols/${door.protocol}/auth`
  const response = await fetch(`${api}${path}`, {
    method: 'POST',
    redirect: 'manual',
    headers: { authorization: `Bearer ${accessToken}` },
  })
  return await sessionOf(api, response, (status, said) => {
    if (status === 401) return `Keystone does not take the gateway's token (401${said})`
    if (status === 404) return `Keystone does not know the gateway under this name (404${said})`
    return `Keystone answers with status ${status}${said}`
  })
}

/** The projects that a token can be for. */
export async function projectsOf({ api, token }: KeystoneSession, fetch: Fetch): Promise<readonly Project[]> {
  const response = await fetch(`${api}/auth/projects`, { redirect: 'manual', headers: { 'x-auth-token': token } })
  if (response.status !== 200) throw new Error(`Keystone does not list projects: status ${response.status}`)
  const { projects } = asObject(JSON.parse(await response.text()))
  return (Array.isArray(projects) ? projects : []).map(asObject).map((project) => ({
    id: String(project['id']),
    name: String(project['name']),
    domain: String(project['domain_id']),
  }))
}

/** The same person's token for one project. @throws {SignInRefused} */
export async function scoped(
  { api, token }: KeystoneSession,
  project: Project,
  fetch: Fetch,
): Promise<KeystoneSession> {
  const auth = { identity: { methods: ['token'], token: { id: token } }, scope: { project: { id: project.id } } }
  const response = await fetch(`${api}/auth/tokens?nocatalog`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ auth }),
  })
  return await sessionOf(
    api,
    response,
    (status, said) => `Keystone gives no token for project ${project.name}: status ${status}${said}`,
  )
}

async function sessionOf(
  api: string,
  response: Response,
  refused: (status: number, said: string) => string,
): Promise<KeystoneSession> {
  const body = (await objectOf(response)) ?? {}
  const token = response.headers.get('x-subject-token')
  if (response.status !== 201 || token === null) {
    const message = asObject(body['error'])['message']
    throw new SignInRefused(refused(response.status, message === undefined ? '' : `: ${printable(String(message))}`))
  }
  const { expires_at: expires, project } = asObject(body['token'])
  return {
    api,
    token,
    expires: String(expires),
    ...(project === undefined ? {} : { project: projectOf(asObject(project)) }),
  }
}

const projectOf = (project: Json): Project => ({
  id: String(project['id']),
  name: String(project['name']),
  domain: String(asObject(project['domain'])['name']),
})
