import { isDeepStrictEqual } from 'node:util'
import type { Check } from '../../../core/ports.ts'
import { type LivePorts, type Question, TargetUnavailable } from '../../live.ts'
import { type KeystoneApi, openApi } from '../live/api.ts'
import { openDirectory } from '../live/directory.ts'
import { observe } from '../live/observe.ts'
import type { Looking } from '../live/people.ts'
import { keystoneMapping } from '../print/mapping.ts'
import { type Asked, bad, good, isObject, type Json, note, shown } from './ask.ts'

/**
 * What the gateway's own account sees (`reconcile`): whether it may read what the reconciler reads, and whether identity provider,
 * protocol and mapping are as printed. These take a cloud administrator to read; a domain manager is refused, and that is said.
 */
export async function inside(asked: Asked, ports: LivePorts): Promise<readonly Check[]> {
  const api = openApi(asked.config, ports)
  const rights = await readsLikeTheReconciler(asked, { api, directory: openDirectory(asked.config.id, api, ports) })
  if (!rights.ok) return [rights]
  const { identityProvider, protocol } = asked.config
  const path = `/OS-FEDERATION/identity_providers/${identityProvider}`
  const provider = await read(api, path, 'identity_provider')
  if (typeof provider === 'string')
    return [rights, note('registration', `this account may not read it (${provider}); compare with the printed files`)]
  const found = await read(api, `${path}/protocols/${protocol}`, 'protocol')
  if (typeof found === 'string') return [rights, remoteIds(asked, provider), bad('protocol', found)]
  const mapping = await read(api, `/OS-FEDERATION/mappings/${String(found['mapping_id'])}`, 'mapping')
  const checks = [rights, remoteIds(asked, provider), protocolOf(found)]
  return [...checks, ...(typeof mapping === 'string' ? [bad('mapping', mapping)] : mappingOf(asked, mapping))]
}

/** Nobody, with a grant of each kind: the very questions that the reconciler asks about somebody. */
async function readsLikeTheReconciler({ config }: Asked, by: Pick<Looking, 'api' | 'directory'>): Promise<Check> {
  const target = config.id
  const name = 'lotse-check'
  const question: Question = {
    account: { sub: name, leases: {}, locked: false },
    wanted: {
      identity: { username: name },
      grants: [
        { target, project: name, roles: ['member'] },
        { target, group: name },
      ],
    },
  }
  try {
    await observe({ config, ...by }, [question])
    return good(
      'own account',
      'signs in, and may read users, projects, groups and roles; what it may write shows at the first reconcile',
    )
  } catch (error) {
    if (error instanceof TargetUnavailable) return bad('own account', shown(error.message))
    throw error
  }
}

/** One object of the API; a sentence where it is refused or not there. */
async function read(api: KeystoneApi, path: string, key: string): Promise<Json | string> {
  try {
    const { status, body } = await api.send('GET', path)
    const value = isObject(body) ? body[key] : undefined
    return isObject(value) ? value : `${path} answers with status ${status}`
  } catch (error) {
    if (error instanceof TargetUnavailable) return shown(error.message)
    throw error
  }
}

/** An identity provider without remote ids takes every issuer, and one with more takes people of others for ours. */
function remoteIds({ issuer }: Asked, provider: Json): Check {
  const ids = Array.isArray(provider['remote_ids']) ? provider['remote_ids'].map(String) : []
  if (ids.length === 0) return bad('remote ids', `there are none, so that it takes every issuer; set ${issuer}`)
  const others = ids.filter((id) => id !== issuer)
  if (others.length > 0)
    return bad('remote ids', `${shown(others.join(', '))} beside or instead of ${issuer}; take it out`)
  return good('remote ids', issuer)
}

function protocolOf({ mapping_id: mapping, remote_id_attribute: attribute }: Json): Check {
  if (typeof attribute === 'string' && attribute !== '' && attribute !== 'OIDC-iss')
    return bad('protocol', `its remote_id_attribute is ${shown(attribute)}; it has to be OIDC-iss, or empty`)
  return good('protocol', `by mapping ${String(mapping)}`)
}

function mappingOf({ config, issuer, audience }: Asked, { rules, schema_version: version }: Json): readonly Check[] {
  const printed = keystoneMapping(config, new URL(issuer))
  if (
    isDeepStrictEqual(rules, structuredClone(printed.rules)) &&
    (printed.schema_version ?? '1.0') === (version ?? '1.0')
  )
    return [good('mapping', 'as printed')]
  const list = Array.isArray(rules) ? rules.filter(isObject) : []
  const open = list.filter((rule) => !guarded(rule, audience)).length
  const forged = remotesOf(list).some(({ type }) => String(type).startsWith('HTTP_'))
  return [
    ...(open > 0
      ? [bad('audience guard', `${open} of ${list.length} rules take tokens for other audiences; ${again}`)]
      : []),
    ...(forged ? [bad('mapping', `it reads HTTP_* names, which are request headers; ${again}`)] : []),
    // A mapping of an operator's own may be meant so; people are who they are by it all the same.
    ...(open === 0 && !forged
      ? [note('mapping', `is another than the printed one; ${again}, or keep it on purpose`)]
      : []),
  ]
}

const again = 'print again and run register.sh'

const remotesOf = (rules: readonly Json[]): readonly Json[] =>
  rules.flatMap(({ remote }) => (Array.isArray(remote) ? remote.filter(isObject) : []))

/** Letter for letter: `regex` matches anywhere in a text. */
function guarded(rule: Json, audience: string): boolean {
  return remotesOf([rule]).some(
    ({ type, any_one_of: values, regex }) =>
      type === 'OIDC-aud' && regex !== true && isDeepStrictEqual(values, [audience]),
  )
}
