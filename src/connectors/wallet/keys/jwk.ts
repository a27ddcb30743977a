import { hash, type KeyObject } from 'node:crypto'
import type { JWK } from 'jose'
import type { Json } from '../credential.ts'

/** A public key for signatures, with the members that make it and no others (RFC 7518, 6 and RFC 8037, 2). */
export type PublicJwk = JWK & { readonly kty: 'EC' | 'RSA' | 'OKP' }

/** Members of each kind in the order of RFC 7638, 3.2; and the longest of an RSA key: 8192 bits, an exponent of 64 bits. */
const members = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
} as const
const LONGEST: Readonly<Record<string, number>> = { n: 1366, e: 11, x: 88, y: 88 }
/** What a key may say about its use, kept so that it is used for nothing else. */
const limits = ['alg', 'use', 'key_ops'] as const

/** Bytes of a coordinate. */
const sizes: Readonly<Record<string, number>> = { 'P-256': 32, 'P-384': 48, 'P-521': 66, Ed25519: 32 }

/**
 * The public signature key that a JWK holds; undefined where it is none, or also holds the private part, which nobody may know.
 * Coordinates that lost their leading zeros are made whole: real DID documents have them (RFC 7518, 6.2.1.2 forbids it).
 */
export function publicJwk(value: Json | undefined): PublicJwk | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const given = value as { readonly [name: string]: Json }
  const { kty, crv } = given
  if ((kty !== 'EC' && kty !== 'OKP' && kty !== 'RSA') || 'd' in given) return undefined
  const size = typeof crv === 'string' && Object.hasOwn(sizes, crv) ? sizes[crv] : undefined
  if (kty !== 'RSA' && (size === undefined || (crv === 'Ed25519') !== (kty === 'OKP'))) return undefined
  const parts = members[kty].map((name) => {
    const part = given[name]
    if (typeof part !== 'string' || part === '' || part.length > (LONGEST[name] ?? 8)) return undefined
    return [name, (name === 'x' || name === 'y') && size !== undefined ? whole(part, size) : part] as const
  })
  if (parts.some((part) => part === undefined)) return undefined
  const said = limits.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]] as const]))
  return Object.fromEntries([...(parts as [string, string][]), ...said]) as unknown as PublicJwk // checked member by member
}

function whole(coordinate: string, size: number): string {
  const bytes = Buffer.from(coordinate, 'base64url')
  return bytes.length >= size
    ? coordinate
    : Buffer.concat([Buffer.alloc(size - bytes.length), bytes]).toString('base64url')
}

/** RFC 7638, SHA-256. */
export function thumbprint(jwk: PublicJwk): string {
  const required = members[jwk.kty].map((name) => [name, (jwk as Readonly<Record<string, unknown>>)[name]])
  return hash('sha256', JSON.stringify(Object.fromEntries(required)), 'base64url')
}

/** Undefined where a key of this kind is not taken. */
export function jwkOf(key: KeyObject): PublicJwk | undefined {
  try {
    return publicJwk(key.export({ format: 'jwk' }) as Json)
  } catch {
    return undefined // a kind of key that JOSE has no form for
  }
}
