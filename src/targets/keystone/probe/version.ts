import type { Check } from '../../../core/ports.ts'
import { schemaOf } from '../options.ts'
import { type Answer, type Asked, bad, good, isObject, json, note, shown } from './ask.ts'

/**
 * What each release began to do, seen by a stranger: every Keystone since 2019 calls its API v3.14, so this tells more. All of it is
 * refused before and after, only otherwise: a value or a field that no Keystone knows is 401 before and 400 since.
 */
const telltales: readonly {
  readonly since: number
  readonly name: string
  readonly path: string
  readonly init?: RequestInit
  readonly shows: (answer: Answer) => boolean
}[] = [
  { since: 30, name: '2026.2', path: '', init: { headers: { accept: 'application/json-home' } }, shows: hasUserTokens },
  {
    since: 29,
    name: '2026.1',
    path: '/OS-FEDERATION/identity_providers/lotse-check/protocols/lotse-check',
    init: { ...json({ protocol: { lotse: 'check' } }), method: 'PUT' },
    shows: isBadRequest,
  },
  { since: 28, name: '2025.2', path: '/regions?lotse=check', shows: isBadRequest },
  { since: 27, name: '2025.1', path: '/users?enabled=lotse-check', shows: isBadRequest },
]

function hasUserTokens({ body }: Answer): boolean {
  const resources = body?.['resources']
  return isObject(resources) && Object.keys(resources).some((name) => name.endsWith('/rel/user_tokens'))
}

function isBadRequest({ status, error }: Answer): boolean {
  return status === 400 && error?.status === 400
}

/** Whether a Keystone answers at the configured address; nothing else is worth asking where it does not. */
export async function reached(asked: Asked): Promise<Check> {
  const answer = await asked.ask('')
  if (typeof answer === 'string') return bad('identity API', `${asked.api}: ${answer}${hint(asked, answer)}`)
  const version = answer.body?.['version']
  const id = isObject(version) ? version['id'] : undefined
  if (typeof id !== 'string' || !id.startsWith('v3'))
    return bad(
      'identity API',
      `${asked.api} answers with status ${answer.status} and is no identity API v3; correct url`,
    )
  return good('identity API', `${asked.api}, ${shown(id)}`)
}

function hint({ config }: Asked, sentence: string): string {
  if (!/CERT|SIGNED|ISSUER|ALTNAME/.test(sentence)) return ''
  return config.ca === undefined
    ? '; if its certificate is of a CA of your own, name that in ca'
    : '; the certificates in ca are not those to which it chains, or the name differs'
}

/** Which Keystone it is, as far as that shows from outside, and whether it can do what the configuration wants of it. */
export async function versionOf(asked: Asked): Promise<readonly Check[]> {
  const schema = schemaOf(asked.config)
  for (const { since, name, path, init, shows } of telltales) {
    const answer = await asked.ask(path, init)
    if (typeof answer === 'string' || !shows(answer)) continue
    const checks = [good('version', `Keystone ${since} (${name}) or newer`)]
    if (schema === '3.0' && since < 29) checks.push(tooOld(`it is older than 29.0.0 (2026.1)`))
    return checks
  }
  return [
    note('version', 'older than Keystone 27 (2025.1), or something answers in its place'),
    ...(schema === '3.0' ? [tooOld('it is older than 29.0.0 (2026.1)')] : []),
    ...(schema === '2.0'
      ? [note('mapping schema', '2.0 needs Keystone 25.0.0 (2024.1), and that does not show from outside')]
      : []),
    note(
      'disabled people',
      'before 26.1.0 a disabled federated user gets in again; the gateway itself refuses whom its rules do not let in',
    ),
  ]
}

function tooOld(why: string): Check {
  return bad('mapping schema', `3.0 is configured and ${why}; write mappingSchema: '2.0' or '1.0', or set reconcile up`)
}
