import type { LivePorts } from '../../live.ts'
import type { KeystoneConfig } from '../options.ts'
import { openApi } from './api.ts'
import { type FederatedId, federatedOf, identityOf, userBy, userOf } from './user.ts'

/** One user to be moved: who she was, and the gateway's `sub` for her. */
export interface Move {
  readonly from: FederatedId
  readonly sub: string
}

/**
 * What stands at Keystone about one move. `ready`: the user is there, and nobody else is known by the new `sub`. `done`: she was moved
 * already. `absent`: nobody is known by the old identity. `taken`: another user is known by the new one (she has signed in through the
 * gateway before): which of the two keeps her resources is for an administrator to say.
 */
export type Finding =
  | { readonly state: 'ready' | 'done'; readonly user: string; readonly name: string }
  | { readonly state: 'absent' }
  | { readonly state: 'taken'; readonly user: string; readonly by: string }

/** Moves users of another identity provider to the gateway, with their ids, and so with their resources and credentials. */
export interface Adoption {
  /** Changes nothing. @throws {TargetUnavailable} */
  look(move: Move): Promise<Finding>
  /**
   * Moves a user who is `ready`: Keystone knows her by the gateway's `sub` alone from then on.
   * @returns what is so afterwards; `done` where it was carried out. Never by a name or an e-mail address: anybody could have those
   * @throws {TargetUnavailable}
   */
  move(move: Move): Promise<Finding>
}

/** @throws {Error} where the configuration has no `reconcile`: moving needs its account */
export function openAdoption(config: KeystoneConfig, ports: LivePorts): Adoption {
  const api = openApi(config, ports)
  const look: Adoption['look'] = async ({ from, sub }) => {
    const [old, own] = await Promise.all([userBy(api, from), userBy(api, identityOf(config, sub))])
    if (own && (!old || old.id === own.id)) return { state: 'done', user: own.id, name: own.name ?? '' }
    if (!old) return { state: 'absent' }
    return own ? { state: 'taken', user: old.id, by: own.id } : { state: 'ready', user: old.id, name: old.name ?? '' }
  }
  return {
    look,
    async move(move) {
      const found = await look(move)
      if (found.state !== 'ready') return found
      const federated = federatedOf(identityOf(config, move.sub))
      const before = (await userOf(api, found.user))?.federated ?? []
      // Looked at before, since Keystone takes what she was known by away before it finds that the new one is somebody's; then all of it comes back.
      const { status } = await api.send('PATCH', `/users/${found.user}`, { user: { federated } })
      if (status === 409) await api.send('PATCH', `/users/${found.user}`, { user: { federated: before } })
      return await look(move)
    },
  }
}
