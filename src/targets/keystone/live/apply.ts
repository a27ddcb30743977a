import { TargetUnavailable } from '../../live.ts'
import type { KeystoneConfig } from '../options.ts'
import type { KeystoneApi } from './api.ts'
import type { Directory } from './directory.ts'
import type { Op } from './plan.ts'
import { refusal } from './request.ts'
import { otherName, pathOf, placeKey } from './snapshot.ts'
import { federatedOf, identityOf, personOf, rename } from './user.ts'

/** What rules made carries this, so that an administrator sees where it comes from and can find all of it. */
const MARK = { description: 'Made by Lotse, as its rules name it.' }
const TAG = 'lotse'

/** What doing a step needs. */
export interface Hands {
  readonly config: KeystoneConfig
  readonly api: KeystoneApi
  readonly block: Directory['block']
}

/**
 * Does what one step says; what is done already is done.
 * @throws {TargetUnavailable}
 */
export async function apply(hands: Hands, op: Op): Promise<void> {
  const { config, api } = hands
  switch (op.op) {
    case 'make-domain':
      return await make(hands, { kind: 'domain', own: { name: op.name }, key: op.name, what: `domain ${op.name}` })
    case 'make': {
      const { kind, name, domain, domainId } = op
      const own = { name, domain_id: domainId, ...(kind === 'project' ? { tags: [TAG] } : {}) }
      return await make(hands, { kind, own, key: placeKey(kind, domainId, name), what: `${kind} ${name} (${domain})` })
    }
    case 'make-user':
      return await makeUser(hands, op)
    case 'link':
      await api.send('PATCH', `/users/${op.user}`, { user: { federated: federatedOf(identityOf(config, op.sub)) } })
      return
    case 'rename':
      return await rename(hands, op)
    case 'change':
      return await doneOrGone(hands, 'PATCH', `/users/${op.user}`, { user: op.change })
    case 'give':
      if ((await api.send('PUT', pathOf(op.lease))).status === 404)
        throw new TargetUnavailable('refused', `Keystone ${config.id} has no such user, place or role any more`)
      return
    case 'take':
      return await doneOrGone(hands, 'DELETE', pathOf(op.lease))
  }
}

/** 404: gone meanwhile, which the next look finds. A conflict is no yes: what was not locked, or taken, is not to be struck off. */
async function doneOrGone(
  { config, api }: Hands,
  method: 'PATCH' | 'DELETE',
  path: string,
  sent?: unknown,
): Promise<void> {
  const { status, body } = await api.send(method, path, sent)
  if (status === 409) throw refusal(config.id, { asks: `${method} ${path}`, status, body })
}

interface Made {
  readonly kind: 'domain' | 'project' | 'group'
  readonly own: Readonly<Record<string, unknown>> & { readonly name: string; readonly domain_id?: string }
  /** Under which it is blocked where it cannot be made. */
  readonly key: string
  readonly what: string
}

/**
 * What cannot be made (403, 400, or 500 to a name at which Keystone falls over) hinders nothing else: the operator is told, and grants in it
 * wait. 409 may mean that somebody made it a moment ago;
 * or that the database takes another name for this one, which no look finds and no rule means.
 */
async function make({ api, block }: Hands, { kind, own, key, what }: Made): Promise<void> {
  try {
    const { status } = await api.send('POST', `/${kind}s`, { [kind]: { ...own, ...MARK } })
    if (status !== 409) return
  } catch (error) {
    if (!(error instanceof TargetUnavailable) || error.kind !== 'refused') throw error
    return block(key, { what, why: error.message })
  }
  const query = new URLSearchParams({ name: own.name, ...(own.domain_id && { domain_id: own.domain_id }) })
  const rows = await api.rows<{ readonly name: string }>(`${kind}s`, `/${kind}s?${query}`)
  if (rows.some(({ name }) => name === own.name)) return
  block(key, { what, why: 'Keystone has the same name in another writing, which rules do not mean' })
}

/**
 * A user before her first sign-in. Where her name is somebody's she gets another one: only the `sub` tells people apart.
 * Looked for first, since Keystone keeps a user whose federated identity it then refuses.
 */
async function makeUser({ config, api }: Hands, op: Extract<Op, { op: 'make-user' }>): Promise<void> {
  const { sub, called, domainId } = op
  for (const name of [called.name, otherName(called.name, sub)]) {
    if (await personOf({ config, api }, sub)) return
    const user = {
      ...called,
      name,
      domain_id: domainId,
      enabled: true,
      federated: federatedOf(identityOf(config, sub)),
    }
    if ((await api.send('POST', '/users', { user })).status === 201) return
  }
  if (await personOf({ config, api }, sub)) return
  const why = 'her name is taken, or her identity by a user whom this account may not see'
  throw new TargetUnavailable('refused', `Keystone ${config.id} cannot make the user ${called.name}: ${why}`)
}
