import { createHash } from 'node:crypto'

/** A project as the decision names it, with the roles that it gives there. */
export interface Place {
  readonly name: string
  readonly domain: { readonly name: string }
  readonly roles: readonly { readonly name: string }[]
}

/** Claims that an introspection answer alone has. */
export const serviceClaimNames = [
  'openstack_user_domain_id',
  'openstack_project_id',
  'openstack_project_name',
  'openstack_project_domain_id',
  'openstack_project_domain',
  'openstack_roles',
] as const

/**
 * What keystonemiddleware's `external_oauth2_token` needs of an introspection answer, so that a service takes the gateway's tokens without
 * a Keystone: one project with its roles joined by commas, and the domain of the person. Such a token is for one project: where there are
 * several nothing is said, and the middleware refuses (403).
 * The ids are made of the names: a name alone could be another project's id.
 */
export function serviceClaims(userDomain: string, projects: readonly Place[]): Record<string, string> {
  const [project, ...more] = projects
  if (project === undefined || more.length > 0) return {}
  const roles = project.roles.map(({ name }) => name)
  // The middleware splits at it: `a,admin` would be two roles, of which the rules gave neither.
  if (roles.some((role) => role.includes(','))) return {}
  return {
    openstack_user_domain_id: domainId(userDomain),
    openstack_project_id: idOf('project', project.domain.name, project.name),
    openstack_project_name: project.name,
    openstack_project_domain_id: domainId(project.domain.name),
    openstack_project_domain: project.domain.name,
    openstack_roles: roles.join(','),
  }
}

/** Every Keystone begins with this one. */
const domainId = (name: string) => (name === 'Default' ? 'default' : idOf('domain', name))

/** 32 hexadecimal digits, as Keystone's own ids are; no name holds U+0000, so no two places share one. */
function idOf(...names: readonly string[]): string {
  return createHash('sha256').update(names.join('\u0000')).digest('hex').slice(0, 32)
}
