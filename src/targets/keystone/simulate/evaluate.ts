import { format, type Match } from './format.ts'
import { isObject, loads, NotCovered, type PyObject, PythonError, type PyValue } from './python.ts'
import { assertionOf, matchesOf } from './requirements.ts'
import type { Engine, MappingLike, Outcome, Template } from './rules.ts'
import { transformed } from './transform.ts'

/**
 * What Keystone's mapping engine makes of an environment: `RuleProcessor.process` of keystone/federation/utils.py, of the release and of
 * the mapping's own schema version (release 22 knows none and reads every mapping as 1.0). Pure and total.
 * @param environment what Keystone sees: each text already decoded as the release decodes it
 */
export function evaluate(mapping: MappingLike, environment: Readonly<Record<string, string>>, engine: Engine): Outcome {
  const schema = engine.release === '22' ? '1.0' : (mapping.schema_version ?? '1.0')
  return caught(() => {
    const assertion = assertionOf(environment)
    const entries = mapping.rules.flatMap(({ local, remote }) => {
      const matches = matchesOf(remote, assertion, engine)
      if (matches === undefined) return []
      // Of one value a text, of several their list.
      const given = matches.map((values): Match => (values.length === 1 ? (values[0] ?? '') : values))
      return local.map((template) => filled(template, given, schema))
    })
    return transformed(entries, { release: engine.release, schema })
  })
}

function caught(work: () => Extract<Outcome, { kind: 'mapped' }>['mapped']): Outcome {
  try {
    return { kind: 'mapped', mapped: work() }
  } catch (error) {
    if (error instanceof PythonError) return refusal(error)
    if (error instanceof NotCovered) return { kind: 'not-covered', why: error.message }
    throw error
  }
}

/** Keystone's answer: what it raised itself is a failed sign-in, a TypeError is 400, everything else 500. */
export function refusal({ kind, message, status }: PythonError): Extract<Outcome, { kind: 'refused' }> {
  const statuses: Readonly<Record<string, number>> = {
    ValidationError: 401,
    SchemaValidationError: 401,
    Unauthorized: 401,
    TypeError: 400,
  }
  return { kind: 'refused', error: kind, status: status ?? statuses[kind] ?? 500, says: message }
}

function filled(template: Template, matches: readonly Match[], schema: string): PyObject {
  const entries = Object.entries(template).map(([name, part]): [string, PyValue] => {
    if (part === undefined) return [name, null]
    const json = schema === '3.0' && (name === 'projects_json' || (name === 'projects' && typeof part === 'string'))
    if (json && typeof part === 'string') return [name, projectsFrom(part, matches)]
    if (typeof part === 'string') return [name, format(part, matches)]
    if (!Array.isArray(part)) return [name, filled(part as Template, matches, schema)]
    return [name, part.map((each: Template) => filled(each, matches, schema))]
  })
  return Object.fromEntries(entries)
}

/** Schema 3.0: the match itself, as JSON where it is one text; a list is never JSON. */
function projectsFrom(rule: string, matches: readonly Match[]): PyValue {
  const index = /^\{?(\d+)\}?/.exec(rule)?.[1]
  if (index === undefined) throw new PythonError('SchemaValidationError', `projects_json names no match: ${rule}`)
  const match = matches[Number(index)]
  if (match === undefined) throw new PythonError('IndexError', `projects_json names match ${index}, which is not there`)
  const projects = typeof match === 'string' ? loads(match) : match
  if (!isProjects(projects)) throw new PythonError('ValidationError', 'projects_json is no list of projects with roles')
  return projects
}

const onlyTexts = (value: PyValue | undefined, names: readonly string[]): value is PyObject =>
  isObject(value) && Object.entries(value).every(([name, text]) => names.includes(name) && typeof text === 'string')

function isProjects(value: PyValue): boolean {
  return (
    Array.isArray(value) &&
    value.every((project: PyValue) => {
      if (!isObject(project) || typeof project['name'] !== 'string') return false
      const { name: _name, roles, domain, ...others } = project
      if (Object.keys(others).length > 0 || !Array.isArray(roles)) return false
      if (domain !== undefined && !onlyTexts(domain, ['id', 'name'])) return false
      return roles.every((role: PyValue) => onlyTexts(role, ['name']) && role['name'] !== undefined)
    })
  )
}
