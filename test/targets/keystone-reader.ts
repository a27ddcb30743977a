import assert from 'node:assert/strict'

/** What Keystone makes of the claims: `domain/name` for groups, `domain/name:role` for projects. */
export interface Seen {
  readonly user: string
  readonly domain: string
  readonly groups: readonly string[]
  readonly projects: readonly string[]
}

/**
 * Reads claims as Apache and Keystone's mapping engine do: UTF-8 arrives as Latin-1, every value is split at `;`, group texts that begin
 * with `JSON:` are parsed, all others are names in the mapping's own domain.
 */
export function asKeystoneReads(claims: Readonly<Record<string, unknown>>): Seen {
  const groups = values(claims['groups']).map((text) => {
    if (!text.startsWith('JSON:')) return `?/${text}`
    return seat(JSON.parse(text.slice('JSON:'.length)))
  })
  const projects = values(claims['openstack_projects'])
  assert.ok(projects.length <= 1, 'projects_json that was split is no JSON: HTTP 500')
  const list: { roles: { name: string }[] }[] = JSON.parse(projects[0] ?? '[]')
  return {
    user: only(claims['preferred_username']),
    domain: only(claims['openstack_user_domain']),
    groups,
    projects: list.flatMap((project) => project.roles.map((role) => `${seat(project)}:${role.name}`)),
  }
}

function values(claim: unknown): readonly string[] {
  if (claim === undefined) return []
  assert.equal(typeof claim, 'string', 'an array would be joined with commas')
  return Buffer.from(String(claim), 'utf8').toString('latin1').split(';')
}

function only(claim: unknown): string {
  const [value, ...more] = values(claim)
  assert.equal(more.length, 0, 'a name that was split')
  return value ?? ''
}

function seat(value: unknown): string {
  const { name, domain } = value as { name: string; domain: { name: string } }
  return `${domain.name}/${name}`
}
