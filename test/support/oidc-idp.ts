import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import Provider, { type Configuration } from 'oidc-provider'

/** Somebody who can sign in: any claims beside `sub`; `groups` and the like go into the ID token. */
export interface Person {
  readonly sub: string
  readonly claims?: Readonly<Record<string, unknown>>
  readonly acr?: string
  readonly amr?: readonly string[]
}

export interface IdpClient {
  readonly id: string
  readonly secret?: string
  readonly redirectUris: readonly string[]
  readonly postLogoutRedirectUris?: readonly string[]
  /** More of oidc-provider's client metadata, such as `jwks`. */
  readonly more?: Readonly<Record<string, unknown>>
}

export interface IdpOptions {
  readonly people: readonly Person[]
  readonly clients: readonly IdpClient[]
  /** 0 by default: the system chooses. */
  readonly port?: number
  /** `127.0.0.1` by default; `localhost` is another site to a browser. */
  readonly host?: 'localhost' | '127.0.0.1'
  /** PEM texts: the upstream speaks https. */
  readonly tls?: { readonly key: string; readonly cert: string }
  /** Stands first at every request; answers true where it has answered itself (down, slow, tampered). */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean
  /** Spread over oidc-provider's configuration. */
  readonly configuration?: Configuration
}

export interface Idp {
  readonly issuer: string
  /** What the upstream was asked at its authorization endpoint, newest last. */
  readonly asked: readonly URLSearchParams[]
  close(): Promise<void>
}

/**
 * An OpenID provider in this process, on loopback. Its sign-in is one page of plain forms: one button for each person
 * (field `person`), and one that declines. Claims stand in the ID token. Session cookies are kept: a second sign-in is silent.
 */
export async function startIdp(options: IdpOptions): Promise<Idp> {
  let handle: (request: IncomingMessage, response: ServerResponse) => void = (_, response) => response.end()
  const { tls, host = '127.0.0.1' } = options
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    if (!options.intercept?.(request, response)) handle(request, response)
  }
  const server = tls ? createSecureServer(tls, listener) : createServer(listener)
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  const issuer = `${tls ? 'https' : 'http'}://${host}:${(server.address() as AddressInfo).port}`
  const asked: URLSearchParams[] = []
  const provider = createProvider(issuer, options)
  const oidc = provider.callback()
  handle = (request, response) => {
    const url = new URL(request.url ?? '/', issuer)
    if (url.pathname === '/auth' && url.search) asked.push(url.searchParams)
    const handled = url.pathname.startsWith('/sign-in/')
      ? signIn(provider, options.people, request, response)
      : oidc(request, response)
    handled.catch((error: Error) => {
      response.writeHead(500, { 'content-type': 'text/plain' }).end(error.message)
    })
  }
  return {
    issuer,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** An upstream whose list of people changes while it runs: who has left it is gone, also at a refresh. */
export const asTheyAreNow = (people: readonly Person[]): Configuration => ({
  findAccount: (_ctx, id) => {
    const found = people.find(({ sub }) => sub === id)
    return found && { accountId: id, claims: () => ({ sub: id, ...found.claims }) }
  },
})

function createProvider(issuer: string, { people, clients, configuration }: IdpOptions): Provider {
  const names = [...new Set(people.flatMap((person) => Object.keys(person.claims ?? {})))]
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return new Provider(issuer, {
    clients: clients.map((one) => ({
      client_id: one.id,
      ...(one.secret ? { client_secret: one.secret } : { token_endpoint_auth_method: 'none' as const }),
      redirect_uris: [...one.redirectUris],
      post_logout_redirect_uris: [...(one.postLogoutRedirectUris ?? [])],
      grant_types: ['authorization_code', 'refresh_token'],
      id_token_signed_response_alg: 'ES256' as const,
      ...one.more,
    })),
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'idp', use: 'sig', alg: 'ES256' }] },
    // One scope for all, so that a test names claims and nothing else; conformIdTokenClaims off puts them into the ID token.
    claims: { openid: ['sub', 'acr', 'amr', 'auth_time', ...names] },
    conformIdTokenClaims: false,
    scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
    acrValues: [...new Set(people.flatMap((person) => person.acr ?? []))],
    features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: true } },
    interactions: { url: (_ctx, interaction) => `/sign-in/${interaction.uid}` },
    findAccount: (_ctx, id) => ({
      accountId: id,
      claims: () => ({ sub: id, ...people.find(({ sub }) => sub === id)?.claims }),
    }),
    // First-party clients: nobody is asked for consent.
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client!.clientId,
        accountId: ctx.oidc.session!.accountId!,
      })
      grant.addOIDCScope('openid offline_access profile email groups')
      grant.addOIDCClaims(names)
      await grant.save()
      return grant
    },
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    cookies: { keys: [randomBytes(16).toString('hex')], long: { signed: true }, short: { signed: true } },
    ttl: {
      AccessToken: 600,
      AuthorizationCode: 60,
      IdToken: 600,
      Interaction: 600,
      Session: 3600,
      Grant: 3600,
      RefreshToken: 3600,
    },
    ...configuration,
  })
}

async function signIn(
  provider: Provider,
  people: readonly Person[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'POST') {
    const { params } = await provider.interactionDetails(request, response)
    const hint = typeof params['login_hint'] === 'string' ? params['login_hint'] : ''
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page(people, hint))
    return
  }
  let body = ''
  for await (const chunk of request) body += chunk
  const person = people.find(({ sub }) => sub === new URLSearchParams(body).get('person'))
  await provider.interactionFinished(
    request,
    response,
    person
      ? {
          login: {
            accountId: person.sub,
            ...(person.acr && { acr: person.acr }),
            ...(person.amr && { amr: [...person.amr] }),
          },
        }
      : { error: 'access_denied', error_description: 'the person declined' },
    { mergeWithLastSubmission: false },
  )
}

const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`)

function page(people: readonly Person[], hint: string): string {
  const button = ({ sub, claims }: Person) =>
    `<form method="post" name="${escapeHtml(sub)}"><input type="hidden" name="person" value="${escapeHtml(sub)}">` +
    `<button>${escapeHtml(String(claims?.['name'] ?? sub))}</button></form>`
  return `<!doctype html><html lang="en"><title>Sign in</title><h1>Who are you?</h1><p>${escapeHtml(hint)}</p>${people
    .map(button)
    .join('')}<form method="post" name="decline"><button>Decline</button></form></html>`
}
