import { createHmac, createSecretKey, hash } from 'node:crypto'
import Provider, { errors } from 'oidc-provider'
import { ISSUER_RING } from '../core/ports.ts'
import type { Target } from '../targets/target.ts'
import type { Parts } from './parts.ts'
import type { Context } from './proofs.ts'
import { idTokenTarget, targetByResource } from './resources.ts'

/*
 * Overrides of classes that a Provider hands out by a documented getter; they belong to that one instance, so the function that
 * builds a Provider calls these. `getValueAndPayload`, `generateTokenId`, `IN_PAYLOAD` and `includeSid` are not in the published types:
 * each cast below names what test/http/overrides.test.ts proves to be there, so that a new version of the library fails the test first.
 */

interface TokenClass {
  prototype: {
    getValueAndPayload(): Promise<{ value: string; payload?: Record<string, unknown> }>
    generateTokenId(): string
  }
}
interface IssuingToken {
  format?: string
  readonly resourceServer?: { identifier(): string }
  readonly accountId?: string
}

/** Claims of a JWT access token as RFC 9068, section 2.2 has them, from what the library would have stored. */
function accessTokenClaims(issuer: string, payload: Record<string, unknown>): Record<string, unknown> {
  const { extra, accountId, clientId, grantId, aud, scope, jti, iat, exp, jkt, sid } = payload
  return {
    ...(extra as Record<string, unknown> | undefined),
    iss: issuer,
    sub: (extra as { sub?: string } | undefined)?.sub ?? accountId ?? clientId,
    client_id: clientId,
    aud,
    ...(scope ? { scope } : {}),
    ...(sid ? { sid } : {}),
    // What a JWT rests on, since none is stored: by it introspection finds grant and proof. The name is the Grant Management draft's.
    ...(grantId ? { grant_id: grantId } : {}),
    jti,
    iat,
    exp,
    ...(jkt ? { cnf: { jkt } } : {}),
  }
}

/**
 * Access tokens are signed by the target's own ring, whose keys never enter the library's keystore: there the first fitting key
 * signs ID tokens too, and the Apache modules in front of Keystone check neither `aud` nor `typ` (law 8).
 */
export function signByRing(provider: Provider, parts: Pick<Parts, 'targets' | 'rings' | 'issuer'>): void {
  const target = targetByResource(parts.targets)
  const issuer = provider.issuer
  for (const Token of [provider.AccessToken, provider.ClientCredentials] as unknown as TokenClass[]) {
    const make = Token.prototype.getValueAndPayload
    Token.prototype.getValueAndPayload = async function (this: IssuingToken & TokenClass['prototype']) {
      if (this.format !== 'jwt') return make.call(this)
      this.format = 'opaque' // the claims are collected once, by the library; nothing is signed there
      const { payload } = await make.call(this).finally(() => {
        this.format = 'jwt'
      })
      const consumer = target(this.resourceServer?.identifier())
      if (!consumer || !payload) throw new Error('a JWT access token without a target')
      if (typeof payload['exp'] !== 'number') throw new Error('an access token without an end')
      return { value: parts.rings.sign(consumer.ring, consumer.alg, 'at+jwt', accessTokenClaims(issuer, payload)) }
    } as TokenClass['prototype']['getValueAndPayload']
  }
}

interface IdTokenClass {
  prototype: {
    payload(): Promise<Record<string, unknown>>
    issue(options: { readonly use: string; readonly expiresAt?: number | null }): Promise<string>
    set(name: string, value: unknown): void
  }
  expiresIn(ctx: unknown, token: unknown, client: unknown): number
}
interface IdTokenClient {
  readonly clientId: string
  readonly idTokenSignedResponseAlg: string
  readonly idTokenEncryptedResponseAlg?: string
}
interface IssuingIdToken {
  readonly ctx: unknown
  client: IdTokenClient
}

/** Half of the hash of what stands in such a claim (OpenID Connect Core, section 3.1.3.6). */
function halfHash(value: unknown): string {
  return hash('sha256', String(value), 'buffer').subarray(0, 16).toString('base64url')
}

/**
 * A client as it stands in an ID token that is for a target, too: `aud` has both, and the signature is of the kind that the target
 * reads. The library knows the audience of an ID token by no other way than its client.
 */
function towards(client: IdTokenClient, { audience, alg }: Target): IdTokenClient {
  const changed = new Map<PropertyKey, unknown>([
    ['clientId', [audience, client.clientId]],
    ['idTokenSignedResponseAlg', alg],
  ])
  return new Proxy(client, { get: (own, name) => changed.get(name) ?? Reflect.get(own, name, own) })
}

/**
 * ES256 ID tokens are signed where access tokens are: 35 µs of CPU, where the library's way over WebCrypto and the thread pool takes 190.
 * The claims are still the library's; RS256 stays with it, since a millisecond belongs on another thread.
 */
export function signIdTokens(provider: Provider, parts: Pick<Parts, 'rings' | 'now' | 'targets'>): void {
  const Token = provider.IdToken as unknown as IdTokenClass
  const { issue } = Token.prototype
  const targetOf = idTokenTarget(parts.targets)
  Token.prototype.issue = async function (this: IssuingIdToken & IdTokenClass['prototype'], options) {
    const target = options.use === 'idtoken' ? targetOf(this.ctx as Context) : undefined
    if (target) {
      this.set('azp', this.client.clientId)
      this.client = towards(this.client, target)
    }
    const { client, ctx } = this
    const own = options.use === 'idtoken' && client.idTokenSignedResponseAlg === 'ES256'
    if (!own || client.idTokenEncryptedResponseAlg !== undefined) return issue.call(this, options)
    const payload = await this.payload()
    for (const claim of ['at_hash', 'c_hash', 's_hash']) if (payload[claim]) payload[claim] = halfHash(payload[claim])
    const now = parts.now()
    const exp = options.expiresAt || now + Token.expiresIn(ctx, this, client)
    Object.assign(payload, { aud: client.clientId, exp, iat: payload['iat'] ?? now, iss: provider.issuer })
    return parts.rings.sign(ISSUER_RING, 'ES256', 'JWT', payload)
  } as IdTokenClass['prototype']['issue']
}

/**
 * The id of a refresh token's successor is derived from its own, so that parallel refreshes, in whichever process, arrive at
 * one successor and no answer has to be cached.
 */
export function successorOf(key: Buffer): (jti: string) => string {
  const secret = createSecretKey(key) // Node takes 20 µs for a key as bytes at each use, 3 for this
  return (jti) => createHmac('sha256', secret).update(jti).digest('base64url')
}

/** Makes a rotated refresh token take the id that `successor` gives. */
export function deriveSuccessors(provider: Provider, successor: (jti: string) => string): void {
  const Token = provider.RefreshToken as unknown as TokenClass
  const generate = Token.prototype.generateTokenId
  Token.prototype.generateTokenId = function () {
    const rotated = (Provider.ctx as unknown as { oidc?: { entities: { RotatedRefreshToken?: { jti: string } } } })
      ?.oidc?.entities.RotatedRefreshToken
    return rotated ? successor(rotated.jti) : generate.call(this)
  }
}

/**
 * A session carries the id of its proof and when it began, and each grant carries the proof, the session that it came from and how the client knows it (`sid`): everything
 * after reads by grant, never by person, so that two sessions of one person never mix. An interaction carries the browser that confirmed a device's code.
 */
export function carryProof(provider: Provider): void {
  const extend = (Model: unknown, names: readonly string[]) => {
    const own = (Model as { IN_PAYLOAD: string[] }).IN_PAYLOAD
    Object.defineProperty(Model, 'IN_PAYLOAD', { get: () => [...own, ...names] })
  }
  extend(provider.Session, ['proof', 'signedIn'])
  extend(provider.Grant, ['proof', 'sessionUid', 'sid'])
  extend(provider.Interaction, ['confirmedIn'])
}

const UNSAVED = Symbol('unsaved')

/**
 * Writes a grant in one commit with the session that names it, which the library saves last: each commit waits for the disk.
 * @param session the library's, at this request
 */
export function saveWith(session: object, grant: { save(): Promise<unknown> }): void {
  const saved = grant.save()
  saved.catch(() => {}) // whoever saves the session hears of it
  Object.assign(session, { [UNSAVED]: saved })
}

/** No answer leaves before what `saveWith` was given is written. */
export function saveTogether(provider: Provider): void {
  const { prototype } = provider.Session as unknown as { prototype: { save(ttl: number): Promise<unknown> } }
  const { save } = prototype
  prototype.save = async function (ttl) {
    const [value] = await Promise.all([
      save.call(this, ttl),
      (this as { readonly [UNSAVED]?: Promise<unknown> })[UNSAVED],
    ])
    return value
  }
}

/** `sid` in every ID token, as in logout tokens, whether or not the client registered a back channel. */
export function alwaysSid(provider: Provider): void {
  ;(provider.Client.prototype as unknown as { includeSid(): boolean }).includeSid = () => true
}

/** Stock builds discovery, `verification_uri` and `returnTo` from the Host header or an absolute request line (law 1). */
export function pinUrls(provider: Provider): void {
  const prototype = (
    provider as unknown as { OIDCContext: { prototype: { urlFor(name: string, opt?: object): string } } }
  ).OIDCContext.prototype
  prototype.urlFor = (name, opt) => provider.urlFor(name, opt as Record<string, unknown>)
}

/** What is no text is no token's id: the library finds nothing for it, and does not ask the store. */
const NOBODY = Object.freeze({})

const asked = (ctx: Context) => ctx.state as { jwt?: string }

/** The JWT that an authenticated or unknown client asks about or gives back at this request, if it is one. */
export const jwtAskedFor = (ctx: Context): string | undefined => asked(ctx).jwt

/**
 * Introspection and revocation refuse whatever looks like a JWT, and our access tokens are. As soon as the library names the client,
 * and before it authenticates it, a token with a dot in it makes way for one that nobody has, and is kept for what comes after the
 * route. So client authentication and the checks of the request stay the library's, and the form is read once, by it.
 */
export function setJwtsAside(provider: Provider): void {
  const { prototype } = (
    provider as unknown as { OIDCContext: { prototype: { entity(name: string, value: unknown): void } } }
  ).OIDCContext
  const { entity } = prototype
  prototype.entity = function (this: Context['oidc'], name, value) {
    entity.call(this, name, value)
    const { route, params, ctx } = this as unknown as { route: string; params?: Record<string, unknown>; ctx: Context }
    const token = params?.['token']
    if (name !== 'Client' || (route !== 'introspection' && route !== 'revocation')) return
    if (typeof token !== 'string' || !token.includes('.')) return
    asked(ctx).jwt = token
    Object.assign(params as object, { token: NOBODY })
  } as typeof entity
}

/**
 * What to say to a request whose assertion or proof was used before: `invalid_client` where the client proved itself by it
 * (RFC 7523, section 3.2), `invalid_dpop_proof` else (RFC 9449, section 5). Never `invalid_grant`, as the library has it for DPoP:
 * at that a client throws its refresh token away, and this one was not used.
 * @param id the hash of issuer and jti, as the library makes it
 */
export function replayed(id: string): Error {
  const { params } =
    (Provider.ctx as unknown as { oidc?: { params?: Record<string, unknown> } } | undefined)?.oidc ?? {}
  const { iss, jti } = payloadOf(params?.['client_assertion'])
  if (hash('sha256', `${iss}${jti}`, 'base64url') === id)
    return new errors.InvalidClientAuth('the assertion was used before')
  return new errors.InvalidDpopProof('the DPoP proof was used before')
}

/** The payload of a JWT that the library has checked; nothing where there is none. */
export function payloadOf(jwt: unknown): Record<string, unknown> {
  if (typeof jwt !== 'string') return {}
  return JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString('utf8'))
}
