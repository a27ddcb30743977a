import type { KeystoneConfig } from '../options.ts'
import type { KeystoneApi } from './api.ts'
import { otherName, type UserSeen } from './snapshot.ts'

interface Looking {
  readonly config: KeystoneConfig
  readonly api: KeystoneApi
}

/** The user whom a sign-in of this `sub` reaches; found by that alone, never by a name or an address. @throws {TargetUnavailable} */
export async function personOf({ api, config }: Looking, sub: string): Promise<UserSeen | undefined> {
  const who = { idp_id: config.identityProvider, protocol_id: config.protocol, unique_id: sub }
  const rows = await api.rows<UserSeen>('users', `/users?${new URLSearchParams(who)}`)
  return rows[0]
}

interface Whole extends UserSeen {
  readonly federated?: readonly {
    readonly idp_id: string
    readonly protocols: readonly { readonly protocol_id: string; readonly unique_id: string }[]
  }[]
}

/** Every `sub` whose sign-in reaches the user of this id. @throws {TargetUnavailable} */
export async function subsOf({ api, config }: Looking, id: string): Promise<readonly string[]> {
  const { body } = await api.send('GET', `/users/${id}`)
  const { user } = (body ?? {}) as { user?: Whole }
  return (user?.federated ?? [])
    .filter(({ idp_id }) => idp_id === config.identityProvider)
    .flatMap(({ protocols }) => protocols)
    .flatMap(({ protocol_id, unique_id }) => (protocol_id === config.protocol ? [unique_id] : []))
}

/** The user of this id, where she has no federated identity at all. @throws {TargetUnavailable} */
export async function unlinkedUser(api: KeystoneApi, id: string): Promise<UserSeen | undefined> {
  const { status, body } = await api.send('GET', `/users/${id}`)
  const { user } = (body ?? {}) as { user?: Whole }
  return status === 200 && user && !user.federated?.length ? { ...user, unlinked: true } : undefined
}

export interface Rename {
  readonly user: string
  readonly sub: string
  readonly name: string
}

/**
 * Gives a user her name. A user who was made before her first sign-in has two: Keystone shows the local one, and sets it only while she
 * has no federated identity; so both are sent, and Keystone itself takes the identity away, sets the name and puts the identity back.
 * @throws {TargetUnavailable}
 * @see https://opendev.org/openstack/keystone/src/branch/master/keystone/identity/core.py `_update_user_with_federated_objects`
 */
export async function rename({ api }: Pick<Looking, 'api'>, { user, sub, name: wanted }: Rename): Promise<void> {
  const found = await api.send('GET', `/users/${user}`)
  const { user: whole } = (found.body ?? {}) as { user?: Whole }
  if (found.status !== 200 || whole === undefined) return
  const query = new URLSearchParams({ name: wanted, ...(whole.domain_id && { domain_id: whole.domain_id }) })
  const namesakes = await api.rows<UserSeen>('users', `/users?${query}`)
  const name = namesakes.some(({ id }) => id !== user) ? otherName(wanted, sub) : wanted
  const plain = await api.send('PATCH', `/users/${user}`, { user: { name } })
  const shown = (plain.body as { user?: Whole } | undefined)?.user?.name
  const federated = whole.federated ?? []
  if (plain.status !== 200 || shown === name || federated.length === 0) return
  const { status } = await api.send('PATCH', `/users/${user}`, { user: { name, federated } })
  // Somebody took the name in between, and her identity is away: it comes back at once, else a sign-in would make another user.
  if (status === 409) await api.send('PATCH', `/users/${user}`, { user: { federated } })
}
