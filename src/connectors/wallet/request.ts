import { generateKeyPairSync, type JsonWebKey, randomBytes } from 'node:crypto'
import { LoginError } from '../../core/errors.ts'
import type { ConnectorPorts, Hints, Memo } from '../connector.ts'
import type { WalletConfig } from './options.ts'
import type { WalletRequest, WalletWay } from './side.ts'
import type { Signer } from './signer.ts'

/** One request of a sign-in, with what its answer is held to. */
export interface Exchange extends WalletRequest {
  readonly nonce: string
  /** The private half of the key to which the answer is encrypted: made for this request alone (HAIP 1.0, 5). */
  readonly key: JsonWebKey & { readonly kid: string }
}

/** All that a sign-in leaves for its answer. */
export interface Exchanges {
  readonly state: string
  /** Unix seconds. */
  readonly until: number
  /** How strongly the client wants somebody to be authenticated; one of these. */
  readonly acrValues: readonly string[]
  readonly all: readonly Exchange[]
}

/** Encryptions that an answer may have (HAIP 1.0, 5). */
export const encryptions = ['A128GCM', 'A256GCM'] as const

/** What requests are made of, besides what is new in each. */
export interface Asking {
  readonly config: WalletConfig
  readonly ports: Pick<ConnectorPorts, 'wallet' | 'seal' | 'open' | 'now' | 'log'>
  /** Undefined where nothing is signed. */
  readonly signer: Signer | undefined
  /** DCQL. */
  readonly query: () => object
}

/** New requests for a sign-in: one for each way in which a wallet may be reached. A presentation is always made anew, whatever age a client takes. */
export function newExchanges(
  { config, ports, signer }: Asking,
  state: string,
  { acrValues = [] }: Pick<Hints, 'acrValues'>,
): Exchanges {
  const ways: readonly WalletWay[] = [
    'here',
    ...(config.crossDevice === 'on' ? ['elsewhere' as const] : []),
    // An unsigned request would name no client at all there: its origin is all that a wallet sees.
    ...(config.browserApi === 'on' && signer ? ['browser' as const] : []),
  ]
  const all = ways.map(
    (way): Exchange => ({
      id: randomBytes(24).toString('base64url'),
      way,
      ...(signer ? {} : { whole: true as const }),
      nonce: randomBytes(24).toString('base64url'),
      key: newKey(),
    }),
  )
  return { state, until: ports.now() + config.requestTtl, acrValues, all }
}

function newKey(): Exchange['key'] {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { ...privateKey.export({ format: 'jwk' }), kid: randomBytes(9).toString('base64url') }
}

const sealContext = ({ id }: Pick<WalletConfig, 'id'>) => `wallet\n${id}\nexchanges`

/** What `begin` leaves for the answer: the keys and nonces are read by nobody else. */
export function memoOf({ config, ports }: Asking, exchanges: Exchanges): Memo {
  return { connector: config.id, sealed: ports.seal(JSON.stringify(exchanges), sealContext(config)) }
}

/** @throws {LoginError} `upstream_rejected` where it is no memo of this connector */
export function exchangesIn({ config, ports }: Pick<Asking, 'config' | 'ports'>, memo: Memo): Exchanges {
  // Mix-up: an answer to a sign-in that was begun at another upstream.
  if (memo['connector'] !== config.id || !memo['sealed'])
    throw new LoginError('upstream_rejected', 'the memo of this sign-in is of another connector, or incomplete')
  return JSON.parse(ports.open(memo['sealed'], sealContext(config))) as Exchanges // sealed by nobody but `memoOf`
}

const below = (base: URL, id: string) => new URL(`${base.pathname}/${id}`, base)

/** The client id of a request. */
export function clientIdOf({ ports, signer }: Pick<Asking, 'ports' | 'signer'>, { id }: Pick<Exchange, 'id'>): string {
  const response = below(ports.wallet.response, id)
  return signer ? signer.clientId(response) : `redirect_uri:${response.href}`
}

/**
 * For whom a presentation that answers a request has to be made. By the browser's own API that is the gateway's origin, "even for signed
 * requests", written with a slash in the standard's example and without one as browsers write origins: either is it.
 * @see OpenID4VP 1.0, 5.9.1 and A.4
 */
export function audiencesOf(
  asking: Pick<Asking, 'ports' | 'signer'>,
  exchange: Pick<Exchange, 'id' | 'way'>,
): readonly [string, ...string[]] {
  if (exchange.way !== 'browser') return [clientIdOf(asking, exchange)]
  const origin = `origin:${asking.ports.wallet.response.origin}`
  return [origin, `${origin}/`]
}

/** The parameters of a request. @see OpenID4VP 1.0, 5 and A.2 */
export function parametersOf(asking: Asking, { state, until }: Exchanges, exchange: Exchange): Record<string, unknown> {
  const { config, ports, query } = asking
  const { way, nonce } = exchange
  const response = below(ports.wallet.response, exchange.id)
  const mode = way === 'browser' ? 'dc_api' : 'direct_post'
  return {
    response_type: 'vp_token',
    response_mode: config.response === 'encrypted' ? `${mode}.jwt` : mode,
    client_id: clientIdOf(asking, exchange),
    ...(way === 'browser' ? { expected_origins: [response.origin] } : { response_uri: response.href, state }),
    nonce,
    dcql_query: query(),
    client_metadata: metadataOf(config, exchange),
    exp: until,
  }
}

function metadataOf(config: WalletConfig, { key }: Exchange): object {
  const { kty, crv, x, y, kid } = key
  const formats = new Set(config.credentials.filter(({ from }) => from !== 'operator').map(({ format }) => format))
  return {
    vp_formats_supported: Object.fromEntries([...formats].map((format) => [format, algorithms[format]])),
    ...(config.response === 'encrypted' && {
      jwks: { keys: [{ kty, crv, x, y, kid, use: 'enc', alg: 'ECDH-ES' }] },
      encrypted_response_enc_values_supported: encryptions,
    }),
  }
}

const algs = ['ES256', 'ES384', 'PS256', 'RS256', 'EdDSA']
/** OpenID4VP 1.0, B.1.3.1.3 and B.3.4; for `vp+jwt` our own profile. */
const algorithms = {
  'dc+sd-jwt': { 'sd-jwt_alg_values': algs, 'kb-jwt_alg_values': algs },
  jwt_vc_json: { alg_values: algs },
  'vp+jwt': { alg_values: algs },
} as const

/** The request object, as a wallet fetches it. @throws {LoginError} `login_expired` */
export function requestObject(
  asking: Asking,
  exchanges: Exchanges,
  { id, nonce }: { readonly id: string; readonly nonce?: string },
): string {
  const exchange = exchanges.all.find((one) => one.id === id && !one.whole)
  if (!exchange || !asking.signer) throw new LoginError('login_expired', 'this sign-in has no such request')
  return asking.signer.sign({
    ...parametersOf(asking, exchanges, exchange),
    // "the `aud` claim MUST be "https://self-issued.me/v2", when Static Discovery metadata is used" (OpenID4VP 1.0, 5.8).
    aud: 'https://self-issued.me/v2',
    iat: asking.ports.now(),
    ...(nonce === undefined ? {} : { wallet_nonce: nonce }),
  })
}

/** What opens a wallet: by reference, or with all of it where nothing is signed. */
export function linkTo(asking: Asking, exchanges: Exchanges, exchange: Exchange): string {
  const { config, ports } = asking
  const query = exchange.whole
    ? Object.entries(parametersOf(asking, exchanges, exchange)).map(([name, value]): [string, string] => [
        name,
        typeof value === 'string' ? value : JSON.stringify(value),
      ])
    : Object.entries({
        client_id: clientIdOf(asking, exchange),
        request_uri: below(ports.wallet.request, exchange.id).href,
        request_uri_method: 'post',
      })
  // Not by URLSearchParams: its `+` for a space is read as a plus by several wallets.
  return `${config.walletUrl}?${query.map((pair) => pair.map(encodeURIComponent).join('=')).join('&')}`
}
