import { TargetUnavailable } from '../../live.ts'
import type { KeystoneConfig } from '../options.ts'
import type { KeystoneApi } from './api.ts'
import type { Op } from './plan.ts'
import { nameKey, placeKey } from './snapshot.ts'

/** What rules made carries this, so that an administrator sees where it comes from and can find all of it. */
const MARK = { description: 'Made by Lotse, as its rules name it.' }
const TAG = 'lotse'

/**
 * Does what one step says; what is done already is done.
 * @param block told of a name that is taken, and of what it is where an operator has to know: Keystone has it in another writing
 * @throws {TargetUnavailable}
 */
export async function apply(
  config: KeystoneConfig,
  api: KeystoneApi,
  op: Op,
  block: (key: string, says?: string) => void,
): Promise<void> {
  switch (op.op) {
    case 'forget':
      return
    case 'make-domain':
      return await make(api, { path: '/domains', body: { domain: { name: op.name, ...MARK } } }, () =>
        block(op.name, `domain ${op.name}`),
      )
    case 'make': {
      const { kind, name, domain, domainId } = op
      const own = { name, domain_id: domainId, ...MARK, ...(kind === 'project' ? { tags: [TAG] } : {}) }
      return await make(api, { path: `/${kind}s`, body: { [kind]: own } }, () =>
        block(placeKey(kind, domainId, name), `${kind} ${name} (${domain})`),
      )
    }
    case 'make-user':
      return await make(api, { path: '/users', body: { user: userOf(config, op) } }, () => block(nameKey(op.sub)))
    case 'change': {
      const { status } = await api.send('PATCH', `/users/${op.user}`, { user: op.change })
      // 404: gone meanwhile, which the next look finds.
      if (status === 409) block(nameKey(op.sub))
      return
    }
    case 'give':
      if ((await api.send('PUT', pathOf(op.lease, op.user))).status === 404)
        throw new TargetUnavailable('refused', `Keystone ${config.id} has no such user, place or role any more`)
      return
    case 'take':
      await api.send('DELETE', pathOf(op.lease, op.user))
  }
}

interface Made {
  readonly path: string
  readonly body: unknown
}

/** 409: somebody made it a moment ago, which the next look finds; or it is there in another writing, which no look finds. */
async function make(api: KeystoneApi, { path, body }: Made, conflict: () => void): Promise<void> {
  const { status } = await api.send('POST', path, body)
  if (status === 409) conflict()
}

function userOf(config: KeystoneConfig, { sub, called, domainId }: Extract<Op, { op: 'make-user' }>) {
  return {
    ...called,
    domain_id: domainId,
    enabled: true,
    lotse_sub: sub,
    federated: [{ idp_id: config.identityProvider, protocols: [{ protocol_id: config.protocol, unique_id: sub }] }],
  }
}

/** Where a lease is written and taken back. */
function pathOf(lease: string, user: string): string {
  const [kind, place = '', role = ''] = lease.split(':')
  return kind === 'group' ? `/groups/${place}/users/${user}` : `/${kind}s/${place}/users/${user}/roles/${role}`
}
