import { hash } from 'node:crypto'
import * as client from 'openid-client'
import type { Proof } from '../../core/subject.ts'
import { mergeUserinfo, readClaims, readSubjectId } from '../claims.ts'
import type { Answer, Challenge, Connector, ConnectorPorts, Departure, Hints } from '../connector.ts'
import { failure } from './failure.ts'
import { openHear } from './hear.ts'
import { type Asked, judge, rejected, upstreamAcr, whatToAsk } from './judge.ts'
import type { OidcConfig } from './options.ts'
import { believed } from './preset.ts'
import { probe } from './probe.ts'
import { isOfHere, keptOf, proofOf, sessionOf } from './proof.ts'
import { openRecheck } from './recheck.ts'
import { registration } from './registration.ts'
import { openUpstream, type Upstream } from './upstream.ts'

/** UTF-16 units of an answer's query or form; a code has a few hundred. */
const ANSWER_LIMIT = 16_384
/** UTF-16 units of an id_token_hint; longer URLs are cut off by servers on the way. */
const HINT_LIMIT = 4096

/**
 * A connector to an OpenID provider: code flow with PKCE, state and nonce, the ID token's signature always verified.
 * Not checked: `at_hash` (the access token is used only at userinfo, whose `sub` must be equal), encrypted ID tokens (refused).
 * @throws where the client's secret or key is missing or of no use
 * @see OpenID Connect Core 3.1, RFC 7636, RFC 9207, RFC 9700
 */
export function openOidc(config: OidcConfig, ports: ConnectorPorts): Connector {
  const upstream = openUpstream(config, ports)
  return {
    id: config.id,
    begin: (state, hints) => begin(config, ports, upstream, { state, hints }),
    complete: (answer) => complete(config, ports, upstream, answer),
    recheck: openRecheck(config, ports, upstream),
    logout: (proof, back) => logout(config, ports, upstream, { proof, ...back }),
    hear: openHear(config, ports, upstream),
    print: () => [registration(config, ports)],
    probe: () => probe(config, ports, upstream),
  }
}

async function begin(
  config: OidcConfig,
  ports: ConnectorPorts,
  upstream: Upstream,
  { state, hints }: { readonly state: string; readonly hints: Hints },
): Promise<Challenge> {
  const asked = whatToAsk(config, hints, ports.now())
  const verifier = client.randomPKCECodeVerifier()
  const nonce = client.randomNonce()
  const prompt = hints.prompt ?? config.prompt
  // A provider must say auth_time only where max_age was sent (Core 2): with prompt=login the number itself is of no weight.
  const maxAge = asked.maxAge ?? (asked.freshLogin ? 3600 : undefined)
  const acr = upstreamAcr(config, asked.acrValues)
  const url = new URL((await upstream.metadata()).authorization_endpoint!)
  const parameters: Readonly<Record<string, string | undefined>> = {
    client_id: config.clientId,
    response_type: 'code',
    redirect_uri: ports.callback.href,
    scope: config.scope,
    state,
    nonce,
    code_challenge: hash('sha256', verifier, 'base64url'), // the library's own goes over the thread pool: 130 µs
    code_challenge_method: 'S256',
    response_mode: config.responseMode === 'form_post' ? 'form_post' : undefined,
    prompt,
    max_age: maxAge?.toString(),
    acr_values: acr.length ? acr.join(' ') : undefined,
    login_hint: hints.loginHint,
    ui_locales: hints.uiLocales,
  }
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value)
  return {
    kind: 'redirect',
    url,
    memo: { connector: config.id, issuer: config.issuer, state, nonce, verifier, asked: JSON.stringify(asked) },
  }
}

async function complete(config: OidcConfig, ports: ConnectorPorts, upstream: Upstream, answer: Answer): Promise<Proof> {
  const { memo } = answer
  // Mix-up: an answer to a sign-in that was begun at another upstream (RFC 9700 4.4); `iss` is checked besides.
  if (memo['connector'] !== config.id) throw rejected('it came to another connector than the one that asked')
  // The configuration led the connector elsewhere meanwhile, where neither code nor verifier are to be known.
  if (memo['issuer'] !== config.issuer) throw rejected('the connector led to another upstream when this sign-in began')
  const { state, nonce, verifier } = memo
  // Without these the library would check less: nothing here may be optional.
  if (!state || !nonce || !verifier || !memo['asked']) throw rejected('the memo of this sign-in is incomplete')
  const asked = JSON.parse(memo['asked']) as Asked
  const checks = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true }
  const url = answerUrl(config, ports, answer)

  const { tokens, signed, userinfo } = await upstream.exchange(async (configuration) => {
    const tokens = await client.authorizationCodeGrant(configuration, url, checks)
    await upstream.signed(tokens.id_token!)
    const signed = tokens.claims()!
    const userinfo = config.userinfo === 'merge' ? await upstream.userinfo(tokens.access_token, signed.sub) : undefined
    return { tokens, signed, userinfo }
  })
  const at = ports.now()
  const authentication = judge(config, signed, asked, at)
  const json = believed(config, userinfo ? mergeUserinfo(signed, userinfo) : signed, userinfo)
  const id = readSubjectId(json, config.subjectClaim)
  const { claims, records } = readClaims(json, config.ignore)
  return proofOf(config, ports, {
    subject: { connector: config.id, id, claims, records, ...authentication },
    session: sessionOf(signed['sid']),
    kept: {
      idToken: tokens.id_token!,
      ...(tokens.refresh_token !== undefined && { refreshToken: tokens.refresh_token }),
    },
    at,
  })
}

/** The answer as the library wants it: our own callback, never the URL that a request claims to have (law 1). */
function answerUrl(config: OidcConfig, ports: ConnectorPorts, answer: Answer): URL {
  // An answer by another way than the one asked for was not made by this upstream's own page.
  if (config.responseMode === 'form_post' && !answer.form) throw rejected('it came by query, asked was form_post')
  if (config.responseMode === 'query' && answer.form) throw rejected('it came by form_post, asked was query')
  const parameters = (answer.form ?? answer.url.searchParams).toString()
  if (parameters.length > ANSWER_LIMIT) throw rejected('it is too long')
  const url = new URL(ports.callback)
  url.search = parameters
  return url
}

/** Never fails a logout here because the upstream is down: then there is no URL to go to. */
async function logout(
  config: OidcConfig,
  ports: ConnectorPorts,
  upstream: Upstream,
  { proof, returnTo, state }: { readonly proof: Proof; readonly returnTo: URL; readonly state: string },
): Promise<Departure | undefined> {
  const kept = config.upstreamLogout === 'on' ? keptOf(config, ports, proof) : undefined
  if (!kept || !isOfHere(config, kept)) return undefined
  const metadata = await upstream.metadata().catch((error: unknown) => {
    ports.log('warn', `upstream logout left out: ${failure(error).message}`, { connector: config.id })
  })
  if (!metadata?.end_session_endpoint) return undefined
  const url = new URL(metadata.end_session_endpoint)
  url.searchParams.set('client_id', config.clientId)
  url.searchParams.set('post_logout_redirect_uri', returnTo.href)
  url.searchParams.set('state', state)
  if (kept.idToken.length <= HINT_LIMIT) url.searchParams.set('id_token_hint', kept.idToken)
  return { kind: 'redirect', url }
}
