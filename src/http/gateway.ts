import type { IncomingMessage, ServerResponse } from 'node:http'
import type Provider from 'oidc-provider'
import type { Audit } from '../audit.ts'
import { LoginError } from '../core/errors.ts'
import { openArrival } from './arrival.ts'
import { baseHeaders, boundary, logLibrary } from './boundary.ts'
import { deviceGuard } from './device.ts'
import { openDocuments } from './documents.ts'
import { openLogin } from './login.ts'
import { deliverLogouts } from './logout.ts'
import { pinOrigin } from './origin.ts'
import type { Parts } from './parts.ts'
import { openProofs } from './proofs.ts'
import { buildProvider } from './provider.ts'
import { routes } from './routes.ts'
import { openSamlLogout } from './saml-logout.ts'
import { openUpstreamLogout } from './upstream-logout.ts'
import { openWallets } from './wallet.ts'

/** One composed gateway: a value that a reload or a rotation replaces while requests in flight finish on the old one. */
export interface Gateway {
  readonly handle: (req: IncomingMessage, res: ServerResponse) => void
  readonly provider: Provider
  /** Delivers logouts that clients have yet to hear of. */
  deliver(): Promise<void>
}

/** What cannot be written down must not happen: the answer is 503, and the next try may succeed (law 4). */
export function strict(audit: Audit): Audit {
  return async (id, event) => {
    await audit(id, event).catch((cause: unknown) => {
      throw new LoginError('unavailable', 'the audit line cannot be written', { cause })
    })
  }
}

/** @param trusted which addresses are reverse proxies whose X-Forwarded-For is believed */
export function composeGateway(parts: Parts, trusted: (address: string) => boolean): Gateway {
  const proofs = openProofs(parts)
  const provider = buildProvider(parts, proofs)
  const arrival = openArrival(parts)
  const login = openLogin(parts, proofs, arrival, provider)
  const wallets = openWallets(parts, arrival)
  const headers = baseHeaders(parts)
  const documents = openDocuments(parts, headers)
  provider.use(boundary(parts, proofs, { headers, guard: deviceGuard(parts) }))
  const upstream = openUpstreamLogout(parts)
  const samlLogout = openSamlLogout(parts, (clients) => deliverLogouts(provider, parts, clients))
  provider.use(routes(parts, { login, upstream, samlLogout, wallets, documents }))
  logLibrary(provider, parts)
  const callback = provider.callback()
  return {
    provider,
    deliver: () => deliverLogouts(provider, parts),
    handle(req, res) {
      pinOrigin(req, { issuer: parts.issuer, trusted })
      if (!documents.answer(req, res)) void callback(req, res)
    },
  }
}
