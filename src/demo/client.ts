import * as oauth from 'openid-client'

/** One client of the gateway as an application would write it: discovery, code with PKCE, checked ID tokens. */
export interface WebClient {
  begin(wishes: Wishes): Promise<Begun>
  /** @throws where the answer is not the one to this sign-in, or says an error (`refusalOf`) */
  finish(answer: URL, begun: Begun): Promise<Tokens>
  /** @throws with `refusalOf` where the refresh token is no longer good, or the person has nothing at that target */
  refresh(refreshToken: string, resource?: string): Promise<Tokens>
  logoutUrl(idToken: string): Promise<URL>
}

/** How a sign-in shall go. */
export interface Wishes {
  /** An address whose domain leads to an organisation. */
  readonly hint?: string
  /** The id of the connector by which to sign in. */
  readonly connector?: string
  /** `login`: the organisation asks again, whoever is signed in. */
  readonly prompt?: 'login'
}

/** What a browser's session keeps until the answer comes. */
export interface Begun {
  readonly url: URL
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

export interface Tokens {
  readonly accessToken: string
  readonly refreshToken: string
  readonly idToken: string
}

export interface WebClientOptions {
  readonly issuer: string
  readonly clientId: string
  readonly redirectUri: string
  readonly afterLogout: string
  /** The targets for which tokens are wanted, as `resource` names them (RFC 8707). */
  readonly resources: readonly string[]
}

/** Discovers the gateway when first needed. */
export function openWebClient(options: WebClientOptions): WebClient {
  let discovered: Promise<oauth.Configuration> | undefined
  const gateway = () => {
    // Without TLS only because both live on loopback.
    discovered ??= oauth.discovery(new URL(options.issuer), options.clientId, undefined, oauth.None(), {
      execute: [oauth.allowInsecureRequests, oauth.enableNonRepudiationChecks],
    })
    return discovered
  }
  const [first = ''] = options.resources
  return {
    async begin({ hint, connector, prompt }) {
      const [state, nonce, verifier] = [oauth.randomState(), oauth.randomNonce(), oauth.randomPKCECodeVerifier()]
      const parameters = new URLSearchParams({
        redirect_uri: options.redirectUri,
        scope: 'openid profile email groups',
        state,
        nonce,
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        ...(hint === undefined ? {} : { login_hint: hint }),
        ...(connector === undefined ? {} : { connector }),
        ...(prompt === undefined ? {} : { prompt }),
      })
      for (const resource of options.resources) parameters.append('resource', resource)
      return { url: oauth.buildAuthorizationUrl(await gateway(), parameters), state, nonce, verifier }
    },
    async finish(answer, { state, nonce, verifier }) {
      const checks = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true }
      return tokensOf(await oauth.authorizationCodeGrant(await gateway(), answer, checks, { resource: first }))
    },
    async refresh(refreshToken, resource = first) {
      return tokensOf(await oauth.refreshTokenGrant(await gateway(), refreshToken, { resource }))
    },
    async logoutUrl(idToken) {
      const parameters = { id_token_hint: idToken, post_logout_redirect_uri: options.afterLogout }
      return oauth.buildEndSessionUrl(await gateway(), parameters)
    },
  }
}

/** The OAuth error code inside what a client's call threw; undefined where something else went wrong. */
export function refusalOf(error: unknown): string | undefined {
  return error instanceof oauth.ResponseBodyError || error instanceof oauth.AuthorizationResponseError
    ? error.error
    : undefined
}

function tokensOf(answer: oauth.TokenEndpointResponse): Tokens {
  const { access_token: accessToken, refresh_token: refreshToken = '', id_token: idToken = '' } = answer
  return { accessToken, refreshToken, idToken }
}
