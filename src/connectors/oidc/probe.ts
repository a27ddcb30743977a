import type { Check } from '../../core/ports.ts'
import type { ConnectorPorts } from '../connector.ts'
import { failure } from './failure.ts'
import type { OidcConfig } from './options.ts'
import type { Upstream } from './upstream.ts'

type Json = Readonly<Record<string, unknown>>

/** UTF-16 units of an upstream's own words that are shown. */
const SHOWN = 200

/**
 * Asks the upstream what can be asked without a person; see `Connector.probe`. Its document is read here beside the library, so that
 * all that is wrong is said at once; what sign-ins would make of it is the last word.
 * @see OpenID Connect Discovery 1.0 sections 3 and 4
 */
export async function probe(config: OidcConfig, ports: ConnectorPorts, upstream: Upstream): Promise<readonly Check[]> {
  const url = `${config.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const document = await readJson(ports, url)
  if (typeof document === 'string') return [bad('discovery', `${url}: ${document}`)]
  const checks = [
    good('discovery', url),
    issuerOf(config, document),
    ...endpointsOf(config, document),
    algsOf(config, document),
    await keysOf(config, ports, document),
  ]
  if (checks.every(({ ok }) => ok)) checks.push(...(await refusalOf(upstream)))
  return [...checks, logoutOf(document), backChannelOf(document), refreshOf(config, document), authOf(config, document)]
}

const good = (check: string, found: string): Check => ({ check, ok: true, found })
const bad = (check: string, found: string): Check => ({ check, ok: false, found })
const note = (check: string, found: string): Check => ({ check, ok: true, found, note: true })

/** A JSON object; a sentence where there is none. */
async function readJson(ports: ConnectorPorts, url: string): Promise<Json | string> {
  try {
    const response = await ports.fetch(url, { redirect: 'manual', headers: { accept: 'application/json' } })
    if (response.status !== 200) return `answered with status ${response.status}`
    const value: unknown = JSON.parse(await response.text())
    return isObject(value) ? value : 'is no JSON object'
  } catch (thrown) {
    return thrown instanceof SyntaxError ? 'is no JSON' : failure(thrown).message
  }
}

function issuerOf(config: OidcConfig, { issuer }: Json): Check {
  const same =
    typeof issuer === 'string' && URL.canParse(issuer) && new URL(issuer).href === new URL(config.issuer).href
  if (same) return good('issuer', config.issuer)
  return bad('issuer', `it calls itself ${shown(issuer)}, and the configuration says ${config.issuer}`)
}

/** Beside a loopback issuer over http, which is for trying, everything is https. */
function endpointsOf(config: OidcConfig, document: Json): readonly Check[] {
  const needed = ['authorization_endpoint', 'token_endpoint', 'jwks_uri']
  if (config.userinfo === 'merge') needed.push('userinfo_endpoint')
  const schemes = config.issuer.startsWith('http:') ? ['https:', 'http:'] : ['https:']
  return needed.map((name) => {
    const value = document[name]
    if (value === undefined) return bad(name, 'is missing')
    const fits = typeof value === 'string' && URL.canParse(value) && schemes.includes(new URL(value).protocol)
    return fits ? good(name, value) : bad(name, `${shown(value)} is no https URL`)
  })
}

/** "RS256 MUST be included" in the list; some upstreams leave the list out. */
function algsOf({ algs }: OidcConfig, document: Json): Check {
  const listed = listOf(document, 'id_token_signing_alg_values_supported')
  if (!listed) return note('algorithms', 'it does not say how it signs ID tokens')
  const both = algs.filter((alg) => listed.includes(alg))
  if (both.length > 0) return good('algorithms', both.join(', '))
  return bad('algorithms', `it signs ${shown(listed.join(', '))}, and the configuration takes ${algs.join(', ')}`)
}

async function keysOf({ algs }: OidcConfig, ports: ConnectorPorts, { jwks_uri: uri }: Json): Promise<Check> {
  if (typeof uri !== 'string' || !URL.canParse(uri)) return bad('keys', 'there is no address to read them from')
  const set = await readJson(ports, uri)
  if (typeof set === 'string') return bad('keys', `${uri}: ${set}`)
  const keys = Array.isArray(set['keys']) ? set['keys'].filter(isObject) : []
  const usable = algs.filter((alg) => keys.some((key) => fits(key, alg)))
  if (usable.length > 0) return good('keys', `${keys.length} published, good for ${usable.join(', ')}`)
  return bad('keys', `of ${keys.length} published none is good for ${algs.join(', ')}`)
}

/** The kind of key that an algorithm needs, and on which curve. @see RFC 7518 section 3.1, RFC 8037, RFC 9864 */
const kinds: Readonly<Record<OidcConfig['algs'][number], readonly [kty: string, crv?: string]>> = {
  ES256: ['EC', 'P-256'],
  ES384: ['EC', 'P-384'],
  ES512: ['EC', 'P-521'],
  RS256: ['RSA'],
  RS384: ['RSA'],
  RS512: ['RSA'],
  PS256: ['RSA'],
  PS384: ['RSA'],
  PS512: ['RSA'],
  EdDSA: ['OKP', 'Ed25519'],
  Ed25519: ['OKP', 'Ed25519'],
}

function fits({ kty, crv, use, alg }: Json, wanted: keyof typeof kinds): boolean {
  const [type, curve] = kinds[wanted]
  if (kty !== type || (curve !== undefined && crv !== curve)) return false
  return (use === undefined || use === 'sig') && (alg === undefined || alg === wanted)
}

/** What a sign-in would meet, where nothing else was found. */
async function refusalOf(upstream: Upstream): Promise<readonly Check[]> {
  try {
    await upstream.metadata()
    return []
  } catch (thrown) {
    return [bad('sign-in', failure(thrown).message)]
  }
}

function logoutOf({ end_session_endpoint: endpoint }: Json): Check {
  if (typeof endpoint === 'string') return good('logout there', endpoint)
  return note('logout there', "no end_session_endpoint: a sign-out here leaves the upstream's session as it is")
}

function backChannelOf(document: Json): Check {
  const named = document['backchannel_logout_session_supported'] === true ? 'names sessions' : 'names people only'
  if (document['backchannel_logout_supported'] === true) return good('back-channel logout', `offered, ${named}`)
  return note('back-channel logout', 'not offered: what ends there ends here at the next recheck, or with the proof')
}

/** Without a refresh token nobody can be asked about again. */
function refreshOf({ scope }: OidcConfig, document: Json): Check {
  const grants = listOf(document, 'grant_types_supported')
  if (grants && !grants.includes('refresh_token'))
    return note('refresh', 'not offered: people are not asked about again before their proof ends')
  const asked = scope.split(' ').includes('offline_access')
  const offered = listOf(document, 'scopes_supported')?.includes('offline_access') === true
  if (asked && !offered)
    return note('refresh', 'the scope offline_access is asked for, and it does not say that it has it')
  if (!asked && offered)
    return note('refresh', 'it has the scope offline_access, which the configuration does not ask for')
  if (!grants) return note('refresh', 'it does not say whether it gives refresh tokens')
  return good('refresh', asked ? 'offered, with offline_access' : 'offered')
}

/** The list's default is `client_secret_basic`; it is not always complete, so a gap is no mistake yet. */
function authOf({ auth }: OidcConfig, document: Json): Check {
  const listed = listOf(document, 'token_endpoint_auth_methods_supported') ?? ['client_secret_basic']
  if (listed.includes(auth)) return good('client authentication', auth)
  return note('client authentication', `${auth} is not among what it lists: ${shown(listed.join(', '))}`)
}

function listOf(document: Json, name: string): readonly string[] | undefined {
  const value = document[name]
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : undefined
}

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

const shown = (value: unknown): string => (value === undefined ? 'nothing' : String(value).slice(0, SHOWN))
