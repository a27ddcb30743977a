import { TargetUnavailable } from '../../live.ts'
import type { KeystoneConfig } from '../options.ts'
import type { KeystoneApi } from './api.ts'
import { otherName, type UserSeen } from './snapshot.ts'

interface Looking {
  readonly config: KeystoneConfig
  readonly api: KeystoneApi
}

/** By what Keystone knows a federated user: an identity provider and its protocol there, and her id at that. */
export interface FederatedId {
  readonly identityProvider: string
  readonly protocol: string
  readonly uniqueId: string
}

/** By what it knows whoever has this `sub`. */
export const identityOf = ({ identityProvider, protocol }: KeystoneConfig, sub: string): FederatedId => ({
  identityProvider,
  protocol,
  uniqueId: sub,
})

type Federated = readonly {
  readonly idp_id: string
  readonly protocols: readonly { readonly protocol_id: string; readonly unique_id: string }[]
}[]

/** The same in the words of the API. */
export const federatedOf = ({ identityProvider, protocol, uniqueId }: FederatedId): Federated => [
  { idp_id: identityProvider, protocols: [{ protocol_id: protocol, unique_id: uniqueId }] },
]

/** Found by that alone, never by a name or an address. @throws {TargetUnavailable} */
export async function userBy(
  api: KeystoneApi,
  { identityProvider, protocol, uniqueId }: FederatedId,
): Promise<UserSeen | undefined> {
  const who = { idp_id: identityProvider, protocol_id: protocol, unique_id: stored(uniqueId) }
  const rows = await api.rows<UserSeen>('users', `/users?${new URLSearchParams(who)}`)
  // Keystone has it once at most: something has lost the question on the way, and the first of all users would be locked.
  if (rows.length > 1)
    throw new TargetUnavailable('refused', 'Keystone answers with several users to a question about one identity')
  return rows[0]
}

/** Keystone keeps an id as Python's `urllib.parse.quote` writes it: `/` stays as it is, and `!*'()` do not. A `sub` is the same in both. */
function stored(uniqueId: string): string {
  return encodeURIComponent(uniqueId)
    .replace(/%2F/g, '/')
    .replace(/[!*'()]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** The user whom a sign-in of this `sub` reaches. @throws {TargetUnavailable} */
export const personOf = ({ api, config }: Looking, sub: string): Promise<UserSeen | undefined> =>
  userBy(api, identityOf(config, sub))

interface Whole extends UserSeen {
  readonly federated?: Federated
}

/** The user of this id, with everything by which she is known; undefined where there is none. @throws {TargetUnavailable} */
export async function userOf(api: KeystoneApi, id: string): Promise<Whole | undefined> {
  const { status, body } = await api.send('GET', `/users/${id}`)
  return status === 200 ? ((body ?? {}) as { user?: Whole }).user : undefined
}

/** Every `sub` whose sign-in reaches the user of this id. @throws {TargetUnavailable} */
export async function subsOf({ api, config }: Looking, id: string): Promise<readonly string[]> {
  const user = await userOf(api, id)
  return (user?.federated ?? [])
    .filter(({ idp_id }) => idp_id === config.identityProvider)
    .flatMap(({ protocols }) => protocols)
    .flatMap(({ protocol_id, unique_id }) => (protocol_id === config.protocol ? [unique_id] : []))
}

/** The user of this id, where she has no federated identity at all. @throws {TargetUnavailable} */
export async function unlinkedUser(api: KeystoneApi, id: string): Promise<UserSeen | undefined> {
  const user = await userOf(api, id)
  return user && !user.federated?.length ? { ...user, unlinked: true } : undefined
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
  const whole = await userOf(api, user)
  if (whole === undefined) return
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
