import { isObject, type PyObject, PythonError, type PyValue, quote } from './python.ts'
import type { Mapped, Release } from './rules.ts'

/** A group or project, and the domain that holds it, by name, or `id …` where the mapping gives an id. */
export interface Seat {
  readonly name: string
  readonly domain: string
}

/** The person as Keystone has her after the sign-in, and what the mapping gives her. */
export interface Seen {
  readonly user: Seat & {
    /** What she is known by: `unique_id`, percent-encoded. */
    readonly id: string
    readonly email?: string
  }
  /** By name; one that is missing at the Keystone is passed over in silence. */
  readonly groups: readonly Seat[]
  /** By id; one that is missing fails the sign-in. */
  readonly groupIds: readonly string[]
  readonly projects: readonly (Seat & { readonly roles: readonly string[] })[]
}

export interface SigningIn {
  readonly release: Release
  /** The domain of the identity provider at the Keystone. */
  readonly home: string
  /** Apache's `REMOTE_USER`, which stands in for a name that the mapping does not give. */
  readonly remoteUser: string
}

/** Longest `unique_id` in Keystone's database. */
const LONGEST_ID = 255

/**
 * What keystone/auth/plugins/mapped.py does with a person of the mapping, up to what it asks its database: whether domains, roles and
 * groups are there is not known here.
 * @throws {PythonError}
 */
export function signIn({ user, group_ids, group_names, projects }: Mapped, signingIn: SigningIn): Seen {
  const { release, home, remoteUser } = signingIn
  if (user['type'] === 'local')
    throw new PythonError('Unauthorized', 'a user of type local, who is none of the gateway')
  const [id, name] = [textAt(user, 'id'), textAt(user, 'name') || remoteUser]
  if (id === '' && name === '') throw new PythonError('Unauthorized', 'neither an id nor a name')
  const unique = quote(id || name)
  if (unique.length > LONGEST_ID) {
    throw new PythonError('ValidationError', `a user id of more than ${LONGEST_ID} characters`, 400)
  }
  const email = textAt(user, 'email')
  // Release 22 puts everybody and everything that a mapping makes into the domain of the identity provider.
  const domain = (value: PyValue | undefined) => (release === '22' || value === undefined ? home : domainName(value))
  return {
    user: { id: unique, name: name || id, domain: domain(user['domain']), ...(email === '' ? {} : { email }) },
    groups: group_names.map((group) => groupSeat(group as PyValue)),
    groupIds: group_ids.map(String),
    projects: projects.filter(isObject).map((project) => ({
      name: textAt(project, 'name'),
      domain: domain(project['domain']),
      roles: rolesOf(project),
    })),
  }
}

const textAt = (value: PyObject, name: string): string => (typeof value[name] === 'string' ? value[name] : '')

function domainName(value: PyValue): string {
  if (!isObject(value)) throw new PythonError('TypeError', "argument of type 'NoneType' is not iterable: no domain")
  if ('id' in value) return `id ${textAt(value, 'id')}`
  if (!('name' in value)) throw new PythonError('KeyError', 'a domain without a name')
  return textAt(value, 'name')
}

function groupSeat(group: PyValue): Seat {
  if (!isObject(group)) throw new PythonError('TypeError', 'a group that is a text where it must be an object')
  const { name, domain } = group
  if (name === undefined) throw new PythonError('KeyError', 'a group without a name')
  if (typeof name !== 'string') throw new PythonError('TypeError', 'a group whose name is no text')
  if (!isObject(domain)) throw new PythonError('AttributeError', 'a group whose domain is no object')
  const id = textAt(domain, 'id')
  return { name, domain: id === '' ? textAt(domain, 'name') : `id ${id}` }
}

const rolesOf = ({ roles }: PyObject): readonly string[] =>
  Array.isArray(roles) ? roles.filter(isObject).map((role) => textAt(role, 'name')) : []
