import { LoginError } from '../../core/errors.ts'
import type { Proof } from '../../core/subject.ts'
import type { Asked, Departure, Relayed, Returned } from '../connector.ts'
import type { Endpoint, Idp } from './idp.ts'
import { type LogoutExpected, readLogout } from './logout-message.ts'
import { logoutRequest, logoutResponse, newId } from './messages.ts'
import { type Saml, SKEW } from './parts.ts'
import { keptOf, nameOf } from './proof.ts'
import { endpointOf } from './request.ts'
import { dispatch } from './sign.ts'

/** Characters of a RelayState that is sent back; the standard has 80 (bindings 3.4.3), and identity providers send whole addresses. */
const RELAY_LIMIT = 1024

/**
 * Where to send the browser to end the identity provider's session too. Never fails a logout here because its metadata cannot be had:
 * then there is no place to go to.
 */
export async function logout(
  saml: Saml,
  proof: Proof,
  { state }: { readonly state: string },
): Promise<Departure | undefined> {
  const { config, ports, directory } = saml
  const kept = config.upstreamLogout === 'on' ? keptOf(config, ports, proof) : undefined
  if (!kept) return undefined
  const idp = await directory.find(kept.idp).catch((error: unknown) => {
    ports.log('warn', `upstream logout left out: ${String(error)}`, { connector: config.id })
  })
  const to = idp && endpointOf(idp.slo, config.requestBinding)
  if (!to) return undefined
  const head = { id: newId(), now: ports.now(), entityId: ports.sp.entityId, destination: to.url }
  const message = logoutRequest(head, { nameId: kept.nameId, sessionIndex: kept.sessionIndex })
  return dispatch(ports.sp, { as: 'SAMLRequest', message, to: { ...to, address: to.url }, relayState: state })
}

/**
 * A request of the identity provider, or its response to one of ours. A response is believed for nothing but the way on: everything
 * here has ended before the request was sent.
 */
export async function relay(saml: Saml, message: Relayed): Promise<Asked | Returned> {
  const { config, ports, directory } = saml
  const expected: LogoutExpected = {
    find: (entityId) => directory.find(entityId),
    renew: saml.renew,
    now: ports.now(),
    skew: SKEW,
    policy: config.sha1 === 'allowed' ? { sha1: true } : {},
  }
  const read = await readLogout(message, expected, saml.check)
  if (read.kind === 'response') {
    const { wholly, idp, relayState = '' } = read
    if (!wholly)
      ports.log('warn', 'an identity provider did not end all of a session', {
        connector: config.id,
        idp: idp.entityId,
      })
    return { state: relayState }
  }
  const { idp, id, nameId, sessions, goodUntil, relayState } = read
  return {
    name: nameOf(idp.entityId, nameId, ports.sp.entityId),
    sessions,
    once: { id: `${idp.entityId}\n${id}`, until: goodUntil },
    reply: async (how) => reply(saml, { idp, inResponseTo: id, how, relayState }),
  }
}

interface Reply {
  readonly idp: Idp
  readonly inResponseTo: string
  readonly how: 'wholly' | 'partly'
  readonly relayState: string | undefined
}

function reply({ config, ports }: Saml, { idp, inResponseTo, how, relayState }: Reply): Departure {
  const to: Endpoint | undefined = endpointOf(idp.slo, config.requestBinding)
  if (!to) throw new LoginError('upstream_unavailable', `${idp.entityId} has no place for an answer to its logout`)
  const address = to.responseUrl ?? to.url
  const head = { id: newId(), now: ports.now(), entityId: ports.sp.entityId, destination: address }
  const message = logoutResponse(head, { inResponseTo, how })
  // Bindings 3.4.3: RelayState goes back as it came; what is too long to have been one is left out.
  const back = relayState !== undefined && relayState.length <= RELAY_LIMIT ? { relayState } : {}
  return dispatch(ports.sp, { as: 'SAMLResponse', message, to: { ...to, address }, ...back })
}
