import type { ClientConfig } from './clients.ts'
import { isLoopback } from './fields.ts'
import type { Path } from './problem.ts'

/** A mistake that no single field shows: where, and what to write instead. */
export interface Mistake {
  readonly path: Path
  readonly message: string
}

/** What a client may refer to. */
export interface Known {
  readonly connectors: ReadonlySet<string>
  /** Target ids and the audience of each. */
  readonly targets: ReadonlyMap<string, string>
}

type Check = (client: ClientConfig, known: Known) => readonly (Mistake | false | undefined)[]

const say = (path: Path, message: string): Mistake => ({ path, message })

const checks: readonly Check[] = [authentication, grants, references, audience, redirects]

/** What one client's options contradict each other, or the rest of the file, in. Paths count from the client. */
export function clientMistakes(client: ClientConfig, known: Known): readonly Mistake[] {
  return checks.flatMap((check) => check(client, known)).filter((mistake) => typeof mistake === 'object')
}

function authentication({ auth, secret, jwks, pkce, native, introspect }: ClientConfig) {
  const bySecret = auth.startsWith('client_secret_')
  const secretKey = jwks?.keys.findIndex((key) => 'd' in key || 'k' in key) ?? -1
  return [
    bySecret && secret === undefined && say(['auth'], `${auth} needs a secret; write secret: { env: NAME }`),
    !bySecret &&
      secret !== undefined &&
      say(['secret'], `not used with auth: ${auth}; take it out, or write auth: client_secret_basic`),
    auth === 'private_key_jwt' &&
      !jwks &&
      say(['auth'], 'private_key_jwt needs jwks: with the public keys of the client'),
    auth !== 'private_key_jwt' &&
      jwks &&
      say(['jwks'], `not used with auth: ${auth}; take it out, or write auth: private_key_jwt`),
    // A private key that lies in a configuration has left the client's hands.
    secretKey >= 0 && say(['jwks', 'keys', secretKey], 'holds a secret or private key; write the public key only'),
    // RFC 9700, section 2.1.1: public clients must use PKCE. Programs that cannot are at least bound to loopback.
    auth === 'none' &&
      pkce === 'optional' &&
      !native &&
      say(['pkce'], 'a public client without PKCE; write required, or give it a secret'),
    auth === 'none' && introspect && say(['introspect'], 'a public client may not introspect; give it a secret'),
  ]
}

function grants(client: ClientConfig) {
  const has = (grant: ClientConfig['grants'][number]) => client.grants.includes(grant)
  const browser = has('code') || has('implicit')
  const renews = client.offlineAccess || client.alwaysRefresh || client.refreshLifetime !== undefined
  const option = client.offlineAccess ? 'offlineAccess' : client.alwaysRefresh ? 'alwaysRefresh' : 'refreshLifetime'
  return [
    // A service that only asks about tokens holds none.
    client.grants.length === 0 &&
      !client.introspect &&
      say(['grants'], 'no grant, so no token; write [code], or introspect: true where it only asks about tokens'),
    browser &&
      client.redirectUris.length === 0 &&
      say(['redirectUris'], 'missing; the grants code and implicit need a redirect URI'),
    !browser &&
      client.redirectUris.length > 0 &&
      say(['redirectUris'], 'not used without the grant code or implicit; take it out'),
    has('refresh') && !has('code') && !has('device') && say(['grants'], 'refresh goes with code or device; add one'),
    renews && !has('refresh') && say([option], 'needs the grant refresh; add it to grants'),
    client.neverSlowDown && !has('device') && say(['neverSlowDown'], 'needs the grant device; add it to grants'),
    // RFC 6749, section 4.4: confidential clients only.
    has('client_credentials') &&
      client.auth === 'none' &&
      say(['grants'], 'client_credentials needs a client that proves itself; write auth: client_secret_basic'),
    has('client_credentials') &&
      !client.serviceAccount &&
      say(['grants'], 'client_credentials needs serviceAccount: whom the rules decide for'),
    !has('client_credentials') &&
      client.serviceAccount &&
      say(['serviceAccount'], 'needs the grant client_credentials; add it to grants'),
  ]
}

function references({ target, targets, serviceAccount }: ClientConfig, known: Known) {
  const ids = [...known.targets.keys()].join(', ') || 'none yet'
  const unknown = (id: string) => !known.targets.has(id)
  return [
    target !== undefined && unknown(target) && say(['target'], `no such target; write one of: ${ids}`),
    ...targets.map((id, index) => unknown(id) && say(['targets', index], `no such target; write one of: ${ids}`)),
    serviceAccount &&
      !known.connectors.has(serviceAccount.connector) &&
      say(
        ['serviceAccount', 'connector'],
        `no such connector; write one of: ${[...known.connectors].join(', ') || 'none yet'}`,
      ),
  ]
}

/** An ID token's audience is the client's id: where a foreign target takes that as its own, it takes the ID token (law 8). */
function audience({ id, target }: ClientConfig, known: Known) {
  const clash = [...known.targets].find(([other, value]) => other !== target && value === id)
  return [clash && say(['id'], `equals the audience of target ${clash[0]}, which would take its ID tokens; rename one`)]
}

function redirects(client: ClientConfig) {
  const implicit = client.grants.includes('implicit')
  const each = (field: 'redirectUris' | 'postLogoutRedirectUris') =>
    client[field].map((uri, index) => {
      const wrong = redirectMistake(uri, client.native, implicit && field === 'redirectUris')
      if (wrong) return say([field, index], wrong)
      return client[field].indexOf(uri) !== index && say([field, index], 'stands here twice; keep one')
    })
  return [...each('redirectUris'), ...each('postLogoutRedirectUris')]
}

/** @see RFC 8252, section 7, and RFC 9700, section 2.1: exact, https, or a program's own loopback port or private scheme */
function redirectMistake(uri: string, native: boolean, implicit: boolean): string | undefined {
  if (!URL.canParse(uri)) return 'not an absolute URI; write https://…'
  const { protocol, hostname, hash, username, password } = new URL(uri)
  if (hash || uri.includes('#')) return 'has a fragment; take out the # and what follows'
  if (username || password) return 'holds a user or password; take them out'
  if (uri.includes('*')) return 'has a wildcard, and redirect URIs are compared exactly; write each one'
  if (protocol === 'https:') return undefined
  if (protocol === 'http:') {
    if (!isLoopback(hostname)) return 'http is for loopback only; write https://…'
    return implicit && !native ? 'implicit needs https; write https://…' : undefined
  }
  if (!native) return 'not https; a scheme of its own is for native clients (native: true)'
  return protocol.includes('.')
    ? undefined
    : 'not a private-use scheme; write a reversed domain such as com.example.app:/callback'
}
