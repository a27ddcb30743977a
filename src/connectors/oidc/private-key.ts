import { createHash, createPrivateKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import {
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  None,
  PrivateKeyJwt,
  type ServerMetadata,
} from 'openid-client'
import type { OidcConfig } from './options.ts'

interface Key {
  readonly key: KeyObject
  readonly kid: string
  readonly publicJwk: Readonly<Record<string, unknown>>
}

/** How the gateway proves itself at the token endpoint, once the upstream's metadata is known. */
export type Authenticate = (metadata: ServerMetadata) => Promise<ClientAuth>

/**
 * Chooses the client authentication of a connector.
 * @throws where the secret or key is missing, or the key is of no use
 */
export function clientAuthentication(config: OidcConfig): Authenticate {
  if (config.auth === 'none') return async () => None()
  if (config.auth === 'private_key_jwt') {
    const key = readKey(config)
    let made: Promise<ClientAuth> | undefined
    return (metadata) => {
      made ??= jwtBy(key, metadata)
      return made
    }
  }
  if (!config.clientSecret) throw new Error(`connector ${config.id}: auth ${config.auth} needs clientSecret`)
  const auth =
    config.auth === 'client_secret_post'
      ? ClientSecretPost(config.clientSecret)
      : ClientSecretBasic(config.clientSecret)
  return async () => auth
}

/** The public half, for the upstream's administrator; undefined where the connector has no key. */
export function publicJwk(config: OidcConfig): Readonly<Record<string, unknown>> | undefined {
  return config.privateKey ? readKey(config).publicJwk : undefined
}

async function jwtBy({ key, kid }: Key, metadata: ServerMetadata): Promise<ClientAuth> {
  const name = algorithm(key, metadata)
  const hash = { RS256: 'SHA-256', PS256: 'SHA-256' }[name]
  const subtle = { RS256: 'RSASSA-PKCS1-v1_5', PS256: 'RSA-PSS', ES256: 'ECDSA', ES384: 'ECDSA', Ed25519: 'Ed25519' }[
    name
  ]
  const curve = { ES256: 'P-256', ES384: 'P-384' }[name]
  const parameters = { name: subtle!, ...(hash && { hash }), ...(curve && { namedCurve: curve }) }
  return PrivateKeyJwt({ key: key.toCryptoKey(parameters, false, ['sign']) as CryptoKey, kid })
}

/** PS256 where the upstream says that it takes it (TR-02102 withdraws PKCS#1 v1.5), RS256 where it does not say. */
function algorithm(key: KeyObject, metadata: ServerMetadata): string {
  if (key.asymmetricKeyType === 'ed25519') return 'Ed25519'
  if (key.asymmetricKeyType === 'ec') return key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 'ES384' : 'ES256'
  const supported = metadata.token_endpoint_auth_signing_alg_values_supported ?? []
  return supported.includes('PS256') ? 'PS256' : 'RS256'
}

function readKey(config: OidcConfig): Key {
  const text = config.privateKey?.trim()
  if (!text) throw new Error(`connector ${config.id}: auth private_key_jwt needs privateKey`)
  const jwk = text.startsWith('{') ? parseJwk(config.id, text) : undefined
  const key = createKey(config.id, jwk ? { key: jwk, format: 'jwk' } : text)
  const {
    d: _,
    p: _p,
    q: _q,
    dp: _dp,
    dq: _dq,
    qi: _qi,
    ...open
  } = key.export({ format: 'jwk' }) as Record<string, unknown>
  const kid = typeof jwk?.['kid'] === 'string' ? jwk['kid'] : thumbprint(open)
  return { key, kid, publicJwk: { ...open, kid, use: 'sig' } }
}

function createKey(id: string, input: Parameters<typeof createPrivateKey>[0]): KeyObject {
  const unusable = `connector ${id}: privateKey is no PEM or JWK of an RSA (2048 bits or more), P-256, P-384 or Ed25519 key`
  let key: KeyObject
  try {
    key = createPrivateKey(input)
  } catch {
    // The cause could quote the key.
    throw new Error(unusable)
  }
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {}
  const fits =
    key.asymmetricKeyType === 'ed25519' ||
    (key.asymmetricKeyType === 'rsa' && (modulusLength ?? 0) >= 2048) ||
    (key.asymmetricKeyType === 'ec' && (namedCurve === 'prime256v1' || namedCurve === 'secp384r1'))
  if (!fits) throw new Error(unusable)
  return key
}

function parseJwk(id: string, text: string): JsonWebKey {
  try {
    return JSON.parse(text) as JsonWebKey
  } catch {
    throw new Error(`connector ${id}: privateKey begins like a JWK and is no JSON`)
  }
}

/** @see RFC 7638 */
function thumbprint(jwk: Readonly<Record<string, unknown>>): string {
  const members = ['crv', 'e', 'kty', 'n', 'x', 'y'].filter((name) => jwk[name] !== undefined)
  const canonical = JSON.stringify(Object.fromEntries(members.map((name) => [name, jwk[name]])))
  return createHash('sha256').update(canonical).digest('base64url')
}
