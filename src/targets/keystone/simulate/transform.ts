import { listOf } from './literal.ts'
import { isObject, loads, type PyObject, PythonError, type PyValue } from './python.ts'
import type { Mapped, Release } from './rules.ts'

interface Version {
  readonly release: Release
  readonly schema: string
}

const truthy = (value: PyValue | undefined): boolean =>
  value !== undefined && value !== null && value !== '' && !(isObject(value) && Object.keys(value).length === 0)

const objectAt = (entry: PyObject, name: string): PyObject | undefined => {
  const value = entry[name]
  return isObject(value) ? value : undefined
}

/**
 * Local entries, filled in, as one person: `_transform` of the engine. The first user counts, the last projects count, groups add up.
 * @throws {PythonError}
 */
export function transformed(entries: readonly PyObject[], version: Version): Mapped {
  if (entries.length === 0) throw new PythonError('ValidationError', 'no rule of the mapping applies')
  const groupIds: GroupIds = new Map()
  const names: PyValue[] = []
  const byDomain = new Map<PyValue | undefined, PyObject[]>()
  let user: PyObject = {}
  let projects: readonly PyObject[] = []
  for (const entry of entries) {
    if (!truthy(user)) user = objectAt(entry, 'user') ?? user
    const group = objectAt(entry, 'group')
    if (group !== undefined) names.push(...groupsSoFar(group, { groupIds, byDomain, version }))
    if (typeof entry['groups'] === 'string') names.push(...groupsFrom(entry['groups'], entry))
    if (typeof entry['group_ids'] === 'string') for (const id of listOf(entry['group_ids'])) add(groupIds, hashable(id))
    if ('projects' in entry || (version.release !== '22' && 'projects_json' in entry))
      projects = projectsOf(entry, version)
  }
  return {
    user: normalized(user, entries.at(-1)?.['domain'], version),
    group_ids: [...groupIds.values()],
    group_names: names,
    projects,
  }
}

/** A Python set: `True` is `1` there, and the first of equals stays. */
type GroupIds = Map<PyValue, PyValue>

function add(ids: GroupIds, id: PyValue): void {
  const key = typeof id === 'boolean' ? Number(id) : id
  if (!ids.has(key)) ids.set(key, id)
}

function hashable(value: PyValue): PyValue {
  if (typeof value === 'object' && value !== null && !(isObject(value) && typeof value['py'] === 'string')) {
    throw new PythonError('TypeError', 'unhashable type in group_ids')
  }
  return value
}

interface Groups {
  readonly groupIds: GroupIds
  readonly byDomain: Map<PyValue | undefined, PyObject[]>
  readonly version: Version
}

/** Every named group that came up to here, once more: Keystone lists the earlier ones again with each new one. */
function groupsSoFar(group: PyObject, { groupIds, byDomain, version }: Groups): readonly PyObject[] {
  if ('id' in group) add(groupIds, group['id'] ?? null)
  else if ('name' in group) {
    const home = objectAt(group, 'domain')
    if (home === undefined) throw new PythonError('KeyError', 'a group without a domain')
    const domain = truthy(home['name']) ? home['name'] : home['id']
    byDomain.set(domain, [...(byDomain.get(domain) ?? []), group])
  }
  if ('id' in group && version.release !== '22') return []
  return [...byDomain.values()].flatMap((groups) => [
    ...new Map(groups.map((each) => [each['name'], each] as const)).values(),
  ])
}

const domainMissing = () => new PythonError('ValidationError', 'groups without a domain')

/** The substring `name` anywhere makes Keystone look for JSON, also in `namespace-admins`: then the whole sign-in fails. */
function groupsFrom(text: string, entry: PyObject): readonly PyValue[] {
  if (text.includes('name')) {
    const groups = listOf(text).map(fromJson)
    if (!groups.every(namesDomain)) throw domainMissing()
    return groups
  }
  const domain = entry['domain']
  if (!('domain' in entry)) throw domainMissing()
  return listOf(text).map((name) => ({ name, domain }))
}

function fromJson(group: PyValue): PyValue {
  if (typeof group !== 'string') throw new PythonError('AttributeError', 'a group that is no text')
  // Python strips every letter of the mark, not the mark.
  return group.startsWith('JSON:') ? loads(group.replace(/^[JSON:]+/, '')) : group
}

/** Python's `'domain' in group`: a key of an object, an element of a list, a part of a text. */
function namesDomain(group: PyValue): boolean {
  if (typeof group === 'string' || Array.isArray(group)) return group.includes('domain')
  if (isObject(group)) return Object.hasOwn(group, 'domain')
  throw new PythonError('TypeError', 'a group that is no container')
}

/** Schema 1.0 takes `projects` as they are; from 2.0 on each has a domain, from 3.0 on those of the claim are added. */
function projectsOf(entry: PyObject, { schema }: Version): readonly PyObject[] {
  const listed = (name: string) => (Array.isArray(entry[name]) ? (entry[name] as readonly PyObject[]) : [])
  if (schema === '1.0') return listed('projects')
  const all = schema === '3.0' ? [...listed('projects'), ...listed('projects_json')] : listed('projects')
  return all.map((project) => (truthy(project['domain']) ? project : { ...project, domain: entry['domain'] ?? null }))
}

function normalized(user: PyObject, lastDomain: PyValue | undefined, { release, schema }: Version): PyObject {
  const type = user['type'] ?? 'ephemeral'
  if (!['ephemeral', 'local', ...(release === '22' ? [''] : [])].includes(type as string)) {
    throw new PythonError('ValidationError', `user type ${String(type)} not supported`)
  }
  if (schema === '1.0' || truthy(user['domain'])) return { ...user, type }
  return { ...user, type, domain: lastDomain ?? null }
}
