import type Provider from 'oidc-provider'
import { type Configuration, errors, interactionPolicy } from 'oidc-provider'
import type { ClientConfig } from '../config/clients.ts'
import { findAccount, lifetimes, tokenClaims } from './account.ts'
import { clientMetadata } from './clients.ts'
import { cookieSigner } from './cookie-signer.ts'
import { deviceFlow } from './device.ts'
import { isHinted } from './hinted.ts'
import { heldOf, mayIntrospect } from './introspection.ts'
import { endAtLogout, logoutFeatures } from './logout.ts'
import { oidcAdapter } from './oidc-adapter.ts'
import {
  alwaysSid,
  carryProof,
  deriveSuccessors,
  pinUrls,
  replayed,
  saveTogether,
  saveWith,
  setJwtsAside,
  signByRing,
  signIdTokens,
  successorOf,
} from './overrides.ts'
import type { Parts } from './parts.ts'
import { type Context, type Proofs, proofIdOf, reachesAny, type SignedIn } from './proofs.ts'
import { renderOAuthError } from './render.ts'
import { openProvider } from './request-context.ts'
import { resourceIndicators, SCOPES, scopedTargets, targetByResource, wantedTargets } from './resources.ts'
import { stepUpFor } from './step-up.ts'

/** Login prompts as the library has them, with four changes. */
function policy(parts: Parts, proofs: Proofs) {
  const prompts = interactionPolicy.base()
  // A session whose proof is over would end in a 500 at the consent check: ask for a new sign-in instead.
  prompts.get('login')?.checks.add(
    new interactionPolicy.Check('account_gone', 'the proof behind this session is over', 'login_required', (ctx) => {
      return ctx.oidc.session?.accountId !== undefined && ctx.oidc.account === undefined
    }),
  )
  prompts.get('login')?.checks.add(
    new interactionPolicy.Check(
      'step_up',
      'a stronger sign-in is needed',
      'login_required',
      (ctx) => stepUpFor(parts, proofs, ctx) !== undefined,
      (ctx) => ({ stepUp: stepUpFor(parts, proofs, ctx) }),
    ),
  )
  prompts.get('login')?.checks.add(
    // In the device flow, too, where the library has forgotten whom the client named when the code is confirmed.
    new interactionPolicy.Check('other_person', 'the client named another person', 'login_required', isOther),
  )
  // Configured clients are the operator's own: RFC 8252 asks for consent of native clients that nobody registered.
  prompts.get('consent')?.checks.remove('native_client_prompt')
  return prompts
}

/** Somebody is signed in, and the client named another. */
function isOther({ oidc: { session, result, params } }: Context): boolean {
  return session?.accountId !== undefined && result?.login === undefined && !isHinted(params, session.accountId)
}

/** A new grant for each authorization, so that ending one sign-in never ends another (the library shares one by session and client). */
function grantFor(parts: Parts, proofs: Proofs): NonNullable<Configuration['loadExistingGrant']> {
  return async (anyCtx) => {
    const ctx = anyCtx as Context
    const { session, client, account, provider, result } = ctx.oidc
    if (!session || !client || !account) return undefined
    const carried = session as unknown as { proof?: string; uid: string; signedIn?: SignedIn }
    const fresh = proofIdOf(result)
    if (fresh !== undefined) carried.proof = fresh
    const bound = proofs.seen(ctx)
    if (bound) carried.signedIn = { at: bound.proof.signedInAt, connector: bound.proof.subject.connector }
    if (
      !bound ||
      !reachesAny(bound.decision, wantedTargets(parts, client.clientId, Object.keys(ctx.oidc.resourceServers ?? {})))
    ) {
      // Somebody who asks to sign in as another person must be let through to do so.
      if ((ctx.oidc.prompts.has('login') && result?.login === undefined) || isOther(ctx)) return undefined
      if (stepUpFor(parts, proofs, ctx)) return undefined
      throw new errors.AccessDenied('the rules give this person nothing at the target of this client')
    }
    const grant = new provider.Grant({ accountId: account.accountId, clientId: client.clientId })
    session.ensureClientContainer(client.clientId) // the library does so a moment later: the grant must know the `sid` already
    Object.assign(grant, { proof: carried.proof, sessionUid: carried.uid, sid: session.sidFor(client.clientId) })
    grant.addOIDCScope(SCOPES)
    for (const [resource, { scope }] of Object.entries(ctx.oidc.resourceServers ?? {}))
      grant.addResourceScope(resource, scope)
    saveWith(session, grant)
    return grant
  }
}

/** The scope as the client wrote it: a pushed request holds its own, and what a browser's address adds is not the client's word. */
function askedScope(ctx: Context): unknown {
  const pushed = (ctx.oidc.entities.PushedAuthorizationRequest as { request?: string } | undefined)?.request
  if (pushed === undefined) return ctx.method === 'GET' ? ctx.query['scope'] : ctx.oidc.body?.['scope']
  const payload = Buffer.from(pushed.split('.')[1] ?? '', 'base64url').toString('utf8') // written by the library, and checked
  return (JSON.parse(payload) as { scope?: unknown }).scope
}

/** A target that scopes name is granted like a `resource`: which one holds where both are there would be a guess. */
function checkScopes(parts: Parts, { oidc }: Context, client: ClientConfig): void {
  const granted = Object.keys(oidc.resourceServers ?? {}).map(targetByResource(parts.targets))
  if (scopedTargets(parts, client, oidc.params?.['scope']).every((target) => granted.includes(target))) return
  throw new errors.InvalidTarget('resource and scope name different targets')
}

/** Which identity provider of a federation a client means; one that is not known is asked about, so that only its size is looked at. */
function checkHint(_ctx: unknown, hint: string | undefined): void {
  if (hint !== undefined && hint.length > 1024) throw new errors.InvalidRequest('idp_hint is no entityID')
}

/**
 * Runs on every authorization, pushed and device request, after the library cut `offline_access` out of the scope (it wants
 * `prompt=consent`, OpenID Connect Core, section 11; configured clients have the operator's consent).
 */
function checkExtras(parts: Parts): (ctx: Context, connector: string | undefined) => void {
  return (ctx, connector) => {
    if (connector !== undefined && !parts.connectors.has(connector)) {
      throw new errors.InvalidRequest('there is no connector of this name')
    }
    const { params, client } = ctx.oidc
    if (!params || !client) return
    // In a fragment it would end in histories and scripts; `response_modes` of a client cannot say this beside the code flow.
    if (params['response_type'] === 'id_token' && params['response_mode'] !== 'form_post') {
      throw new errors.InvalidRequest('an id_token goes by response_mode=form_post only')
    }
    const config = parts.clients.get(client.clientId)
    if (config) checkScopes(parts, ctx, config)
    // keystoneauth before 5.12 sends no scope at all, and a request without scope would end in access_denied.
    params['scope'] ??= 'openid profile email'
    const asked = askedScope(ctx)
    const offline = typeof asked === 'string' && asked.split(' ').includes('offline_access')
    const scopes = new Set(String(params['scope']).split(' '))
    if (offline && config?.offlineAccess && config.grants.includes('refresh')) scopes.add('offline_access')
    params['scope'] = [...scopes].join(' ')
  }
}

function features(parts: Parts): NonNullable<Configuration['features']> {
  return {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    deviceFlow: deviceFlow(parts),
    introspection: {
      enabled: true,
      allowedPolicy: (_ctx, client, token) => mayIntrospect(parts, client.clientId, heldOf(parts, token)),
    },
    revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
    pushedAuthorizationRequests: { enabled: true },
    dPoP: { enabled: true, nonceSecret: parts.root.derive('dpop-nonce'), requireNonce: () => false },
    userinfo: { enabled: true },
    resourceIndicators: resourceIndicators(parts),
    backchannelLogout: { enabled: true },
    ...logoutFeatures(parts),
  }
}

function claimNames(parts: Parts): NonNullable<Configuration['claims']> {
  const profile = ['name', 'preferred_username']
  const email = ['email', 'email_verified']
  const targets = [...parts.targets.values()].flatMap((target) => target.claimNames)
  // Everything also under `openid`: keystoneauth and kubelogin ask for hardly more, and tokens are useless without these.
  return {
    openid: [...new Set(['sub', 'jti', 'auth_time', 'acr', 'amr', ...profile, ...email, ...targets])],
    profile,
    email,
    groups: ['groups'],
  }
}

function cookies(parts: Parts): NonNullable<Configuration['cookies']> {
  const secure = parts.issuer.protocol === 'https:'
  const options = { httpOnly: true, sameSite: 'lax' as const, secure, signed: true, overwrite: true }
  return {
    keys: cookieSigner(parts.root.derive('cookie-signature')) as never, // the published types know arrays only
    // `__Host-`: no other host of this domain can plant a session here (RFC 6265bis, section 4.1.3).
    names: {
      session: secure ? '__Host-lotse-session' : 'lotse-session',
      interaction: 'lotse-interaction',
      resume: 'lotse-resume',
    },
    long: options,
    short: options,
  }
}

function configuration(parts: Parts, proofs: Proofs, successor: (jti: string) => string): Configuration {
  const config = (ctx: { oidc: { client?: { clientId: string } | undefined } }) =>
    parts.clients.get(ctx.oidc.client?.clientId ?? '')
  return {
    adapter: oidcAdapter(parts.store, {
      now: parts.now,
      successor,
      invalidGrant: (message) => new errors.InvalidGrant(message),
      replayed,
    }),
    jwks: { keys: parts.rings.keystore() as unknown as NonNullable<Configuration['jwks']>['keys'] },
    clients: [...parts.clients.values()].map(clientMetadata),
    clientDefaults: { id_token_signed_response_alg: 'ES256', token_endpoint_auth_method: 'none' },
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    cookies: cookies(parts),
    claims: claimNames(parts),
    scopes: SCOPES.split(' '),
    conformIdTokenClaims: false, // kube-apiserver and mod_auth_openidc read the ID token and nothing else
    responseTypes: ['code', 'id_token'],
    subjectTypes: ['public'],
    allowOmittingSingleRegisteredRedirectUri: false,
    pkce: { required: (ctx) => config(ctx as Context)?.pkce !== 'optional' },
    extraParams: { connector: checkExtras(parts) as never, idp_hint: checkHint },
    features: features(parts),
    findAccount: findAccount(parts, proofs),
    loadExistingGrant: grantFor(parts, proofs),
    extraTokenClaims: tokenClaims(parts, proofs),
    ttl: lifetimes(parts, proofs),
    interactions: { url: (_ctx, interaction) => `/login/${interaction.uid}`, policy: policy(parts, proofs) },
    issueRefreshToken: (ctx, client, source) =>
      client.grantTypeAllowed('refresh_token') &&
      (source.scopes.has('offline_access') || config(ctx as Context)?.alwaysRefresh === true),
    rotateRefreshToken: true,
    expiresWithSession: () => false, // true would let a second grant of one session end the first one's tokens
    routes: {
      authorization: '/auth',
      token: '/token',
      jwks: '/jwks',
      code_verification: '/device',
      device_authorization: '/device/auth',
      end_session: '/logout',
      revocation: '/token/revocation',
      introspection: '/token/introspection',
      userinfo: '/userinfo',
      pushed_authorization_request: '/request',
    },
    renderError: (ctx, out, error) => renderOAuthError(parts, ctx as Context, out, error),
    // Back-channel logout goes through our own bounded fetcher; the library's refuses every private address.
    fetch: (url, options) => {
      const { dispatcher: _unused, ...rest } = (options ?? {}) as RequestInit & { dispatcher?: unknown }
      return parts.fetch(url, rest)
    },
  }
}

/**
 * The one place at which oidc-provider is configured. What the library does otherwise than we need is changed here, through
 * what it exposes, and test/http/overrides.test.ts fails when a new version has changed underneath.
 */
export function buildProvider(parts: Parts, proofs: Proofs): Provider {
  const successor = successorOf(parts.root.derive('refresh-successor'))
  const provider = openProvider(parts.issuer.origin, configuration(parts, proofs, successor))
  provider.proxy = true // the headers that this trusts were written by pinOrigin
  provider.silent = true // errors are logged by the boundary
  pinUrls(provider)
  carryProof(provider)
  saveTogether(provider)
  signByRing(provider, parts)
  signIdTokens(provider, parts)
  deriveSuccessors(provider, successor)
  alwaysSid(provider)
  setJwtsAside(provider)
  endAtLogout(provider, parts)
  return provider
}
