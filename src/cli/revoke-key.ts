import type { ClientConfig } from '../config/clients.ts'
import { ISSUER_RING } from '../core/ports.ts'
import type { KeyInfo } from '../keys/rings.ts'
import type { Selector } from '../lifecycle/end.ts'
import type { Target } from '../targets/target.ts'
import type { Keys } from './beside.ts'

/** A key that is to go, and what its holders' tokens are. */
export interface KeyPlan {
  readonly key: KeyInfo
  readonly selector: Selector
}

/** What is to end with a key; a sentence where nothing is. */
export function planForKey({ rings, targets }: Keys, clients: readonly ClientConfig[], kid: string): KeyPlan | string {
  const key = rings.list().find((each) => each.kid === kid)
  if (!key)
    return `no ring has a key ${kid}: tokens of a key that was dropped before are refused already; --client ends what its clients hold`
  if (key.state === 'next')
    return (
      `${kid} is published and nothing has been signed with it yet, so nothing ends; ` +
      `'lotse keys rotate ${key.ring} --alg ${key.alg} --emergency' takes it away`
    )
  const signedFor = clients.filter((client) => signsFor(key, client, targets))
  return { key, selector: { kind: 'key', kid, clients: signedFor.map(({ id }) => id) } }
}

/** Whether a key signs this client's ID tokens, or access tokens for a target that it may ask for. */
function signsFor({ ring, alg }: KeyInfo, client: ClientConfig, targets: ReadonlyMap<string, Target>): boolean {
  if (ring === ISSUER_RING && client.idTokenAlg === alg) return true
  const reached = client.target === undefined ? client.targets : [client.target, ...client.targets]
  return reached.some((id) => {
    const target = targets.get(id)
    return target?.ring === ring && target.alg === alg
  })
}

/** Drops every key of the ring and algorithm: who has one of a store's keys may have the others. @returns what signs now */
export async function dropKey({ rings }: Keys, { ring, alg }: KeyInfo): Promise<string> {
  await rings.rotate(ring, alg, 'emergency')
  return rings.list().find((each) => each.ring === ring && each.alg === alg && each.state === 'current')?.kid ?? ''
}
