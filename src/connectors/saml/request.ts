import { LoginError } from '../../core/errors.ts'
import type { Challenge, ConnectorPorts, Hints } from '../connector.ts'
import { upstreamContexts } from './acr.ts'
import type { Endpoint, Idp } from './idp.ts'
import { authnRequest, newId } from './messages.ts'
import type { SamlConfig } from './options.ts'
import { dispatch } from './sign.ts'

/** What was asked when a sign-in began; kept in the memo, so that the answer is held against it. */
export interface Asked {
  /** Unix seconds. */
  readonly requestedAt: number
  /** Seconds. */
  readonly maxAge?: number
  readonly forceAuthn?: true
  /** In our names, not the upstream's. */
  readonly acrValues: readonly string[]
  /** Authentication contexts that were asked for. */
  readonly contexts: readonly string[]
}

const formats: Readonly<Record<NonNullable<SamlConfig['nameIdFormat']>, string>> = {
  persistent: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
  transient: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient',
  emailAddress: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress',
  unspecified: 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified',
}

/** What a client's hints and the connector's options ask of the upstream together. */
function whatToAsk(config: SamlConfig, hints: Hints, now: number): Asked {
  const ages = [hints.maxAge, config.maxAge].filter((age) => age !== undefined)
  const acrValues = (hints.acrValues ?? []).filter((value) => value !== '')
  return {
    requestedAt: now,
    ...(ages.length > 0 && { maxAge: Math.min(...ages) }),
    // SAML has no word for an age; at zero it means a fresh sign-in.
    ...((hints.prompt === 'login' || Math.min(...ages) === 0) && { forceAuthn: true as const }),
    acrValues,
    contexts: upstreamContexts(config, acrValues),
  }
}

/**
 * Sends the browser to the identity provider with a signed request, by the binding that the connector prefers or the other one.
 * @throws {LoginError} `upstream_unavailable` where its metadata has no place for requests
 */
export function begin(
  config: SamlConfig,
  ports: ConnectorPorts,
  { idp, state, hints }: { readonly idp: Idp; readonly state: string; readonly hints: Hints },
): Challenge {
  const to = endpointOf(idp.sso, config.requestBinding)
  if (!to) throw new LoginError('upstream_unavailable', `${idp.entityId} takes no requests by redirect or POST`)
  const now = ports.now()
  const asked = whatToAsk(config, hints, now)
  const id = newId()
  const message = authnRequest(
    { id, now, entityId: ports.sp.entityId, destination: to.url },
    {
      acs: ports.callback.href,
      contexts: asked.contexts,
      ...(asked.forceAuthn && { forceAuthn: asked.forceAuthn }),
      ...(hints.prompt === 'none' && { passive: true as const }),
      ...(config.nameIdFormat && { nameIdFormat: formats[config.nameIdFormat] }),
    },
  )
  const departure = dispatch(ports.sp, {
    as: 'SAMLRequest',
    message,
    to: { ...to, address: to.url },
    relayState: state,
  })
  const memo = { connector: config.id, request: id, idp: idp.entityId, asked: JSON.stringify(asked) }
  return { ...departure, memo }
}

/** The endpoint by the preferred binding; where there is none, the first. */
export function endpointOf(list: readonly Endpoint[], preferred: Endpoint['binding']): Endpoint | undefined {
  return list.find(({ binding }) => binding === preferred) ?? list[0]
}
