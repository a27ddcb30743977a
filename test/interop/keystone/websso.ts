import type { Browser, Page } from '../../support/browser.ts'
import { ask, type Told } from './cloud.ts'
import { DASHBOARD, type World } from './world.ts'

const json = { 'content-type': 'application/json' }

/** The addresses under which a dashboard begins a sign-in: with the identity provider in it, and the older one without. */
export const entrances = {
  named: '/v3/auth/OS-FEDERATION/identity_providers/lotse/protocols/openid/websso',
  legacy: '/v3/auth/OS-FEDERATION/websso/openid',
} as const

/** Goes where Horizon sends a browser, as far as a page that asks something, or the one that posts the token. */
export function enter(
  { keystone }: Pick<World, 'keystone'>,
  who: Browser,
  { origin = DASHBOARD, path = entrances.named }: { readonly origin?: string; readonly path?: string } = {},
): Promise<Page> {
  return who.get(`${keystone.url}${path}?origin=${encodeURIComponent(origin)}`)
}

/** What Keystone's last page would post to the dashboard. @throws where it is another page */
export function posted(page: Page): { readonly to: string; readonly token: string } {
  const form = page.form('sso')
  return { to: form.action.href, token: form.fields['token'] ?? '' }
}

/** Signs a person in as Horizon does. @returns the token that was posted, which has no scope */
export async function signInAt(world: World, who: Browser, person: string): Promise<string> {
  const page = await enter(world, who)
  const next = await who.submit(page, page.form(person))
  // An ID token may come in a form that the browser posts.
  const last = next.forms.some(({ fields }) => 'id_token' in fields) ? await who.submit(next, next.form()) : next
  return posted(last).token
}

/** An access token for Keystone's federation: what `openstack` does with one. */
export function exchange({ keystone }: Pick<World, 'keystone'>, bearer: string): Promise<Told> {
  const headers = { authorization: `Bearer ${bearer}` }
  const path = '/v3/OS-FEDERATION/identity_providers/lotse/protocols/openid/auth'
  return ask(`${keystone.url}${path}`, { method: 'POST', headers })
}

/** The projects in which a token may be scoped, by name. */
export async function projectsOf({ keystone }: Pick<World, 'keystone'>, token: string): Promise<readonly string[]> {
  const { status, body } = await ask(`${keystone.url}/v3/auth/projects`, { headers: { 'x-auth-token': token } })
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`)
  return body.projects.map(({ name }: { name: string }) => name).sort()
}

/** Scopes a token. */
export function scope(
  { keystone }: Pick<World, 'keystone'>,
  token: string,
  project: { readonly name: string; readonly domain: string },
): Promise<Told> {
  const place = { project: { name: project.name, domain: { name: project.domain } } }
  const auth = { identity: { methods: ['token'], token: { id: token } }, scope: place }
  const init = { method: 'POST', headers: json, body: JSON.stringify({ auth }) }
  return ask(`${keystone.url}/v3/auth/tokens`, init)
}

/** The roles of a scoped token, sorted. */
export const rolesOf = ({ body }: Told): readonly string[] =>
  (body.token?.roles ?? []).map(({ name }: { name: string }) => name).sort()

/** The names of the groups that a sign-in gave, sorted. */
export async function groupsOf({ cloud }: World, { body }: Told): Promise<readonly string[]> {
  const groups: readonly { readonly id: string }[] = body.token.user['OS-FEDERATION'].groups
  const names = groups.map(async ({ id }) => (await cloud.api('GET', `/groups/${id}`)).body.group.name as string)
  return (await Promise.all(names)).sort()
}
