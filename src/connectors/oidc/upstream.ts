import { AsyncLocalStorage } from 'node:async_hooks'
import * as client from 'openid-client'
import { LoginError } from '../../core/errors.ts'
import type { ConnectorPorts } from '../connector.ts'
import { checkSignature } from '../signature.ts'
import { failure, isKeyTrouble } from './failure.ts'
import { SKEW } from './judge.ts'
import { type Keys, openKeys } from './keys.ts'
import type { OidcConfig } from './options.ts'
import { clientAuthentication } from './private-key.ts'

/** Seconds for discovery; the fetcher may be stricter. */
const TIMEOUT = 5
/** Seconds after which the discovery document is read again, beside the sign-ins that go on with the old one. */
const FRESH = 3600
/** Seconds of waiting after a failed discovery: 1, 2, 4 … */
const LONGEST_WAIT = 30
/** Seconds between two looks at the keys because a signature did not fit. */
const KEY_PAUSE = 10

/** What the connector knows of its upstream's endpoints and keys, found out when first needed and kept. */
export interface Upstream {
  /** @throws {LoginError} `upstream_unavailable` */
  metadata(): Promise<client.ServerMetadata>
  /**
   * Runs one exchange with the upstream. The ID token's signature is left to `signed`.
   * @param seen gets the token endpoint's answer where its status is 2xx, before any of it was checked
   * @throws {LoginError}
   */
  exchange<T>(run: (configuration: client.Configuration) => Promise<T>, seen?: Seen): Promise<T>
  /**
   * The signature of an ID token is by one of the upstream's keys. Always asked for: TLS to the token endpoint could stand for it, but
   * a proxy in between could not.
   * @throws what `failure` reads
   */
  signed(idToken: string): Promise<void>
  /**
   * Userinfo of somebody; where it is signed, by the upstream's keys.
   * @throws what the library throws
   */
  userinfo(accessToken: string, sub: string): Promise<client.UserInfoResponse>
  readonly keys: Keys
}

type Seen = (answer: string) => void

/** Makes no request until asked. */
export function openUpstream(config: OidcConfig, ports: ConnectorPorts): Upstream {
  const discover = discovery(config, ports)
  const authenticate = clientAuthentication(config)
  const keys = openKeys(config, ports, { metadata: discover })
  const seenBy = new AsyncLocalStorage<Seen>()
  let steady: Steady | undefined
  let keysSought = Number.NEGATIVE_INFINITY

  const configure = async ({ metadata, skew }: Pick<Steady, 'metadata' | 'skew'>) => {
    const made = new client.Configuration(
      // The library takes its allow-list from here, and nothing outside our own may pass, whatever the upstream says.
      {
        ...metadata,
        id_token_signing_alg_values_supported: config.algs,
        userinfo_signing_alg_values_supported: config.algs,
      },
      config.clientId,
      { [client.clockSkew]: skew, [client.clockTolerance]: SKEW },
      await authenticate(metadata),
    )
    made[client.customFetch] = (url, options) => listened(ports.fetch, seenBy.getStore())(url, options)
    made.timeout = 0 // the fetcher's own is called off with the answer; the library's would make an error for nobody each time: 0.1 ms
    if (config.issuer.startsWith('http:')) client.allowInsecureRequests(made)
    return made
  }

  /** One for each over many sign-ins, since the library reads a key anew for each: 0.3 ms. */
  const current = async (): Promise<Steady> => {
    const metadata = await discover()
    // The library reads the wall clock; the difference to ours makes it follow.
    const skew = ports.now() - Math.floor(Date.now() / 1000)
    if (steady?.metadata === metadata && Math.abs(steady.skew - skew) <= 1) return steady
    const [exchanging, asking] = [await configure({ metadata, skew }), await configure({ metadata, skew })]
    // Off by default.
    client.enableNonRepudiationChecks(asking)
    const known = steady && client.getJwksCache(steady.asking)
    if (known) client.setJwksCache(asking, known)
    steady = { metadata, skew, exchanging, asking }
    return steady
  }

  return {
    metadata: discover,
    keys,
    async exchange(run, seen) {
      const work = async () => run((await current()).exchanging)
      try {
        return await (seen ? seenBy.run(seen, work) : work())
      } catch (thrown) {
        throw failure(thrown)
      }
    },
    signed: (idToken) => keys.verify((set) => checkSignature(idToken, set.keys, config.algs)),
    async userinfo(accessToken, sub) {
      const ask = async () => client.fetchUserInfo((await current()).asking, accessToken, sub)
      try {
        return await ask()
      } catch (first) {
        // As `keys` does for what is not userinfo.
        if (!isKeyTrouble(first) || ports.now() - keysSought < KEY_PAUSE) throw first
        keysSought = ports.now()
        steady = undefined
        return await ask()
      }
    },
  }
}

/** Configurations of the library, and what they were made of. */
interface Steady {
  readonly metadata: client.ServerMetadata
  /** Seconds from the wall clock to ours. */
  readonly skew: number
  readonly exchanging: client.Configuration
  /** For userinfo, whose signature the library checks. */
  readonly asking: client.Configuration
}

/** Tells of the token endpoint's answer before anybody reads it. */
function listened(fetch: typeof globalThis.fetch, seen: Seen | undefined): client.CustomFetch {
  return async (url, options) => {
    // The library's options are those of fetch, written down more narrowly.
    const response = await fetch(url, options as RequestInit)
    if (!seen || options.method !== 'POST' || !response.ok) return response
    const body = await response.text()
    seen(body)
    return new Response(body, { status: response.status, headers: response.headers })
  }
}

/** One discovery at a time; its document is kept, renewed behind the sign-ins, and asked for in growing intervals if it fails. */
function discovery(config: OidcConfig, ports: ConnectorPorts): () => Promise<client.ServerMetadata> {
  let known: { metadata: client.ServerMetadata; at: number } | undefined
  let running: Promise<client.ServerMetadata> | undefined
  let failures = 0
  let notBefore = 0

  const start = () => {
    running ??= discoverOnce(config, ports)
      .then(
        (metadata) => {
          known = { metadata, at: ports.now() }
          failures = 0
          return metadata
        },
        (error: unknown) => {
          notBefore = ports.now() + Math.min(2 ** failures, LONGEST_WAIT)
          failures = Math.min(failures + 1, 10)
          throw unavailable(config, error)
        },
      )
      .finally(() => {
        running = undefined
      })
    return running
  }

  return async () => {
    const waiting = ports.now() < notBefore
    if (!known) {
      if (waiting && !running) throw unavailable(config, `not asked again before ${notBefore}`)
      return await start()
    }
    if (ports.now() - known.at > FRESH && !waiting && !running)
      start().catch((error: LoginError) => ports.log('warn', error.message, { connector: config.id }))
    return known.metadata
  }
}

async function discoverOnce(config: OidcConfig, ports: ConnectorPorts): Promise<client.ServerMetadata> {
  const found = await client.discovery(new URL(config.issuer), config.clientId, undefined, undefined, {
    [client.customFetch]: (url, options) => ports.fetch(url, options as RequestInit),
    timeout: TIMEOUT,
    execute: config.issuer.startsWith('http:') ? [client.allowInsecureRequests] : [],
  })
  // The metadata carries functions of the library; only the data is kept.
  const metadata = JSON.parse(JSON.stringify(found.serverMetadata())) as client.ServerMetadata
  // The library lets Entra ID's "common" and B2C pass, where every tenant of the world can sign in.
  if (new URL(metadata.issuer).href !== new URL(config.issuer).href)
    throw new LoginError(
      'upstream_unavailable',
      "its discovery document names another issuer; write one tenant's issuer",
    )
  const schemes = config.issuer.startsWith('http:') ? ['https:', 'http:'] : ['https:']
  const isUsable = (value: unknown) =>
    typeof value === 'string' && URL.canParse(value) && schemes.includes(new URL(value).protocol)
  for (const endpoint of ['authorization_endpoint', 'token_endpoint', 'jwks_uri'] as const) {
    if (!isUsable(metadata[endpoint]))
      throw new LoginError('upstream_unavailable', `its discovery document has no usable ${endpoint}`)
  }
  // A sign-out does without one that would take the person's ID token over plain HTTP, or is no address at all.
  if (!isUsable(metadata.end_session_endpoint)) delete (metadata as Record<string, unknown>)['end_session_endpoint']
  return metadata
}

function unavailable(config: OidcConfig, cause: unknown): LoginError {
  const why = typeof cause === 'string' ? cause : failure(cause).message
  return new LoginError('upstream_unavailable', `discovery at ${config.issuer} failed: ${why}`, {
    facts: { organisation: config.label },
  })
}
